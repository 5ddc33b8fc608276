"use strict";
// Attention drawn on a canvas. Weights arrive as bytes: round(255 * sqrt(weight)), a head at a time, deflated.
// There may be two sides (data.second): the same tokens in two models, or two aligned texts in one.

const data = JSON.parse(document.getElementById("data").textContent);
const root = document.documentElement;
if (root.dataset.theme === "auto")
  root.dataset.theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";

const byId = name => document.getElementById(name);
const picture = byId("picture"), maps = byId("maps"), count = data.tokens.length;
const state = {
  layer: data.layer, head: data.head, view: "matrix", special: false, words: false, threshold: 0, query: "",
  cell: 0, x: 0, y: 0,      // pixels of a cell, and the offset of the picture
  side: 0,                  // 0 or 1: which side is shown; 2: the second minus the first
  at: null, pinned: null,   // the cell under the mouse or the cursor, and the pinned token: {row, column}
};
let shown = null;           // the drawn head: {names, groups, weights, both, image}
const MARGIN = 118, TOP = 96, LEAN = 50, MOST_ARCS = 4000;

// -- colours: cividis (Nuñez et al. 2018), which looks the same to all kinds of colour vision -----------------------

const STOPS = [[0, 32, 77], [0, 51, 111], [57, 72, 107], [87, 93, 109], [112, 113, 115], [138, 134, 120],
  [166, 157, 117], [196, 181, 108], [228, 207, 91], [255, 234, 70]];
const COLOURS = Array.from({length: 256}, (_, value) => {
  const position = value / 255 * (STOPS.length - 1), low = Math.min(Math.floor(position), STOPS.length - 2);
  return STOPS[low].map((from, i) => Math.round(from + (STOPS[low + 1][i] - from) * (position - low)));
});
const asByte = weight => Math.min(255, Math.round(255 * Math.sqrt(weight)));
const css = name => getComputedStyle(root).getPropertyValue(name).trim();
// Differences: from orange (less) over the page's colour to blue (more), distinct for every kind of colour vision.
const isDifference = () => state.side === 2;
function mixed(weight) {
  const dark = root.dataset.theme === "dark", none = dark ? [34, 40, 48] : [244, 245, 246];
  const most = weight >= 0 ? (dark ? [110, 190, 255] : [0, 84, 147]) : (dark ? [255, 150, 80] : [190, 75, 0]);
  const strength = Math.min(1, Math.sqrt(Math.abs(weight) / (data.second.most || 1)));
  return none.map((from, i) => Math.round(from + (most[i] - from) * strength));
}
const colourOf = weight => isDifference() ? mixed(weight) : COLOURS[asByte(weight)];
const rgb = weight => `rgb(${colourOf(weight).join(",")})`;

// -- data ------------------------------------------------------------------------------------------------------------

