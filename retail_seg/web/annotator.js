// The picture of the annotation page: strokes, boxes and points by mouse, pen, finger or keyboard.
// Each finished mark goes to Python with a number that only grows; it stays on the picture until Python has
// answered for that number, so that nothing is lost while a slow answer is on its way. The kind "boxes" gives three
// kinds of marks: a drag is a "box", a tap a "point", and a drag from a handle of the selected box a "reshape".

const STEP = 0.02, FINE_STEP = 0.004, APART = 1.5, TAP = 6, HANDLE = 14;

export default function (component) {
  const { data, parentElement, setStateValue, setTriggerValue } = component;
  const root = parentElement.querySelector(".annotator");
  const state = (root.annotator ??= make(root));
  state.data = data;
  state.send = () => setStateValue("marks", state.pending);
  state.command = (name) => setTriggerValue("command", name);
  state.pending = state.pending.filter((mark) => mark.n > data.done);
  show(state);
}

function make(root) {
  const find = (name) => root.querySelector("." + name);
  const state = {
    stage: find("stage"), photo: find("photo"), overlay: find("overlay"), canvas: find("marks"), said: find("said"),
    pending: [], current: null, cursor: null, last: 0,
  };
  const { stage } = state;
  stage.addEventListener("pointerdown", (event) => down(state, event));
  stage.addEventListener("pointermove", (event) => move(state, event));
  stage.addEventListener("pointerup", (event) => up(state, event));
  stage.addEventListener("pointercancel", () => give_up(state));
  stage.addEventListener("keydown", (event) => key(state, event));
  stage.addEventListener("blur", () => { state.cursor = null; draw(state); });
  new ResizeObserver(() => draw(state)).observe(stage);
  const anywhere = (event) => {
    if (root.isConnected) boxes_key(state, event);
    else document.removeEventListener("keydown", anywhere);
  };
  document.addEventListener("keydown", anywhere);
  return state;
}

function show(state) {
  const { data, stage } = state;
  stage.style.setProperty("--shape", data.width / data.height);
  stage.dataset.kind = data.kind;
  stage.dataset.selected = Boolean(data.selected);
  stage.setAttribute("aria-label", data.label);
  if (state.photo.src !== data.photo) state.photo.src = data.photo;
  if (state.overlay.src !== data.overlay) state.overlay.src = data.overlay;
  draw(state);
}

// -- marks ------------------------------------------------------------------------------------------------------

function share(state, event) {
  const box = state.stage.getBoundingClientRect();
  return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height].map(within);
}

function within(value) { return Math.min(Math.max(value, 0), 1); }

function begin(state, point) {
  const { kind, context, brush, ignore } = state.data;
  state.current = { kind, context, points: [point], brush, ignore };
}

function extend(state, point) {
  const { points, kind, grip } = state.current;
  if (grip) { state.current.points = pulled(grip, point); return; }
  if (kind === "box" || kind === "boxes") { points[1] = point; return; }
  const last = points[points.length - 1], { width, height } = state.stage.getBoundingClientRect();
  if (Math.hypot((point[0] - last[0]) * width, (point[1] - last[1]) * height) >= APART) points.push(point);
}

function finish(state) {
  const mark = state.current;
  state.current = null;
  if (mark.kind === "boxes") settle_kind(state, mark);
  if (!["box", "reshape"].includes(mark.kind) || mark.points.length === 2) {
    mark.points = mark.points.map((point) => point.map((value) => Math.round(value * 1e5) / 1e5));
    queue(state, mark);
  }
  draw(state);
}

function queue(state, mark) {
  state.last = Math.max(state.last + 1, Date.now());
  mark.n = state.last;
  state.pending = [...state.pending, mark];
  state.send();
}

// A drag that goes nowhere is a tap, also on a handle.
function settle_kind(state, mark) {
  const { width, height } = state.stage.getBoundingClientRect();
  const [from, to] = mark.grip ? [mark.grip.from, mark.grip.to ?? mark.grip.from] : [mark.points[0], mark.points[1]];
  const far = to ? Math.max(Math.abs(to[0] - from[0]) * width, Math.abs(to[1] - from[1]) * height) : 0;
  mark.kind = far < TAP ? "point" : mark.grip ? "reshape" : "box";
  if (far < TAP) mark.points = [from];
  delete mark.grip;
}

