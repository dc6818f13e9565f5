"use strict";
// The scene's bytes, unpacked once, when the page opens: the other half of endogs/export/html/payload.py.

/** Bytes of base64 text. */
function bytesOfBase64(text) {
  const binary = atob(text.trim());
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

/** Inflates zlib bytes with the browser's own decompressor. */
async function inflate(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Walks over the rows of a section: `visit(row, Int32Array of count numbers, any)`, zigzag undone, bytes joined.
 *  Returns the position after the section. */
function readRows(bytes, at, widths, count, visit) {
  const numbers = new Int32Array(count);
  widths.forEach((width, row) => {
    numbers.fill(0);
    for (let byte = 0; byte < width; byte++) {
      for (let i = 0; i < count; i++) numbers[i] |= bytes[at + i] << (8 * byte);
      at += count;
    }
    for (let i = 0; i < count; i++) numbers[i] = (numbers[i] >>> 1) ^ -(numbers[i] & 1);
    visit(row, numbers, width > 0);
  });
  return at;
}

/** The scene in the arrays that shaders and picking read:
 *  { header, count, knots (null: no deformation), base: Float32Array (N, 16), control: Int16Array (Kn, N, 16),
 *    resolution: Float32Array (16), what one unit of `control` is worth }. */
function unpackScene(bytes) {
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + new DataView(bytes.buffer).getUint32(0, true))));
  if (header.format !== "endogs-player" || header.version !== 1) throw new Error("the scene in this page is of another kind");
  const { count, sections, deformation } = header;
  const knots = deformation.kind === "spline" ? { ...deformation, count: deformation.breakpoints.length + 2 } : null;
  const base = new Float32Array(count * SLOTS);
  const multiples = [new Float32Array(count), new Float32Array(count)];
  let at = 4 + new DataView(bytes.buffer).getUint32(0, true);

  at = readRows(bytes, at, sections[0].widths, count, (channel, numbers) => {
    const slot = SLOT_OF[channel], step = header.base.steps[channel], origin = header.base.origin[channel];
    for (let i = 0; i < count; i++) base[i * SLOTS + slot] = origin + step * numbers[i];
  });
  at = readRows(bytes, at, sections[1].widths, count, (row, numbers) => {
    for (let i = 0; i < count; i++) multiples[row][i] = 2 ** (numbers[i] / 2);
  });

  const control = new Int16Array(knots ? knots.count * count * SLOTS : 0);
  const resolution = new Float32Array(SLOTS);
  deformation.groups.forEach((group, index) => {
    const { widths } = sections[2 + index];
    const channels = widths.length / Math.max(group.decoder.length, 1);
    const multiple = multiples[group.name === "means" ? 0 : 1];
    const sums = Array.from({ length: channels }, () => new Float32Array(knots.count * count));
    at = readRows(bytes, at, widths, count, (row, numbers, any) => {
      if (any) addComponent(sums[row % channels], group.decoder[Math.floor(row / channels)], numbers);
    });
    sums.forEach((sum, channel) => {
      const slot = SLOT_OF[group.first + channel];
      resolution[slot] = group.resolution;
      const units = group.resolution > 0 ? 1 / group.resolution : 0;
      for (let k = 0; k < knots.count; k++) {
        for (let i = 0; i < count; i++) {
          const value = Math.round(sum[k * count + i] * multiple[i] * units);
          control[(k * count + i) * SLOTS + slot] = Math.min(Math.max(value, -32767), 32767);
        }
      }
    });
  });
  return { header, count, knots, base, control, resolution };
}

/** sums (Kn, N) += decoder (Kn) x numbers (N), of which most are zero. */
function addComponent(sums, decoder, numbers) {
  const count = numbers.length, where = new Int32Array(count);
  let found = 0;
  for (let i = 0; i < count; i++) if (numbers[i]) where[found++] = i;
  for (let k = 0; k < decoder.length; k++) {
    const factor = decoder[k], row = k * count;
    for (let n = 0; n < found; n++) sums[row + where[n]] += factor * numbers[where[n]];
  }
}
