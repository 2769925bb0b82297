// Curves as SVG: lines with bands, or areas on top of each other. No library.
"use strict";
const NS = "http://www.w3.org/2000/svg";
const WIDTH = 480, HEIGHT = 210, LEFT = 52, RIGHT = 8, TOP = 8, BOTTOM = 24;

function element(name, attributes, parent, text) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  if (parent) parent.append(made);
  return made;
}

function shape(name, attributes, parent, text) {
  const made = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
}

function show(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(2).replace(/\.?0+e/, "e");
  return String(Number(value.toPrecision(4)));
}

// Round numbers, about four of them, that span the values.
function ticks(low, high) {
  const raw = (high - low) / 4, power = Math.pow(10, Math.floor(Math.log10(raw)));
  const step = [1, 2, 2.5, 5, 10].map(f => f * power).find(s => s >= raw) || raw;
  const list = [];
  for (let t = Math.ceil(low / step) * step; t <= high + step * 1e-6; t += step) list.push(Math.abs(t) < step * 1e-6 ? 0 : t);
  return list;
}

// The labels of an axis in one form, with as many places as tell its ticks apart.
function tickLabels(list) {
  const size = Math.max(...list.map(Math.abs)), step = list.length > 1 ? Math.abs(list[1] - list[0]) : size;
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return list.map(show);
  const places = [0, 1, 2, 3, 4, 5, 6].find(n => Math.abs(step * 10 ** n - Math.round(step * 10 ** n)) < 1e-6) ?? 6;
  return list.map(t => t === 0 ? "0" : t.toFixed(places));
}

// chart: {title, series: [{label, color, steps, values, low?, high?}], stacked?, unit?}. Returns the figure, or null when nothing is there.
function drawChart(chart) {
  // What takes nothing throughout would only be an edge on the areas below it.
  const series = chart.series.filter(s => s.values.some(v => chart.stacked ? v : v !== null));
  if (series.length === 0) return null;
  const steps = [...new Set(series.flatMap(s => s.steps))].sort((a, b) => a - b);
  if (chart.stacked) stack(series);
  let low = Infinity, high = -Infinity;
  for (const s of series)
    for (const list of [s.values, s.low || [], s.high || []])
      for (const v of list) if (v !== null) { low = Math.min(low, v); high = Math.max(high, v); }
  if (chart.stacked) low = 0;
  if (low === 0 && high === 0) high = 1;  // most of what may be 0 throughout is never below it
  if (high - low < 1e-12 * Math.max(1, Math.abs(high))) { const room = Math.abs(high) * 0.1 || 1; low -= room; high += room; }
  const first = steps[0], last = steps[steps.length - 1];
  const x = step => LEFT + (last === first ? 0.5 : (step - first) / (last - first)) * (WIDTH - LEFT - RIGHT);
  const y = value => TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM);

  const figure = element("figure");
  const caption = element("figcaption", {}, figure);
  element("span", {}, caption, chart.title);
  const ends = series.map(s => `${s.label}: ${show(s.values.find(v => v !== null))} to ${show(s.values.findLast(v => v !== null))}`);
  const svg = shape("svg", {viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", tabindex: "0",
                            "aria-label": `${chart.title}, steps ${first} to ${last}. ${ends.join("; ")}`}, figure);
  const values = ticks(low, high), labels = tickLabels(values);
  for (const [i, t] of values.entries()) {
    shape("line", {class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(t), y2: y(t)}, svg);
    shape("text", {x: LEFT - 6, y: y(t) + 4, "text-anchor": "end"}, svg, labels[i]);
  }
  for (const t of ticks(first, last === first ? first + 1 : last))
    if (Number.isInteger(t) && t >= first && t <= last) shape("text", {x: Math.min(x(t), WIDTH - 2), y: HEIGHT - 8, "text-anchor": x(t) > WIDTH - 24 ? "end" : "middle"}, svg, String(t));
  for (const s of series) {
    if (s.low && s.high) {
      const at = s.steps.map((_, i) => i).filter(i => s.low[i] !== null && s.high[i] !== null);
      const up = at.map(i => `${x(s.steps[i])},${y(s.high[i])}`), down = at.map(i => `${x(s.steps[i])},${y(s.low[i])}`).reverse();
      shape("polygon", {class: "band", points: [...up, ...down].join(" "), style: `fill:${s.color}${chart.stacked ? ";opacity:.75" : ""}`}, svg);
    }
    if (chart.stacked) continue;  // the area says it all
    const points = s.steps.map((step, i) => [step, s.values[i]]).filter(p => p[1] !== null);
    const path = points.map((p, i) => `${i ? "L" : "M"}${x(p[0]).toFixed(1)} ${y(p[1]).toFixed(1)}`).join("");
    shape("path", {class: "curve", d: path, style: `stroke:${s.color}`}, svg);
    if (points.length < 30) for (const p of points) shape("circle", {cx: x(p[0]), cy: y(p[1]), r: 2.2, style: `fill:${s.color}`}, svg);
  }
  if (series.length > 1 || chart.stacked) addLegend(series, figure);
  const readout = element("p", {class: "readout"}, figure);
  addCursor(svg, readout, series, steps, x);
  return figure;
}

// Areas lie on those before; what they show is still their own value.
function stack(series) {
  const base = new Map();
  for (const s of series) {
    s.own = s.values;
    s.low = s.steps.map(step => base.get(step) || 0);
    s.high = s.values.map((v, i) => s.low[i] + (v || 0));
    s.steps.forEach((step, i) => base.set(step, s.high[i]));
    s.values = s.high;
  }
}

function addLegend(series, parent) {
  const list = element("ul", {class: "legend"}, parent);
  for (const s of series) {
    const item = element("li", {}, list);
    element("i", {style: `background:${s.color}`, "aria-hidden": "true"}, item);
    item.append(s.label);
  }
}

function addCursor(svg, readout, series, steps, x) {
  const line = shape("line", {class: "cursor", y1: TOP, y2: HEIGHT - BOTTOM, visibility: "hidden"}, svg);
  let at = -1;
  const tell = step => {
    const parts = series.map(s => {
      const i = s.steps.indexOf(step), values = s.own || s.values;
      return i < 0 || values[i] === null ? null : `${series.length > 1 ? s.label + " " : ""}${show(values[i])}`;
    });
    readout.textContent = `step ${step}: ${parts.filter(p => p !== null).join(", ") || "no value"}`;
  };
  const place = index => {
    at = Math.max(0, Math.min(steps.length - 1, index));
    line.setAttribute("x1", x(steps[at]));
    line.setAttribute("x2", x(steps[at]));
    line.setAttribute("visibility", "visible");
    readout.setAttribute("aria-live", "polite");  // from here on it answers a person
    tell(steps[at]);
  };
  // Until then, the last that there is.
  tell(steps.findLast(step => series.some(s => (s.own || s.values)[s.steps.indexOf(step)] != null)));
  svg.addEventListener("pointermove", event => {
    const box = svg.getBoundingClientRect(), mouse = (event.clientX - box.left) / box.width * WIDTH;
    let best = 0;
    steps.forEach((step, i) => { if (Math.abs(x(step) - mouse) < Math.abs(x(steps[best]) - mouse)) best = i; });
    place(best);
  });
  svg.addEventListener("keydown", event => {
    const jump = {ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -Infinity, End: Infinity}[event.key];
    if (jump === undefined) return;
    event.preventDefault();
    place(at < 0 && Number.isFinite(jump) ? (jump > 0 ? 0 : steps.length - 1) : at + jump);
  });
}
