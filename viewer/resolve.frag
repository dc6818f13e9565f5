#version 300 es
// What was accumulated, over the background: colours as they are, or depth divided by
// alpha and coloured where enough light is stopped to speak of one.
precision highp float;
precision highp sampler2D;
uniform sampler2D u_accumulated;
uniform sampler2D u_depth_colors;  // 256 x 1
uniform bool u_depth_mode;
uniform vec3 u_background;
out vec4 color;

void main() {
  vec4 sum = texelFetch(u_accumulated, ivec2(gl_FragCoord.xy), 0);
  vec3 shown = sum.rgb + (1.0 - sum.a) * u_background;
  if (u_depth_mode) {
    float level = clamp(sum.r / max(sum.a, 1e-6), 0.0, 1.0);
    vec3 depth = texelFetch(u_depth_colors, ivec2(int(level * 255.0 + 0.5), 0), 0).rgb;
    shown = mix(u_background, depth, smoothstep(0.2, 0.5, sum.a));
  }
  color = vec4(clamp(shown, 0.0, 1.0), 1.0);
}
