// Draws the frames of the server: images and bodies, whose joints are in metres in the optical
// frame of the camera: x right, y down, z forward. No library, so that no network is needed.
'use strict';

const element = (id) => document.getElementById(id);
const canvas = element('space');
const context = canvas.getContext('2d');
const frames = [];
const OBSERVED = 0, PREDICTED = 1;
const POLL_MS = 300;
let about = null;
let shown = -1;  // index of the frame on the page
let playing = false;
let done = false;
let eye = null;
let floor_m = 1.2;

async function json(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

async function load() {
  about = await json('about.json');
  document.title = about.title;
  element('title').textContent = about.title;
  drawLegend();
  const wanted = parseFloat(new URLSearchParams(location.search).get('at'));
  while (!done) {
    const part = await json(`frames.json?from=${frames.length}`);
    frames.push(...part.frames);
    done = part.done;
    showCount(part.note);
    element('position').max = Math.max(0, frames.length - 1);
    if (shown < 0 && frames.length && (!(wanted > 0) || done || last().time_s >= wanted)) {
      show(wanted > 0 ? indexAt(wanted) : 0);
    }
    if (!done && part.frames.length === 0) await new Promise((go) => setTimeout(go, POLL_MS));
  }
  document.body.dataset.loaded = 'true';
}

function showCount(note) {
  const text = `${frames.length} images${done ? '' : ', more to come'}`;
  element('count').textContent = note ? `${text} · ${note}` : text;
}

const last = () => frames[frames.length - 1];

function indexAt(time_s) {
  let low = 0, high = frames.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (frames[middle].time_s < time_s) low = middle + 1; else high = middle;
  }
  return low;
}

// places the eye behind the camera, a little to its right and above, so that all bodies are in view
function showAllBodies() {
  const points = frames[shown].bodies.flatMap((body) => body.joints_m);
  if (!points.length) return;
  const low = [0, 1, 2].map((axis) => Math.min(...points.map((one) => one[axis])));
  const high = [0, 1, 2].map((axis) => Math.max(...points.map((one) => one[axis])));
  floor_m = high[1];
  const size = Math.hypot(high[0] - low[0], high[1] - low[1], high[2] - low[2]);
  eye = {target: [0, 1, 2].map((axis) => (low[axis] + high[axis]) / 2),
         turn: 0.45, tilt: 0.22, away_m: 0.6 + 1.1 * size};
}

function show(number) {
  shown = Math.min(Math.max(0, number), frames.length - 1);
  const frame = frames[shown];
  if (!frame) return;
  element('position').value = shown;
  element('time').textContent = `${frame.time_s.toFixed(2)} s`;
  element('no-image').hidden = frame.image;
  element('image').hidden = !frame.image;
  if (frame.image) element('image').src = `images/${shown}.jpg`;
  element('people').textContent = frame.bodies.map((body) => {
    const [x, y, z] = body.joints_m[0];
    const observed = body.status.slice(0, 24).filter((one) => one === OBSERVED).length;
    return `body ${body.id}: ${Math.hypot(x, y, z).toFixed(2)} m away, ${observed} of 24 joints observed`;
  }).join('   ·   ') || 'no body found';
  if (!eye) showAllBodies();
  draw();
}

function colour(confidence) {
  const at = Math.min(Math.max(confidence, 0), 1) * (about.colours_rgb.length - 1);
  const one = Math.min(Math.floor(at), about.colours_rgb.length - 2);
  const rgb = about.colours_rgb[one].map(
    (value, channel) => Math.round(value + (at - one) * (about.colours_rgb[one + 1][channel] - value)));
  return `rgb(${rgb.join(',')})`;
}

function drawLegend() {
  const legend = element('colours').getContext('2d');
  for (let x = 0; x < 110; x++) {
    legend.fillStyle = colour(x / 109);
    legend.fillRect(x, 0, 1, 10);
  }
}

// returns the projection of a point in metres: x and y in pixels, distance from the eye in metres,
// pixels per metre there; null for a point behind the eye
function projector() {
  const width = canvas.clientWidth, height = canvas.clientHeight;
  const focal = 0.9 * Math.min(width, height);
  const [ct, st] = [Math.cos(eye.turn), Math.sin(eye.turn)];
  const [cu, su] = [Math.cos(eye.tilt), Math.sin(eye.tilt)];
  return (point) => {
    const [x, y, z] = point.map((value, axis) => value - eye.target[axis]);
    const right = ct * x + st * z, deep = -st * x + ct * z;
    const down = cu * y - su * deep, forward = cu * deep + su * y + eye.away_m;
    if (forward < 0.05) return null;
    return [width / 2 + focal * right / forward, height / 2 + focal * down / forward, forward, focal / forward];
  };
}

function line(project, from, to, style, width_px, dash = []) {
  const a = project(from), b = project(to);
  if (!a || !b) return;
  context.strokeStyle = style;
  context.lineWidth = width_px;
  context.setLineDash(dash);
  context.beginPath();
  context.moveTo(a[0], a[1]);
  context.lineTo(b[0], b[1]);
  context.stroke();
}

function drawFloor(project) {
  const [x0, z0] = [Math.round(eye.target[0]), Math.round(eye.target[2])];
  for (let step = -5; step <= 5; step++) {
    for (let piece = -5; piece < 5; piece++) {
      line(project, [x0 + step, floor_m, z0 + piece], [x0 + step, floor_m, z0 + piece + 1], '#3f3f46', 1);
      line(project, [x0 + piece, floor_m, z0 + step], [x0 + piece + 1, floor_m, z0 + step], '#3f3f46', 1);
    }
  }
}

