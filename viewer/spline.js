"use strict";
// Uniform cubic B-splines over time: endogs/scene/spline.py, in the browser. Loaded by the page and by its worker.

/** Numbers of one Gaussian in every array: four texels of four.
 *  0-2 centre, 3 opacity logit | 4-7 quaternion wxyz | 8-10 log scales | 12-14 colour; 11 and 15 are unused. */
const SLOTS = 16;

/** Slot of each of the 14 columns of a packed Gaussian. */
const SLOT_OF = [0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 3, 12, 13, 14];

/** The four weights of a uniform cubic B-spline at `f` in [0, 1] of a knot interval; they sum to 1. */
function cubicWeights(f) {
  const g = 1 - f;
  return [
    (g * g * g) / 6,
    (3 * f * f * f - 6 * f * f + 4) / 6,
    (3 * g * g * g - 6 * g * g + 4) / 6,
    (f * f * f) / 6,
  ];
}

/** First active control point and the four weights at `time` (seconds), clamped to the ends of `knots`. */
function locate(knots, time) {
  const u = (time - knots.start) / knots.interval;
  const index = Math.min(Math.max(Math.floor(u), 0), knots.intervals - 1);
  return { index, weights: cubicWeights(Math.min(Math.max(u - index, 0), 1)) };
}

/** Writes the first `slots` numbers of Gaussian `i` at the located time (null: no deformation) to `out`. */
function gaussianAt(scene, i, at, out, slots = SLOTS) {
  for (let s = 0; s < slots; s++) out[s] = scene.base[i * SLOTS + s];
  if (!at) return out;
  for (let k = 0; k < 4; k++) {
    const row = ((at.index + k) * scene.count + i) * SLOTS;
    for (let s = 0; s < slots; s++) out[s] += at.weights[k] * scene.control[row + s] * scene.resolution[s];
  }
  return out;
}
