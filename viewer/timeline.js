"use strict";
// The clip's clock: play, pause, scrub, speed, loop, step by frame.

class Timeline {
  /** `changed()` is called whenever what should be seen may have changed. */
  constructor(times, changed) {
    this.times = times;
    this.end = times[times.length - 1];
    this.start = times[0];
    this.changed = changed;
    this.time = this.start;
    this.playing = false;
    this.speed = 1;
    this.loop = true;
  }

  get still() {
    return !(this.end > this.start);
  }

  seek(time) {
    this.time = Math.min(Math.max(time, this.start), this.end);
    this.changed();
  }

  play(playing = true) {
    this.playing = playing && !this.still;
    if (this.playing && this.time >= this.end) this.time = this.start;
    this.changed();
  }

  /** Goes to the next frame of the clip in a direction, and stops there. */
  step(direction) {
    this.playing = false;
    const near = 1e-6 * Math.max(this.end - this.start, 1e-9);
    const next = direction > 0
      ? this.times.find((time) => time > this.time + near)
      : [...this.times].reverse().find((time) => time < this.time - near);
    this.seek(next ?? (direction > 0 ? this.end : this.start));
  }

  /** Lets `seconds` of real time pass. */
  advance(seconds) {
    if (!this.playing) return;
    let time = this.time + seconds * this.speed;
    if (time > this.end) {
      if (this.loop) time = this.start + ((time - this.start) % (this.end - this.start));
      else {
        time = this.end;
        this.playing = false;
      }
    }
    this.time = time;
    this.changed();
  }

  /** The frame of the clip nearest to now. */
  get frame() {
    let best = 0;
    this.times.forEach((time, frame) => {
      if (Math.abs(time - this.time) < Math.abs(this.times[best] - this.time)) best = frame;
    });
    return best;
  }

  text() {
    return `${this.time.toFixed(2)} / ${this.end.toFixed(2)} s · frame ${this.frame + 1} of ${this.times.length}`;
  }
}
