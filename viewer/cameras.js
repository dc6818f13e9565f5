"use strict";
// Views of the scene: through the clip's own endoscope, or from an orbit around the tissue. OpenCV axes: x right, y down,
// z forward. A view is what renderer.js and picking.js need:
// { rotation (9, row-major), translation (3), focal (2), centre (2), canvas (2), region [x, y, w, h], slopes (4), near,
//   lowPass }, lengths on the canvas in its pixels.

const LOW_PASS = 0.3;       // square pixels of the clip's image, as in the fit
const NEAR = 1e-2;
const SLOPE_SLACK = 0.15;   // of the image size, beyond the view

const multiply3 = (a, b) => Array.from({ length: 9 }, (_, n) => {
  const r = 3 * Math.floor(n / 3), c = n % 3;
  return a[r] * b[c] + a[r + 1] * b[3 + c] + a[r + 2] * b[6 + c];
});
const apply3 = (m, v) => [0, 3, 6].map((r) => m[r] * v[0] + m[r + 1] * v[1] + m[r + 2] * v[2]);
const transpose3 = (m) => [m[0], m[3], m[6], m[1], m[4], m[7], m[2], m[5], m[8]];
const mixed = (a, b, f) => a.map((value, n) => value * (1 - f) + b[n] * f);

/** Quaternion wxyz of a rotation, and back. */
function quaternionOf(m) {
  const w = Math.sqrt(Math.max(0, 1 + m[0] + m[4] + m[8])) / 2, x = Math.sqrt(Math.max(0, 1 + m[0] - m[4] - m[8])) / 2;
  const y = Math.sqrt(Math.max(0, 1 - m[0] + m[4] - m[8])) / 2, z = Math.sqrt(Math.max(0, 1 - m[0] - m[4] + m[8])) / 2;
  const largest = Math.max(w, x, y, z);
  if (largest === w) return [w, (m[7] - m[5]) / (4 * w), (m[2] - m[6]) / (4 * w), (m[3] - m[1]) / (4 * w)];
  if (largest === x) return [(m[7] - m[5]) / (4 * x), x, (m[1] + m[3]) / (4 * x), (m[2] + m[6]) / (4 * x)];
  if (largest === y) return [(m[2] - m[6]) / (4 * y), (m[1] + m[3]) / (4 * y), y, (m[5] + m[7]) / (4 * y)];
  return [(m[3] - m[1]) / (4 * z), (m[2] + m[6]) / (4 * z), (m[5] + m[7]) / (4 * z), z];
}
function rotationOf(quat) {
  const length = Math.hypot(...quat) || 1;
  const [w, x, y, z] = quat.map((value) => value / length);
  return [
    1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
    2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
    2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
  ];
}

/** The clip's camera at `time`: { rotation, translation, lens: [fx, fy, cx, cy] in the clip's pixels }. Between frames the
 *  centre and the lens move straight, and the orientation turns (normalized linear quaternions). */
function clipCamera(header, time) {
  const { K, world_to_camera: poses } = header.cameras, { times } = header;
  const of = (frame) => {
    const pose = poses[poses.length === 1 ? 0 : frame], k = K[K.length === 1 ? 0 : frame];
    return {
      rotation: pose.slice(0, 3).flatMap((row) => row.slice(0, 3)),
      translation: pose.slice(0, 3).map((row) => row[3]),
      lens: [k[0][0], k[1][1], k[0][2], k[1][2]],
    };
  };
  let frame = 0;
  while (frame + 1 < times.length && times[frame + 1] <= time) frame++;
  const a = of(frame);
  if (poses.length === 1 && K.length === 1) return a;
  if (frame + 1 >= times.length || time <= times[frame]) return a;
  const b = of(frame + 1), f = (time - times[frame]) / (times[frame + 1] - times[frame]);
  const qa = quaternionOf(a.rotation), qb = quaternionOf(b.rotation);
  const sign = qa.reduce((sum, value, n) => sum + value * qb[n], 0) < 0 ? -1 : 1;
  const rotation = rotationOf(mixed(qa, qb.map((value) => sign * value), f));
  const centreOf = (camera) => apply3(transpose3(camera.rotation), camera.translation).map((value) => -value);
  const centre = mixed(centreOf(a), centreOf(b), f);
  return { rotation, translation: apply3(rotation, centre).map((value) => -value), lens: mixed(a.lens, b.lens, f) };
}

/** How the clip's image lies in a canvas: scale (canvas pixels per image pixel) and its left and upper border. */
function fitted(header, canvas) {
  const scale = Math.min(canvas[0] / header.width, canvas[1] / header.height);
  return { scale, left: (canvas[0] - header.width * scale) / 2, top: (canvas[1] - header.height * scale) / 2 };
}

