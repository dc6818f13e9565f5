#version 300 es
// A Gaussian at one time, projected to a quad: endogs/scene/deformation/spline.py and cuda_ext/projection_math.h, in GLSL.
// There is no vertex buffer: vertex 4 i + c is corner c of Gaussian i. Quads are not instanced, which some drivers do slowly.
precision highp float;
precision highp int;
precision highp sampler2D;
precision highp isampler2D;

uniform sampler2D u_base;      // four texels for each Gaussian, slots as in spline.js
uniform isampler2D u_control;  // four texels for each (control point, Gaussian)
uniform vec4 u_resolution[4];  // what one unit of u_control is worth
uniform int u_count;
uniform int u_knot;            // first active control point; -1: no deformation
uniform vec4 u_weights;
uniform mat3 u_rotation;       // world to camera, OpenCV axes
uniform vec3 u_translation;
uniform vec2 u_focal;          // pixels of the canvas
uniform vec2 u_centre;
uniform vec2 u_canvas;
uniform vec4 u_slopes;         // least x/z, greatest x/z, least y/z, greatest y/z that the linearization is trusted with
uniform float u_near;
uniform float u_low_pass;      // square pixels
uniform bool u_depth_mode;
uniform vec2 u_depth_range;

out vec2 v_offset;             // from the centre, in standard deviations along the quad's axes
flat out vec4 v_value;         // colour or (normalized depth, 0, 0), and opacity

#ifdef PROBE
out vec4 v_mean_depth;         // centre in pixels, z-depth, opacity
out vec4 v_covariance;         // xx, xy, yy; visible
out vec3 v_color;
#endif

const int ROW_BITS = 12;       // textures are 4096 texels wide
const float ALPHA_MIN = 1.0 / 255.0;

ivec2 address(int texel) {
  return ivec2(texel & ((1 << ROW_BITS) - 1), texel >> ROW_BITS);
}

vec4 valueOf(int gaussian, int part) {
  vec4 value = texelFetch(u_base, address(4 * gaussian + part), 0);
  if (u_knot < 0) return value;
  vec4 offset = vec4(0.0);
  for (int k = 0; k < 4; ++k) {
    int texel = 4 * ((u_knot + k) * u_count + gaussian) + part;
    offset += u_weights[k] * vec4(texelFetch(u_control, address(texel), 0));
  }
  return value + offset * u_resolution[part];
}

mat3 rotationOf(vec4 q) {  // wxyz, any length
  q /= max(length(q), 1e-12);
  float w = q.x, x = q.y, y = q.z, z = q.w;
  return mat3(  // columns
    1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y + w * z), 2.0 * (x * z - w * y),
    2.0 * (x * y - w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z + w * x),
    2.0 * (x * z + w * y), 2.0 * (y * z - w * x), 1.0 - 2.0 * (x * x + y * y));
}

void main() {
#ifdef PROBE
  int gaussian = gl_VertexID, corner = 0;
#else
  int gaussian = gl_VertexID >> 2, corner = gl_VertexID & 3;
#endif
  vec4 place = valueOf(gaussian, 0);
  vec3 seen = u_rotation * place.xyz + u_translation;
  float opacity = 1.0 / (1.0 + exp(-max(place.w, -80.0)));
  float z = max(seen.z, u_near);

  // U = J W R S, so that the covariance is U U^T + low-pass and its determinant has no cancelling terms.
  mat3 axes = u_rotation * rotationOf(valueOf(gaussian, 1));
  vec3 scale = exp(valueOf(gaussian, 2).xyz);
  vec2 slope = clamp(seen.xy / z, u_slopes.xz, u_slopes.yw);
  vec3 depths = vec3(axes[0].z, axes[1].z, axes[2].z);
  vec3 u = u_focal.x / z * (vec3(axes[0].x, axes[1].x, axes[2].x) - slope.x * depths) * scale;
  vec3 v = u_focal.y / z * (vec3(axes[0].y, axes[1].y, axes[2].y) - slope.y * depths) * scale;
  vec3 area = cross(u, v);
  float sharp_x = dot(u, u), sharp_y = dot(v, v), xy = dot(u, v);
  float determinant = dot(area, area) + u_low_pass * (sharp_x + sharp_y) + u_low_pass * u_low_pass;
  float xx = sharp_x + u_low_pass, yy = sharp_y + u_low_pass;
  vec2 centre = u_focal * seen.xy / z + u_centre;

  // The quad lies along the ellipse's axes and ends where alpha falls below 1/255.
  float middle = 0.5 * (xx + yy);
  float longest = middle + length(vec2(0.5 * (xx - yy), xy));
  float shortest = determinant / longest;
  vec2 along = xx >= yy ? vec2(longest - yy, xy) : vec2(xy, longest - xx);
  along = dot(along, along) > 1e-20 ? normalize(along) : vec2(1.0, 0.0);
  bool visible = seen.z >= u_near && opacity > ALPHA_MIN && determinant > 0.0 && longest < 1e9;
  float reach = sqrt(2.0 * log(max(opacity, ALPHA_MIN) / ALPHA_MIN));
  v_offset = reach * vec2((corner & 1) == 0 ? -1.0 : 1.0, (corner & 2) == 0 ? -1.0 : 1.0);
  vec2 pixel = centre + v_offset.x * sqrt(longest) * along + v_offset.y * sqrt(shortest) * vec2(-along.y, along.x);
  vec3 color = valueOf(gaussian, 3).xyz;
  float level = (seen.z - u_depth_range.x) / (u_depth_range.y - u_depth_range.x);
  v_value = vec4(u_depth_mode ? vec3(level, 0.0, 0.0) : color, opacity);
  vec2 clip = pixel / u_canvas * 2.0 - 1.0;
  gl_Position = visible ? vec4(clip.x, -clip.y, 0.0, 1.0) : vec4(2.0, 2.0, 2.0, 1.0);
#ifdef PROBE
  v_mean_depth = vec4(centre, seen.z, opacity);
  v_covariance = vec4(xx, xy, yy, visible ? 1.0 : 0.0);
  v_color = color;
#endif
}
