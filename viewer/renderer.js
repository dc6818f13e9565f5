"use strict";
// WebGL2: the scene's textures, the sorted splats, and the pass that turns what was accumulated into a picture.

const TEXTURE_WIDTH = 4096;

class Renderer {
  /** `source(name)` gives the text of a shader file. Throws an Error with a sentence for the reader. */
  constructor(canvas, scene, source) {
    const gl = canvas.getContext("webgl2", { alpha: false, antialias: false, depth: false, powerPreference: "high-performance" });
    if (!gl) throw new Error("This browser does not offer WebGL 2, which the player draws with.");
    this.gl = gl;
    this.canvas = canvas;
    this.scene = scene;
    this.drawn = 0;
    // Half floats keep what many faint layers add up to; eight bits are the last resort.
    this.deep = Boolean(gl.getExtension("EXT_color_buffer_float") || gl.getExtension("EXT_color_buffer_half_float"));
    this.source = source;
    this.splats = this.program(source("splat.vert"), source("splat.frag"));
    this.resolve = this.program(source("resolve.vert"), source("resolve.frag"));
    this.base = this.texture(gl.RGBA32F, gl.FLOAT, scene.base);
    this.control = this.texture(gl.RGBA16I, gl.SHORT, scene.control.length ? scene.control : new Int16Array(SLOTS));
    this.depthColors = gl.createTexture();
    this.setDepthColors(scene.header.depth.colors);
    this.indices = gl.createBuffer();
    this.accumulated = gl.createTexture();
    this.framebuffer = gl.createFramebuffer();
    this.size = [0, 0];
  }