// The handle of the selected box that a point is on: a corner, by the corner opposite, or the middle, which moves it.
function grip_at(state, point) {
  const selected = state.data.kind === "boxes" && state.data.selected;
  if (!selected) return null;
  const { width, height } = state.stage.getBoundingClientRect(), [[x0, y0], [x1, y1]] = selected;
  const near = ([x, y]) => Math.hypot((point[0] - x) * width, (point[1] - y) * height) <= HANDLE;
  const corner = [[x0, y0], [x1, y0], [x1, y1], [x0, y1]].findIndex(near);
  if (corner >= 0) return { fixed: [[x1, y1], [x0, y1], [x0, y0], [x1, y0]][corner], from: point };
  return near([(x0 + x1) / 2, (y0 + y1) / 2]) ? { box: selected, from: point } : null;
}

function pulled(grip, point) {
  grip.to = point;
  if (grip.fixed) return [grip.fixed, point];
  const by = point.map((value, i) => {  // no further than the picture's edge
    const [low, high] = [grip.box[0][i], grip.box[1][i]].sort((a, b) => a - b);
    return Math.min(Math.max(value - grip.from[i], -low), 1 - high);
  });
  return grip.box.map((corner) => corner.map((value, i) => value + by[i]));
}

function give_up(state) { state.current = null; draw(state); }

function down(state, event) {
  if (!event.isPrimary || event.button !== 0 || !state.data.kind) return;
  state.cursor = null;
  begin(state, share(state, event));
  state.current.grip = grip_at(state, state.current.points[0]);
  if (state.data.kind === "point") return;
  state.stage.setPointerCapture(event.pointerId);
  event.preventDefault();
  state.stage.focus({ preventScroll: true });
  draw(state);
}

function move(state, event) {
  if (!state.current || state.data.kind === "point" || !event.isPrimary) return;
  const all = event.getCoalescedEvents?.() ?? [];
  for (const one of all.length ? all : [event]) extend(state, share(state, one));
  draw(state);
}

function up(state, event) {
  if (!state.current || !event.isPrimary) return;
  if (["box", "boxes"].includes(state.current.kind)) extend(state, share(state, event));
  finish(state);
}

// -- keyboard: arrows move a cross, Enter or space sets a point, begins or ends a box or a stroke, Escape gives up ---

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

// B takes the tool "boxes" in hand, wherever the focus is, unless somebody writes.
function boxes_key(state, event) {
  const at = event.composedPath()[0];
  const writes = at?.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(at?.tagName);
  if (event.key.toLowerCase() !== "b" || event.ctrlKey || event.metaKey || event.altKey || writes) return;
  if (state.data.kind && state.data.kind !== "boxes") state.command("boxes");
}

function key(state, event) {
  const undo = (event.ctrlKey || event.metaKey) && event.key.toLowerCase();
  if (undo === "z" || undo === "y") {
    // In the queue with what was drawn, so that each press counts and comes in its turn.
    const kind = undo === "y" || event.shiftKey ? "redo" : "undo";
    if (state.data.kind) queue(state, { kind, context: state.data.context, points: [[0, 0]] });
  } else if (event.key in ARROWS) {
    const [x, y] = state.cursor ?? [0.5, 0.5], [dx, dy] = ARROWS[event.key], far = event.shiftKey ? FINE_STEP : STEP;
    state.cursor = state.cursor ? [within(x + dx * far), within(y + dy * far)] : [x, y];
    if (state.current) extend(state, state.cursor);
  } else if ((event.key === "Enter" || event.key === " ") && state.data.kind) {
    state.cursor ??= [0.5, 0.5];
    if (!state.current) begin(state, state.cursor);
    else extend(state, state.cursor);
    if (state.data.kind === "point" || state.current.begun) finish(state);
    else state.current.begun = true;
  } else if (event.key === "Delete" || event.key === "Backspace") {
    state.command("delete");
  } else if (event.key === "Escape") {
    give_up(state);
  } else {
    return;
  }
  event.preventDefault();
  tell(state);
  draw(state);
}

