// The losses and their image gradients. Sums are taken per block and added up in a fixed order, so that they repeat.
#include "cuda/launch.h"
#include "cuda/stages.h"

namespace endogs::cuda {
namespace {

constexpr int kBlock = 256;
constexpr int kResidualStride = 2;  // residuals are kept at every second pixel of every second row
constexpr float kCovered = 0.5f;    // alpha above which a pixel's depth counts

// The sums of `Count` numbers over a block, by thread 0.
template <int Count>
__device__ void add_up(const double (&values)[Count], double* out) {
    __shared__ double warps[kBlock / 32][Count];
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
#pragma unroll
    for (int k = 0; k < Count; ++k) {
        double total = values[k];
        for (int bit = 16; bit > 0; bit /= 2) total += __shfl_xor_sync(~0u, total, bit);
        if (lane == 0) warps[warp][k] = total;
    }
    __syncthreads();
    if (threadIdx.x < Count) {
        double total = 0;
        for (int w = 0; w < kBlock / 32; ++w) total += warps[w][threadIdx.x];
        out[threadIdx.x] = total;
    }
}

__global__ void __launch_bounds__(kBlock) compare_pixels(GaussianMemory memory, LossMemory loss, LossSettings settings,
                                                         Grid grid, const float* planes, float* planes_grad) {
    const ViewRecord& view = memory.current->view;
    const std::size_t pixels = grid.pixels(), at = static_cast<std::size_t>(blockIdx.x) * kBlock + threadIdx.x;
    double terms[5] = {};
    if (at < pixels) {
        const float weight = view.color_weight[at] * kByte, slope = weight * view.color_scale;
        const float z = planes[3 * pixels + at], alpha = planes[4 * pixels + at];
        float absolute = 0, squared = 0, by_z = 0, by_alpha = 0;
        for (int ch = 0; ch < 3; ++ch) {
            const float error = planes[ch * pixels + at] - view.image[3 * at + ch] * kByte;
            absolute += fabsf(error);
            squared = fma(error, error, squared);
            planes_grad[ch * pixels + at] = absolute_slope(error, slope);
        }
        terms[kAbsolute] = weight * absolute;
        terms[kSquared] = weight * squared;
        if (view.depth_mode == kMetricDepth) {
            const float known = view.depth_weight[at] * kByte;
            const InverseDepthTerm term = inverse_depth_term(z, alpha, view.depth_target[at]);
            terms[kDepthError] = known * term.error;
            by_z = known * view.depth_scale * term.by_z;
            by_alpha = known * view.depth_scale * term.by_alpha;
        }
        if (view.hidden) {
            const float hidden = view.hidden[at];
            terms[kThrough] = hidden * (1.0f - alpha);
            by_alpha -= hidden * view.hidden_scale;
        }
        planes_grad[3 * pixels + at] = by_z;
        planes_grad[4 * pixels + at] = by_alpha;
        const int x = at % grid.width, y = at / grid.width;
        if (settings.residual && view.frame >= 0 && x % kResidualStride == 0 && y % kResidualStride == 0) {
            const std::size_t wide = (grid.width + kResidualStride - 1) / kResidualStride;
            const std::size_t high = (grid.height + kResidualStride - 1) / kResidualStride;
            const std::size_t cell = (view.frame * high + y / kResidualStride) * wide + x / kResidualStride;
            const float residual = absolute * (1.0f / 3.0f) * weight, depth = z / max(alpha, 1e-6f);
            if (memory.progress->failure == 0 && residual + depth < 3e38f) {  // not of a step that will not count
                settings.residual[cell] = residual;
                settings.residual_depth[cell] = depth;
            }
        }
    }
    add_up(terms, loss.parts + blockIdx.x * kTerms);
}

// ---- D-SSIM: tiles of 16 x 16 pixels with a margin of the window's reach; the window is applied along rows, then
// along columns. One block per tile and colour channel.
constexpr int kSide = 16, kWide = kSide + 2 * kReach;
__constant__ float kWindowTaps[kTaps] = ENDOGS_SSIM_WINDOW;

__global__ void __launch_bounds__(kSide* kSide)
    ssim_statistics(GaussianMemory memory, LossMemory loss, Grid grid, const float* planes) {
    __shared__ float x[kWide][kWide + 1], y[kWide][kWide + 1], along[5][kWide][kSide + 1];
    const ViewRecord& view = memory.current->view;
    const std::size_t pixels = grid.pixels();
    const int channel = blockIdx.z, left = blockIdx.x * kSide, top = blockIdx.y * kSide;
    const int thread = threadIdx.x;
    for (int k = thread; k < kWide * kWide; k += kSide * kSide) {
        const int column = left + k % kWide - kReach, row = top + k / kWide - kReach;
        float drawn = 0, wanted = 0;
        if (column >= 0 && row >= 0 && column < grid.width && row < grid.height) {
            const std::size_t at = static_cast<std::size_t>(row) * grid.width + column;
            if (view.color_weight[at] > 0) {
                drawn = planes[channel * pixels + at];
                wanted = view.image[3 * at + channel] * kByte;
            }
        }
        x[k / kWide][k % kWide] = drawn;
        y[k / kWide][k % kWide] = wanted;
    }
    __syncthreads();
    for (int k = thread; k < kWide * kSide; k += kSide * kSide) {
        const int row = k / kSide, column = k % kSide;
        float s[5] = {};
#pragma unroll
        for (int tap = 0; tap < kTaps; ++tap) {
            const float w = kWindowTaps[tap], a = x[row][column + tap], b = y[row][column + tap];
            s[0] = fma(w, a, s[0]);
            s[1] = fma(w, b, s[1]);
            s[2] = fma(w, a * a, s[2]);
            s[3] = fma(w, b * b, s[3]);
            s[4] = fma(w, a * b, s[4]);
        }
        for (int m = 0; m < 5; ++m) along[m][row][column] = s[m];
    }
    __syncthreads();
    const int column = thread % kSide, row = thread / kSide;
    const int px = left + column, py = top + row;
    double dissimilar[1] = {};
    if (px < grid.width && py < grid.height) {
        float s[5] = {};
#pragma unroll
        for (int tap = 0; tap < kTaps; ++tap)
            for (int m = 0; m < 5; ++m) s[m] = fma(kWindowTaps[tap], along[m][row + tap][column], s[m]);
        const SsimTerm term = ssim_term(s[0], s[1], s[2], s[3], s[4]);
        const std::size_t at = static_cast<std::size_t>(py) * grid.width + px;
        const float seen = view.color_weight[at] * kByte, scale = -seen * view.ssim_scale;
        dissimilar[0] = seen * (1.0f - term.ssim);
        float* out = loss.ssim_derivatives + 3 * channel * pixels + at;
        out[0] = term.by_mean * scale;
        out[pixels] = term.by_square * scale;
        out[2 * pixels] = term.by_product * scale;
    }
    add_up(dissimilar, loss.ssim_parts + (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x);
}

// The window is symmetric, so its adjoint is the same blur.
__global__ void __launch_bounds__(kSide* kSide)
    ssim_gradient(GaussianMemory memory, LossMemory loss, Grid grid, const float* planes, float* planes_grad) {
    __shared__ float d[3][kWide][kWide + 1], along[3][kWide][kSide + 1];
    const ViewRecord& view = memory.current->view;
    const std::size_t pixels = grid.pixels();
    const int channel = blockIdx.z, left = blockIdx.x * kSide, top = blockIdx.y * kSide;
    const int thread = threadIdx.x;
    const float* in = loss.ssim_derivatives + 3 * channel * pixels;
    for (int k = thread; k < kWide * kWide; k += kSide * kSide) {
        const int column = left + k % kWide - kReach, row = top + k / kWide - kReach;
        const bool inside = column >= 0 && row >= 0 && column < grid.width && row < grid.height;
        const std::size_t at = inside ? static_cast<std::size_t>(row) * grid.width + column : 0;
        for (int m = 0; m < 3; ++m) d[m][k / kWide][k % kWide] = inside ? in[m * pixels + at] : 0;
    }
    __syncthreads();
    for (int k = thread; k < kWide * kSide; k += kSide * kSide) {
        const int row = k / kSide, column = k % kSide;
        for (int m = 0; m < 3; ++m) {
            float s = 0;
#pragma unroll
            for (int tap = 0; tap < kTaps; ++tap) s = fma(kWindowTaps[tap], d[m][row][column + tap], s);
            along[m][row][column] = s;
        }
    }
    __syncthreads();
    const int column = thread % kSide, row = thread / kSide;
    const int px = left + column, py = top + row;
    if (px >= grid.width || py >= grid.height) return;
    const std::size_t at = static_cast<std::size_t>(py) * grid.width + px;
    if (view.color_weight[at] == 0) return;
    float s[3] = {};
#pragma unroll
    for (int tap = 0; tap < kTaps; ++tap)
        for (int m = 0; m < 3; ++m) s[m] = fma(kWindowTaps[tap], along[m][row + tap][column], s[m]);
    planes_grad[channel * pixels + at] +=
        s[0] + 2 * planes[channel * pixels + at] * s[1] + view.image[3 * at + channel] * kByte * s[2];
}

// ---- Depth known up to an affine map: 1 - the weighted Pearson correlation of x(z) with the target, and an anchor on
// mean and spread of log z. Never-seen pixels: squared differences of log z and colour between neighbours.
enum ExtraSum { kW, kX, kY, kXX, kYY, kXY, kL, kLL, kUsable, kPairs, kPairDepth, kPairColor, kExtraSums };
enum Extra { kMeanX, kMeanY, kSlopeXY, kSlopeXX, kMeanL, kAnchorMean, kAnchorSpread, kPairScale, kExtras };

__device__ bool is_relative(int mode) { return mode >= kLogDepth; }

struct RelativePixel {
    float weight = 0, x = 0, y = 0, log_z = 0, z = 0;
    __device__ RelativePixel(const ViewRecord& view, const float* planes, std::size_t pixels, std::size_t at) {
        if (!is_relative(view.depth_mode)) return;
        const float alpha = planes[4 * pixels + at], w = view.depth_weight[at] * kByte;
        z = alpha > 1e-6f ? planes[3 * pixels + at] / alpha : 0.0f;
        if (!(w > 0 && alpha > kCovered && z > 0)) return;
        weight = w;
        log_z = logf(z);
        x = view.depth_mode == kDisparity ? 1.0f / z : log_z;
        y = view.depth_mode == kRelativeDepth ? logf(view.depth_target[at]) : view.depth_target[at];
    }
};

// Neighbours that are smoothed: one of the two is never seen, and both are covered.
__device__ bool is_smoothed(const uint8_t* unseen, const float* alpha, std::size_t p, std::size_t q) {
    return (unseen[p] || unseen[q]) && alpha[p] > kCovered && alpha[q] > kCovered;
}

__device__ float log_depth_step(const float* planes, std::size_t pixels, std::size_t p, std::size_t q) {
    const float *z = planes + 3 * pixels, *alpha = planes + 4 * pixels;
    return logf(z[p] / alpha[p]) - logf(z[q] / alpha[q]);
}

__global__ void __launch_bounds__(kBlock)
    extra_sums(GaussianMemory memory, LossMemory loss, LossSettings settings, Grid grid, const float* planes) {
    const ViewRecord& view = memory.current->view;
    const std::size_t pixels = grid.pixels(), at = static_cast<std::size_t>(blockIdx.x) * kBlock + threadIdx.x;
    double sums[kExtraSums] = {};
    if (at < pixels) {
        const RelativePixel r(view, planes, pixels, at);
        if (r.weight > 0) {
            const double w = r.weight, x = r.x, y = r.y, l = r.log_z;
            sums[kW] = w, sums[kX] = w * x, sums[kY] = w * y, sums[kL] = w * l, sums[kUsable] = 1;
            sums[kXX] = w * x * x, sums[kYY] = w * y * y, sums[kXY] = w * x * y, sums[kLL] = w * l * l;
        }
        if (settings.unseen && memory.current->step.smooth_scale > 0) {
            const int x = at % grid.width, y = at / grid.width;
            for (int side = 0; side < 2; ++side) {
                if (side == 0 ? x + 1 >= grid.width : y + 1 >= grid.height) continue;
                const std::size_t other = at + (side == 0 ? 1 : grid.width);
                if (!is_smoothed(settings.unseen, planes + 4 * pixels, at, other)) continue;
                const float step = log_depth_step(planes, pixels, at, other);
                sums[kPairs] += 1;
                sums[kPairDepth] += step * step;
                for (int ch = 0; ch < 3; ++ch) {
                    const float difference = planes[ch * pixels + at] - planes[ch * pixels + other];
                    sums[kPairColor] += difference * difference;
                }
            }
        }
    }
    add_up(sums, loss.extra_parts + blockIdx.x * kExtraSums);
}

// One block: the sums over all blocks, then the losses and the numbers that their gradients share.
__global__ void __launch_bounds__(kBlock)
    extra_terms(GaussianMemory memory, LossMemory loss, LossSettings settings, int parts) {
    __shared__ double s[kExtraSums];
    double mine[kExtraSums] = {};
    for (int part = threadIdx.x; part < parts; part += kBlock)
        for (int k = 0; k < kExtraSums; ++k) mine[k] += loss.extra_parts[part * kExtraSums + k];
    add_up(mine, s);
    __syncthreads();
    if (threadIdx.x != 0) return;
    double depth = 0, smoothness = 0;
    for (int k = 0; k < kExtras; ++k) loss.extra[k] = 0;
    if (s[kUsable] >= 16) {
        const double w = s[kW], mean_x = s[kX] / w, mean_y = s[kY] / w, mean_l = s[kL] / w;
        auto spread = [&](double squares, double mean) { return ::sqrt(::fmax(squares / w - mean * mean, 0.0) + 1e-12); };
        const double spread_x = spread(s[kXX], mean_x), spread_y = spread(s[kYY], mean_y);
        const double spread_l = spread(s[kLL], mean_l);
        const double correlation = (s[kXY] / w - mean_x * mean_y) / (spread_x * spread_y);
        const double off_mean = mean_l - settings.anchor_mean, off_spread = spread_l - settings.anchor_std;
        depth = settings.depth_weight * (1 - correlation) +
                settings.anchor_weight * (off_mean * off_mean + off_spread * off_spread);
        // dL/dx_i = w_i (SlopeXY (y_i - mean_y) + SlopeXX (x_i - mean_x)), dL/dlog z_i likewise
        loss.extra[kMeanX] = mean_x;
        loss.extra[kMeanY] = mean_y;
        loss.extra[kMeanL] = mean_l;
        loss.extra[kSlopeXY] = -settings.depth_weight / (w * spread_x * spread_y);
        loss.extra[kSlopeXX] = settings.depth_weight * correlation / (w * spread_x * spread_x);
        loss.extra[kAnchorMean] = 2 * settings.anchor_weight * off_mean / w;
        loss.extra[kAnchorSpread] = 2 * settings.anchor_weight * off_spread / (w * spread_l);
    }
    if (s[kPairs] > 0) {
        const double scale = memory.current->step.smooth_scale / s[kPairs];
        smoothness = scale * (s[kPairDepth] + s[kPairColor] / 3);
        loss.extra[kPairScale] = scale;
    }
    loss.extra_parts[0] = depth;
    loss.extra_parts[1] = smoothness;
}

__global__ void __launch_bounds__(kBlock) extra_gradient(GaussianMemory memory, LossMemory loss, LossSettings settings,
                                                         Grid grid, const float* planes, float* planes_grad) {
    const ViewRecord& view = memory.current->view;
    const std::size_t pixels = grid.pixels(), at = static_cast<std::size_t>(blockIdx.x) * kBlock + threadIdx.x;
    if (at >= pixels) return;
    const float alpha = planes[4 * pixels + at];
    float by_log_z = 0;
    const RelativePixel r(view, planes, pixels, at);
    const float* extra = loss.extra;
    if (r.weight > 0) {
        const float by_x =
            r.weight * (extra[kSlopeXY] * (r.y - extra[kMeanY]) + extra[kSlopeXX] * (r.x - extra[kMeanX]));
        by_log_z = view.depth_mode == kDisparity ? -by_x * r.x : by_x;  // d (1/z) / d log z = -1/z
        by_log_z += r.weight * (extra[kAnchorMean] + extra[kAnchorSpread] * (r.log_z - extra[kMeanL]));
    }
    const float scale = extra[kPairScale];
    if (scale > 0) {
        const int x = at % grid.width, y = at / grid.width;
        const bool inside[4] = {x > 0, x + 1 < grid.width, y > 0, y + 1 < grid.height};
        const std::ptrdiff_t offset[4] = {-1, 1, -grid.width, grid.width};
        for (int side = 0; side < 4; ++side) {
            if (!inside[side]) continue;
            const std::size_t other = at + offset[side];
            if (!is_smoothed(settings.unseen, planes + 4 * pixels, at, other)) continue;
            by_log_z += 2 * scale * log_depth_step(planes, pixels, at, other);
            for (int ch = 0; ch < 3; ++ch)
                planes_grad[ch * pixels + at] +=
                    2 * scale / 3 * (planes[ch * pixels + at] - planes[ch * pixels + other]);
        }
    }
    if (by_log_z != 0) {  // log z = log Z - log alpha
        planes_grad[3 * pixels + at] += by_log_z / planes[3 * pixels + at];
        planes_grad[4 * pixels + at] -= by_log_z / alpha;
    }
}

__global__ void __launch_bounds__(kBlock) add_terms(GaussianMemory memory, LossMemory loss, LossSettings settings,
                                                    int parts, int ssim_parts, bool with_extra) {
    __shared__ double sums[6];
    Current& current = *memory.current;
    double mine[6] = {};
    for (int part = threadIdx.x; part < parts; part += kBlock)
        for (int k = 0; k < 5; ++k) mine[k] += loss.parts[part * kTerms + k];
    for (int part = threadIdx.x; part < ssim_parts; part += kBlock) mine[5] += loss.ssim_parts[part];
    add_up(mine, sums);
    __syncthreads();
    if (threadIdx.x != 0) return;
    const ViewRecord& view = current.view;
    const double relative = with_extra ? loss.extra_parts[0] : 0, smoothness = with_extra ? loss.extra_parts[1] : 0;
    const double depth = sums[kDepthError] * view.depth_scale + relative;
    const double total = sums[kAbsolute] * view.color_scale + sums[5] * view.ssim_scale + depth + smoothness +
                         sums[kThrough] * view.hidden_scale;
    const bool finite = total - total == 0;
    if (!finite) atomicOr(&memory.progress->failure, kBadLoss);
    if (memory.progress->failure != 0) current.idle = 1;
    if (settings.log && (current.idle == 0 || !finite)) {
        double* row = settings.log + static_cast<std::size_t>(current.index) * kTerms;
        row[kAbsolute] = sums[kAbsolute];
        row[kSquared] = sums[kSquared];
        row[kDissimilarity] = sums[5];
        row[kDepthError] = depth;
        row[kThrough] = sums[kThrough];
        row[kSmoothness] = smoothness;
        row[kLoss] = total;
        row[kUnusedTerm] = 0;
    }
}

}  // namespace

LossMemory::LossMemory(void* base, const Grid& grid, bool with_ssim) {
    Walk walk(base);
    const unsigned blocks = blocks_for(grid.pixels(), kBlock);
    parts = walk.take<double>(static_cast<std::size_t>(blocks) * kTerms);
    extra_parts = walk.take<double>(static_cast<std::size_t>(blocks) * kExtraSums);
    extra = walk.take<float>(kExtras);
    ssim_parts = with_ssim ? walk.take<double>(3 * grid.tiles()) : nullptr;
    ssim_derivatives = with_ssim ? walk.take<float>(9 * grid.pixels()) : nullptr;
    bytes = walk.used();
}

void pixel_loss(const GaussianMemory& memory, const LossMemory& loss, const LossSettings& settings, const Grid& grid,
                const float* planes, float* planes_grad, cudaStream_t stream) {
    compare_pixels<<<blocks_for(grid.pixels(), kBlock), kBlock, 0, stream>>>(memory, loss, settings, grid, planes,
                                                                            planes_grad);
    ENDOGS_LAUNCHED("the pixel loss");
}

void ssim_loss(const GaussianMemory& memory, const LossMemory& loss, const Grid& grid, const float* planes,
               float* planes_grad, cudaStream_t stream) {
    static_assert(kSide == kTile && kSide * kSide == kBlock);
    const dim3 blocks(grid.columns, grid.rows, 3);
    ssim_statistics<<<blocks, kSide * kSide, 0, stream>>>(memory, loss, grid, planes);
    ENDOGS_LAUNCHED("structural similarity");
    ssim_gradient<<<blocks, kSide * kSide, 0, stream>>>(memory, loss, grid, planes, planes_grad);
    ENDOGS_LAUNCHED("the gradient of structural similarity");
}

void extra_loss(const GaussianMemory& memory, const LossMemory& loss, const LossSettings& settings, const Grid& grid,
                const float* planes, float* planes_grad, cudaStream_t stream) {
    const unsigned blocks = blocks_for(grid.pixels(), kBlock);
    extra_sums<<<blocks, kBlock, 0, stream>>>(memory, loss, settings, grid, planes);
    ENDOGS_LAUNCHED("the sums of the extra losses");
    extra_terms<<<1, kBlock, 0, stream>>>(memory, loss, settings, static_cast<int>(blocks));
    ENDOGS_LAUNCHED("the extra losses");
    extra_gradient<<<blocks, kBlock, 0, stream>>>(memory, loss, settings, grid, planes, planes_grad);
    ENDOGS_LAUNCHED("the gradient of the extra losses");
}

void judge_loss(const GaussianMemory& memory, const LossMemory& loss, const LossSettings& settings, const Grid& grid,
                bool with_ssim, bool with_extra, cudaStream_t stream) {
    add_terms<<<1, kBlock, 0, stream>>>(memory, loss, settings, static_cast<int>(blocks_for(grid.pixels(), kBlock)),
                                        with_ssim ? 3 * grid.tiles() : 0, with_extra);
    ENDOGS_LAUNCHED("adding up the loss");
}

}  // namespace endogs::cuda
