"use strict";
/* Paper: before the browser prints, by whatever command, each chart is drawn once more, wide and light, and each table that is
   wider than a sheet is set in parts; afterwards both go. A browser does not wait, but it runs promises that are kept without a
   timer or the net before it prints: all is drawn by such. */
const SHEET = 700; // CSS pixels across A4 upright, without margins

{
  const standIns = [];
  let ready = null;

  const add = (before, className) => {
    const element = Object.assign(document.createElement("div"), { className });
    before.before(element);
    standIns.push(element);
    return element;
  };

  function part(table, columns) {
    const copy = table.cloneNode(true);
    for (const row of copy.rows) [...row.cells].forEach((cell, place) => { if (!columns.includes(place)) cell.remove(); });
    return copy;
  }

  function setTable(table) {
    const place = add(table.closest(".scroll"), "printed");
    const whole = table.cloneNode(true);
    place.append(whole);
    const widths = [...whole.tHead.rows[0].cells].map((cell) => cell.getBoundingClientRect().width);
    if (whole.getBoundingClientRect().width <= SHEET) return;
    const isName = (k) => !table.tHead.rows[0].cells[k].classList.contains("number");
    const names = widths.map((_, k) => k).filter(isName);
    const start = names.reduce((sum, k) => sum + widths[k], 0);
    const numbers = widths.map((_, k) => k).filter((k) => !isName(k) && widths[k]);
    const pack = (room) => {
      const parts = [[]];
      let taken = 0;
      for (const k of numbers) {
        if (taken + widths[k] > room && taken) {
          parts.push([]);
          taken = 0;
        }
        parts.at(-1).push(k);
        taken += widths[k];
      }
      return parts;
    };
    const fewest = pack(SHEET - start).length;
    let room = numbers.reduce((sum, k) => sum + widths[k], 0) / fewest; // parts of one width, rather than a last of one column
    while (room < SHEET - start && pack(room).length > fewest) room += 10;
    const parts = pack(Math.min(room, SHEET - start));
    place.replaceChildren(...parts.map((columns) => part(table, [...names, ...columns])));
  }

  async function setChart(chart) {
    const place = add(chart.place.parentElement, "printed chart");
    const drawn = embed(place, fitted(chart.spec(), null), "light", { actions: false, tooltip: false });
    await Promise.race([drawn, settled(place)]); // images are waited for by a timer, though the chart is there
    for (const image of place.querySelectorAll("svg image")) image.setAttribute("href", image.__data__.url);
    tell(place, "light");
    (await drawn).finalize();
  }

  /* Until a chart has been put into its place; it never takes as many turns. */
  async function settled(place) {
    for (let turn = 0; turn < 1000 && !place.querySelector("svg.marks image"); turn++) await null;
  }

  function prepare() {
    ready ??= Promise.all([
      ...[...document.querySelectorAll("#tables .part:not([hidden]) table")].map(setTable),
      ...charts.filter((chart) => !chart.figure.hidden).map(setChart),
    ]);
    return ready;
  }

  addEventListener("beforeprint", prepare);
  addEventListener("afterprint", () => {
    ready = null;
    standIns.splice(0).forEach((element) => element.remove());
  });
  const button = document.getElementById("print");
  button.hidden = false;
  button.addEventListener("click", async () => {
    await prepare(); // a script's own call of print() would not let promises run
    window.print();
  });
}
