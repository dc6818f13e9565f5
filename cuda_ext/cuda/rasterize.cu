// Rasterization, one warp per part of 8 x 4 pixels.
//
// Warps do not wait for each other: each walks its tile's entries 32 at a time, takes those whose mask says that they
// reach its own pixels into shared memory (reading the next 32 meanwhile), blends them, and leaves when all of its
// pixels are opaque. Backward, the ten sums of a Gaussian over 32 pixels are folded pairwise across the lanes: each
// exchange halves the number of sums that a lane carries, so ten sums take 12 shuffles instead of 50.
#include "cuda/launch.h"
#include "cuda/stages.h"

namespace endogs::cuda {
namespace {

constexpr unsigned kAllLanes = ~0u;

struct Tile {
    int index, part, x, y;  // x, y: this lane's pixel
    bool inside;
    __device__ Tile(int tile, int part_, const Grid& grid, int lane) : index(tile), part(part_) {
        x = tile % grid.columns * kTile + part % kPartColumns * kPartWidth + lane % kPartWidth;
        y = tile / grid.columns * kTile + part / kPartColumns * kPartHeight + lane / kPartWidth;
        inside = x < grid.width && y < grid.height;
    }
};

struct StagedSplat {
    float4 shape, color;  // mean, a, b; c, log2 opacity, first two channels
    float4 rest;          // last two channels, Gaussian, and its place in the batch
};

// Reads a tile's entries 32 at a time. `take` leaves in `staged` those that reach the part.
template <bool ByPosition>
class Batches {
  public:
    __device__ Batches(const GaussianMemory& g, const EntryMemory& e, const float* channels, const Tile& tile, int lane)
        : splats_(g.splats), sorted_(e.entries[0]), by_position_(e.by_position), channels_(channels),
          part_(tile.part), lane_(lane), next_(e.tile_begin[tile.index]), end_(e.tile_begin[tile.index + 1]) {
        fetch();
    }
    __device__ bool done() const { return first_ >= end_; }
    __device__ uint32_t first() const { return first_; }

    __device__ int take(StagedSplat* staged) {
        __syncwarp();  // nobody reads the batch before any more
        const unsigned hits = __ballot_sync(kAllLanes, hit_);
        if (hit_) {
            rest_.w = __int_as_float(lane_);
            staged[__popc(hits & ((1u << lane_) - 1))] = {shape_, color_, rest_};
        }
        __syncwarp();
        fetch();
        return __popc(hits);
    }

  private:
    __device__ void fetch() {
        first_ = next_;
        next_ += 32;
        const uint32_t at = first_ + lane_;
        uint32_t entry = 0;
        if (at < end_) entry = ByPosition ? by_position_[sorted_[at]] : sorted_[at];
        hit_ = holds_part(entry, part_);
        if (!hit_) return;
        const uint32_t gaussian = gaussian_of(entry);
        const float4* splat = reinterpret_cast<const float4*>(splats_ + gaussian);
        shape_ = __ldg(splat);
        color_ = __ldg(splat + 1);
        rest_ = __ldg(splat + 2);
        if (channels_) {
            const float4 other = __ldg(reinterpret_cast<const float4*>(channels_) + gaussian);
            color_.z = other.x;
            color_.w = other.y;
            rest_.x = other.z;
            rest_.y = other.w;
        }
    }