  program(vertex, fragment, captured = null) {
    const gl = this.gl, program = gl.createProgram();
    for (const [kind, text] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, text.trim());
      gl.compileShader(shader);
      gl.attachShader(program, shader);
      if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS) && !gl.isContextLost()) throw new Error(gl.getShaderInfoLog(shader));
    }
    if (captured) gl.transformFeedbackVaryings(program, captured, gl.INTERLEAVED_ATTRIBS);
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost()) throw new Error(gl.getProgramInfoLog(program));
    const at = {};
    return { program, at: (name) => (name in at ? at[name] : (at[name] = gl.getUniformLocation(program, name))) };
  }

  /** A texture of four numbers a texel, TEXTURE_WIDTH wide. */
  texture(internal, type, numbers) {
    const gl = this.gl, texels = numbers.length / 4;
    const rows = Math.ceil(texels / TEXTURE_WIDTH), whole = Math.floor(texels / TEXTURE_WIDTH), rest = texels % TEXTURE_WIDTH;
    if (Math.max(rows, TEXTURE_WIDTH) > gl.getParameter(gl.MAX_TEXTURE_SIZE)) {
      throw new Error("This scene is too large for this device's graphics; export it again with a smaller --max-gaussians.");
    }
    const format = type === gl.SHORT ? gl.RGBA_INTEGER : gl.RGBA;
    const texture = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, texture);
    this.nearest();
    gl.texStorage2D(gl.TEXTURE_2D, 1, internal, TEXTURE_WIDTH, rows);
    const split = whole * TEXTURE_WIDTH * 4;
    if (whole) gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, TEXTURE_WIDTH, whole, format, type, numbers.subarray(0, split));
    if (rest) gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, whole, rest, 1, format, type, numbers.subarray(split));
    return texture;
  }

  nearest() {
    const gl = this.gl;
    for (const name of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, name, gl.NEAREST);
    for (const name of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, name, gl.CLAMP_TO_EDGE);
  }

  /** 256 RGB colours as hexadecimal digits. */
  setDepthColors(digits) {
    const gl = this.gl, bytes = new Uint8Array(256 * 4).fill(255);
    for (let i = 0; i < 256 * 3; i++) bytes[4 * Math.floor(i / 3) + (i % 3)] = parseInt(digits.slice(2 * i, 2 * i + 2), 16);
    gl.bindTexture(gl.TEXTURE_2D, this.depthColors);
    this.nearest();
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, 256, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, bytes);
  }

  /** Takes a drawing order from the worker. */
  setOrder(indices, drawn) {
    const gl = this.gl;
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.indices);
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, indices.subarray(0, drawn * 6), gl.DYNAMIC_DRAW);
    this.drawn = drawn;
  }

  resize(width, height) {
    const gl = this.gl;
    if (this.size[0] === width && this.size[1] === height) return;
    this.size = [width, height];
    this.canvas.width = width;
    this.canvas.height = height;
    gl.bindTexture(gl.TEXTURE_2D, this.accumulated);
    this.nearest();
    if (this.deep) gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA16F, width, height, 0, gl.RGBA, gl.HALF_FLOAT, null);
    else gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, width, height, 0, gl.RGBA, gl.UNSIGNED_BYTE, null);
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.framebuffer);
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, this.accumulated, 0);
  }

  /** Sets what splat.vert reads. `look`: { depthMode, depthRange }. */
  bindScene({ program, at }, view, time, look) {
    const gl = this.gl, scene = this.scene;
    gl.useProgram(program);
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, this.base);
    gl.activeTexture(gl.TEXTURE1);
    gl.bindTexture(gl.TEXTURE_2D, this.control);
    gl.activeTexture(gl.TEXTURE0);
    gl.uniform1i(at("u_base"), 0);
    gl.uniform1i(at("u_control"), 1);
    gl.uniform4fv(at("u_resolution"), scene.resolution);
    gl.uniform1i(at("u_count"), scene.count);
    const active = scene.knots ? locate(scene.knots, time) : { index: -1, weights: [0, 0, 0, 0] };
    gl.uniform1i(at("u_knot"), active.index);
    gl.uniform4fv(at("u_weights"), active.weights);
    gl.uniformMatrix3fv(at("u_rotation"), true, view.rotation);
    gl.uniform3fv(at("u_translation"), view.translation);
    gl.uniform2fv(at("u_focal"), view.focal);
    gl.uniform2fv(at("u_centre"), view.centre);
    gl.uniform2fv(at("u_canvas"), view.canvas);
    gl.uniform4fv(at("u_slopes"), view.slopes);
    gl.uniform1f(at("u_near"), view.near);
    gl.uniform1f(at("u_low_pass"), view.lowPass);
    gl.uniform1i(at("u_depth_mode"), look.depthMode ? 1 : 0);
    gl.uniform2fv(at("u_depth_range"), look.depthRange);
  }

  /** Draws the scene at `time` (seconds) through `view` (cameras.js) over `look.background`. */
  draw(view, time, look) {
    const gl = this.gl, [width, height] = view.canvas;
    this.resize(width, height);
    const [x, y, w, h] = view.region.map(Math.round);
    gl.viewport(0, 0, width, height);
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.framebuffer);
    gl.disable(gl.SCISSOR_TEST);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.enable(gl.SCISSOR_TEST);
    gl.scissor(x, height - y - h, w, h);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    this.bindScene(this.splats, view, time, look);
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.indices);
    if (this.drawn) gl.drawElements(gl.TRIANGLES, this.drawn * 6, gl.UNSIGNED_INT, 0);

    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    gl.disable(gl.BLEND);
    gl.disable(gl.SCISSOR_TEST);
    gl.clearColor(...look.surround, 1);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.enable(gl.SCISSOR_TEST);
    const { program, at } = this.resolve;
    gl.useProgram(program);
    gl.bindTexture(gl.TEXTURE_2D, this.accumulated);
    gl.activeTexture(gl.TEXTURE1);
    gl.bindTexture(gl.TEXTURE_2D, this.depthColors);
    gl.activeTexture(gl.TEXTURE0);
    gl.uniform1i(at("u_accumulated"), 0);
    gl.uniform1i(at("u_depth_colors"), 1);
    gl.uniform1i(at("u_depth_mode"), look.depthMode ? 1 : 0);
    gl.uniform3fv(at("u_background"), look.background);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  /** What the vertex shader makes of every Gaussian, for tests: Float32Array (N, 11), centre x and y in pixels, z-depth,
   *  opacity, covariance xx, xy, yy, visible, and the colour. */
  probe(view, time) {
    const gl = this.gl, floats = 11;
    const vertex = this.source("splat.vert").trim().replace("#version 300 es", "#version 300 es\n#define PROBE");
    const fragment = "#version 300 es\nvoid main() {}";
    const probe = this.program(vertex, fragment, ["v_mean_depth", "v_covariance", "v_color"]);
    this.bindScene(probe, view, time, { depthMode: false, depthRange: [0, 1] });
    const buffer = gl.createBuffer();
    gl.bindBuffer(gl.TRANSFORM_FEEDBACK_BUFFER, buffer);
    gl.bufferData(gl.TRANSFORM_FEEDBACK_BUFFER, this.scene.count * floats * 4, gl.STREAM_READ);
    gl.bindBufferBase(gl.TRANSFORM_FEEDBACK_BUFFER, 0, buffer);
    gl.enable(gl.RASTERIZER_DISCARD);
    gl.beginTransformFeedback(gl.POINTS);
    gl.drawArrays(gl.POINTS, 0, this.scene.count);
    gl.endTransformFeedback();
    gl.disable(gl.RASTERIZER_DISCARD);
    const out = new Float32Array(this.scene.count * floats);
    gl.getBufferSubData(gl.TRANSFORM_FEEDBACK_BUFFER, 0, out);
    gl.bindBufferBase(gl.TRANSFORM_FEEDBACK_BUFFER, 0, null);
    gl.deleteBuffer(buffer);
    gl.deleteProgram(probe.program);
    return out;
  }
}
