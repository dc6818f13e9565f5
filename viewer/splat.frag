#version 300 es
// One Gaussian at one pixel, premultiplied; blending back to front does the rest.
precision highp float;
in vec2 v_offset;
flat in vec4 v_value;
out vec4 color;

void main() {
  float alpha = min(0.999, v_value.a * exp(-0.5 * dot(v_offset, v_offset)));
  if (alpha < 1.0 / 255.0) discard;
  color = vec4(v_value.rgb * alpha, alpha);
}