async function inflate(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function fromBase64(text) {
  const raw = atob(text), bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return bytes;
}

const heads = new Map();    // cache of the last heads that were shown

async function fetched(source, layer, head) {
  const answer = await fetch(`${source}/${layer}/${head}`);
  if (!answer.ok) throw new Error(await answer.text());
  return new Uint8Array(await answer.arrayBuffer());
}

async function headBytes(side, layer, head) {
  const key = side ? `${side}-${layer}-${head}` : `${layer}-${head}`;
  if (!heads.has(key)) {
    const block = document.querySelector(`script[data-head="${key}"]`);
    heads.set(key, await inflate(block ? fromBase64(block.textContent)
      : await fetched(side ? data.second.source : data.source, layer, head)));
    if (heads.size > 32) heads.delete(heads.keys().next().value);
  }
  return heads.get(key);
}

// The tokens to draw, as groups of tokens: without special tokens, or whole words.
function groups() {
  const result = [];
  for (let i = 0; i < count; i++) {
    if (state.special && data.special[i]) continue;
    const last = result[result.length - 1];
    if (state.words && last && data.words[last[0]] === data.words[i]) last.push(i);
    else result.push([i]);
  }
  return result;
}

function groupName(group) {
  return group.map((i, index) => index ? data.tokens[i].replace(/^##/, "") : data.tokens[i]).join("");
}

// A group receives the sum over its tokens and attends with their mean: rows still sum to 1.
function grouped(bytes, parts) {
  const n = parts.length, weights = new Float32Array(n * n);
  for (let row = 0; row < n; row++)
    for (const i of parts[row])
      for (let column = 0; column < n; column++) {
        let sum = 0;
        for (const j of parts[column]) sum += (bytes[i * count + j] / 255) ** 2;
        weights[row * n + column] += sum / parts[row].length;
      }
  return weights;
}

let lastRequest = 0;
async function load() {
  const request = ++lastRequest, layer = state.layer, head = state.head;
  let bytes, others = null;
  try {
    bytes = await headBytes(0, layer, head);
    if (data.second) others = await headBytes(1, layer, head);
  } catch (error) {
    byId("status").textContent = `Layer ${layer}, head ${head} could not be loaded: ${error.message}`;
    return;
  }
  if (request !== lastRequest) return;   // another head was requested meanwhile
  const parts = groups(), before = shown && shown.groups.length;
  shown = {names: parts.map(groupName), groups: parts, weights: null, both: [grouped(bytes, parts)], image: null};
  if (others) shown.both.push(grouped(others, parts), null);
  setSide(state.side);
  if (before !== parts.length) { state.at = state.pinned = null; fit(); }
  find();
  paint();
}

// Show the first, the second, or the second minus the first.
function setSide(side) {
  const changed = state.side !== side;
  state.side = side;
  byId("heading").textContent = `Layer ${state.layer}, head ${state.head}` +
    (data.second ? `: ${[data.name, data.second.name, `${data.second.name} minus ${data.name}`][side]}` : "");
  if (data.second) document.querySelector(`input[name=side][value="${side}"]`).checked = true;
  if (shown) {
    if (side === 2 && !shown.both[2]) shown.both[2] = shown.both[1].map((weight, i) => weight - shown.both[0][i]);
    shown.weights = shown.both[side];
    shown.image = null;
    paint();
  }
  if (changed) { paintLegend(); if (small.length) paintMaps(); }
}

let blinking = null;
function blink(on) {
  clearInterval(blinking);
  blinking = on ? setInterval(() => setSide(state.side === 0 ? 1 : 0), 800) : null;
  byId("blink").checked = on;
}

// -- the picture -----------------------------------------------------------------------------------------------------

function sized(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

// Room for the cells; the last names, which lean to the right, need some next to them.
const room = () => ({width: picture.clientWidth - MARGIN - LEAN, height: picture.clientHeight - TOP});

function fit() {
  const n = groups().length, {width, height} = room();
  state.cell = state.view === "matrix" ? Math.min(width, height, 40 * n) / n : Math.max(14, Math.min(24, height / n));
  state.x = state.y = 0;
}

function zoom(factor, px, py) {
  const {width, height} = room(), before = state.cell;
  px = px ?? width / 2; py = py ?? height / 2;
  state.cell = Math.max(Math.min(width, height) / shown.names.length / 2, Math.min(60, before * factor));
  if (state.view === "arcs") state.cell = Math.max(3, state.cell);
  const change = state.cell / before;
  state.x = px - (px - state.x) * change;
  state.y = py - (py - state.y) * change;
  bound();
  paint();
}

function bound() {
  const {width, height} = room(), size = state.cell * shown.names.length;
  const clamp = (value, space) => size <= space ? 0 : Math.min(0, Math.max(space - size, value));
  state.x = state.view === "matrix" ? clamp(state.x, width) : 0;
  state.y = clamp(state.y, height + (state.view === "arcs" ? TOP - 20 : 0));
}

const isolate = text => `\u2068${text}\u2069`;   // a right-to-left token does not reverse the rest
function cut(text, letters) {
  const all = Array.from(text);
  return all.length > letters ? all.slice(0, letters).join("") + "…" : text;
}

function isMatch(index) {
  return state.query !== "" && shown.names[index].toLowerCase().includes(state.query);
}

function matrixImage() {
  if (shown.image) return shown.image;
  const n = shown.names.length, image = document.createElement("canvas");
  image.width = image.height = n;
  const context = image.getContext("2d"), pixels = context.createImageData(n, n);
  for (let i = 0; i < n * n; i++) {
    const weight = shown.weights[i], colour = colourOf(weight);
    pixels.data.set([colour[0], colour[1], colour[2], Math.abs(weight) < state.threshold ? 0 : 255], 4 * i);
  }
  context.putImageData(pixels, 0, 0);
  return shown.image = image;
}

let waiting = false;
function paint() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    if (!shown) return;
    if (state.view === "matrix") paintMatrix(); else paintArcs();
    describe();
    picture.dataset.drawn = `${state.view}-${state.layer}-${state.head}-${shown.names.length}`;
    picture.dataset.side = state.side;
  });
}

function paintMatrix() {
  const context = sized(picture, picture.clientWidth, picture.clientHeight);
  const {width, height} = room(), n = shown.names.length, size = n * state.cell;
  context.save();
  context.beginPath();
  context.rect(MARGIN, TOP, width, height);
  context.clip();
  context.imageSmoothingEnabled = state.cell < 1;
  context.drawImage(matrixImage(), MARGIN + state.x, TOP + state.y, size, size);
  context.lineWidth = 1;
  for (const mark of [state.pinned, state.at]) {
    if (!mark) continue;
    context.strokeStyle = css("--mark");
    context.strokeRect(MARGIN, TOP + state.y + mark.row * state.cell, width, state.cell);
    context.strokeRect(MARGIN + state.x + mark.column * state.cell, TOP, state.cell, height);
  }
  context.restore();
  const every = Math.max(1, Math.ceil(12 / state.cell));
  for (let i = 0; i < n; i++) {
    const middle = (i + 0.5) * state.cell, y = TOP + state.y + middle, x = MARGIN + state.x + middle;
    const marked = isMatch(i), row = state.at?.row === i || state.pinned?.row === i;
    const column = state.at?.column === i || state.pinned?.column === i;
    if (y > TOP && y < TOP + height && (i % every === 0 || marked || row))
      label(context, i, MARGIN - 6, y, 0, marked || row);
    if (x > MARGIN && x < MARGIN + width && (i % every === 0 || marked || column))
      label(context, i, x, TOP - 6, -Math.PI / 3, marked || column);
  }
  context.fillStyle = css("--quiet");
  context.font = "12px system-ui, sans-serif";
  context.textAlign = "left";
  context.textBaseline = "alphabetic";
  context.fillText("attends ↓   is attended to →", 6, 14);
}

function label(context, index, x, y, angle, strong) {
  context.save();
  context.translate(x, y);
  context.rotate(angle);
  context.textAlign = angle ? "left" : "right";
  context.textBaseline = "middle";
  context.font = `${strong ? "bold " : ""}11px system-ui, sans-serif`;
  context.fillStyle = css(strong ? "--mark" : "--ink");
  context.fillText(isolate(cut(shown.names[index], 15)), 0, 0);
  context.restore();
}

// The arcs to draw: those of the token that is pinned or under the mouse, or the strongest of all.
function arcs() {
  const n = shown.names.length, focus = (state.pinned ?? state.at)?.row, result = [];
  for (let row = 0; row < n; row++)
    for (let column = 0; column < n; column++) {
      const weight = shown.weights[row * n + column];
      if (Math.abs(weight) < Math.max(state.threshold, 0.004)) continue;
      if (focus !== undefined && row !== focus && column !== focus) continue;
      result.push({row, column, weight});
    }
  result.sort((a, b) => Math.abs(a.weight) - Math.abs(b.weight));
  return {strongest: result.slice(-MOST_ARCS), omitted: Math.max(0, result.length - MOST_ARCS), focus};
}

function arcPath(arc, middle, half, span) {
  const y = value => value.toFixed(1), back = arc.column < arc.row;
  const from = (arc.row + 0.5) * state.cell, to = (arc.column + 0.5) * state.cell;
  const x = middle + (back ? -half : half);
  const reach = (back ? -1 : 1) * Math.min(span, 18 + Math.abs(to - from) * 0.6);
  return {x, from, to, text: `M${y(x)} ${y(from)} C${y(x + reach)} ${y(from)} ${y(x + reach)} ${y(to)} ${y(x)} ${y(to)}`};
}

const arcColour = (arc, focus) => isDifference() ? (arc.weight < 0 ? css("--less") : css("--arc"))
  : focus !== undefined && arc.row !== focus ? css("--less") : css("--arc");
const arcStrength = arc => 0.12 + 0.88 * Math.sqrt(Math.abs(arc.weight));

function paintArcs() {
  const context = sized(picture, picture.clientWidth, picture.clientHeight);
  const n = shown.names.length, middle = picture.clientWidth / 2, half = 62, span = middle - half - 8;
  const {strongest, omitted, focus} = arcs();
  context.save();
  context.beginPath();
  context.rect(0, 20, picture.clientWidth, picture.clientHeight);
  context.clip();
  context.translate(0, 20 + state.y);
  for (const arc of strongest) {
    context.globalAlpha = arcStrength(arc);
    context.strokeStyle = context.fillStyle = arcColour(arc, focus);
    context.lineWidth = 0.5 + 3 * Math.abs(arc.weight);
    const path = arcPath(arc, middle, half, span);
    if (arc.row === arc.column) {
      context.beginPath();
      context.arc(path.x, path.from, 1 + 3 * Math.abs(arc.weight), 0, 2 * Math.PI);
      context.fill();
    } else context.stroke(new Path2D(path.text));
  }
  context.globalAlpha = 1;
  const every = Math.max(1, Math.ceil(12 / state.cell));
  context.textAlign = "center";
  context.textBaseline = "middle";
  for (let i = 0; i < n; i++) {
    const strong = isMatch(i) || i === focus;
    if (i % every && !strong) continue;
    context.font = `${strong ? "bold " : ""}12px system-ui, sans-serif`;
    context.fillStyle = css(strong ? "--mark" : "--ink");
    context.fillText(isolate(cut(shown.names[i], 15)), middle, (i + 0.5) * state.cell, 2 * half - 8);
  }
  context.restore();
  context.fillStyle = css("--quiet");
  context.font = "12px system-ui, sans-serif";
  context.textAlign = "left";
  context.textBaseline = "alphabetic";
  context.fillText("← attends back", 8, 14);
  const right = omitted ? `the strongest ${MOST_ARCS.toLocaleString("en")} arcs; ${omitted.toLocaleString("en")} not shown · ` : "";
  context.textAlign = "right";
  context.fillText(right + "attends ahead →", picture.clientWidth - 8, 14);
}

// -- in words --------------------------------------------------------------------------------------------------------

const quoted = index => `“${isolate(cut(shown.names[index], 40))}”`;

// A weight in words; of two sides, both.
function weightText(row, column) {
  const index = row * shown.names.length + column, [first, second] = shown.both.map(weights => weights?.[index]);
  if (!data.second) return first.toFixed(3);
  const change = second - first, sign = change >= 0 ? "+" : "−";
  return `${first.toFixed(3)} → ${second.toFixed(3)} (${sign}${Math.abs(change).toFixed(3)})`;
}

function describe() {
  const n = shown.names.length, mark = state.at ?? state.pinned;
  let text = `${n} ${state.words ? "words" : "tokens"}. Hover over a cell, or move the cursor with Shift and the arrow keys.`;
  if (mark) {
    const row = shown.weights.subarray(mark.row * n, mark.row * n + n);
    const best = row.reduce((best, weight, i) => Math.abs(weight) > Math.abs(row[best]) ? i : best, 0);
    const how = isDifference() ? "changes most at" : "attends most to";
    const most = `${quoted(mark.row)} (${mark.row}) ${how} ${quoted(best)} (${best}): ${weightText(mark.row, best)}`;
    text = state.view === "matrix"
      ? `${quoted(mark.row)} (${mark.row}) attends to ${quoted(mark.column)} (${mark.column}): ` +
        `${weightText(mark.row, mark.column)}. ${most}.`
      : `${most}. ${isDifference() ? "Blue: more than in the first; orange: less." : "Blue: what it attends to; orange: what attends to it."}`;
  }
  if (byId("status").textContent !== text) byId("status").textContent = text;
}

function find() {
  const matches = shown.names.map((_, i) => i).filter(isMatch);
  byId("matches").textContent = !state.query ? "" : matches.length === 1 ? "1 match" : `${matches.length} matches`;
  return matches;
}

// -- all heads -------------------------------------------------------------------------------------------------------

const small = [];   // the small maps of each side, on one canvas each
// Next to the large picture where there is room, above it on a narrow screen.
function mapCell() {
  const width = innerWidth > 820 ? 0.36 * innerWidth : innerWidth - 32;
  return Math.max(18, Math.min(48, Math.floor((width - 30) / data.heads)));
}

async function readMaps() {
  for (const packed of data.second ? [data.maps, data.second.maps, data.second.difference] : [data.maps])
    small.push(drawnMaps(await inflate(fromBase64(packed)), small.length));
  paintMaps();
}

function drawnMaps(bytes, side) {
  const size = data.mapSize, drawn = document.createElement("canvas");
  drawn.width = size * data.heads;
  drawn.height = size * data.layers;
  const context = drawn.getContext("2d");
  // A difference is one byte, too: 128 + 127 times its root with its sign.
  const signed = byte => Math.sign(byte - 128) * ((byte - 128) / 127) ** 2;
  for (let layer = 0; layer < data.layers; layer++)
    for (let head = 0; head < data.heads; head++) {
      const pixels = context.createImageData(size, size), start = (layer * data.heads + head) * size * size;
      for (let i = 0; i < size * size; i++) {
        const colour = side === 2 ? mixed(signed(bytes[start + i])) : COLOURS[bytes[start + i]];
        pixels.data.set([colour[0], colour[1], colour[2], 255], 4 * i);
      }
      context.putImageData(pixels, head * size, layer * size);
    }
  return drawn;
}

function paintMaps() {
  const cell = mapCell(), width = 26 + data.heads * cell, height = 20 + data.layers * cell;
  maps.style.width = `${width}px`;
  maps.style.height = `${height}px`;
  const context = sized(maps, width, height);
  context.font = "11px system-ui, sans-serif";
  context.fillStyle = css("--quiet");
  context.textBaseline = "middle";
  context.textAlign = "center";
  for (let head = 0; head < data.heads; head++) context.fillText(head, 26 + (head + 0.5) * cell, 9);
  context.textAlign = "right";
  for (let layer = 0; layer < data.layers; layer++) context.fillText(layer, 20, 20 + (layer + 0.5) * cell);
  context.imageSmoothingEnabled = data.mapSize > cell * (window.devicePixelRatio || 1);
  context.imageSmoothingQuality = "high";
  for (let layer = 0; layer < data.layers; layer++)
    for (let head = 0; head < data.heads; head++)
      context.drawImage(small[state.side] ?? small[0], head * data.mapSize, layer * data.mapSize, data.mapSize, data.mapSize,
        26 + head * cell, 20 + layer * cell, cell - 2, cell - 2);
  context.strokeStyle = css("--mark");
  context.lineWidth = 2;
  context.strokeRect(25 + state.head * cell, 19 + state.layer * cell, cell, cell);
  maps.setAttribute("aria-label", `All heads as small maps, ${data.layers} layers by ${data.heads} heads; ` +
    `layer ${state.layer}, head ${state.head} is enlarged`);
  maps.dataset.drawn = `${state.layer}-${state.head}`;
}

function choose(layer, head) {
  state.layer = Math.max(0, Math.min(data.layers - 1, layer));
  state.head = Math.max(0, Math.min(data.heads - 1, head));
  if (small.length) paintMaps();
  load();
}

function paintLegend() {
  const context = byId("legend").getContext("2d");
  context.clearRect(0, 0, 260, 34);
  const most = data.second ? data.second.most : 1;
  const left = 20, width = 220, half = width / 2;     // the numbers at the ends need room
  const signed = x => most * Math.sign(x - half) * ((x - half) / half) ** 2;
  for (let x = 0; x < width; x++) {
    context.fillStyle = isDifference() ? `rgb(${mixed(signed(x)).join(",")})` : rgb((x / width) ** 2);
    context.fillRect(left + x, 0, 1, 12);
  }
  byId("legend").setAttribute("aria-label", isDifference() ? `Colours from ${most} less to ${most} more` : "Colours from weight 0 to 1");
  context.fillStyle = css("--quiet");
  context.font = "11px system-ui, sans-serif";
  context.textAlign = "center";
  for (const share of isDifference() ? [-1, -0.2, 0, 0.2, 1] : [0, 0.05, 0.2, 0.5, 1]) {
    const root = Math.sign(share) * Math.sqrt(Math.abs(share));
    const x = left + (isDifference() ? half * (1 + root) : width * root);
    const weight = isDifference() ? (share * most).toPrecision(2) : share;
    context.fillText(String(+weight).replace("-", "−"), x, 26);
  }
}

// -- export ----------------------------------------------------------------------------------------------------------

function save(blob, ending) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = `attention-layer-${state.layer}-head-${state.head}.${ending}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function savePng() {
  const copy = document.createElement("canvas");
  copy.width = picture.width;
  copy.height = picture.height;
  const context = copy.getContext("2d");
  context.fillStyle = css("--page");
  context.fillRect(0, 0, copy.width, copy.height);
  context.drawImage(picture, 0, 0);
  copy.toBlob(blob => save(blob, "png"), "image/png");
}

const escaped = text => text.replace(/[&<>"']/g, letter => `&#${letter.charCodeAt(0)};`)
  .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "\ufffd");

