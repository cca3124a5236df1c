"use strict";
/* Sorting: a click on a column's name sorts upwards, the next downwards, the third restores the order of the grid. */
{
  const inWords = new Intl.Collator("en", { numeric: true });
  const NUMBER = /^[<+−-]?\s*(\d+(?:\.\d+)?)/;

  const numberOf = (text) => {
    const found = NUMBER.exec(text);
    return found ? (/^[−-]/.test(text) ? -1 : 1) * Number(found[1]) : null;
  };

  /* Cells that hold no number (missing, failed, empty) come last in either order. */
  const compare = (a, b, sign, isNumber) => {
    if (!isNumber) return sign * inWords.compare(a, b);
    const [x, y] = [numberOf(a), numberOf(b)];
    if (x === null || y === null) return (x === null) - (y === null) || inWords.compare(a, b);
    return sign * (x - y);
  };

  for (const table of document.querySelectorAll("table")) {
    const body = table.tBodies[0];
    const asGiven = [...body.rows];
    table.tHead.addEventListener("click", (event) => {
      const head = event.target.closest("th");
      if (!head || !event.target.closest("button")) return;
      const next = { ascending: "descending", descending: null }[head.getAttribute("aria-sort")];
      const order = next === undefined ? "ascending" : next;
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      if (order) head.setAttribute("aria-sort", order);
      const place = head.cellIndex, isNumber = head.classList.contains("number"), sign = order === "descending" ? -1 : 1;
      const text = (row) => row.cells[place].textContent.trim();
      body.append(...(order ? [...asGiven].sort((a, b) => compare(text(a), text(b), sign, isNumber)) : asGiven));
    });
  }
}