    const Splat* splats_;
    const uint32_t *sorted_, *by_position_;
    const float* channels_;
    int part_, lane_;
    uint32_t first_ = 0, next_, end_;
    bool hit_ = false;
    float4 shape_, color_, rest_;
};

__device__ float response_of(const StagedSplat& s, float dx, float dy) {
    return response_at(s.shape.z, s.shape.w, s.color.x, s.color.y, dx, dy);
}

constexpr int kWarps = 2;  // per block: parts of one tile that leave together

__global__ void __launch_bounds__(32 * kWarps)
    draw(GaussianMemory g, EntryMemory e, const float* channels, Grid grid, float* planes, float* alpha_plane) {
    __shared__ StagedSplat staged[kWarps][32];
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const int index = blockIdx.x * kWarps + warp;
    const Tile tile(index / kParts, index % kParts, grid, lane);
    const float x = tile.x + 0.5f, y = tile.y + 0.5f;
    float through = tile.inside ? 1.0f : 0.0f, c0 = 0, c1 = 0, c2 = 0, c3 = 0;
    auto blend = [&](auto& batches) {
        while (!batches.done()) {
            const int count = batches.take(staged[warp]);
            for (int k = 0; k < count; ++k) {
                const StagedSplat& s = staged[warp][k];
                const float alpha = visible_alpha(response_of(s, x - s.shape.x, y - s.shape.y));
                const float weight = alpha * through;
                through -= weight;
                c0 = fma(weight, s.color.z, c0);
                c1 = fma(weight, s.color.w, c1);
                c2 = fma(weight, s.rest.x, c2);
                c3 = fma(weight, s.rest.y, c3);
            }
            if (__all_sync(kAllLanes, through < kOpaque)) break;
        }
    };
    if (e.by_position) {
        Batches<true> batches(g, e, channels, tile, lane);
        blend(batches);
    } else {
        Batches<false> batches(g, e, channels, tile, lane);
        blend(batches);
    }
    if (!tile.inside) return;
    const std::size_t pixel = static_cast<std::size_t>(tile.y) * grid.width + tile.x, pixels = grid.pixels();
    planes[pixel] = c0;
    planes[pixels + pixel] = c1;
    planes[2 * pixels + pixel] = c2;
    planes[3 * pixels + pixel] = c3;
    if (alpha_plane) alpha_plane[pixel] = 1.0f - through;
}

// Folds the first N values across lanes that differ in bit `Bit` and below; the total of value k ends up in the lanes
// for which `lane_value<N>` gives k.
template <int N, int Bit>
__device__ __forceinline__ void fold(float (&v)[kSums], int lane) {
    if constexpr (Bit > 0) {
        constexpr int half = (N + 1) / 2;
        const bool upper = lane & Bit;
#pragma unroll
        for (int k = 0; k < half; ++k) {
            if constexpr (N == 1) {
                v[0] += __shfl_xor_sync(kAllLanes, v[0], Bit);
            } else {
                const float high = k + half < N ? v[k + half] : 0.0f;
                const float mine = upper ? high : v[k], other = upper ? v[k] : high;
                v[k] = mine + __shfl_xor_sync(kAllLanes, other, Bit);
            }
        }
        fold<half, Bit / 2>(v, lane);
    }
}

// The value whose total a lane holds after `fold<N, 16>`; -1 where it holds nothing, or what another lane also holds.
template <int N>
__device__ int lane_value(int lane) {
    int first = 0, left = N, width = N;
    for (int bit = 16; bit > 0; bit /= 2) {
        const int half = (width + 1) / 2;
        if (width == 1) {
            if (lane & bit) return -1;
        } else if (lane & bit) {
            first += half;
            left -= half;
        } else {
            left = left < half ? left : half;
        }
        width = half;
    }
    return left > 0 ? first : -1;
}

struct BackwardPixel {
    float v0 = 0, v1 = 0, v2 = 0, v3 = 0, v4 = 0, through = 0, behind = 0;
    bool any = false;

    __device__ BackwardPixel(const Tile& tile, const Grid& grid, const float* planes, const float* alpha,
                             const float* planes_grad, const float* alpha_grad) {
        if (!tile.inside) return;
        const std::size_t pixel = static_cast<std::size_t>(tile.y) * grid.width + tile.x, pixels = grid.pixels();
        through = 1;
        v0 = planes_grad[pixel];
        v1 = planes_grad[pixels + pixel];
        v2 = planes_grad[2 * pixels + pixel];
        v3 = planes_grad[3 * pixels + pixel];
        behind = v0 * planes[pixel] + v1 * planes[pixels + pixel] + v2 * planes[2 * pixels + pixel] +
                 v3 * planes[3 * pixels + pixel];
        if (alpha_grad) {
            v4 = alpha_grad[pixel];
            behind = fma(v4, alpha[pixel], behind);
        }
        any = v0 != 0 || v1 != 0 || v2 != 0 || v3 != 0 || v4 != 0;
    }

