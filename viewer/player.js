"use strict";
// The page: unpacks the scene in the worker, then draws whenever something changed, with the newest drawing order.

const $ = (id) => document.getElementById(id);
const sourceOf = (name) => $(name).textContent;
const BLACK = [0, 0, 0], GROUND = [0.047, 0.059, 0.075];
const SAMPLES = 2000;  // Gaussians that a range of depths is taken from
const SLOW_FRAME = 1 / 18, COARSEST = 0.4;  // seconds; and the share of the pixels' side drawn while moving, at the least

function fail(message) {
  $("message").hidden = false;
  $("message").classList.add("failed");
  $("message").firstElementChild.textContent = message;
}

class Player {
  constructor(scene, worker) {
    this.scene = scene;
    this.header = scene.header;
    this.worker = worker;
    this.canvas = $("canvas");
    this.renderer = new Renderer(this.canvas, scene, sourceOf);
    this.timeline = new Timeline(this.header.times, () => this.invalidate());
    this.orbit = new Orbit(this.header);
    this.measurement = new Measurement(scene);
    this.camera = "endoscope";
    this.mode = "color";
    this.measuring = false;
    this.coarseness = 1;      // share of the canvas' resolution that is drawn
    this.adaptive = true;
    this.sorting = false;
    this.sorted = "";         // what the current order was made for
    this.waiting = [];
    this.scheduled = false;
    this.lastTick = 0;
    this.buffer = null;
    worker.onmessage = ({ data }) => (data.kind === "order" ? this.takeOrder(data) : fail(data.message));
    new ResizeObserver(() => this.invalidate()).observe($("stage"));
    this.canvas.addEventListener("webglcontextlost", () => fail("The graphics were reset by the system; reload the page."));
    this.invalidate();
  }

  get decimals() {
    return this.header.pivot_depth < 20 ? 2 : 1;
  }

  /** A length in the scene's units, as text. */
  length(value) {
    return `${value.toFixed(this.decimals)} ${this.header.units === "mm" ? "mm" : "rel."}`;
  }

  /** The view at the drawn resolution; `canvas` overrides its size in pixels. */
  view(canvas = null) {
    const stage = $("stage"), ratio = Math.min(window.devicePixelRatio || 1, 2) * this.coarseness;
    const size = canvas || [stage.clientWidth, stage.clientHeight].map((side) => Math.max(1, Math.round(side * ratio)));
    return this.camera === "endoscope" ? endoscopeView(this.header, this.timeline.time, size) : this.orbit.view(size);
  }

  /** Asks for a drawing at the browser's next opportunity. */
  invalidate() {
    if (this.scheduled) return;
    this.scheduled = true;
    requestAnimationFrame((now) => this.tick(now));
  }

  tick(now) {
    this.scheduled = false;
    const passed = (now - this.lastTick) / 1000;
    this.lastTick = now;
    if (this.timeline.playing) this.timeline.advance(Math.min(Math.max(passed, 0), 0.25));
    this.adapt(passed);
    this.draw();
    this.changed?.();
  }

  /** Draws fewer pixels while playing where the graphics are slow, all of them at rest. */
  adapt(passed) {
    if (!this.timeline.playing || !this.adaptive) {
      this.slow = 0;
      if (this.coarseness !== 1 && !this.timeline.playing) this.coarseness = 1;
    } else if (passed < 1) {
      this.slow = 0.8 * (this.slow || 0) + 0.2 * passed;
      if (this.slow > SLOW_FRAME && this.coarseness > COARSEST) {
        this.coarseness = Math.max(COARSEST, this.coarseness * 0.8);
        this.slow = 0;
      }
    }
  }

  look(view) {
    const depthMode = this.mode === "depth", { low, high } = depthMode ? this.depthRange(view) : { low: 0, high: 1 };
    return {
      depthMode,
      depthRange: [low, high],
      background: this.camera === "orbit" ? GROUND : BLACK,
      surround: GROUND,
    };
  }

  /** The clip's depth range; on an orbit that of the Gaussians, seen from there. */
  depthRange(view) {
    if (this.camera !== "orbit") return { low: this.header.depth.range[0], high: this.header.depth.range[1] };
    const { base, count } = this.scene, every = Math.ceil(count / SAMPLES), depths = [];
    for (let i = 0; i < count; i += every) {
      const depth = depthIn(view, base.subarray(i * SLOTS, i * SLOTS + 3));
      if (depth > view.near) depths.push(depth);
    }
    depths.sort((a, b) => a - b);
    const low = depths[Math.floor(0.02 * depths.length)] ?? 0;
    return { low, high: Math.max(depths[Math.floor(0.98 * depths.length)] ?? 1, 1.01 * low) };
  }

