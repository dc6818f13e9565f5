// Photometric and depth losses with their image gradients in one pass.
#pragma once
#include "buffer_pool.h"
#include "cpu/simd.h"
#include "kernels.h"
#include "parallel.h"

namespace endogs::ENDOGS_ISA {

constexpr int kRowsPerChunk = 8;

// Colour: sum over pixels and channels of weight x |C - target|, and of its square for the PSNR. Depth: sum of
// weight x |alpha / Z - 1 / target| with Z the accumulated z, that is, of the inverse of z divided by alpha.
inline LossTerms pixel_loss(const float* planes, const unsigned char* target, const unsigned char* color_weight,
                            const float* depth_target, const unsigned char* depth_weight, int width, int height,
                            float color_scale, float depth_scale, float* planes_grad) {
    const int chunks = (height + kRowsPerChunk - 1) / kRowsPerChunk;
    const std::size_t pixels = static_cast<std::size_t>(width) * height;
    constexpr float kByte = 1.0f / 255.0f;
    Buffer parts_buffer(sizeof(LossTerms) * (chunks + 1));
    LossTerms* parts = static_cast<LossTerms*>(parts_buffer.memory);
    auto rows = [&](int chunk) {
        LossTerms terms{};
        for (int y = chunk * kRowsPerChunk; y < (chunk + 1) * kRowsPerChunk && y < height; ++y) {
            const std::size_t row = static_cast<std::size_t>(y) * width;
            const unsigned char *weights = color_weight + row, *colors = target + 3 * row;
            float absolute = 0, squared = 0, depth = 0;
            for (int ch = 0; ch < 3; ++ch) {
                const float* drawn = planes + ch * pixels + row;
                float* grad = planes_grad + ch * pixels + row;
                for (int x = 0; x < width; ++x) {
                    const float weight = static_cast<float>(weights[x]) * kByte;
                    const float error = drawn[x] - static_cast<float>(colors[3 * x + ch]) * kByte;
                    absolute += weight * __builtin_fabsf(error);
                    squared += weight * error * error;
                    grad[x] = (error > 0 ? 1.0f : error < 0 ? -1.0f : 0.0f) * weight * color_scale;
                }
            }
            float *z_grad = planes_grad + 3 * pixels + row, *alpha_grad = planes_grad + 4 * pixels + row;
            if (depth_weight) {
                const float *z = planes + 3 * pixels + row, *alpha = planes + 4 * pixels + row;
                for (int x = 0; x < width; ++x) {  // thinly covered pixels do not know their depth yet
                    const bool known = alpha[x] > 0.5f && z[x] > 0 && depth_target[row + x] > 0;
                    const float weight = known ? static_cast<float>(depth_weight[row + x]) * kByte : 0.0f;
                    const float inverse = 1.0f / (known ? z[x] : 1.0f);
                    const float error = alpha[x] * inverse - 1.0f / (known ? depth_target[row + x] : 1.0f);
                    depth += weight * __builtin_fabsf(error);
                    const float slope =
                        (error > 0 ? 1.0f : error < 0 ? -1.0f : 0.0f) * weight * depth_scale * inverse;
                    z_grad[x] = -slope * alpha[x] * inverse;
                    alpha_grad[x] = slope;
                }
            } else {
                __builtin_memset(z_grad, 0, sizeof(float) * width);
                __builtin_memset(alpha_grad, 0, sizeof(float) * width);
            }
            terms.absolute += absolute;
            terms.squared += squared;
            terms.depth += depth;
        }
        parts[chunk] = terms;
    };
    parallel_for(chunks, rows);
    LossTerms total{};
    for (int chunk = 0; chunk < chunks; ++chunk) {
        total.absolute += parts[chunk].absolute;
        total.squared += parts[chunk].squared;
        total.depth += parts[chunk].depth;
    }
    return total;
}

// The 11-tap Gaussian of sigma 1.5 of Wang et al., "Image Quality Assessment: From Error Visibility to Structural
// Similarity" (2004), with zeros beyond the border.
constexpr int kTaps = 11, kReach = 5;
constexpr float kWindow[kTaps] = {1.0283801e-3f, 7.5987582e-3f, 3.6000773e-2f, 1.0936069e-1f, 2.1300553e-1f,
                                  2.6601172e-1f, 2.1300553e-1f, 1.0936069e-1f, 3.6000773e-2f, 7.5987582e-3f,
                                  1.0283801e-3f};
constexpr float kC1 = 1e-4f, kC2 = 9e-4f;

// Rows are kept with kReach zeros on both sides and rounded up to whole vectors, so that no tap needs a bounds check.
inline std::size_t padded_width(int width) {
    constexpr std::size_t margins = (2 * kReach + kLanes - 1) / kLanes * kLanes;
    return (static_cast<std::size_t>(width) + kLanes - 1) / kLanes * kLanes + margins;
}

inline std::size_t ssim_scratch_floats(int width, int height) { return 3 * padded_width(width) * height; }

ENDOGS_INLINE void blur_row(const float* padded, int width, float* out) {
    for (int x = 0; x < width; x += kLanes) {
        vf value(0.0f);
        for (int tap = 0; tap < kTaps; ++tap) value = fma(vf(kWindow[tap]), loadu(padded + x + tap), value);
        store(out + x, value);
    }
}

// Vertical first (on whole rows, straight from the images), then horizontal on the padded result.
inline double ssim_loss(const float* planes, const unsigned char* target, const unsigned char* color_weight, int width,
                        int height, float scale, float* scratch, float* planes_grad) {
    const std::size_t pixels = static_cast<std::size_t>(width) * height, stride = padded_width(width);
    const int chunks = (height + kRowsPerChunk - 1) / kRowsPerChunk;
    Buffer parts_buffer(sizeof(double) * (chunks + 1));
    double* parts = static_cast<double*>(parts_buffer.memory);
    double total = 0;
    for (int ch = 0; ch < 3; ++ch) {
        const float* image = planes + ch * pixels;
        float* by_mean = scratch;                    // dSSIM/d(window mean of x), weighted
        float* by_square = scratch + stride * height;       // d/d(window mean of x^2)
        float* by_product = scratch + 2 * stride * height;  // d/d(window mean of x y)
        auto statistics = [&](int chunk) {
            Buffer rows_buffer(sizeof(float) * stride * 10);
            float* rows = static_cast<float*>(rows_buffer.memory);
            double loss = 0;
            const int y_end = (chunk + 1) * kRowsPerChunk < height ? (chunk + 1) * kRowsPerChunk : height;
            for (int y = chunk * kRowsPerChunk; y < y_end; ++y) {
                __builtin_memset(rows, 0, sizeof(float) * stride * 5);
                float *mx = rows + kReach, *my = mx + stride, *mxx = my + stride, *myy = mxx + stride,
                      *mxy = myy + stride;
                for (int tap = 0; tap < kTaps; ++tap) {
                    const int source = y + tap - kReach;
                    if (source < 0 || source >= height) continue;
                    const float k = kWindow[tap];
                    const float* a = image + static_cast<std::size_t>(source) * width;
                    const unsigned char* w = color_weight + static_cast<std::size_t>(source) * width;
                    const unsigned char* t = target + static_cast<std::size_t>(source) * width * 3 + ch;
                    for (int x = 0; x < width; ++x) {  // both images are zero where the weight is
                        const float seen = static_cast<float>(w[x] > 0);
                        const float p = a[x] * seen, q = static_cast<float>(t[3 * x]) * (1.0f / 255.0f) * seen;
                        mx[x] += k * p;
                        my[x] += k * q;
                        mxx[x] += k * p * p;
                        myy[x] += k * q * q;
                        mxy[x] += k * p * q;
                    }
                }
                float* blurred = rows + stride * 5;
                for (int m = 0; m < 5; ++m) blur_row(rows + m * stride, width, blurred + m * stride);
                float* out_mean = by_mean + y * stride;
                float* out_square = by_square + y * stride;
                float* out_product = by_product + y * stride;
                const unsigned char* w = color_weight + static_cast<std::size_t>(y) * width;
                float row_loss = 0;
                for (int x = 0; x < width; ++x) {
                    const float p = blurred[x], q = blurred[stride + x];
                    const float pp = blurred[2 * stride + x] - p * p, qq = blurred[3 * stride + x] - q * q,
                                pq = blurred[4 * stride + x] - p * q;
                    const float a1 = 2 * p * q + kC1, a2 = 2 * pq + kC2, b1 = p * p + q * q + kC1, b2 = pp + qq + kC2;
                    const float inverse = 1.0f / (b1 * b2), ssim = a1 * a2 * inverse;
                    const float seen = static_cast<float>(w[x] > 0);
                    row_loss += seen * (1.0f - ssim);
                    const float k = -seen * scale;
                    // through the variance and the covariance, and through the means inside them
                    const float d_square = -ssim / b2 * k, d_product = 2 * a1 * inverse * k;
                    const float d_mean = (2 * q * a2 * inverse - 2 * p * ssim / b1) * k;
                    out_mean[x] = d_mean - 2 * p * d_square - q * d_product;
                    out_square[x] = d_square;
                    out_product[x] = d_product;
                }
                loss += row_loss;
            }
            parts[chunk] = loss;
        };
        parallel_for(chunks, statistics);
        for (int chunk = 0; chunk < chunks; ++chunk) total += parts[chunk];

        auto spread = [&](int chunk) {  // the window is symmetric: its adjoint is the same blur
            Buffer rows_buffer(sizeof(float) * stride * 6);
            float* rows = static_cast<float*>(rows_buffer.memory);
            const int y_end = (chunk + 1) * kRowsPerChunk < height ? (chunk + 1) * kRowsPerChunk : height;
            for (int y = chunk * kRowsPerChunk; y < y_end; ++y) {
                __builtin_memset(rows, 0, sizeof(float) * stride * 3);
                for (int tap = 0; tap < kTaps; ++tap) {
                    const int source = y + tap - kReach;
                    if (source < 0 || source >= height) continue;
                    const float k = kWindow[tap];
                    for (int m = 0; m < 3; ++m) {
                        const float* in = scratch + (static_cast<std::size_t>(m) * height + source) * stride;
                        float* out = rows + m * stride + kReach;
                        for (int x = 0; x < width; ++x) out[x] += k * in[x];
                    }
                }
                float* blurred = rows + stride * 3;
                for (int m = 0; m < 3; ++m) blur_row(rows + m * stride, width, blurred + m * stride);
                const std::size_t at = static_cast<std::size_t>(y) * width;
                for (int x = 0; x < width; ++x) {
                    const float w = static_cast<float>(color_weight[at + x] > 0), p = image[at + x] * w;
                    const float q = static_cast<float>(target[3 * (at + x) + ch]) * (1.0f / 255.0f) * w;
                    planes_grad[ch * pixels + at + x] +=
                        w * (blurred[x] + 2 * p * blurred[stride + x] + q * blurred[2 * stride + x]);
                }
            }
        };
        parallel_for(chunks, spread);
    }
    return total;
}

}  // namespace endogs::ENDOGS_ISA
