"use strict";
// Draws the results in the page: only the rows that are in view, so that ten thousand clips scroll and sort as ten do.
// All text goes into the page as text, never as markup.
const results = JSON.parse(document.getElementById("results").textContent);
const rows = results.clips, measures = results.columns;
const ROW = 60, AHEAD = 8;
const RANKS = { failed: 0, interrupted: 1, running: 2, waiting: 3, finished: 4 };
// Names in order, clip2 before clip10.
const byName = new Intl.Collator("en", { numeric: true }).compare;
const PLACES = new Map(rows.map(row => row.name).sort(byName).map((name, i) => [name, i]));
const find = id => document.getElementById(id);

function made(kind, text = "", name = "") {
  const element = document.createElement(kind);
  if (text !== "") element.textContent = text;
  if (name !== "") element.className = name;
  return element;
}

function shown(value, digits = 3) {
  if (value === null || value === undefined) return "–";
  if (typeof value !== "number") return String(value);
  if (value !== 0 && Math.abs(value) < 0.1) return String(Number(value.toPrecision(3)));
  return value.toFixed(Math.abs(value) >= 1000 ? 0 : digits);
}

// What a measure is called, and with how many digits it is shown.
const TITLES = { psnr: ["PSNR", 2], psnr_masked: ["PSNR, tissue", 2], psnr_baseline: ["no scene", 2], ssim: ["SSIM", 4],
  ssim_masked: ["SSIM, tissue", 4] };
const titleOf = name => (TITLES[name] || [name.replaceAll("_", " "), 3])[0];
const digitsOf = name => (TITLES[name] || [name, 3])[1];

const measureColumn = i => ({ title: titleOf(measures[i]), key: row => row.measures[i], down: true,
  cell: row => made("td", shown(row.measures[i], digitsOf(measures[i]))) });
const FIRST = ["psnr", "psnr_baseline", "ssim"].map(name => measures.indexOf(name)).filter(i => i >= 0);
const OTHERS = measures.map((name, i) => i).filter(i => !FIRST.includes(i));
const BEFORE = 3;  // columns that a failed clip has too, before its sentence
const COLUMNS = [
  { title: "", key: null, cell: thumbnail },
  { title: "clip", key: row => PLACES.get(row.name), cell: nameCell, text: true },
  { title: "state", key: row => RANKS[row.state], cell: row => made("td", row.state, "state text"), text: true },
  ...FIRST.map(measureColumn),
  { title: "curves", key: null, cell: curves, text: true },
  { title: "seconds", key: row => row.seconds, cell: row => made("td", shown(row.seconds, 0)), down: true },
  { title: "files", key: null, cell: links, text: true },
  ...OTHERS.map(measureColumn),
  { title: "frames", key: row => row.frames, cell: row => made("td", shown(row.frames, 0)) },
  { title: "Gaussians", key: row => row.gaussians, cell: row => made("td", shown(row.gaussians, 0)) },
  { title: "MB", key: row => row.memory_mb, cell: row => made("td", shown(row.memory_mb, 0)), down: true },
  { title: "tries", key: row => row.attempts, cell: row => made("td", shown(row.attempts, 0)), down: true },
];
const FILES = COLUMNS.findIndex(column => column.title === "files");
let order = { column: 2, up: true }, only = null, visible = rows.map((row, i) => i);

function thumbnail(row) {
  const cell = made("td");
  if (/^[A-Za-z0-9+/=]+$/.test(row.thumbnail)) {
    const image = made("img");
    image.src = "data:image/jpeg;base64," + row.thumbnail;
    image.alt = "";
    cell.append(image);
  }
  return cell;
}

function nameCell(row) {
  const cell = made("td", "", "name text");
  const button = made("button", row.name);
  button.addEventListener("click", () => details(row));
  cell.append(button, made("small", row.input));
  cell.title = row.input;
  return cell;
}

function links(row) {
  const cell = made("td", "", "links text");
  const folder = "clips/" + encodeURIComponent(row.name) + "/";
  const places = row.state === "finished" ? [["preview", folder + "preview.mp4"], ["files", folder]] : [];
  for (const [text, place] of [...places, ["log", "logs/" + encodeURIComponent(row.name) + ".log"]]) {
    const link = made("a", text);
    link.href = place;
    link.target = "_blank";
    link.rel = "noopener";
    cell.append(link);
  }
  return cell;
}

function curve(values, name, low, high, width, height) {
  const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
  const last = Math.max(1, values.length - 1);
  const points = values.flatMap((v, i) => v === null ? [] :
    [`${(2 + (width - 4) * i / last).toFixed(1)},${(height - 2 - (height - 4) * (v - low) / (high - low)).toFixed(1)}`]);
  if (points.length === 1) points.push(points[0]);  // a dot
  line.setAttribute("points", points.join(" "));
  line.setAttribute("class", name);
  return line;
}

function drawing(row, width, height) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("width", width);
  svg.setAttribute("height", height);
  const known = [...row.steps_psnr, ...row.frames_psnr].filter(value => value !== null);
  if (known.length > 1) {
    const low = Math.min(...known), high = Math.max(low + 0.1, ...known);
    svg.append(curve(row.steps_psnr, "steps", low, high, width, height));
    svg.append(curve(row.frames_psnr, "tests", low, high, width, height));
  }
  return svg;
}

function curves(row) {
  const cell = made("td");
  cell.title = "PSNR: blue over the steps of the fit, red over the test frames";
  cell.append(drawing(row, 120, 44));
  return cell;
}