function svgText(index, x, y, anchor, turn) {
  const turned = turn ? ` transform="rotate(${turn} ${x} ${y})"` : "";
  return `<text x="${x}" y="${y}" text-anchor="${anchor}"${turned}>${escaped(isolate(cut(shown.names[index], 40)))}</text>`;
}

// The whole picture as vectors. A large matrix is one image, with its labels as text.
function svgMatrix() {
  const n = shown.names.length, cell = 14, parts = [], size = n * cell, x = 130, y = 130;
  if (n <= 128) {
    for (let row = 0; row < n; row++)
      for (let column = 0; column < n; column++) {
        const weight = shown.weights[row * n + column];
        if (Math.abs(weight) < state.threshold) continue;
        parts.push(`<rect x="${x + column * cell}" y="${y + row * cell}" width="${cell}" height="${cell}" ` +
          `fill="${rgb(weight)}"><title>${weight.toFixed(4)}</title></rect>`);
      }
  } else
    parts.push(`<image x="${x}" y="${y}" width="${size}" height="${size}" style="image-rendering:pixelated" ` +
      `href="${matrixImage().toDataURL()}"/>`);
  for (let i = 0; i < n; i++) {
    parts.push(svgText(i, x - 6, y + (i + 0.75) * cell, "end", 0));
    parts.push(svgText(i, x + (i + 0.75) * cell, y - 6, "start", -60));
  }
  return {width: x + size + 80, height: y + size + 20, body: parts.join("\n")};
}