/** Through the endoscope at `time`. */
function endoscopeView(header, time, canvas) {
  const camera = clipCamera(header, time), { scale, left, top } = fitted(header, canvas);
  const [fx, fy, cx, cy] = camera.lens, { width, height } = header;
  return {
    rotation: camera.rotation,
    translation: camera.translation,
    focal: [fx * scale, fy * scale],
    centre: [cx * scale + left, cy * scale + top],
    canvas,
    region: [left, top, width * scale, height * scale],
    slopes: [
      -(cx + SLOPE_SLACK * width) / fx, (width - cx + SLOPE_SLACK * width) / fx,
      -(cy + SLOPE_SLACK * height) / fy, (height - cy + SLOPE_SLACK * height) / fy,
    ],
    near: NEAR,
    // Enlarged, the image shows what the fit saw, not thinner splats with gaps between them.
    lowPass: LOW_PASS * Math.max(1, scale * scale),
  };
}

/** A camera that turns around a pivot on the tissue, starting where the clip's camera stood at some time. */
class Orbit {
  constructor(header) {
    this.header = header;
    this.reset(header.times[0]);
  }

  reset(time) {
    const camera = clipCamera(this.header, time), pivot = this.header.pivot;
    this.from = camera;
    this.yaw = this.pitch = 0;
    this.place = apply3(camera.rotation, pivot).map((value, n) => value + camera.translation[n]);  // of the pivot
    this.home = this.place[2];
  }

  turn(yaw, pitch) {
    this.yaw += yaw;
    this.pitch = Math.min(Math.max(this.pitch + pitch, -1.5), 1.5);
  }

  /** Moves the scene by canvas pixels. */
  pan(dx, dy, view) {
    this.place[0] += (dx * this.place[2]) / view.focal[0];
    this.place[1] += (dy * this.place[2]) / view.focal[1];
  }

  zoom(factor) {
    const depth = Math.min(Math.max(this.place[2] * factor, 0.05 * this.home), 8 * this.home);
    const by = depth / this.place[2];
    this.place = [this.place[0] * by, this.place[1] * by, depth];
  }

  view(canvas) {
    const { scale, left, top } = fitted(this.header, canvas), [fx, fy, cx, cy] = this.from.lens;
    const [cosYaw, sinYaw, cosPitch, sinPitch] = [Math.cos(this.yaw), Math.sin(this.yaw), Math.cos(this.pitch), Math.sin(this.pitch)];
    const turn = multiply3([1, 0, 0, 0, cosPitch, -sinPitch, 0, sinPitch, cosPitch], [cosYaw, 0, sinYaw, 0, 1, 0, -sinYaw, 0, cosYaw]);
    const rotation = multiply3(turn, this.from.rotation);
    const turned = apply3(rotation, this.header.pivot);
    const focal = [fx * scale, fy * scale], centre = [cx * scale + left, cy * scale + top];
    const enlarged = (scale * this.home) / this.place[2];
    return {
      rotation,
      translation: this.place.map((value, n) => value - turned[n]),
      focal,
      centre,
      canvas,
      region: [0, 0, canvas[0], canvas[1]],
      slopes: [0, 1].flatMap((n) => {
        const slack = SLOPE_SLACK * canvas[n];
        return [-(centre[n] + slack) / focal[n], (canvas[n] - centre[n] + slack) / focal[n]];
      }),
      near: Math.max(NEAR, 0.01 * this.home),
      lowPass: LOW_PASS * Math.max(1, enlarged * enlarged),
    };
  }
}

/** z-depth of a world point in a view. */
function depthIn(view, point) {
  return apply3(view.rotation, point)[2] + view.translation[2];
}

/** Canvas pixels of a world point in a view; null behind the camera. */
function projectPoint(view, point) {
  const seen = apply3(view.rotation, point).map((value, n) => value + view.translation[n]);
  if (!(seen[2] > view.near)) return null;
  return [(view.focal[0] * seen[0]) / seen[2] + view.centre[0], (view.focal[1] * seen[1]) / seen[2] + view.centre[1]];
}

/** The world point at canvas pixel (x, y) and z-depth `depth`. */
function unprojectPixel(view, x, y, depth) {
  const seen = [((x - view.centre[0]) / view.focal[0]) * depth, ((y - view.centre[1]) / view.focal[1]) * depth, depth];
  return apply3(transpose3(view.rotation), seen.map((value, n) => value - view.translation[n]));
}
