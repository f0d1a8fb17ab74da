// Filters and sorts the table of pairs, and shows in the pictures what the table shows.
"use strict";
const rows = [...document.querySelectorAll("#pairs tbody tr")];
const dots = new Map();
for (const dot of document.querySelectorAll("[data-pair]")) dots.set(dot.dataset.pair, dot);
const filters = [...document.querySelectorAll("#filters select")];
const search = document.querySelector("#filters input");
const count = document.querySelector("#count");

function apply() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const row of rows) {
    const text = row.textContent.toLowerCase();
    const fits = words.every((word) => text.includes(word)) &&
      filters.every((filter) => !filter.value || row.dataset[filter.name] === filter.value);
    row.hidden = !fits;
    dots.get(row.dataset.row)?.classList.toggle("off", !fits);
    if (fits) shown += 1;
  }
  count.textContent = `${shown} of ${rows.length} pairs`;
}

function sort(header) {
  const column = header.cellIndex;
  const down = header.getAttribute("aria-sort") === "descending";
  for (const other of header.parentNode.cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", down ? "ascending" : "descending");
  const key = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
  const order = (a, b) => {
    const [x, y] = [key(a), key(b)];
    const numbers = Number(x) - Number(y);
    return Number.isNaN(numbers) ? x.localeCompare(y) : numbers;
  };
  rows.sort((a, b) => (down ? order(a, b) : order(b, a)));
  rows[0]?.parentNode.append(...rows);
}

function point(index, on) {
  rows.find((row) => row.dataset.row === index)?.classList.toggle("lit", on);
  dots.get(index)?.classList.toggle("lit", on);
}

document.querySelector("#filters").hidden = false;
search.addEventListener("input", apply);
for (const filter of filters) filter.addEventListener("change", apply);
for (const button of document.querySelectorAll("#pairs th button")) {
  button.addEventListener("click", () => sort(button.parentNode));
}
for (const row of rows) {
  row.addEventListener("pointerenter", () => point(row.dataset.row, true));
  row.addEventListener("pointerleave", () => point(row.dataset.row, false));
}
for (const [index, dot] of dots) {
  dot.addEventListener("click", () => {
    const row = rows.find((other) => other.dataset.row === index);
    row?.scrollIntoView({ block: "center" });
    for (const other of rows) other.classList.toggle("lit", other === row);
  });
}
apply();
