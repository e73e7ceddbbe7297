"use strict";
// What every part of the page uses: elements, amounts as people read them, scales, and the one tooltip.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "style") Object.assign(node.style, value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat(9)) if (child !== null && child !== undefined && child !== "") node.append(child);
  return node;
}
const el = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const svg = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

// Amounts

const number = (value, digits = 0) => value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
const count = (many, word) => `${number(many)} ${many === 1 ? word : `${word}s`}`;
const percent = (share) => share > 0 && share < 0.01 ? "under 1 %" : `${number(100 * share)} %`;
const short = (value) => value === 0 ? "0" : value >= 100 ? number(value) : String(+value.toPrecision(2));

function bytes(size) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
  let unit = 0;
  while (size >= 1023.5 && unit < units.length - 1) { size /= 1024; unit += 1; }
  return `${number(size, size < 99.95 && unit > 0 && size !== Math.round(size) ? 1 : 0)} ${units[unit]}`;
}
function clock(seconds) {
  const whole = Math.round(seconds), pad = (part) => String(part).padStart(2, "0");
  const days = Math.floor(whole / 86400), hours = Math.floor(whole / 3600) % 24, minutes = Math.floor(whole / 60) % 60;
  const text = hours || days ? `${hours}:${pad(minutes)}:${pad(whole % 60)}` : `${minutes}:${pad(whole % 60)}`;
  return days ? `${days} d ${text}` : text;
}
function spanTick(seconds) {
  return seconds === 0 ? "0" : seconds < 1 ? `${+(seconds * 1000).toPrecision(2)} ms` : seconds < 60 ? `${+seconds.toPrecision(2)} s` : seconds >= 1e5 ? `${number(seconds / 86400)} d` : clock(seconds);
}
function span(seconds) {
  if (seconds === 0) return "0 s";
  if (seconds < 0.0995) return `${+(seconds * 1000).toPrecision(2)} ms`;
  return seconds < 59.95 ? `${number(seconds, seconds < 9.995 ? 2 : 1)} s` : clock(seconds);
}
const lapse = (seconds) => seconds < 60 ? `${Math.max(0, Math.floor(seconds))} s` : clock(Math.floor(seconds));
function moment(seconds) {
  const at = new Date(seconds * 1000), pad = (part) => String(part).padStart(2, "0");
  return `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())} ${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`;
}

// Scales

const TIME_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800];

function roundStep(rough) {
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999);
}
function timeStep(rough) {
  return rough < 1 ? roundStep(rough) : TIME_STEPS.find((step) => step >= rough) || roundStep(rough / 604800) * 604800;
}
function binaryStep(rough) {
  const unit = 1024 ** Math.floor(Math.log2(Math.max(rough, 1)) / 10);
  return 2 ** Math.ceil(Math.log2(Math.max(rough / unit, 1))) * unit;
}
function ticksBetween(low, high, step) {
  const ticks = [];
  for (let place = Math.ceil(low / step - 1e-9); place * step <= high * (1 + 1e-9); place += 1) ticks.push(place * step + 0);
  return ticks;
}
function timeTick(seconds, step, longest) {
  if (longest < 120) return step < 1 ? `${seconds.toFixed(Math.max(0, -Math.floor(Math.log10(step) + 1e-9)))} s` : `${number(seconds)} s`;
  if (step < 1) return `${clock(Math.floor(seconds + 1e-6))}${(seconds % 1).toFixed(Math.max(1, -Math.floor(Math.log10(step) + 1e-9))).slice(1)}`;
  return clock(seconds);
}

// Colours: the first ten kinds have one each, all others share one.

const GROUPS = 11;
const group = (kind) => Math.min(kind, GROUPS - 1);
const variable = (number) => number < GROUPS - 1 ? `--k${number}` : "--kx";
const paint = (number) => `var(${variable(number)})`;
const theme = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const swatch = (kind) => el("i", { class: "swatch", style: { background: paint(group(kind)) } });

function onTheme(redraw) {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
}
function onResize(node, redraw) {
  let width = 0;
  new ResizeObserver((entries) => {
    const now = Math.round(entries[0].contentRect.width);
    if (now && now !== width) { width = now; redraw(now); }
  }).observe(node);
}

// The tooltip

function showTip(event, text) {
  const tip = document.getElementById("tip");
  if (!text) { tip.hidden = true; return; }
  tip.textContent = text;
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  const left = event.clientX + 14 + box.width > innerWidth ? event.clientX - box.width - 10 : event.clientX + 14;
  const top = event.clientY + 14 + box.height > innerHeight ? event.clientY - box.height - 10 : event.clientY + 14;
  tip.style.left = `${Math.max(4, left)}px`;
  tip.style.top = `${Math.max(4, top)}px`;
}
function tipped(node, text) {
  node.addEventListener("pointermove", (event) => showTip(event, typeof text === "function" ? text() : text));
  node.addEventListener("pointerleave", () => showTip(null, ""));
  return node;
}

// Parts of a page

function card(id, title, ...children) {
  return el("section", { class: "card", id }, title ? el("h2", {}, title) : null, children);
}
function facts(pairs) {
  return el("dl", { class: "facts" }, pairs.filter(Boolean).map(([name, value, more]) =>
    el("div", {}, el("dt", {}, name), el("dd", {}, value, more ? el("small", {}, more) : null))));
}

// A table that is sorted by the column whose head is pressed.
// columns: [{ name, value: row => number or text, show: row => text or node, text: whether it is set flush left }]
function table(columns, rows, { by = -1, most = Infinity } = {}) {
  const body = el("tbody"), heads = [];
  let sorted = by, down = true, all = rows.length <= most;
  const more = el("button", { type: "button", onclick: () => { all = true; draw(); } }, `Show all ${number(rows.length)}`);
  function draw() {
    const order = [...rows];
    if (sorted >= 0) {
      const value = columns[sorted].value;
      order.sort((a, b) => (value(a) < value(b) ? -1 : value(a) > value(b) ? 1 : 0) * (down ? -1 : 1));
    }
    body.replaceChildren(...order.slice(0, all ? undefined : most).map((row) => el("tr", {}, columns.map((column) =>
      el("td", { class: column.text ? "text" : null, title: column.text ? String(column.value(row)) : null }, column.show ? column.show(row) : column.value(row))))));
    heads.forEach((head, place) => place === sorted ? head.setAttribute("aria-sort", down ? "descending" : "ascending") : head.removeAttribute("aria-sort"));
    more.hidden = all;
  }
  columns.forEach((column, place) => {
    const press = () => { down = sorted === place ? !down : !column.text; sorted = place; draw(); };
    heads.push(el("th", { class: column.text ? "text" : null, scope: "col", title: column.title }, el("button", { type: "button", onclick: press }, column.name)));
  });
  draw();
  return el("div", {}, el("div", { class: "scroll" }, el("table", {}, el("thead", {}, el("tr", {}, heads)), body)), more);
}
