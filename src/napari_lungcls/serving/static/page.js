// The page of a server: an image, points that are classified, and the painted map.
"use strict";

const $ = (id) => document.getElementById(id);
const state = {
  models: [], model: null, file: null, size: null, url: null,
  points: [], groups: [], map: null, job: null, drag: null, token: "", keys: false,
};

const viewer = OpenSeadragon({
  element: $("view"), showNavigationControl: false, prefixUrl: "", drawer: "canvas",
  crossOriginPolicy: false, maxZoomPixelRatio: 8, visibilityRatio: 0.2, animationTime: 0.4,
  gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: false },
});

viewer.canvas.id = "canvas";
viewer.canvas.setAttribute("role", "application");
viewer.canvas.setAttribute("aria-label", "Image. Arrow keys move it, plus and minus zoom, Enter " +
  "classifies the point under the cross.");

// Talking to the server

async function ask(path, options = {}) {
  const headers = { ...(options.headers || {}) };
  if (state.token) headers.Authorization = `Bearer ${state.token}`;
  let answer;
  try {
    answer = await fetch(path, { ...options, headers });
  } catch {
    throw new Error("The server does not answer. Is it still running?");
  }
  if (answer.status === 401) {
    $("login").hidden = false;
    $("token").focus();
  }
  if (!answer.ok) {
    const told = await answer.json().catch(() => null);
    const error = told && told.error;
    throw new Error(error ? sentence(error.problem, error.remedy) : `Error ${answer.status}`);
  }
  return answer;
}

function sentence(problem, remedy) {
  const text = remedy ? `${problem}; ${remedy}` : problem;
  return text.charAt(0).toUpperCase() + text.slice(1) + ".";
}

function form(fields) {
  const body = new FormData();
  body.append("image", state.file, "image");
  body.append("model", state.model.name);
  const size = $("pixel").value;
  if (size) body.append("pixel_size", size);
  for (const [name, value] of Object.entries(fields)) body.append(name, value);
  return body;
}

async function attempt(action) {
  $("error").hidden = true;
  try {
    return await action();
  } catch (error) {
    $("error").textContent = error.message;
    $("error").hidden = false;
    return null;
  }
}

// Models

async function loadModels() {
  const told = await attempt(async () => (await ask("/v1/models")).json());
  if (!told) return;
  $("login").hidden = true;
  state.models = told.models;
  $("model").replaceChildren(...told.models.map((each) => new Option(each.name, each.name)));
  $("model-choice").hidden = told.models.length < 2;
  chooseModel(told.models[0]);
}

function chooseModel(model) {
  state.model = model;
  const size = model.pixel_size ? `, trained at ${model.pixel_size.toPrecision(3)} µm per pixel` : "";
  $("model-name").textContent = state.models.length > 1 ? size.slice(2) : `${model.name}${size}`;
  forgetPoints();
  forgetMap();
}

function look(name) {
  const names = state.model.classes.map((each) => each.name);
  const color = state.model.classes[names.indexOf(name)].color;
  // The first letter that no earlier class has taken.
  const taken = [];
  for (const each of names) {
    const free = [...each.toUpperCase()].find((c) => /[A-Z0-9]/.test(c) && !taken.includes(c));
    taken.push(free || String(taken.length + 1));
  }
  const [r, g, b] = [1, 3, 5].map((i) => parseInt(color.slice(i, i + 2), 16));
  const bright = 0.299 * r + 0.587 * g + 0.114 * b > 140;
  return { color, letter: taken[names.indexOf(name)], ink: bright ? "#000" : "#fff" };
}

function chip(name) {
  const { color, letter, ink } = look(name);
  const made = document.createElement("span");
  made.className = "chip";
  made.textContent = letter;
  made.style.background = color;
  made.style.color = ink;
  return made;
}

// The image

function openImage(file) {
  if (!file) return;
  if (!/^image\/(png|jpeg|webp|bmp|gif)$/.test(file.type)) {
    attempt(() => { throw new Error("A browser shows PNG, JPEG and WebP. Open other images in napari, or export one of these."); });
    return;
  }
  if (state.url) URL.revokeObjectURL(state.url);
  forgetPoints();
  forgetMap();
  state.file = file;
  state.url = URL.createObjectURL(file);
  viewer.open({ type: "image", url: state.url, buildPyramid: true });
}