    // One Gaussian's ten (or twelve) numbers at this pixel; false when it does not show here.
    template <bool Absolute>
    __device__ bool blend(const StagedSplat& s, float x, float y, float (&sums)[kSums]) {
        const float dx = x - s.shape.x, dy = y - s.shape.y;
        const float response = response_of(s, dx, dy);
        const bool shows = response >= kMinAlpha && through > 0.0f;
        const float q = fma(v0, s.color.z, fma(v1, s.color.w, v4)) + fma(v2, s.rest.x, v3 * s.rest.y);
        float weight;
        const float w = blend_backward(response, q, through, behind, weight);
        const float wx = w * dx, wy = w * dy;
        sums[0] = w;
        sums[1] = wx;
        sums[2] = wy;
        sums[3] = wx * dx;
        sums[4] = wx * dy;
        sums[5] = wy * dy;
        sums[6] = weight * v0;
        sums[7] = weight * v1;
        sums[8] = weight * v2;
        sums[9] = weight * v3;
        if (Absolute) {  // d log(alpha) / d mean, from log2 units
            const float ln2 = 0.69314718f;
            sums[10] = fabsf(-2.0f * ln2 * s.shape.z * wx - ln2 * s.shape.w * wy);
            sums[11] = fabsf(-2.0f * ln2 * s.color.x * wy - ln2 * s.shape.w * wx);
        }
        return shows;
    }
};

template <bool Absolute>
__global__ void __launch_bounds__(32 * kWarps)
    draw_backward(GaussianMemory g, EntryMemory e, const float* channels, Grid grid, const float* planes,
                  const float* alpha, const float* planes_grad, const float* alpha_grad, float* sums) {
    constexpr int values = Absolute ? 12 : 10;
    __shared__ StagedSplat staged[kWarps][32];
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const int index = blockIdx.x * kWarps + warp;
    const Tile tile(index / kParts, index % kParts, grid, lane);
    BackwardPixel pixel(tile, grid, planes, alpha, planes_grad, alpha_grad);
    if (!__any_sync(kAllLanes, pixel.any)) return;  // no gradient here, as under an instrument
    const float x = tile.x + 0.5f, y = tile.y + 0.5f;
    const int mine = lane_value<values>(lane);
    Batches<false> batches(g, e, channels, tile, lane);
    while (!batches.done()) {
        const int count = batches.take(staged[warp]);
        for (int k = 0; k < count; ++k) {
            const StagedSplat& s = staged[warp][k];
            float part[kSums];
            if (!__any_sync(kAllLanes, pixel.template blend<Absolute>(s, x, y, part))) continue;
            fold<values, 16>(part, lane);
            if (mine >= 0)
                atomicAdd(sums + static_cast<std::size_t>(__float_as_uint(s.rest.z)) * kSums + mine, part[0]);
        }
        if (__all_sync(kAllLanes, pixel.through < kOpaque)) break;
    }
}

// The same with a tile's warps in step: they add up each entry's sums in shared memory in a fixed order and write them
// to the entry's own row, so that the result does not depend on who comes first.
template <bool Absolute>
__global__ void __launch_bounds__(32 * kParts)
    draw_backward_in_order(GaussianMemory g, EntryMemory e, const float* channels, Grid grid, const float* planes,
                           const float* alpha, const float* planes_grad, const float* alpha_grad) {
    constexpr int values = Absolute ? 12 : 10;
    __shared__ StagedSplat staged[kParts][32];
    __shared__ float parts[kParts][32][kSums];
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const Tile tile(blockIdx.x, warp, grid, lane);
    BackwardPixel pixel(tile, grid, planes, alpha, planes_grad, alpha_grad);
    const float x = tile.x + 0.5f, y = tile.y + 0.5f;
    const int mine = lane_value<values>(lane);
    Batches<true> batches(g, e, channels, tile, lane);
    const uint32_t end = e.tile_begin[tile.index + 1];
    bool open = __any_sync(kAllLanes, pixel.any);
    while (!batches.done()) {
        for (int k = lane; k < 32 * kSums; k += 32) (&parts[warp][0][0])[k] = 0;
        const uint32_t first = batches.first();
        const int count = batches.take(staged[warp]);
        for (int k = 0; k < count && open; ++k) {
            const StagedSplat& s = staged[warp][k];
            float part[kSums];
            if (!__any_sync(kAllLanes, pixel.template blend<Absolute>(s, x, y, part))) continue;
            fold<values, 16>(part, lane);
            if (mine >= 0) parts[warp][__float_as_int(s.rest.w)][mine] = part[0];
        }
        if (__all_sync(kAllLanes, pixel.through < kOpaque)) open = false;
        __syncthreads();
        for (int k = threadIdx.x; k < 32 * kSums; k += 32 * kParts) {
            const uint32_t at = first + k / kSums;
            if (at >= end) break;
            float total = 0;
            for (int part = 0; part < kParts; ++part) total += (&parts[part][0][0])[k];
            e.sums[static_cast<std::size_t>(e.entries[0][at]) * kSums + k % kSums] = total;
        }
        __syncthreads();
    }
}

__global__ void __launch_bounds__(256) gather_entries(GaussianMemory g, EntryMemory e, int64_t count, float* sums) {
    const int64_t at = static_cast<int64_t>(blockIdx.x) * 256 + threadIdx.x;
    if (at >= count * kSums) return;
    const int64_t gaussian = at / kSums;
    const int value = static_cast<int>(at % kSums);
    const uint32_t entries = g.tile_counts[gaussian];
    float total = sums[at];
    if (entries > 0)
        for (uint32_t first = g.first_entry[gaussian], k = 0; k < entries; ++k)
            total += e.sums[static_cast<std::size_t>(first + k) * kSums + value];
    sums[at] = total;
}

}  // namespace

void rasterize(const GaussianMemory& gaussians, const EntryMemory& entries, const float* channels, const Grid& grid,
               float* planes, float* alpha, cudaStream_t stream) {
    draw<<<grid.tiles() * kParts / kWarps, 32 * kWarps, 0, stream>>>(gaussians, entries, channels, grid, planes, alpha);
    ENDOGS_LAUNCHED("rasterization");
}

void rasterize_backward(const GaussianMemory& gaussians, const EntryMemory& entries, const float* channels,
                        const Grid& grid, const float* planes, const float* alpha, const float* planes_grad,
                        const float* alpha_grad, float* sums, bool absolute, cudaStream_t stream) {
    if (entries.by_position) {
        const auto kernel = absolute ? &draw_backward_in_order<true> : &draw_backward_in_order<false>;
        kernel<<<grid.tiles(), 32 * kParts, 0, stream>>>(gaussians, entries, channels, grid, planes, alpha, planes_grad,
                                                         alpha_grad);
    } else {
        const auto kernel = absolute ? &draw_backward<true> : &draw_backward<false>;
        kernel<<<grid.tiles() * kParts / kWarps, 32 * kWarps, 0, stream>>>(gaussians, entries, channels, grid, planes,
                                                                           alpha, planes_grad, alpha_grad, sums);
    }
    ENDOGS_LAUNCHED("the backward pass of rasterization");
}

void gather(const GaussianMemory& gaussians, const EntryMemory& entries, int64_t count, float* sums,
            cudaStream_t stream) {
    if (count == 0 || !entries.by_position) return;
    gather_entries<<<blocks_for(count * kSums, 256), 256, 0, stream>>>(gaussians, entries, count, sums);
    ENDOGS_LAUNCHED("gathering sums");
}

}  // namespace endogs::cuda
