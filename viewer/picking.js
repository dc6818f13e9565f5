"use strict";
// Points on the tissue: found by compositing the scene at one pixel, exactly as the rasterizer does, and carried through
// time by the Gaussians that made that pixel.

const ALPHA_MIN = 1 / 255, ALPHA_MAX = 0.999;
const MOST_CARRIERS = 48;

/** Alpha of one Gaussian (its slots, spline.js) at a canvas pixel, and its z-depth; null where it does not reach. */
function alphaAt(gaussian, view, x, y) {
  const { rotation: r, translation: t, focal, centre, slopes } = view;
  const z = r[6] * gaussian[0] + r[7] * gaussian[1] + r[8] * gaussian[2] + t[2];
  if (!(z >= view.near)) return null;
  const across = (r[0] * gaussian[0] + r[1] * gaussian[1] + r[2] * gaussian[2] + t[0]) / z;
  const down = (r[3] * gaussian[0] + r[4] * gaussian[1] + r[5] * gaussian[2] + t[1]) / z;
  const dx = x - (focal[0] * across + centre[0]), dy = y - (focal[1] * down + centre[1]);
  const slope = [Math.min(Math.max(across, slopes[0]), slopes[1]), Math.min(Math.max(down, slopes[2]), slopes[3])];
  // Nothing reaches farther than sqrt(2 ln 255) standard deviations, so most Gaussians are done here.
  const most = (Math.exp(Math.max(gaussian[8], gaussian[9], gaussian[10])) * Math.max(focal[0], focal[1])) / z;
  const farthest = 11.1 * (most * most * (1 + slope[0] ** 2 + slope[1] ** 2) + view.lowPass);
  if (dx * dx + dy * dy > farthest) return null;

  const scale = [8, 9, 10].map((slot) => Math.exp(gaussian[slot]));
  const axes = multiply3(view.rotation, rotationOf([gaussian[4], gaussian[5], gaussian[6], gaussian[7]]));
  const u = scale.map((s, n) => (view.focal[0] / z) * (axes[n] - slope[0] * axes[6 + n]) * s);
  const v = scale.map((s, n) => (view.focal[1] / z) * (axes[3 + n] - slope[1] * axes[6 + n]) * s);
  const area = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
  const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
  const xx = dot(u, u), yy = dot(v, v), xy = dot(u, v);
  const determinant = dot(area, area) + view.lowPass * (xx + yy) + view.lowPass ** 2;
  const exponent = ((yy + view.lowPass) * dx * dx - 2 * xy * dx * dy + (xx + view.lowPass) * dy * dy) / determinant / 2;
  const alpha = Math.min(ALPHA_MAX, Math.exp(-exponent) / (1 + Math.exp(-gaussian[3])));
  return alpha < ALPHA_MIN ? null : { alpha, z };
}

/** The tissue at canvas pixel (x, y) and `time`: { point (3), depth, alpha, time, carriers: [{ index, weight }] }, weights
 *  summing to 1; null where less than half of the light is stopped. */
function pick(scene, view, time, x, y) {
  const at = scene.knots ? locate(scene.knots, time) : null;
  const gaussian = new Float64Array(SLOTS), hits = [];
  for (let i = 0; i < scene.count; i++) {
    const hit = alphaAt(gaussianAt(scene, i, at, gaussian, 11), view, x, y);
    if (hit) hits.push({ index: i, ...hit });
  }
  hits.sort((a, b) => a.z - b.z || a.index - b.index);
  let through = 1, depth = 0, sum = 0;
  for (const hit of hits) {
    hit.weight = hit.alpha * through;
    through -= hit.weight;
    depth += hit.weight * hit.z;
    sum += hit.weight;
  }
  if (sum < 0.5) return null;
  depth /= sum;
  const carriers = hits.sort((a, b) => b.weight - a.weight).slice(0, MOST_CARRIERS);
  const carried = carriers.reduce((total, hit) => total + hit.weight, 0);
  return {
    point: unprojectPixel(view, x, y, depth),
    depth,
    alpha: sum,
    time,
    carriers: carriers.map(({ index, weight }) => ({ index, weight: weight / carried })),
  };
}

/** Where a picked point is at another time: moved like the Gaussians that made its pixel. */
function follow(scene, picked, time) {
  if (!scene.knots) return picked.point;
  const now = locate(scene.knots, time), then = locate(scene.knots, picked.time);
  const a = new Float64Array(3), b = new Float64Array(3), moved = [...picked.point];
  for (const { index, weight } of picked.carriers) {
    gaussianAt(scene, index, now, a, 3);
    gaussianAt(scene, index, then, b, 3);
    for (let n = 0; n < 3; n++) moved[n] += weight * (a[n] - b[n]);
  }
  return moved;
}