function svgArcs() {
  const width = 700, middle = 350, half = 62, {strongest, focus} = arcs(), parts = [];
  for (const arc of strongest) {
    const path = arcPath(arc, middle, half, 270), colour = arcColour(arc, focus);
    const opacity = arcStrength(arc).toFixed(3), width = Math.abs(arc.weight);
    parts.push(arc.row === arc.column
      ? `<circle cx="${path.x}" cy="${path.from}" r="${1 + 3 * width}" fill="${colour}" opacity="${opacity}"/>`
      : `<path d="${path.text}" fill="none" stroke="${colour}" stroke-width="${(0.5 + 3 * width).toFixed(2)}" ` +
        `opacity="${opacity}"/>`);
  }
  for (let i = 0; i < shown.names.length; i++) parts.push(svgText(i, middle, (i + 0.5) * state.cell + 4, "middle", 0));
  return {width, height: shown.names.length * state.cell + 20, body: parts.join("\n")};
}

function saveSvg() {
  const {width, height, body} = state.view === "matrix" ? svgMatrix() : svgArcs();
  const text = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" ` +
    `viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="11" fill="${css("--ink")}">\n` +
    `<rect width="100%" height="100%" fill="${css("--page")}"/>\n${body}\n</svg>\n`;
  save(new Blob([text], {type: "image/svg+xml"}), "svg");
}