viewer.addHandler("open", () => {
  const size = viewer.world.getItemAt(0).getContentSize();
  state.size = { width: size.x, height: size.y };
  $("empty").hidden = true;
  $("change").hidden = false;
  $("tools").disabled = $("map-tools").disabled = false;
  showCross();
  draw();
});
viewer.addHandler("open-failed", () =>
  attempt(() => { throw new Error("This image cannot be shown. Export it as PNG or JPEG."); }));

// The server counts from the centre of the first pixel, the viewer from its outer corner.
const fromCorner = ({ x, y }) => [y - 0.5, x - 0.5];
const toCorner = ([y, x]) => new OpenSeadragon.Point(x + 0.5, y + 0.5);

function toImage(pixel) {
  return fromCorner(viewer.world.getItemAt(0).viewerElementToImageCoordinates(pixel));
}

function inside(place) {
  const { x, y } = toCorner(place);
  return y >= 0 && x >= 0 && y <= state.size.height && x <= state.size.width;
}

function held([y, x]) {
  return [Math.min(Math.max(y, 0), state.size.height - 1), Math.min(Math.max(x, 0), state.size.width - 1)];
}

// Classifying

async function classify(coordinates) {
  if (!coordinates.length) return;
  $("hint").textContent = `Classifying ${coordinates.length} ${coordinates.length > 1 ? "points" : "point"}…`;
  const body = form({ coordinates: JSON.stringify(coordinates) });
  const told = await attempt(async () => (await ask("/v1/classify", { method: "POST", body })).json());
  showMode();
  if (!told) return;
  state.groups.push(coordinates.length);
  told.predictions.forEach((found, i) => state.points.push({ at: coordinates[i], ...found }));
  $("notes").textContent = told.notes.map((note) => note.charAt(0).toUpperCase() + note.slice(1)).join(" ");
  $("notes").hidden = !told.notes.length;
  showPoints();
}

function grid(from, to) {
  const step = Math.max(1, Number($("spacing").value) || 32);
  const [y0, y1] = [Math.min(from[0], to[0]), Math.max(from[0], to[0])];
  const [x0, x1] = [Math.min(from[1], to[1]), Math.max(from[1], to[1])];
  const found = [];
  for (let y = y0 + ((y1 - y0) % step) / 2; y <= y1; y += step)
    for (let x = x0 + ((x1 - x0) % step) / 2; x <= x1; x += step)
      if (inside([y, x])) found.push(held([Math.round(y), Math.round(x)]));
  return found;
}

function forgetPoints() {
  state.points = [];
  state.groups = [];
  $("notes").hidden = true;
  showPoints();
}

function showPoints() {
  const any = state.points.length > 0;
  for (const id of ["undo", "clear", "save"]) $(id).disabled = !any;
  showClasses();
  const last = state.points.at(-1);
  if (!last) {
    $("last").innerHTML = '<p class="hint">Nothing is classified yet.</p>';
  } else {
    const title = document.createElement("p");
    title.append(chip(last.class), `${last.class}, ${(100 * last.confidence).toFixed(1)} %`);
    const place = document.createElement("span");
    place.className = "place";
    place.textContent = `at row ${last.at[0].toFixed(0)}, column ${last.at[1].toFixed(0)}`;
    title.append(place);
    $("last").replaceChildren(title, ...Object.entries(last.probabilities).map(([name, p]) => bar(name, p)));
  }
  draw();
}

function bar(name, share) {
  const row = document.createElement("div");
  row.className = "bar";
  const label = document.createElement("span"), track = document.createElement("span");
  const fill = document.createElement("div"), value = document.createElement("span");
  label.className = "name"; track.className = "track"; fill.className = "fill"; value.className = "value";
  label.textContent = label.title = name;
  fill.style.width = `${100 * share}%`;
  fill.style.background = look(name).color;
  value.textContent = `${(100 * share).toFixed(1)} %`;
  track.append(fill);
  row.append(label, track, value);
  return row;
}

