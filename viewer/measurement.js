"use strict";
// Two points on the tissue, their distance now and over the whole clip.

class Measurement {
  constructor(scene) {
    this.scene = scene;
    this.points = [];
    this.curve = [];
  }

  /** Takes a picked point; a third one starts anew. */
  add(picked) {
    if (this.points.length === 2) this.points = [];
    this.points.push(picked);
    this.curve = this.complete ? this.scene.header.times.map((time) => this.distance(time)) : [];
  }

  clear() {
    this.points = [];
    this.curve = [];
  }

  get complete() {
    return this.points.length === 2;
  }

  /** Both points (or the one there is) at `time`. */
  at(time) {
    return this.points.map((picked) => follow(this.scene, picked, time));
  }

  /** Distance at `time` in the scene's units. */
  distance(time) {
    const [a, b] = this.at(time);
    return Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
  }

  /** Length now over length when the second point was set. */
  stretch(time) {
    return this.distance(time) / this.distance(this.points[1].time);
  }

  csv() {
    const { times, units } = this.scene.header;
    const rows = times.map((time, frame) => `${time.toFixed(6)},${this.curve[frame].toFixed(4)},${this.stretch(time).toFixed(5)}`);
    return [`time_s,distance_${units === "mm" ? "mm" : "relative"},stretch`, ...rows, ""].join("\n");
  }

  /** Draws the curve over the clip, with a line at `time`. */
  plot(canvas, time, format) {
    const ratio = window.devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    const paint = canvas.getContext("2d"), { times } = this.scene.header;
    paint.scale(ratio, ratio);
    const low = Math.min(...this.curve), high = Math.max(...this.curve), middle = (low + high) / 2;
    const half = Math.max((high - low) / 2, 0.01 * middle, 1e-9) * 1.1;  // a still distance is a level line, not noise
    const span = Math.max(times[times.length - 1] - times[0], 1e-9);
    const x = (t) => 2 + ((t - times[0]) / span) * (width - 4), y = (d) => 14 + (1 - (d - middle + half) / (2 * half)) * (height - 28);
    paint.font = "11px system-ui, sans-serif";
    paint.fillStyle = "#93a0b0";
    paint.fillText(format(middle + half), 2, 10);
    paint.fillText(format(middle - half), 2, height - 3);
    paint.strokeStyle = "#262e39";
    paint.strokeRect(0.5, 14.5, width - 1, height - 29);
    paint.strokeStyle = "#4cc2b0";
    paint.lineWidth = 1.5;
    paint.beginPath();
    this.curve.forEach((distance, frame) => paint.lineTo(x(times[frame]), y(distance)));
    paint.stroke();
    paint.fillStyle = "#e6eaf0";
    paint.fillRect(x(time) - 0.5, 14, 1, height - 28);
    paint.beginPath();
    paint.arc(x(time), y(this.distance(time)), 3, 0, 7);
    paint.fill();
  }
}