function tell(state) {
  if (!state.cursor) return;
  const [x, y] = state.cursor.map((value) => Math.round(value * 100));
  state.said.textContent = `${x} % across, ${y} % down${state.current ? ", drawing" : ""}`;
}

// -- what is drawn over the picture -------------------------------------------------------------------------------

function draw(state) {
  const { canvas, stage, data } = state, box = stage.getBoundingClientRect(), ratio = window.devicePixelRatio || 1;
  if (!data || !box.width) return;
  canvas.width = Math.round(box.width * ratio);
  canvas.height = Math.round(box.height * ratio);
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  pen.lineCap = pen.lineJoin = "round";
  const at = ([x, y]) => [x * box.width, y * box.height];
  for (const points of data.proposals) dashed(pen, points.map(at), true);
  outline(pen, data.outline.map(at));
  const reshaped = [...state.pending, state.current].some((mark) => mark?.kind === "reshape" || mark?.grip?.to);
  if (data.selected && !reshaped) handles(pen, data.selected.map(at));
  for (const mark of [...state.pending, ...(state.current ? [state.current] : [])]) sketch(pen, mark, at, box, data);
  if (state.cursor) cross(pen, at(state.cursor));
}

function sketch(pen, mark, at, box, data) {
  if (mark.kind === "undo" || mark.kind === "redo") return;
  const points = mark.points.map(at);
  if (["box", "boxes", "reshape"].includes(mark.kind) && points.length === 2) {
    const [[x0, y0], [x1, y1]] = points;
    if (mark.ignore) { pen.fillStyle = "rgb(128 128 128 / 60%)"; pen.fillRect(x0, y0, x1 - x0, y1 - y0); }
    dashed(pen, [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]);
  } else if (mark.kind === "stroke") {
    pen.globalAlpha = 0.55;
    pen.lineWidth = Math.max(mark.brush * box.width, 2);
    pen.strokeStyle = data.colour;
    path(pen, points, false);
    pen.stroke();
    pen.globalAlpha = 1;
  } else {
    for (const point of points) dot(pen, point, data.colour);
  }
}

// Black dashes on a rim of white; a proposal's is of another colour and finer.
function dashed(pen, points, proposed) {
  const lines = proposed ? [["#000", 2, []], ["#ffd800", 2, [3, 5]]] : [["#fff", 2, []], ["#000", 2, [6, 6]]];
  for (const [colour, width, dash] of lines) {
    pen.setLineDash(dash); pen.lineWidth = width; pen.strokeStyle = colour;
    path(pen, points, true);
    pen.stroke();
  }
  pen.setLineDash([]);
}

function handles(pen, [[x0, y0], [x1, y1]]) {
  outline(pen, [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]);
  dot(pen, [(x0 + x1) / 2, (y0 + y1) / 2], "#fff");
}

function outline(pen, points) {
  if (!points.length) return;
  for (const [colour, width] of [["#000", 4], ["#fff", 2]]) {
    pen.strokeStyle = colour; pen.lineWidth = width;
    path(pen, points, points.length > 2);
    pen.stroke();
  }
  for (const point of points) dot(pen, point, "#fff");
}

function path(pen, points, closed) {
  pen.beginPath();
  pen.moveTo(...points[0]);
  for (const point of points) pen.lineTo(...point);
  if (closed) pen.closePath();
}

function dot(pen, [x, y], colour) {
  pen.beginPath(); pen.arc(x, y, 6, 0, 7); pen.fillStyle = "#000"; pen.fill();
  pen.beginPath(); pen.arc(x, y, 4, 0, 7); pen.fillStyle = colour; pen.fill();
}

function cross(pen, [x, y]) {
  for (const [colour, width] of [["#000", 4], ["#fff", 2]]) {
    pen.strokeStyle = colour; pen.lineWidth = width;
    pen.beginPath();
    pen.moveTo(x - 14, y); pen.lineTo(x + 14, y); pen.moveTo(x, y - 14); pen.lineTo(x, y + 14);
    pen.stroke();
  }
}