function showClasses() {
  if (!state.model) return;
  const rows = state.model.classes.map(({ name }) => {
    const row = document.createElement("tr");
    const first = document.createElement("td"), points = document.createElement("td"), map = document.createElement("td");
    first.append(chip(name), name);
    points.textContent = state.points.filter((each) => each.class === name).length;
    const share = state.map && state.map.fractions[name];
    map.textContent = share == null ? "–" : `${(100 * share).toFixed(1)} %`;
    row.append(first, points, map);
    return row;
  });
  $("classes").tBodies[0].replaceChildren(...rows);
}

// Marks over the image

function draw() {
  const canvas = $("marks"), box = canvas.getBoundingClientRect(), ratio = devicePixelRatio || 1;
  canvas.width = Math.round(box.width * ratio);
  canvas.height = Math.round(box.height * ratio);
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  pen.font = "bold 11px system-ui, sans-serif";
  const image = viewer.world.getItemAt(0);
  if (!image) return;
  for (const point of state.points) {
    const at = image.imageToViewerElementCoordinates(toCorner(point.at));
    if (at.x < -12 || at.y < -12 || at.x > box.width + 12 || at.y > box.height + 12) continue;
    const { color, letter, ink } = look(point.class);
    pen.beginPath();
    pen.arc(at.x, at.y, 9, 0, 7);
    pen.fillStyle = color;
    pen.fill();
    pen.lineWidth = 1.5;
    pen.strokeStyle = ink === "#000" ? "#000" : "#fff";
    pen.stroke();
    pen.fillStyle = ink;
    pen.fillText(letter, at.x, at.y + 0.5);
  }
  if (state.drag) {
    const { from, to } = state.drag;
    pen.lineWidth = 2;
    pen.setLineDash([6, 4]);
    pen.strokeStyle = "#fff";
    pen.strokeRect(from.x, from.y, to.x - from.x, to.y - from.y);
    pen.lineDashOffset = 5;
    pen.strokeStyle = "#000";
    pen.strokeRect(from.x, from.y, to.x - from.x, to.y - from.y);
  }
}

for (const event of ["update-viewport", "resize", "animation"]) viewer.addHandler(event, draw);

// The map

async function paint() {
  const stride = Math.max(1, Math.ceil(Math.sqrt((state.size.width * state.size.height) / 1e6)));
  forgetMap();
  const body = form({ stride: String(Math.min(stride, 64)), format: "png" });
  let job = await attempt(async () => (await ask("/v1/paint", { method: "POST", body })).json());
  if (!job) return;
  state.job = job;
  $("paint").disabled = true;
  $("stop").hidden = $("progress").hidden = false;
  $("progress").removeAttribute("value");
  while (job && ["waiting", "running"].includes(job.state)) {
    await new Promise((resolve) => setTimeout(resolve, 300));
    job = await attempt(async () => (await ask(job.url)).json());
    if (job && job.total) $("progress").value = job.done / job.total;
  }
  $("paint").disabled = false;
  $("stop").hidden = $("progress").hidden = true;
  state.job = null;
  if (!job || job.state === "cancelled") return;
  await attempt(async () => {
    if (job.state !== "done") throw new Error(sentence(job.error || "The map was not painted", ""));
    const url = URL.createObjectURL(await (await ask(job.map)).blob());
    state.map = { fractions: job.fractions, url, item: null };
    const picture = await pictureSize(url);
    const used = Math.min(stride, 64);
    viewer.addTiledImage({
      tileSource: { type: "image", url, buildPyramid: false }, x: 0, y: 0,
      width: (picture.width * used) / state.size.width, opacity: Number($("opacity").value) / 100,
      success: ({ item }) => { if (state.map) state.map.item = item; else viewer.world.removeItem(item); },
    });
    $("show").disabled = $("opacity").disabled = false;
    $("show").checked = true;
    showClasses();
    ask(job.url, { method: "DELETE" });
  });
}

function pictureSize(url) {
  return new Promise((resolve, reject) => {
    const picture = new Image();
    picture.onload = () => resolve({ width: picture.naturalWidth, height: picture.naturalHeight });
    picture.onerror = () => reject(new Error("The map cannot be shown."));
    picture.src = url;
  });
}

function showMap() {
  if (state.map && state.map.item)
    state.map.item.setOpacity($("show").checked ? Number($("opacity").value) / 100 : 0);
}

function forgetMap() {
  if (state.map) {
    if (state.map.item) viewer.world.removeItem(state.map.item);
    URL.revokeObjectURL(state.map.url);
  }
  state.map = null;
  $("show").disabled = $("opacity").disabled = true;
  showClasses();
}