// -- mouse and keys --------------------------------------------------------------------------------------------------

function cellAt(event) {
  const box = picture.getBoundingClientRect(), n = shown.names.length;
  const px = event.clientX - box.left - picture.clientLeft, py = event.clientY - box.top - picture.clientTop;
  const inside = index => index >= 0 && index < n;
  if (state.view === "arcs") {
    const row = Math.floor((py - 20 - state.y) / state.cell);
    return inside(row) ? {row, column: row} : null;
  }
  const row = Math.floor((py - TOP - state.y) / state.cell), column = Math.floor((px - MARGIN - state.x) / state.cell);
  return inside(row) && inside(column) && px >= MARGIN && py >= TOP ? {row, column} : null;
}

let drag = null;
picture.addEventListener("pointerdown", event => {
  drag = {x: event.clientX, y: event.clientY, fromX: state.x, fromY: state.y, moved: false};
  picture.setPointerCapture(event.pointerId);
});
picture.addEventListener("pointermove", event => {
  if (!shown) return;
  if (drag) {
    const dx = event.clientX - drag.x, dy = event.clientY - drag.y;
    drag.moved ||= Math.abs(dx) + Math.abs(dy) > 4;
    if (drag.moved) { state.x = drag.fromX + dx; state.y = drag.fromY + dy; bound(); }
  }
  state.at = cellAt(event);
  paint();
});
picture.addEventListener("pointerup", event => {
  if (shown && drag && !drag.moved) state.pinned = state.pinned ? null : cellAt(event);
  drag = null;
  paint();
});
picture.addEventListener("pointercancel", () => { drag = null; });
picture.addEventListener("pointerleave", () => { state.at = null; paint(); });
picture.addEventListener("wheel", event => {
  if (!shown) return;
  event.preventDefault();
  if (state.view === "arcs" && !event.ctrlKey) { state.y -= event.deltaY; bound(); paint(); return; }
  const box = picture.getBoundingClientRect();
  zoom(event.deltaY < 0 ? 1.25 : 0.8, event.clientX - box.left - MARGIN, event.clientY - box.top - TOP);
}, {passive: false});
maps.addEventListener("click", event => {
  const box = maps.getBoundingClientRect(), cell = mapCell();
  const head = Math.floor((event.clientX - box.left - 26) / cell), layer = Math.floor((event.clientY - box.top - 20) / cell);
  if (head >= 0 && head < data.heads && layer >= 0 && layer < data.layers) choose(layer, head);
});

