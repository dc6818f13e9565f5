// Aligning a frame with a picture of the map: one pixel of the Gauss-Newton system, for the CPU kernels and for CUDA.
//
// The picture's pixels are points before its camera, with a luma and its slopes along x/z and y/z. A point's residual is
// frame(project(motion point)) - gain luma - bias; by a small turn and shift of the points, a gain and a bias it has the
// derivatives of the picture (inverse compositional: S. Baker, I. Matthews, "Lucas-Kanade 20 years on", 2004).
#pragma once
#include "host_device.h"
#ifndef ENDOGS_ISA
#include "scalar.h"
#endif

namespace endogs {

constexpr int kUnknowns = 8;                                      // turn (3), shift (3), gain, bias
constexpr int kUpper = kUnknowns * (kUnknowns + 1) / 2;           // of the symmetric matrix, row by row
constexpr int kAlignSums = kUpper + kUnknowns + 1;                // the matrix, the gradient, the weights
constexpr float kNearestPoint = 1e-6f;                            // z below which nothing is projected

struct AlignView {
    float motion[12];  // the first three rows of the rigid motion, row by row
    float fx, fy, cx, cy;
    float gain, bias;
    float inverse_cut;  // of the residual from which on weights are 0
    int width, height;
};

}  // namespace endogs

namespace ENDOGS_MATH {

template <class F>
struct AlignPoint {
    F x, y, z, luma, slope_x, slope_y;
};

// Where a point falls in the frame, in pixels whose centres are whole numbers; `inside` is 1 where four pixels surround
// it, else 0, and the place is then one that can be read.
template <class F>
struct Landing {
    F u, v, inside;
};

template <class F>
ENDOGS_HD Landing<F> land(const AlignPoint<F>& p, const AlignView& view) {
    const float* m = view.motion;
    const F x = fma(F(m[0]), p.x, fma(F(m[1]), p.y, fma(F(m[2]), p.z, F(m[3]))));
    const F y = fma(F(m[4]), p.x, fma(F(m[5]), p.y, fma(F(m[6]), p.z, F(m[7]))));
    const F z = fma(F(m[8]), p.x, fma(F(m[9]), p.y, fma(F(m[10]), p.z, F(m[11]))));
    const F inverse = F(1.0f) / max(z, F(kNearestPoint));
    const F u = fma(F(view.fx), x * inverse, F(view.cx - 0.5f)), v = fma(F(view.fy), y * inverse, F(view.cy - 0.5f));
    const F one(1.0f);
    F inside = keep(z > F(kNearestPoint), one);
    inside = keep(u >= F(0.0f), inside);
    inside = keep(v >= F(0.0f), inside);
    inside = keep(F(static_cast<float>(view.width - 1)) > u, inside);
    inside = keep(F(static_cast<float>(view.height - 1)) > v, inside);
    const auto counts = inside > F(0.5f);
    return {keep(counts, u), keep(counts, v), inside};
}

// The frame at a place inside it, between four pixels.
ENDOGS_HD float between_pixels(const float* frame, int width, float u, float v) {
    const int column = static_cast<int>(u), row = static_cast<int>(v);
    const float a = u - static_cast<float>(column), b = v - static_cast<float>(row);
    const float* at = frame + static_cast<long long>(row) * width + column;
    const float upper = at[0] + a * (at[1] - at[0]), lower = at[width] + a * (at[width + 1] - at[width]);
    return upper + b * (lower - upper);
}

// The residual, its derivatives, and Tukey's biweight, which is 0 outside the frame.
template <class F>
struct AlignRow {
    F by[kUnknowns];
    F residual, weight;
};

template <class F>
ENDOGS_HD AlignRow<F> align_row(const AlignPoint<F>& p, F frame, F inside, const AlignView& view) {
    AlignRow<F> row;
    row.residual = frame - F(view.gain) * p.luma - F(view.bias);
    const F relative = row.residual * F(view.inverse_cut);
    const F rest = max(F(1.0f) - relative * relative, F(0.0f));
    row.weight = inside * rest * rest;
    const F scale = F(-view.gain) / p.z;
    const F x = p.slope_x * scale, y = p.slope_y * scale;
    const F z = -(x * p.x + y * p.y) / p.z;
    row.by[0] = p.y * z - p.z * y;
    row.by[1] = p.z * x - p.x * z;
    row.by[2] = p.x * y - p.y * x;
    row.by[3] = x;
    row.by[4] = y;
    row.by[5] = z;
    row.by[6] = -p.luma;
    row.by[7] = F(-1.0f);
    return row;
}

}  // namespace ENDOGS_MATH
