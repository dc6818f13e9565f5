// What a projected Gaussian does to pixels, and back: written once for float (CUDA) and for SIMD vectors.
//
// Per pixel, front to back, with T the light still passing: w_i = alpha_i T_i, C = sum_i w_i c_i, T_{i+1} = T_i - w_i.
// Backward, one more sweep front to back recomputes alpha and T. With v = dL/dC, q_i = v . c_i + dL/dalpha and
// S_i = sum_{j > i} w_j q_j (known at the start as v . C, then running down):
//     dL/dalpha_i = T_i q_i - S_i / (1 - alpha_i)
#pragma once
#include "projection_math.h"

namespace endogs {

constexpr int kTile = 16;  // pixels on a side
constexpr float kMinAlpha = 1.0f / 255.0f;
constexpr float kMaxAlpha = 0.999f;
constexpr float kLog2Of255 = 7.99435344f;
constexpr float kOpaque = 1e-4f;  // pixels that let less through than this need no more Gaussians

}  // namespace endogs

namespace ENDOGS_MATH {

// log2 of alpha at offset d from the mean is log2_opacity + a dx^2 + b dx dy + c dy^2.
template <class F>
struct SplatShape {
    F mean_x, mean_y, a, b, c, log2_opacity;
};

template <class F>
ENDOGS_HD F sigmoid(F x) {
    return F(1.0f) / (F(1.0f) + exp(-max(x, F(-80.0f))));
}

// The splat of a projected Gaussian, the tiles [x0, x1) x [y0, y1) that its box covers, and whether it is drawn.
template <class F>
ENDOGS_HD auto shape_splat(const Projected<F>& p, F logit, const CameraView& camera, int columns, int rows,
                           SplatShape<F>& s, F tiles[4]) {
    const F opacity = sigmoid(logit) * p.compensation;
    constexpr float half_log2e = 0.72134752f;
    s.mean_x = p.mean_x;
    s.mean_y = p.mean_y;
    s.a = p.conic_a * F(-half_log2e);
    s.b = p.conic_b * F(-2.0f * half_log2e);
    s.c = p.conic_c * F(-half_log2e);
    s.log2_opacity = log2(max(opacity, F(1e-30f)));
    // alpha >= 1/255 inside an ellipse of squared Mahalanobis radius 2 ln(255 opacity)
    const F reach = (s.log2_opacity + F(kLog2Of255)) * F(1.38629436f), zero(0.0f), one(1.0f), half(0.5f);
    const F radius_x = sqrt(max(reach, zero) * p.cov_x) + F(1e-3f);
    const F radius_y = sqrt(max(reach, zero) * p.cov_y) + F(1e-3f);
    const F inverse_tile(1.0f / kTile), columns_f(static_cast<float>(columns)), rows_f(static_cast<float>(rows));
    tiles[0] = floor(clamp_between((p.mean_x - radius_x - half) * inverse_tile, zero, columns_f));
    tiles[1] = floor(clamp_between((p.mean_y - radius_y - half) * inverse_tile, zero, rows_f));
    tiles[2] = floor(clamp_between((p.mean_x + radius_x - half) * inverse_tile + one, zero, columns_f));
    tiles[3] = floor(clamp_between((p.mean_y + radius_y - half) * inverse_tile + one, zero, rows_f));
    // Comparisons with a NaN are false: what is not finite is not drawn.
    return (p.z >= F(camera.near)) & (reach > zero) & (p.det > zero) & (F(3e38f) >= p.cov_x + p.cov_y) &
           (F(1e15f) >= abs(p.mean_x) + abs(p.mean_y));
}

// Whether alpha can reach 1/255 at a pixel centre of a rectangle: an exact ellipse test.
//
// The largest value of a concave quadratic over a rectangle is at its centre if that is inside, else on one of the two
// edges nearest to it; along such an edge it is at the stationary point, clamped to the edge.
template <class F>
struct Reach {
    F a, b, c, across, along, limit;
    ENDOGS_HD Reach(float a_, float b_, float c_, float log2_opacity)
        : a(a_), b(b_), c(c_), across(-0.5f * b_ / a_), along(-0.5f * b_ / c_),
          limit(-kLog2Of255 - log2_opacity - 0.01f) {}  // the slack is log2 alpha: rounding must never lose a pixel

    // The rectangle's first and last pixel centres, relative to the mean.
    ENDOGS_HD auto operator()(F x0, F y0, F x1, F y1) const {
        const F zero(0.0f);
        const F near_x = min(max(zero, x0), x1), near_y = min(max(zero, y0), y1);
        const F edge_y = min(max(along * near_x, y0), y1), edge_x = min(max(across * near_y, x0), x1);
        const F on_column = fma(near_x, fma(a, near_x, b * edge_y), c * edge_y * edge_y);
        const F on_row = fma(edge_x, fma(a, edge_x, b * near_y), c * near_y * near_y);
        return max(on_column, on_row) >= limit;
    }
};

// Opacity times the Gaussian, before the clamp and the threshold.
template <class F>
ENDOGS_HD F response_at(F a, F b, F c, F log2_opacity, F dx, F dy) {
    return exp2(fma(dx, fma(a, dx, b * dy), fma(c * dy, dy, log2_opacity)));
}

template <class F>
ENDOGS_HD F visible_alpha(F response) {
    const F alpha = min(response, F(kMaxAlpha));
    return keep(alpha >= F(kMinAlpha), alpha);
}

// One Gaussian at one pixel, backward: takes T and S past it, sets its weight and returns dL/d log(opacity).
template <class F>
ENDOGS_HD F blend_backward(F response, F q, F& through, F& behind, F& weight) {
    const F alpha = visible_alpha(response), passing = through;
    weight = alpha * passing;
    behind = fnma(weight, q, behind);
    through = passing - weight;
    const F by_alpha = fnma(behind, reciprocal(F(1.0f) - alpha), passing * q);
    return keep(F(kMaxAlpha) >= response, by_alpha * alpha);  // no gradient through a clamped alpha
}

// Sums over pixels, with w = dL/d log(opacity): w, w dx, w dy, w dx^2, w dx dy, w dy^2, then dL/dz apart.
template <class F>
ENDOGS_HD ProjectionGradient<F> gradient_of_sums(const Projected<F>& p, const F sums[6], F by_depth) {
    ProjectionGradient<F> g;
    g.mean_x = p.conic_a * sums[1] + p.conic_b * sums[2];
    g.mean_y = p.conic_b * sums[1] + p.conic_c * sums[2];
    g.conic_a = F(-0.5f) * sums[3];
    g.conic_b = -sums[4];
    g.conic_c = F(-0.5f) * sums[5];
    g.depth = by_depth;
    g.compensation = sums[0] / max(p.compensation, F(1e-12f));
    return g;
}

}  // namespace