function setView(view) {
  document.querySelector(`input[name=view][value=${view}]`).checked = true;
  state.view = view;
  fit();
  paint();
}

function setThreshold(percent) {
  percent = Math.max(0, Math.min(100, percent));
  byId("threshold").value = percent;
  state.threshold = (percent / 100) ** 2;      // fine steps where most weights are
  byId("threshold-value").textContent = state.threshold.toFixed(4).replace(/\.?0+$/, "");
  if (shown) shown.image = null;
  paint();
}

function moveCursor(rows, columns) {
  const last = shown.names.length - 1, from = state.at ?? state.pinned ?? {row: 0, column: 0};
  const clamp = value => Math.max(0, Math.min(last, value));
  state.at = {row: clamp(from.row + rows), column: clamp(from.column + columns)};
  show(state.at.row, state.at.column);
}

// Scroll the picture until a cell is visible.
function show(row, column) {
  const {width, height} = room();
  const into = (offset, index, space) => Math.max(-index * state.cell, Math.min(space - (index + 1) * state.cell, offset));
  state.x = into(state.x, column, width);
  state.y = into(state.y, row, height);
  bound();
  paint();
}

function nextMatch() {
  const matches = find();
  if (!matches.length) return;
  const next = matches.find(index => index > (state.pinned?.row ?? -1)) ?? matches[0];
  state.pinned = {row: next, column: next};
  show(next, next);
}

