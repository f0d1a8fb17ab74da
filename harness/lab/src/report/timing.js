// Filters, sorts, pages and exports what stands in the table, and switches the theme. Loads and keeps nothing.
"use strict";
// As many as the style lays out before this runs.
const SHOWN = 200;
const [MARK, CLASS] = [1, 2];
const $ = (selector) => document.querySelector(selector);
const table = $("#rows");
const body = table.tBodies[0];
const headers = [...table.tHead.rows[0].cells];
const columns = JSON.parse($("#columns").textContent);
const all = [...body.rows].map((row, place) => ({ row, place, text: row.textContent.toLowerCase() }));
const form = $("#filters");
const count = $("#count");
let chosen = all;
let first = 0;

const cell = (one, index) => one.row.cells[index].textContent;
const values = (one) => (one.values ??= JSON.parse(one.row.dataset.v));

function show() {
  const shown = chosen.slice(first, first + SHOWN);
  body.replaceChildren(...shown.map((one) => one.row));
  const range = shown.length ? `${first + 1} to ${first + shown.length}` : "none";
  count.textContent = `${chosen.length} of ${all.length} cases; shown: ${range}`;
  $("#back").disabled = first === 0;
  $("#on").disabled = first + SHOWN >= chosen.length;
}

function filter() {
  const words = form.elements.find.value.toLowerCase().split(/\s+/).filter(Boolean);
  const wanted = (name) => form.elements[name].value;
  const [family, endpoint, mark, place] = ["family", "endpoint", "mark", "class"].map(wanted);
  chosen = all.filter((one) =>
    (!family || one.row.dataset.family === family) &&
    (!endpoint || one.row.dataset.endpoint === endpoint) &&
    (!mark || cell(one, MARK) === mark) &&
    (!place || cell(one, CLASS) === place) &&
    words.every((word) => one.text.includes(word)));
  first = 0;
  show();
}

// What is unknown stays last in either order.
function sort(header) {
  const rising = header.getAttribute("aria-sort") !== "ascending";
  for (const other of headers) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", rising ? "ascending" : "descending");
  const at = columns.indexOf(header.dataset.key);
  const index = headers.indexOf(header);
  const key = (one) => (header.dataset.key ? values(one)[at] : cell(one, index));
  const keys = new Map(all.map((one) => [one, key(one)]));
  all.sort((a, b) => {
    const [x, y] = [keys.get(a), keys.get(b)];
    if (x === null || y === null || x === "" || y === "") {
      return (x === null || x === "") - (y === null || y === "") || a.place - b.place;
    }
    const order = typeof x === "number" ? x - y : x < y ? -1 : Number(x > y);
    return (rising ? order : -order) || a.place - b.place;
  });
  filter();
}

function turn(by) {
  first = Math.max(0, first + by);
  show();
  table.parentNode.scrollTop = 0;
}

// Text that a spreadsheet would take for a formula begins with an apostrophe.
function quoted(value) {
  if (value === null) return "";
  if (typeof value !== "string") return String(value);
  const text = /^\s*[=+\-@＝＋－＠]|^[\t\r\n]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function save(name, type, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function csv() {
  const lines = [columns, ...chosen.map(values)].map((line) => line.map(quoted).join(","));
  save("timing.csv", "text/csv", lines.map((line) => `${line}\r\n`).join(""));
}

function json() {
  const object = (one) => Object.fromEntries(columns.map((name, at) => [name, values(one)[at]]));
  save("timing.json", "application/json", JSON.stringify(chosen.map(object), null, 1));
}

const theme = $("#theme");
const dark = () => matchMedia("(prefers-color-scheme: dark)").matches;
theme.setAttribute("aria-pressed", String(dark()));
theme.addEventListener("click", () => {
  const now = theme.getAttribute("aria-pressed") !== "true";
  theme.setAttribute("aria-pressed", String(now));
  document.documentElement.dataset.theme = now ? "dark" : "light";
});

for (const header of headers) header.firstChild.addEventListener("click", () => sort(header));
form.addEventListener("input", filter);
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("reset", () => setTimeout(filter));
$("#back").addEventListener("click", () => turn(-SHOWN));
$("#on").addEventListener("click", () => turn(SHOWN));
$("#csv").addEventListener("click", csv);
$("#json").addEventListener("click", json);
// A row that a recommendation names may be on another page of the table.
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[data-record]");
  if (!link) return;
  event.preventDefault();
  form.reset();
  form.elements.find.value = link.dataset.record;
  setTimeout(() => {
    filter();
    table.parentNode.focus();
    table.scrollIntoView();
  });
});
for (const hidden of document.querySelectorAll(".bar[hidden]")) hidden.hidden = false;
filter();
