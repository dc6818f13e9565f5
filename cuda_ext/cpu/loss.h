// Photometric and depth losses with their image gradients in one pass.
#pragma once
#include "buffer_pool.h"
#include "cpu/simd.h"
#include "kernels.h"
#include "parallel.h"

namespace endogs::ENDOGS_ISA {

constexpr int kRowsPerChunk = 8;

// Scratch memory of one chunk of rows, in floats.
struct Rows {
    Buffer buffer;
    float* at;
    ENDOGS_INLINE explicit Rows(std::size_t floats) : buffer(sizeof(float) * floats), at(static_cast<float*>(buffer.memory)) {}
};

inline std::size_t whole_vectors(std::size_t width) { return (width + kLanes - 1) / kLanes * kLanes; }

// Colour: sum over pixels and channels of weight x |C - target|, and of its square for the PSNR. Depth: sum of
// weight x |alpha / Z - 1 / target| with Z the accumulated z, that is, of the inverse of z divided by alpha.
inline LossTerms pixel_loss(const float* planes, const unsigned char* target, const unsigned char* color_weight,
                            const float* depth_target, const unsigned char* depth_weight, int width, int height,
                            float color_scale, float depth_scale, float* planes_grad) {
    const int chunks = (height + kRowsPerChunk - 1) / kRowsPerChunk;
    const std::size_t pixels = static_cast<std::size_t>(width) * height, padded = whole_vectors(width);
    Buffer parts_buffer(sizeof(LossTerms) * (chunks + 1));
    LossTerms* parts = static_cast<LossTerms*>(parts_buffer.memory);
    auto rows = [&](int chunk) {
        LossTerms terms{};
        const Rows scratch(4 * padded);  // the target's three channels and the weight, as whole vectors of floats
        float *truth = scratch.at, *weights = scratch.at + 3 * padded;
        __builtin_memset(scratch.at, 0, sizeof(float) * 4 * padded);
        for (int y = chunk * kRowsPerChunk; y < (chunk + 1) * kRowsPerChunk && y < height; ++y) {
            const std::size_t row = static_cast<std::size_t>(y) * width;
            for (int x = 0; x < width; ++x) {
                weights[x] = static_cast<float>(color_weight[row + x]) * kByte;
                for (int ch = 0; ch < 3; ++ch)
                    truth[ch * padded + x] = static_cast<float>(target[3 * (row + x) + ch]) * kByte;
            }
            vf absolute(0.0f), squared(0.0f);
            for (int ch = 0; ch < 3; ++ch) {
                const float *drawn = planes + ch * pixels + row, *wanted = truth + ch * padded;
                float* grad = planes_grad + ch * pixels + row;
                auto compare = [&](vf color, int x) {
                    const vf weight = load(weights + x), error = color - load(wanted + x);
                    absolute = fma(weight, abs(error), absolute);
                    squared = fma(weight * error, error, squared);
                    return absolute_slope(error, weight * vf(color_scale));
                };
                int x = 0;
                for (; x + kLanes <= width; x += kLanes) storeu(grad + x, compare(loadu(drawn + x), x));
                if (x < width) {
                    alignas(64) float rest[kLanes] = {};
                    __builtin_memcpy(rest, drawn + x, sizeof(float) * (width - x));
                    store(rest, compare(load(rest), x));
                    __builtin_memcpy(grad + x, rest, sizeof(float) * (width - x));
                }
            }
            terms.absolute += sum(absolute);
            terms.squared += sum(squared);
            float *z_grad = planes_grad + 3 * pixels + row, *alpha_grad = planes_grad + 4 * pixels + row;
            if (!depth_weight) {
                __builtin_memset(z_grad, 0, sizeof(float) * width);
                __builtin_memset(alpha_grad, 0, sizeof(float) * width);
                continue;
            }
            const float *z = planes + 3 * pixels + row, *alpha = planes + 4 * pixels + row;
            float depth = 0;
            for (int x = 0; x < width; ++x) {
                const float weight = static_cast<float>(depth_weight[row + x]) * kByte;
                const InverseDepthTerm term = inverse_depth_term(z[x], alpha[x], depth_target[row + x]);
                depth += weight * term.error;
                z_grad[x] = weight * depth_scale * term.by_z;
                alpha_grad[x] = weight * depth_scale * term.by_alpha;
            }
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

// Zeros beyond the border.
constexpr float kWindow[kTaps] = ENDOGS_SSIM_WINDOW;
constexpr int kMargin = 16;  // zeros on both sides of a row: no tap needs a bounds check, and rows stay aligned
static_assert(kMargin >= kReach && kMargin % kLanes == 0);

inline std::size_t row_stride(int width) { return whole_vectors(width) + 2 * kMargin; }

inline std::size_t ssim_scratch_floats(int width, int height) { return 5 * row_stride(width) * height; }

// The window's horizontal pass over one row with margins.
ENDOGS_INLINE void blur_row(const float* row, std::size_t stride, float* out) {
    for (std::size_t x = kMargin; x < stride - kMargin; x += kLanes) {
        vf value(0.0f);
        for (int tap = 0; tap < kTaps; ++tap) value = fma(vf(kWindow[tap]), loadu(row + x + tap - kReach), value);
        store(out + x, value);
    }
}

// One channel: what its kernels need between passes. Planes are rows of row_stride floats whose margins are zero.
struct SsimPlanes {
    std::size_t stride;
    int width, height;
    float *x, *y;                               // both images, zero where the weight is
    float *by_mean, *by_square, *by_product;    // scaled derivatives by the window means of x, x^2 and x y

    SsimPlanes(float* scratch, int width, int height) : stride(row_stride(width)), width(width), height(height) {
        const std::size_t plane = stride * height;
        x = scratch;
        y = x + plane;
        by_mean = y + plane;
        by_square = by_mean + plane;
        by_product = by_square + plane;
    }

    // Fills x and y in row `row`, and clears everything the other passes leave alone.
    void fill(int row, const float* image, const unsigned char* target, const unsigned char* weight, int channel) {
        const std::size_t at = row * stride, pixel = static_cast<std::size_t>(row) * width;
        float* const planes[] = {x, y, by_mean, by_square, by_product};
        for (float* plane : planes)
            __builtin_memset(plane + at, 0, sizeof(float) * stride);
        for (int i = 0; i < width; ++i) {
            const float seen = static_cast<float>(weight[pixel + i] > 0);
            x[at + kMargin + i] = image[pixel + i] * seen;
            y[at + kMargin + i] = static_cast<float>(target[3 * (pixel + i) + channel]) * (1.0f / 255.0f) * seen;
        }
    }

    // Window statistics of row `row`, its weighted dissimilarity, and the three derivatives.
    float compare(int row, const unsigned char* weight, float scale, float* rows) {
        const int first = row < kReach ? -row : -kReach, last = row + kReach < height ? kReach : height - 1 - row;
        float *mx = rows, *my = mx + stride, *mxx = my + stride, *myy = mxx + stride, *mxy = myy + stride;
        float* blurred = rows + 5 * stride;
        for (std::size_t i = 0; i < stride; i += kLanes) {
            vf sx(0.0f), sy(0.0f), sxx(0.0f), syy(0.0f), sxy(0.0f);
            for (int tap = first; tap <= last; ++tap) {
                const vf k(kWindow[tap + kReach]), a = load(x + (row + tap) * static_cast<int64_t>(stride) + i),
                    b = load(y + (row + tap) * static_cast<int64_t>(stride) + i), ka = k * a, kb = k * b;
                sx += ka;
                sy += kb;
                sxx = fma(ka, a, sxx);
                syy = fma(kb, b, syy);
                sxy = fma(ka, b, sxy);
            }
            store(mx + i, sx);
            store(my + i, sy);
            store(mxx + i, sxx);
            store(myy + i, syy);
            store(mxy + i, sxy);
        }
        for (int m = 0; m < 5; ++m) blur_row(rows + m * stride, stride, blurred + m * stride);
        const std::size_t at = row * stride, pixel = static_cast<std::size_t>(row) * width;
        float loss = 0;
        for (int column = 0; column < width; ++column) {
            const std::size_t i = kMargin + column;
            const float seen = static_cast<float>(weight[pixel + column]) * (1.0f / 255.0f);
            const SsimTerm term = ssim_term(blurred[i], blurred[stride + i], blurred[2 * stride + i],
                                            blurred[3 * stride + i], blurred[4 * stride + i]);
            loss += seen * (1.0f - term.ssim);
            const float k = -seen * scale;
            by_mean[at + i] = term.by_mean * k;
            by_square[at + i] = term.by_square * k;
            by_product[at + i] = term.by_product * k;
        }
        return loss;
    }

    // The window is symmetric, so its adjoint is the same blur: the image gradient of row `row`.
    void spread(int row, const unsigned char* weight, float* grad, float* rows) const {
        const int first = row < kReach ? -row : -kReach, last = row + kReach < height ? kReach : height - 1 - row;
        float* blurred = rows + 3 * stride;
        const float* derivatives[3] = {by_mean, by_square, by_product};
        for (int m = 0; m < 3; ++m) {
            for (std::size_t i = 0; i < stride; i += kLanes) {
                vf value(0.0f);
                for (int tap = first; tap <= last; ++tap)
                    value = fma(vf(kWindow[tap + kReach]),
                                load(derivatives[m] + (row + tap) * static_cast<int64_t>(stride) + i), value);
                store(rows + m * stride + i, value);
            }
            blur_row(rows + m * stride, stride, blurred + m * stride);
        }
        const std::size_t at = row * stride, pixel = static_cast<std::size_t>(row) * width;
        for (int column = 0; column < width; ++column) {
            const std::size_t i = kMargin + column;
            const float seen = static_cast<float>(weight[pixel + column] > 0);
            grad[pixel + column] += seen * (blurred[i] + 2 * x[at + i] * blurred[stride + i] +
                                            y[at + i] * blurred[2 * stride + i]);
        }
    }
};

inline double ssim_loss(const float* planes, const unsigned char* target, const unsigned char* color_weight, int width,
                        int height, float scale, float* scratch, float* planes_grad) {
    const std::size_t pixels = static_cast<std::size_t>(width) * height;
    const int chunks = (height + kRowsPerChunk - 1) / kRowsPerChunk;
    Buffer parts_buffer(sizeof(double) * (chunks + 1));
    double* parts = static_cast<double*>(parts_buffer.memory);
    SsimPlanes work(scratch, width, height);
    auto each_row = [&](int chunk, auto&& body) {
        for (int row = chunk * kRowsPerChunk; row < (chunk + 1) * kRowsPerChunk && row < height; ++row) body(row);
    };
    double total = 0;
    for (int ch = 0; ch < 3; ++ch) {
        auto fill = [&](int chunk) {
            each_row(chunk, [&](int row) { work.fill(row, planes + ch * pixels, target, color_weight, ch); });
        };
        auto compare = [&](int chunk) {
            const Rows rows(10 * work.stride);
            double loss = 0;
            each_row(chunk, [&](int row) { loss += work.compare(row, color_weight, scale, rows.at); });
            parts[chunk] = loss;
        };
        auto spread = [&](int chunk) {
            const Rows rows(6 * work.stride);
            each_row(chunk, [&](int row) { work.spread(row, color_weight, planes_grad + ch * pixels, rows.at); });
        };
        parallel_for(chunks, fill);
        parallel_for(chunks, compare);
        parallel_for(chunks, spread);
        for (int chunk = 0; chunk < chunks; ++chunk) total += parts[chunk];
    }
    return total;
}

}  // namespace endogs::ENDOGS_ISA