function toggle(name) {
  byId(name).checked = state[name] = !state[name];
  load();
}

const KEYS = {
  ArrowLeft: () => choose(state.layer, state.head - 1), ArrowRight: () => choose(state.layer, state.head + 1),
  ArrowUp: () => choose(state.layer - 1, state.head), ArrowDown: () => choose(state.layer + 1, state.head),
  m: () => setView("matrix"), a: () => setView("arcs"), s: () => toggle("special"), w: () => toggle("words"),
  "+": () => zoom(1.25), "=": () => zoom(1.25), "-": () => zoom(0.8), 0: () => { fit(); paint(); },
  "[": () => setThreshold(+byId("threshold").value - 5), "]": () => setThreshold(+byId("threshold").value + 5),
  1: () => data.second && setSide(0), 2: () => data.second && setSide(1), d: () => data.second && setSide(2),
  b: () => data.second && blink(!blinking),
  "/": () => byId("search").focus(), Escape: () => { state.pinned = state.at = null; paint(); },
};
const MOVES = {ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0]};

document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey || !shown) return;
  if (event.target.matches("input")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (event.shiftKey && MOVES[event.key]) moveCursor(...MOVES[event.key]);
  else if (KEYS[event.key]) KEYS[event.key]();
  else return;
  event.preventDefault();
});

