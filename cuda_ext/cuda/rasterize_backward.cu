// The gradient of drawing: every Gaussian's sums over the pixels it shows at, taken in one of three ways. By matrix
// units, which is the fastest; by folding them pairwise across the lanes, where there are none or absolute values are
// wanted too (each exchange halves the number of sums that a lane carries, so ten take 12 shuffles instead of 50); and
// in a fixed order.
#include "cuda/launch.h"
#include "cuda/parts.cuh"

namespace endogs::cuda {
namespace {

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

    // The gradient along one Gaussian's own colour, depth and alpha.
    __device__ float along(const StagedSplat& s) const {
        return fma(v0, s.color.z, fma(v1, s.color.w, v4)) + fma(v2, s.rest.x, v3 * s.rest.y);
    }

    // One Gaussian's ten (or twelve) numbers at this pixel; false when it does not show here.
    template <bool Absolute>
    __device__ bool blend(const StagedSplat& s, float x, float y, float (&sums)[kSums]) {
        const float dx = x - s.shape.x, dy = y - s.shape.y;
        const float response = response_of(s, dx, dy);
        const bool shows = response >= kMinAlpha && through > 0.0f;
        float weight;
        const float w = blend_backward(response, along(s), through, behind, weight);
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
    Batches batches(g, e, channels, tile, lane);
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

// ---- The same sums by tensor cores, 16 Gaussians at a time.
//
// Over a part's 32 pixels, at X, Y from its centre, w times (1, X, Y, X^2, XY, Y^2) and weight times (v0, v1, v2, v3) are
// products of a 16 x 32 matrix with one that stays the same for all Gaussians. The moments about the part's centre are
// then moved to the Gaussian's mean. Matrix units take 10-bit mantissas: w, weight and v are split into a high and a low
// half, which leaves an error of 2^-21; the powers of X and Y are exact.
constexpr int kGroup = 16;
constexpr int kPaddedPixels = 36;  // rows of products: four Gaussians' fragments fall into different banks

__device__ __forceinline__ void multiply_add(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
#if __CUDA_ARCH__ >= 800
    asm volatile(
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#endif
}

// The half of a number that a matrix unit sees.
__device__ __forceinline__ uint32_t high_half(float value) { return __float_as_uint(value) & 0xffffe000u; }

__device__ __forceinline__ uint32_t low_half(float value) {
    return __float_as_uint(value - __uint_as_float(high_half(value)));
}

// Column `column` of the powers at pixel (px, py) of a part.
__device__ __forceinline__ float power_at(int column, int px, int py) {
    const float x = px - 0.5f * (kPartWidth - 1), y = py - 0.5f * (kPartHeight - 1);
    switch (column) {
        case 0: return 1.0f;
        case 1: return x;
        case 2: return y;
        case 3: return x * x;
        case 4: return x * y;
        case 5: return y * y;
        default: return 0.0f;
    }
}

union Products {
    float2 of[kGroup][kPaddedPixels];  // w and weight by Gaussian and pixel
    float sums[kGroup][kSums];
};

__global__ void __launch_bounds__(32 * kWarps, 10)
    draw_backward_by_matrices(GaussianMemory g, EntryMemory e, const float* channels, Grid grid, const float* planes,
                              const float* alpha, const float* planes_grad, const float* alpha_grad, float* sums) {
    static_assert(kPartWidth == 8 && kPartHeight == 4, "a step of the product is a row of a part");
    __shared__ StagedSplat staged_by[kWarps][32 + kGroup];
    __shared__ Products products_by[kWarps];
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    StagedSplat* staged = staged_by[warp];
    Products& products = products_by[warp];
    const int index = blockIdx.x * kWarps + warp;
    const Tile tile(index / kParts, index % kParts, grid, lane);
    BackwardPixel pixel(tile, grid, planes, alpha, planes_grad, alpha_grad);
    if (!__any_sync(kAllLanes, pixel.any)) return;  // no gradient here, as under an instrument
    const float x = tile.x + 0.5f, y = tile.y + 0.5f;
    const float centre_x = tile.x - lane % kPartWidth + 0.5f * kPartWidth;
    const float centre_y = tile.y - lane / kPartWidth + 0.5f * kPartHeight;

    // Fragments of the constant matrices: rows are pixels (column `in` or `in + 4` of part row k), columns `of`.
    const int of = lane / 4, in = lane % 4;
    uint32_t powers[kPartHeight][2], v_high[kPartHeight][2], v_low[kPartHeight][2];
    {
        float* v = &products.sums[0][0];
        v[lane] = pixel.v0;
        v[32 + lane] = pixel.v1;
        v[64 + lane] = pixel.v2;
        v[96 + lane] = pixel.v3;
        __syncwarp();
#pragma unroll
        for (int k = 0; k < kPartHeight; ++k)
#pragma unroll
            for (int half = 0; half < 2; ++half) {
                const int px = in + 4 * half;
                powers[k][half] = __float_as_uint(power_at(of, px, k));
                const float value = of < 4 ? v[32 * of + kPartWidth * k + px] : 0.0f;
                v_high[k][half] = high_half(value);
                v_low[k][half] = low_half(value);
            }
    }

    Batches batches(g, e, channels, tile, lane);
    int waiting = 0;
    bool more = true;
    while (more) {
        while (waiting < kGroup && !batches.done()) waiting += batches.take(staged + waiting);
        more = !batches.done() || waiting > kGroup;
        const int count = waiting < kGroup ? waiting : kGroup;
        if (count == 0) break;
        __syncwarp();
#pragma unroll 4
        for (int k = 0; k < count; ++k) {
            const StagedSplat& s = staged[k];
            const float response = response_of(s, x - s.shape.x, y - s.shape.y);
            float weight;
            const float w = blend_backward(response, pixel.along(s), pixel.through, pixel.behind, weight);
            products.of[k][lane] = make_float2(w, weight);
        }
        for (int k = count; k < kGroup; ++k) products.of[k][lane] = make_float2(0.0f, 0.0f);
        __syncwarp();
        float moments[4] = {}, colors[4] = {};
#pragma unroll
        for (int k = 0; k < kPartHeight; ++k) {
            uint32_t w_high[4], w_low[4], weight_high[4], weight_low[4];
#pragma unroll
            for (int part = 0; part < 4; ++part) {
                const float2 p = products.of[of + 8 * (part % 2)][kPartWidth * k + in + 4 * (part / 2)];
                w_high[part] = high_half(p.x);
                w_low[part] = low_half(p.x);
                weight_high[part] = high_half(p.y);
                weight_low[part] = low_half(p.y);
            }
            multiply_add(moments, w_high, powers[k][0], powers[k][1]);
            multiply_add(moments, w_low, powers[k][0], powers[k][1]);
            multiply_add(colors, weight_high, v_high[k][0], v_high[k][1]);
            multiply_add(colors, weight_low, v_high[k][0], v_high[k][1]);
            multiply_add(colors, weight_high, v_low[k][0], v_low[k][1]);
        }
        __syncwarp();
        // A lane holds columns 2 in and 2 in + 1 of Gaussians `of` and `of + 8`.
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            float* row = products.sums[of + 8 * half];
            if (in < 3) {
                row[2 * in] = moments[2 * half];
                row[2 * in + 1] = moments[2 * half + 1];
            }
            if (in < 2) {
                row[6 + 2 * in] = colors[2 * half];
                row[7 + 2 * in] = colors[2 * half + 1];
            }
        }
        __syncwarp();
        if (lane < count) {
            float* m = products.sums[lane];
            const float mx = staged[lane].shape.x - centre_x, my = staged[lane].shape.y - centre_y;
            const float w = m[0], wx = m[1], wy = m[2];
            m[1] = wx - mx * w;
            m[2] = wy - my * w;
            m[3] += mx * (mx * w - 2.0f * wx);
            m[4] += mx * (my * w - wy) - my * wx;
            m[5] += my * (my * w - 2.0f * wy);
        }
        __syncwarp();
        for (int k = lane; k < 10 * count; k += 32) {
            const float value = products.sums[k / 10][k % 10];
            const std::size_t gaussian = __float_as_uint(staged[k / 10].rest.z);
            if (value != 0) atomicAdd(sums + gaussian * kSums + k % 10, value);
        }
        if (__all_sync(kAllLanes, pixel.through < kOpaque)) break;
        waiting -= count;
        if (waiting > 0) {  // fewer than 32, and never onto themselves
            StagedSplat next;
            if (lane < waiting) next = staged[kGroup + lane];
            __syncwarp();
            if (lane < waiting) staged[lane] = next;
        }
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
    Batches batches(g, e, channels, tile, lane);
    const uint32_t end = g.tile_begin[tile.index + 1];
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
            e.ordered.sums[static_cast<std::size_t>(at) * kSums + k % kSums] = total;
        }
        __syncthreads();
    }
}

__global__ void __launch_bounds__(256) gather_entries(OrderedSums ordered, int64_t count, float* sums) {
    const int64_t at = static_cast<int64_t>(blockIdx.x) * 256 + threadIdx.x;
    if (at >= count * kSums) return;
    const int64_t gaussian = at / kSums;
    const int value = static_cast<int>(at % kSums);
    float total = sums[at];
    for (uint32_t k = ordered.begin[gaussian]; k < ordered.begin[gaussian + 1]; ++k)
        total += ordered.sums[static_cast<std::size_t>(ordered.places[0][k]) * kSums + value];
    sums[at] = total;
}

// Whether this GPU runs code with matrix products in it: not where only that for compute capability 7.5 was compiled.
bool has_matrix_units() {
    static const bool found = [] {
        cudaFuncAttributes attributes{};
        check(cudaFuncGetAttributes(&attributes, draw_backward_by_matrices), "looking at a kernel");
        return attributes.ptxVersion >= 80;
    }();
    return found;
}

}  // namespace

void rasterize_backward(const GaussianMemory& gaussians, const EntryMemory& entries, const float* channels,
                        const Grid& grid, const float* planes, const float* alpha, const float* planes_grad,
                        const float* alpha_grad, float* sums, bool absolute, cudaStream_t stream) {
    if (entries.ordered.sums) {
        const auto kernel = absolute ? &draw_backward_in_order<true> : &draw_backward_in_order<false>;
        kernel<<<grid.tiles(), 32 * kParts, 0, stream>>>(gaussians, entries, channels, grid, planes, alpha, planes_grad,
                                                         alpha_grad);
    } else {
        const auto kernel = absolute              ? &draw_backward<true>
                            : has_matrix_units() ? &draw_backward_by_matrices
                                                 : &draw_backward<false>;
        kernel<<<grid.tiles() * kParts / kWarps, 32 * kWarps, 0, stream>>>(gaussians, entries, channels, grid, planes,
                                                                           alpha, planes_grad, alpha_grad, sums);
    }
    ENDOGS_LAUNCHED("the backward pass of rasterization");
}

void gather(const EntryMemory& entries, int64_t count, float* sums, cudaStream_t stream) {
    if (count == 0 || !entries.ordered.sums) return;
    gather_entries<<<blocks_for(count * kSums, 256), 256, 0, stream>>>(entries.ordered, count, sums);
    ENDOGS_LAUNCHED("gathering sums");
}

}  // namespace endogs::cuda
