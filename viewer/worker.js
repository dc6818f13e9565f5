"use strict";
// The page's worker, made from a blob with spline.js and payload.js before it: unpacks the scene, then sorts it by depth.

let scene = null;
/** Centres alone, compact, because sorting reads nothing else: base (N, 3), control (Kn, N, 3). */
let centres = null;

onmessage = async ({ data }) => {
  try {
    if (data.kind === "unpack") await unpack(data.bytes);
    else sort(data);
  } catch (error) {
    postMessage({ kind: "error", message: String(error.message || error) });
  }
};

async function unpack(bytes) {
  scene = unpackScene(await inflate(bytes));
  centres = { base: firstThree(scene.base, Float32Array), control: firstThree(scene.control, Int16Array) };
  const { base, control } = scene;
  postMessage({ kind: "scene", scene }, [base.buffer, control.buffer]);
}

function firstThree(slots, Kind) {
  const out = new Kind((slots.length / SLOTS) * 3);
  for (let from = 0, to = 0; from < slots.length; from += SLOTS, to += 3) {
    out[to] = slots[from];
    out[to + 1] = slots[from + 1];
    out[to + 2] = slots[from + 2];
  }
  return out;
}

/** z-depths (N) at `time` through the third row of a world-to-camera transform, `row` = [r20, r21, r22, t2]. */
function depthsAt(time, row) {
  const { count, knots, resolution } = scene, { base, control } = centres;
  const depths = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    depths[i] = row[0] * base[3 * i] + row[1] * base[3 * i + 1] + row[2] * base[3 * i + 2] + row[3];
  }
  if (!knots) return depths;
  const at = locate(knots, time);
  for (let k = 0; k < 4; k++) {
    const start = (at.index + k) * count * 3, weight = at.weights[k];
    const x = weight * row[0] * resolution[0], y = weight * row[1] * resolution[1], z = weight * row[2] * resolution[2];
    for (let i = 0, c = start; i < count; i++, c += 3) depths[i] += x * control[c] + y * control[c + 1] + z * control[c + 2];
  }
  return depths;
}

/** Indices of what is not nearer than `near`, front to back, ties by index: a stable radix sort of the depths' bits,
 *  which for positive floats order like the numbers. */
function frontToBack(depths, near) {
  const bits = new Uint32Array(depths.buffer);
  const low = new Uint32Array(65537), high = new Uint32Array(65537);
  let drawn = 0;
  for (let i = 0; i < depths.length; i++) {
    if (!(depths[i] >= near)) continue;
    low[(bits[i] & 65535) + 1]++;
    high[(bits[i] >>> 16) + 1]++;
    drawn++;
  }
  for (let b = 0; b < 65536; b++) {
    low[b + 1] += low[b];
    high[b + 1] += high[b];
  }
  const half = new Uint32Array(drawn), sorted = new Uint32Array(drawn);
  for (let i = 0; i < depths.length; i++) if (depths[i] >= near) half[low[bits[i] & 65535]++] = i;
  for (let n = 0; n < drawn; n++) sorted[high[bits[half[n]] >>> 16]++] = half[n];
  return sorted;
}

/** Answers with two triangles for each Gaussian, back to front; vertex 4 i + c is corner c of Gaussian i. */
function sort({ time, row, near, buffer }) {
  const sorted = frontToBack(depthsAt(time, row), near);
  const needed = sorted.length * 6;
  const indices = buffer && buffer.byteLength >= 4 * needed ? new Uint32Array(buffer) : new Uint32Array(scene.count * 6);
  for (let n = 0, o = 0; n < sorted.length; n++) {
    const vertex = 4 * sorted[sorted.length - 1 - n];
    indices[o++] = vertex;
    indices[o++] = vertex + 1;
    indices[o++] = vertex + 2;
    indices[o++] = vertex + 2;
    indices[o++] = vertex + 1;
    indices[o++] = vertex + 3;
  }
  postMessage({ kind: "order", drawn: sorted.length, indices }, [indices.buffer]);
}