byId("controls").addEventListener("submit", event => event.preventDefault());
for (const input of document.querySelectorAll("input[name=view]"))
  input.addEventListener("change", () => setView(input.value));
for (const name of ["special", "words"])
  byId(name).addEventListener("change", event => { state[name] = event.target.checked; load(); });
if (data.second) {
  byId("sides").hidden = false;
  byId("first-side").textContent = data.name;
  byId("second-side").textContent = data.second.name;
  for (const input of document.querySelectorAll("input[name=side]"))
    input.addEventListener("change", () => { blink(false); setSide(+input.value); });
  byId("blink").addEventListener("change", event => blink(event.target.checked));
}
byId("threshold").addEventListener("input", event => setThreshold(+event.target.value));
byId("search").addEventListener("input", event => {
  state.query = event.target.value.trim().toLowerCase();
  if (shown) { find(); paint(); }
});
byId("search").addEventListener("keydown", event => { if (event.key === "Enter") nextMatch(); });
byId("closer").addEventListener("click", () => zoom(1.25));
byId("farther").addEventListener("click", () => zoom(0.8));
byId("fit").addEventListener("click", () => { fit(); paint(); });
byId("png").addEventListener("click", savePng);
byId("svg").addEventListener("click", saveSvg);
addEventListener("resize", () => { if (small.length) paintMaps(); });
// The small maps take their room first, and the window may change: fit the picture into the rest.
new ResizeObserver(() => { if (shown) { fit(); paint(); } }).observe(picture);

if (data.second) setSide(2);
paintLegend();
readMaps();
load();
