"use strict";
/* What is switched off or searched for. Whatever is of datasets, methods or noises carries their numbers in data-…; it is hidden
   where all of its own are off. */
const report = JSON.parse(document.getElementById("data").textContent);
const KINDS = ["dataset", "method", "noise"];
const off = { dataset: new Set(), method: new Set(), noise: new Set() };
const choiceFollowers = [];

function switchedOff(element) {
  return KINDS.some((kind) => {
    const own = element.dataset[kind];
    return own && own.split(" ").every((number) => off[kind].has(number));
  });
}

/* A row's names, and what stands where a number is missing; the numbers themselves would match every digit. */
function namesOf(row) {
  return [...row.cells].map((cell) => cell.textContent).filter((text, k) => row.cells[k].tagName === "TH" || !/\d/.test(text)).join(" ");
}

function choose() {
  const words = document.getElementById("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0, all = 0;
  for (const table of document.querySelectorAll("table")) {
    let left = 0;
    for (const row of table.tBodies[0].rows) {
      const text = namesOf(row).toLowerCase();
      row.hidden = switchedOff(row) || !words.every((word) => text.includes(word));
      left += !row.hidden;
    }
    [...table.tHead.rows[0].cells].forEach((head, place) => {
      const hidden = switchedOff(head);
      for (const row of table.rows) row.cells[place].hidden = hidden;
    });
    const part = table.closest(".part");
    part.querySelector(".empty").hidden = left > 0;
    part.querySelector(".scroll").hidden = left === 0;
    all += table.tBodies[0].rows.length;
    shown += switchedOff(part) ? 0 : left;
  }
  for (const element of document.querySelectorAll(".part, .contents li")) element.hidden = switchedOff(element);
  document.getElementById("shown").textContent = shown < all ? `${shown} of ${all} rows` : "";
  for (const kind of KINDS) {
    const boxes = document.querySelectorAll(`input[data-kind=${kind}]`);
    document.querySelector(`.count[data-kind=${kind}]`).textContent = `${boxes.length - off[kind].size} of ${boxes.length}`;
  }
  choiceFollowers.forEach((follow) => follow());
}

{
  const form = document.getElementById("choices");
  const read = () => {
    for (const kind of KINDS) off[kind].clear();
    for (const box of form.querySelectorAll("input[type=checkbox]:not(:checked)")) off[box.dataset.kind].add(box.value);
    choose();
  };
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", read);
  form.addEventListener("click", (event) => {
    const { all, none } = event.target.dataset;
    if (!all && !none) return;
    for (const box of form.querySelectorAll(`input[data-kind=${all || none}]`)) box.checked = Boolean(all);
    read();
  });
  const switches = [...form.querySelectorAll(".switch")];
  document.addEventListener("click", (event) => {
    for (const one of switches) if (!one.contains(event.target)) one.open = false;
  });
  form.addEventListener("keydown", (event) => {
    const one = event.target.closest(".switch[open]");
    if (event.key !== "Escape" || !one) return;
    one.open = false;
    one.querySelector("summary").focus();
  });
  read(); // a browser may have kept what was ticked before a reload
}