function details(row) {
  const box = find("details");
  const close = made("button", "close");
  close.addEventListener("click", () => box.close());
  const facts = { ...row };
  for (const name of ["thumbnail", "measures", "steps_psnr", "frames_psnr"]) delete facts[name];
  facts.measures = Object.fromEntries(measures.map((name, i) => [name, row.measures[i]]));
  box.replaceChildren(close, made("h2", row.name), made("p", row.error), drawing(row, 560, 160),
    made("p", "PSNR in dB: blue over the steps of the fit, red over the test frames."),
    made("pre", JSON.stringify(facts, null, 1)));
  box.showModal();
}

function chosen() {
  const words = find("find").value.toLowerCase();
  visible = [];
  rows.forEach((row, i) => {
    if (only !== null && row.state !== only) return;
    const text = [row.name, row.input, row.error, row.options].join(" ").toLowerCase();
    if (words === "" || text.includes(words)) visible.push(i);
  });
  const key = COLUMNS[order.column].key;
  const sign = order.up ? 1 : -1;
  const keys = rows.map(key);
  visible.sort((a, b) => {
    const x = keys[a], y = keys[b];
    const missing = Number(x === null || x === undefined) - Number(y === null || y === undefined);
    if (missing !== 0) return missing;  // what has no value stands last, either way
    return x < y ? -sign : x > y ? sign : a - b;
  });
  find("count").textContent = `${visible.length} of ${rows.length} clips`;
  find("scroll").scrollTop = 0;
  draw();
}

function spacer(height) {
  const row = made("tr"), cell = made("td");
  cell.colSpan = COLUMNS.length;
  cell.style.height = `${height}px`;
  cell.style.padding = "0";
  row.append(cell);
  return row;
}

function rowOf(row) {
  const line = made("tr", "", "clip");
  line.classList.add(row.state in RANKS ? row.state : "waiting");
  if (row.state === "failed") {
    const error = made("td", "", "error");
    error.colSpan = FILES - BEFORE;
    error.append(made("div", row.error));
    error.title = row.error;
    const rest = made("td");
    rest.colSpan = COLUMNS.length - FILES - 1;
    line.append(...COLUMNS.slice(0, BEFORE).map(column => column.cell(row)), error, links(row), rest);
  } else line.append(...COLUMNS.map(column => column.cell(row)));
  return line;
}

function draw() {
  const box = find("scroll"), body = find("clips").tBodies[0];
  const first = Math.max(0, Math.floor(box.scrollTop / ROW) - AHEAD);
  const last = Math.min(visible.length, Math.ceil((box.scrollTop + box.clientHeight) / ROW) + AHEAD);
  const lines = visible.slice(first, last).map(i => rowOf(rows[i]));
  body.replaceChildren(spacer(first * ROW), ...lines, spacer((visible.length - last) * ROW));
  for (const [i, cell] of [...find("clips").tHead.rows[0].cells].entries())
    cell.setAttribute("aria-sort", i !== order.column ? "none" : order.up ? "ascending" : "descending");
}

function head() {
  const line = made("tr");
  COLUMNS.forEach((column, i) => {
    const cell = made("th", "", column.text ? "text" : "");
    if (column.key === null) cell.textContent = column.title;
    else {
      const button = made("button", column.title);
      button.addEventListener("click", () => {
        order = { column: i, up: order.column === i ? !order.up : !column.down };
        chosen();
      });
      cell.append(button);
    }
    line.append(cell);
  });
  find("clips").tHead.append(line);
}

function table(place, title, headings, lines) {
  const element = made("table"), top = made("tr");
  headings.forEach((text, i) => top.append(made("th", text, i === 0 || i === headings.length - 1 ? "text" : "")));
  element.append(top);
  for (const cells of lines) {
    const line = made("tr");
    cells.forEach((text, i) => line.append(made("td", text, i === 0 || i === cells.length - 1 ? "text" : "")));
    element.append(line);
  }
  find(place).append(made("h2", title), element);
}

function begin() {
  const about = results.batch, counts = results.counts;
  find("title").textContent = results.title;
  find("about").textContent = `begun ${about.started}, ${shown(about.seconds, 0)} s, endogs ${about.versions.endogs}` +
    (about.stopped_by ? `, stopped by ${about.stopped_by}` : "") +
    (about.options ? `; for all clips: ${about.options}` : "");
  const said = Object.entries(counts).filter(([, count]) => count > 0).map(([state, count]) => `${count} ${state}`);
  find("summary").append(made("strong", said.join(", ")));
  if (results.measures.length)
    table("spread", "Over the finished clips", ["measure", "clips", "mean", "median", "worst", "worst clip"],
      results.measures.map(one => [titleOf(one.measure), shown(one.clips, 0),
        ...[one.mean, one.median, one.worst].map(value => shown(value, digitsOf(one.measure) + 1)), one.worst_clip]));
  if (results.comparison) {
    const other = results.comparison;
    table("comparison", `${other.clips.length} clips, this batch minus ${other.other}`,
      ["measure", "mean", "± s.e.", "better in"],
      other.differences.map(one => [titleOf(one.measure), shown(one.mean, 4), shown(one.standard_error, 4),
        one.counted ? `${one.better} of ${one.frames}` : ""]));
  }
  for (const state of ["", ...Object.keys(counts).filter(state => counts[state] > 0)]) {
    const button = made("button", state === "" ? "all" : `${state} (${counts[state]})`);
    button.setAttribute("aria-pressed", String(state === ""));
    button.addEventListener("click", () => {
      only = state === "" ? null : state;
      for (const other of find("states").children) other.setAttribute("aria-pressed", String(other === button));
      chosen();
    });
    find("states").append(button, " ");
  }
  head();
  find("find").addEventListener("input", chosen);
  find("scroll").addEventListener("scroll", () => requestAnimationFrame(draw));
  addEventListener("resize", draw);
  chosen();
}

begin();