function drawCamera(project) {
  const corners = [[-1, -0.6], [1, -0.6], [1, 0.6], [-1, 0.6]].map(([x, y]) => [0.12 * x, 0.12 * y, 0.2]);
  corners.forEach((corner, index) => {
    line(project, [0, 0, 0], corner, '#8a8a93', 1.2);
    line(project, corner, corners[(index + 1) % 4], '#8a8a93', 1.2);
  });
}

function drawBodies(project, bodies) {
  const parts = [];
  for (const body of bodies) {
    body.joints_m.forEach((joint, index) => {
      const at = project(joint);
      if (!at) return;
      parts.push({deep: at[2], draw: () => drawJoint(at, body, index)});
      if (index === 0) return;
      const parent = body.joints_m[about.parents[index]];
      const half = project(joint.map((value, axis) => (value + parent[axis]) / 2));
      if (half) parts.push({deep: half[2] + 0.001, draw: () => drawBone(project, parent, joint, body, index, half)});
    });
  }
  parts.sort((one, other) => other.deep - one.deep).forEach((part) => part.draw());
}

function drawBone(project, parent, joint, body, index, half) {
  const width_px = Math.max(1.5, 0.03 * half[3]);
  const dash = body.status[index] === OBSERVED ? []
    : body.status[index] === PREDICTED ? [2.5 * width_px, 1.5 * width_px] : [0.6 * width_px, 1.6 * width_px];
  context.lineCap = 'round';
  line(project, parent, joint, '#121214', width_px + 2, dash);
  line(project, parent, joint, colour(body.confidence[index]), width_px, dash);
  context.lineCap = 'butt';
}

function drawJoint(at, body, index) {
  context.setLineDash([]);
  context.beginPath();
  context.arc(at[0], at[1], Math.max(1.5, 0.026 * at[3]), 0, 2 * Math.PI);
  context.fillStyle = colour(body.confidence[index]);
  context.strokeStyle = '#121214';
  context.lineWidth = 1;
  if (body.status[index] <= PREDICTED) context.fill();
  context.stroke();
}

function drawName(project, body) {
  const at = project(body.joints_m[24].map((value, axis) => value - (axis === 1 ? 0.12 : 0)));
  if (!at) return;
  context.fillStyle = '#e8e8ea';
  context.font = '13px system-ui, sans-serif';
  context.textAlign = 'center';
  context.fillText(`body ${body.id}`, at[0], at[1]);
}

function draw() {
  const scale = window.devicePixelRatio || 1;
  const width = canvas.clientWidth, height = canvas.clientHeight;
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
  }
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  if (!eye || shown < 0) return;
  const project = projector();
  drawFloor(project);
  drawCamera(project);
  const bodies = frames[shown].bodies;
  drawBodies(project, bodies);
  bodies.forEach((body) => drawName(project, body));
}

// plays by the clock; a frame is skipped while the image before it is still loading
function play() {
  playing = !playing;
  element('play').textContent = playing ? 'Pause' : 'Play';
  if (!playing) return;
  if (shown >= frames.length - 1 && done) show(0);
  let before_ms = performance.now(), time_s = frames[shown] ? frames[shown].time_s : 0;
  const step = (now_ms) => {
    if (!playing) return;
    time_s += (now_ms - before_ms) * 1e-3 * parseFloat(element('speed').value);
    before_ms = now_ms;
    time_s = Math.min(time_s, frames.length ? last().time_s : 0);
    let number = shown;
    while (number + 1 < frames.length && frames[number + 1].time_s <= time_s) number++;
    if (number !== shown && (element('image').complete || element('image').hidden)) show(number);
    if (done && shown >= frames.length - 1) play(); else requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
}

function pause() {
  if (playing) play();
}

function listen() {
  element('play').addEventListener('click', play);
  element('back').addEventListener('click', () => { pause(); show(shown - 1); });
  element('next').addEventListener('click', () => { pause(); show(shown + 1); });
  element('position').addEventListener('input', (event) => { pause(); show(Number(event.target.value)); });
  window.addEventListener('resize', draw);
  window.addEventListener('keydown', (event) => {
    if (['INPUT', 'SELECT', 'BUTTON'].includes(event.target.tagName)) return;
    if (event.key === ' ') play();
    else if (event.key === 'ArrowLeft') { pause(); show(shown - 1); }
    else if (event.key === 'ArrowRight') { pause(); show(shown + 1); }
    else return;
    event.preventDefault();
  });
  canvas.addEventListener('dblclick', () => { if (shown >= 0) { showAllBodies(); draw(); } });
  canvas.addEventListener('wheel', (event) => {
    if (!eye) return;
    eye.away_m = Math.min(60, Math.max(0.4, eye.away_m * Math.exp(event.deltaY * 1e-3)));
    event.preventDefault();
    draw();
  }, {passive: false});
  canvas.addEventListener('pointerdown', (event) => canvas.setPointerCapture(event.pointerId));
  canvas.addEventListener('pointermove', (event) => {
    if (!eye || !canvas.hasPointerCapture(event.pointerId)) return;
    if (event.shiftKey) {
      const metres = eye.away_m / (0.9 * Math.min(canvas.clientWidth, canvas.clientHeight));
      eye.target[0] -= metres * event.movementX * Math.cos(eye.turn);
      eye.target[2] -= metres * event.movementX * Math.sin(eye.turn);
      eye.target[1] -= metres * event.movementY;
    } else {
      eye.turn -= 0.008 * event.movementX;
      eye.tilt = Math.min(1.5, Math.max(-0.3, eye.tilt + 0.008 * event.movementY));
    }
    draw();
  });
}

listen();
load().catch((error) => { element('count').textContent = `the server does not answer: ${error.message}`; });
