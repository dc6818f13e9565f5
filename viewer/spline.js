"use strict";
// Cubic B-splines over time: endogs/scene/deformation/spline.py, in the browser. Loaded by the page and by its worker.

/** Numbers of one Gaussian in every array: four texels of four.
 *  0-2 centre, 3 opacity logit | 4-7 quaternion wxyz | 8-10 log scales | 12-14 colour; 11 and 15 are unused. */
const SLOTS = 16;

/** Slot of each of the 14 columns of a packed Gaussian. */
const SLOT_OF = [0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 3, 12, 13, 14];

/** First active control point and the four weights at `time` (seconds), clamped to the ends of `knots`:
 *  Cox and de Boor's recurrence; beyond the ends the spacing goes on as it was there. */
function locate(knots, time) {
  const ends = knots.breakpoints, last = ends.length - 1;
  const knot = (i) => {
    if (i < 0) return ends[0] + i * (ends[1] - ends[0]);
    return i <= last ? ends[i] : ends[last] + (i - last) * (ends[last] - ends[last - 1]);
  };
  const t = Math.min(Math.max(time, ends[0]), ends[last]);
  let index = 0;
  while (index < last - 1 && t >= ends[index + 1]) index++;
  let weights = [1];
  for (let degree = 1; degree <= 3; degree++) {
    const higher = new Array(degree + 1).fill(0);
    for (let k = 0; k < degree; k++) {
      const low = knot(index - degree + 1 + k), high = knot(index + 1 + k), share = weights[k] / (high - low);
      higher[k] += (high - t) * share;
      higher[k + 1] += (t - low) * share;
    }
    weights = higher;
  }
  return { index, weights };
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
