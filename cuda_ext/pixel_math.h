// The losses at one pixel and Adam at one number: written once for the CPU kernels and for CUDA.
#pragma once
#include "host_device.h"
#ifndef ENDOGS_ISA
#include "scalar.h"
#endif

namespace endogs {
constexpr float kByte = 1.0f / 255.0f;
constexpr float kC1 = 1e-4f, kC2 = 9e-4f;  // (0.01)^2 and (0.03)^2 of Wang et al. 2004
struct AdamCoefficients {
    float beta1, beta2, eps;
};
// Their 11-tap Gaussian window of sigma 1.5.
constexpr int kTaps = 11, kReach = 5;
#define ENDOGS_SSIM_WINDOW                                                                                        \
    {1.0283801e-3f, 7.5987582e-3f, 3.6000773e-2f, 1.0936069e-1f, 2.1300553e-1f, 2.6601172e-1f, 2.1300553e-1f, \
     1.0936069e-1f, 3.6000773e-2f, 7.5987582e-3f, 1.0283801e-3f}
}  // namespace endogs

namespace ENDOGS_MATH {

// The slope of |error|, times `slope`.
template <class F>
ENDOGS_HD F absolute_slope(F error, F slope) {
    return keep(error > F(0.0f), slope) - keep(F(0.0f) > error, slope);
}

// |alpha / Z - 1 / target| with Z the accumulated z, that is, of the inverse of z divided by alpha. Thinly covered
// pixels do not know their depth yet.
struct InverseDepthTerm {
    float error, by_z, by_alpha;
};
ENDOGS_HD InverseDepthTerm inverse_depth_term(float z, float alpha, float target) {
    if (!(alpha > 0.5f && z > 0 && target > 0)) return {0, 0, 0};
    const float inverse = 1.0f / z, error = alpha * inverse - 1.0f / target;
    const float slope = (error > 0 ? 1.0f : error < 0 ? -1.0f : 0.0f) * inverse;
    return {error < 0 ? -error : error, -slope * alpha * inverse, slope};
}

// Structural similarity from the window means of x, y, x^2, y^2 and xy, and its derivatives by those of x, x^2 and xy.
struct SsimTerm {
    float ssim, by_mean, by_square, by_product;
};
ENDOGS_HD SsimTerm ssim_term(float p, float q, float xx, float yy, float xy) {
    const float pp = xx - p * p, qq = yy - q * q, pq = xy - p * q;
    const float a1 = 2 * p * q + kC1, a2 = 2 * pq + kC2, b1 = p * p + q * q + kC1, b2 = pp + qq + kC2;
    const float inverse = 1.0f / (b1 * b2), ssim = a1 * a2 * inverse;
    // through the variance and the covariance, and through the means inside them
    const float by_square = -ssim * inverse * b1, by_product = 2 * a1 * inverse;
    const float by_mean = 2 * (q * a2 - p * ssim * b2) * inverse;
    return {ssim, by_mean - 2 * p * by_square - q * by_product, by_square, by_product};
}

// One step of one number; `rate` and `root` hold the bias corrections: lr / (1 - beta1^t) and 1 / sqrt(1 - beta2^t).
template <class F>
ENDOGS_HD F adam_update(F gradient, F& m, F& v, F parameter, F rate, F root, const AdamCoefficients& adam) {
    m = fma(F(adam.beta1), m, F(1.0f - adam.beta1) * gradient);
    v = fma(F(adam.beta2), v, F(1.0f - adam.beta2) * gradient * gradient);
    return parameter - rate * m / fma(sqrt(v), root, F(adam.eps));
}

}  // namespace