// Mouse and keys

function mode() {
  return document.querySelector("input[name=mode]:checked").value;
}

function showMode() {
  const classifies = mode() === "classify";
  $("view").style.cursor = classifies ? "crosshair" : "grab";
  $("hint").textContent = classifies
    ? "Click a point, or drag a rectangle for a grid of points."
    : "Drag to move; the wheel zooms.";
}

viewer.addHandler("canvas-click", (event) => {
  if (!event.quick || mode() !== "classify" || !state.size) return;
  const at = toImage(event.position);
  if (inside(at)) classify([held(at).map((v) => Math.round(v * 100) / 100)]);
});
viewer.addHandler("canvas-drag", (event) => {
  if (mode() !== "classify" || !state.size) return;
  event.preventDefaultAction = true;
  const to = event.position;
  if (!state.drag) state.drag = { from: to.minus(event.delta) };
  state.drag.to = to;
  draw();
});
viewer.addHandler("canvas-drag-end", (event) => {
  if (!state.drag) return;
  event.preventDefaultAction = true;
  const { from, to } = state.drag;
  state.drag = null;
  draw();
  if (Math.hypot(to.x - from.x, to.y - from.y) > 5) classify(grid(toImage(from), toImage(to)));
});
viewer.addHandler("canvas-key", (event) => {
  if (event.originalEvent.key === "Enter") {
    event.preventDefaultAction = true;
    if (!state.size) return;
    const box = $("view").getBoundingClientRect();
    const at = toImage(new OpenSeadragon.Point(box.width / 2, box.height / 2));
    if (inside(at)) classify([held(at).map(Math.round)]);
  }
});
// The cross shows where Enter classifies: for those who use the keyboard only.
function showCross() {
  $("cross").hidden = !state.size || !state.keys || !$("view").contains(document.activeElement);
}
document.addEventListener("pointerdown", () => { state.keys = false; showCross(); });
document.addEventListener("focusin", showCross);
document.addEventListener("keydown", (event) => {
  state.keys = true;
  showCross();
  if (event.key === "Escape" && state.drag) { state.drag = null; draw(); }
  if ((event.ctrlKey || event.metaKey) && event.key === "z" && state.points.length) { undo(); event.preventDefault(); }
});

function undo() {
  const count = state.groups.pop() || 0;
  state.points.splice(state.points.length - count);
  showPoints();
}

function save() {
  const names = state.model.classes.map((each) => each.name);
  const quote = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const head = ["axis-0", "axis-1", "predicted", ...names.map((name) => `p_${name}`)];
  const rows = state.points.map((p) => [...p.at, p.class, ...names.map((name) => p.probabilities[name])]);
  const text = [head, ...rows].map((row) => row.map((v) => quote(String(v))).join(",")).join("\n") + "\n";
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  link.download = "classified.csv";
  link.click();
  URL.revokeObjectURL(link.href);
}

$("choose").addEventListener("click", () => $("file").click());
$("change").addEventListener("click", () => $("file").click());
$("file").addEventListener("change", () => { openImage($("file").files[0]); $("file").value = ""; });
for (const event of ["dragover", "dragleave", "drop"])
  document.addEventListener(event, (e) => {
    e.preventDefault();
    $("drop").classList.toggle("over", event === "dragover");
    if (event === "drop") openImage(e.dataTransfer.files[0]);
  });
document.querySelectorAll("input[name=mode]").forEach((each) => each.addEventListener("change", showMode));
$("model").addEventListener("change", () => chooseModel(state.models.find((m) => m.name === $("model").value)));
$("undo").addEventListener("click", undo);
$("clear").addEventListener("click", forgetPoints);
$("save").addEventListener("click", save);
$("paint").addEventListener("click", paint);
$("stop").addEventListener("click", () => state.job && ask(state.job.url, { method: "DELETE" }));
$("show").addEventListener("change", showMap);
$("opacity").addEventListener("input", showMap);
$("login").addEventListener("submit", (event) => {
  event.preventDefault();
  state.token = $("token").value;
  sessionStorage.setItem("token", state.token);
  loadModels();
});

state.token = sessionStorage.getItem("token") || "";
showMode();
loadModels();