  draw() {
    const view = this.view(), time = this.timeline.time;
    this.requestOrder(view, time);
    this.renderer.draw(view, time, this.look(view));
    this.drawnView = view;
  }

  requestOrder(view, time) {
    const row = [...view.rotation.slice(6, 9), view.translation[2]];
    const wanted = JSON.stringify([time, row]);
    if (this.sorting || wanted === this.sorted) return;
    this.sorting = true;
    this.sorted = wanted;
    const message = { kind: "sort", time, row, near: view.near, buffer: this.buffer };
    this.worker.postMessage(message, this.buffer ? [this.buffer] : []);
    this.buffer = null;
  }

  takeOrder({ indices, drawn }) {
    this.sorting = false;
    this.renderer.setOrder(indices, drawn);
    this.buffer = indices.buffer;
    this.draw();   // with the new order, and asks for the next if time went on
    if (!this.sorting) this.waiting.splice(0).forEach((settled) => settled());
  }

  /** Resolves when the drawing shows the present time and view in the right order. */
  async settled() {
    this.draw();
    if (this.sorting) await new Promise((done) => this.waiting.push(done));
    this.draw();
  }

  setCamera(name) {
    if (name === "orbit" && this.camera !== "orbit") this.orbit.reset(this.timeline.time);
    this.camera = name;
    this.invalidate();
  }

  setMode(mode) {
    this.mode = mode;
    this.invalidate();
  }

  setMeasuring(measuring) {
    this.measuring = measuring;
    this.missed = false;
    if (!measuring) this.measurement.clear();
    this.invalidate();
  }

  /** The tissue at a point of the stage, in CSS pixels. */
  pickAt(x, y) {
    const view = this.view(), stage = $("stage");
    return pick(this.scene, view, this.timeline.time, (x * view.canvas[0]) / stage.clientWidth, (y * view.canvas[1]) / stage.clientHeight);
  }

  tap(x, y) {
    if (!this.measuring) return;
    const picked = this.pickAt(x, y);
    this.missed = !picked;
    if (picked) this.measurement.add(picked);
    this.invalidate();
  }

  turn(dx, dy) {
    if (this.camera !== "orbit") this.setCamera("orbit");
    this.orbit.turn(dx * -0.006, dy * 0.006);  // what is in front follows the finger
    this.invalidate();
  }

  pan(dx, dy) {
    if (this.camera !== "orbit") this.setCamera("orbit");
    const ratio = this.view().canvas[0] / $("stage").clientWidth;
    this.orbit.pan(dx * ratio, dy * ratio, this.view());
    this.invalidate();
  }

  zoom(factor) {
    if (this.camera !== "orbit") this.setCamera("orbit");
    this.orbit.zoom(factor);
    this.invalidate();
  }

  reset() {
    this.setMeasuring(false);
    this.camera = "endoscope";
    this.mode = "color";
    this.timeline.playing = false;
    this.timeline.seek(this.timeline.start);
  }
}

/** Starts the worker, has it unpack the scene and wires the page. */
async function start() {
  if (typeof DecompressionStream === "undefined") {
    throw new Error("This browser cannot unpack the scene (it lacks DecompressionStream): use Chrome or Edge 80, Firefox 113, Safari 16.4, or newer.");
  }
  const source = ["spline.js", "payload.js", "worker.js"].map(sourceOf).join("\n");
  const worker = new Worker(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
  const bytes = bytesOfBase64(sourceOf("scene"));
  $("scene").remove();
  const scene = await new Promise((done, failed) => {
    worker.onerror = (event) => failed(new Error(event.message || "the page's worker did not start"));
    worker.onmessage = ({ data }) => (data.kind === "scene" ? done(data.scene) : failed(new Error(`The scene in this page is damaged (${data.message}); ask for it again.`)));
    worker.postMessage({ kind: "unpack", bytes }, [bytes.buffer]);
  });
  const player = new Player(scene, worker);
  wireControls(player);
  await player.settled();
  $("message").hidden = true;
  return player;
}

const endogsPlayer = start().catch((error) => {
  fail(error.message);
  throw error;
});
