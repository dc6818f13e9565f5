// Photometric and depth losses with their image gradients in one pass.
#pragma once
#include "buffer_pool.h"
#include "cpu/simd.h"
#include "kernels.h"
#include "parallel.h"

namespace endogs::ENDOGS_ISA {

constexpr int kRowsPerChunk = 8;

// color: sum over pixels of weight x |C - target| over the three channels; its gradient is scaled by color_scale.
// depth: sum of weight x |alpha / Z - target|, with Z the accumulated depth, so that alpha / Z is the inverse of the
// depth divided by alpha; scaled by depth_scale.
inline LossTerms pixel_loss(const float* planes, const unsigned char* target, const float* color_weight,
                            const float* inverse_depth_target, const float* depth_weight, int width, int height,
                            float color_scale, float depth_scale, float* planes_grad) {
    const int chunks = (height + kRowsPerChunk - 1) / kRowsPerChunk;
    const std::size_t pixels = static_cast<std::size_t>(width) * height;
    Buffer parts_buffer(sizeof(LossTerms) * (chunks + 1));
    LossTerms* parts = static_cast<LossTerms*>(parts_buffer.memory);
    auto rows = [&](int chunk) {
        const std::size_t begin = static_cast<std::size_t>(chunk) * kRowsPerChunk * width;
        std::size_t end = begin + static_cast<std::size_t>(kRowsPerChunk) * width;
        if (end > pixels) end = pixels;
        float color = 0, depth = 0, color_sum = 0, depth_sum = 0;
        for (std::size_t i = begin; i < end; ++i) {
            const float weight = color_weight[i];
            color_sum += weight;
            for (int ch = 0; ch < 3; ++ch) {
                const float error = planes[ch * pixels + i] - static_cast<float>(target[3 * i + ch]) * (1.0f / 255.0f);
                color += weight * __builtin_fabsf(error);
                const float sign = error > 0 ? 1.0f : error < 0 ? -1.0f : 0.0f;
                planes_grad[ch * pixels + i] = sign * weight * color_scale;
            }
        }
        if (depth_weight) {
            for (std::size_t i = begin; i < end; ++i) {
                const float z = planes[3 * pixels + i], alpha = planes[4 * pixels + i];
                const bool known = depth_weight[i] > 0 && alpha > 0.05f && z > 0;
                const float weight = known ? depth_weight[i] : 0.0f, inverse = known ? 1.0f / z : 0.0f;
                const float error = alpha * inverse - inverse_depth_target[i];
                depth += weight * __builtin_fabsf(error);
                depth_sum += weight;
                const float slope = (error > 0 ? 1.0f : error < 0 ? -1.0f : 0.0f) * weight * depth_scale * inverse;
                planes_grad[3 * pixels + i] = -slope * alpha * inverse;
                planes_grad[4 * pixels + i] = slope;
            }
        } else {
            __builtin_memset(planes_grad + 3 * pixels + begin, 0, sizeof(float) * (end - begin));
            __builtin_memset(planes_grad + 4 * pixels + begin, 0, sizeof(float) * (end - begin));
        }
        parts[chunk] = LossTerms{color, 0.0, depth, color_sum, depth_sum};
    };
    parallel_for(chunks, rows);
    LossTerms total{};
    for (int chunk = 0; chunk < chunks; ++chunk) {
        total.color += parts[chunk].color;
        total.depth += parts[chunk].depth;
        total.color_weight_sum += parts[chunk].color_weight_sum;
        total.depth_weight_sum += parts[chunk].depth_weight_sum;
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
    return (static_cast<std::size_t>(width) + kLanes - 1) / kLanes * kLanes + 2 * kLanes;
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
inline double ssim_loss(const float* planes, const unsigned char* target, const float* color_weight, int width,
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
                    const float* w = color_weight + static_cast<std::size_t>(source) * width;
                    const unsigned char* t = target + static_cast<std::size_t>(source) * width * 3 + ch;
                    for (int x = 0; x < width; ++x) {  // both images are seen through the weights: zero where masked
                        const float p = a[x] * w[x], q = static_cast<float>(t[3 * x]) * (1.0f / 255.0f) * w[x];
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
                const float* w = color_weight + static_cast<std::size_t>(y) * width;
                float row_loss = 0;
                for (int x = 0; x < width; ++x) {
                    const float p = blurred[x], q = blurred[stride + x];
                    const float pp = blurred[2 * stride + x] - p * p, qq = blurred[3 * stride + x] - q * q,
                                pq = blurred[4 * stride + x] - p * q;
                    const float a1 = 2 * p * q + kC1, a2 = 2 * pq + kC2, b1 = p * p + q * q + kC1, b2 = pp + qq + kC2;
                    const float inverse = 1.0f / (b1 * b2), ssim = a1 * a2 * inverse;
                    row_loss += w[x] * (1.0f - ssim);
                    const float k = -w[x] * scale;
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
                    const float w = color_weight[at + x], p = image[at + x] * w;
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
