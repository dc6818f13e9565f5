// Spline, activations and projection in one pass: 128 rows at a time through shared memory, so that every load and store
// of the 14-wide rows is coalesced.
#include "cuda/stages.h"
#include "cuda/launch.h"
#include "cuda/rows.cuh"
#include "cuda/warp_tiles.cuh"

namespace endogs::cuda {
namespace {

// Counts a Gaussian's tiles, and it in each of them. A small one also keeps its places there: they are all asked for
// before the first answer is waited for, and nobody has to ask again when entries are written.
__device__ unsigned count_tiles(const GaussianMemory& g, const Splat& s, TileBox box, int64_t count, int columns,
                                int all_tiles) {
    unsigned reached = 0;
    const int tiles = tiles_in(box);
    if (tiles <= kFewTiles) {
        const Reach<float> reach(s.a, s.b, s.c, s.log2_opacity);
        uint32_t rank[kFewTiles];
#pragma unroll
        for (int k = 0; k < kFewTiles; ++k) {
            rank[k] = kNoRank;
            if (k >= tiles) continue;
            const int tile = tile_at(box, k, columns);
            if (!reaches_tile(reach, s.mean_x, s.mean_y, tile % columns, tile / columns)) continue;
            ++reached;
            rank[k] = atomicAdd(g.tile_counts + tile, 1u);
        }
#pragma unroll
        for (int k = 0; k < kFewTiles; ++k)
            if (k < tiles) g.ranks[k * count + s.gaussian] = rank[k];
        box = {};
    }
    for_each_tile(s, box, columns, [&](int tile, uint32_t, const Reach<float>&, float, float, int, int) {
        atomicAdd(g.tile_counts + all_tiles + tile, 1u);
    }, reached);
    return reached;
}

template <bool WithSpline>
__global__ void __launch_bounds__(kRows) project_rows(GaussianMemory memory, const float* __restrict__ base,
                                                      const float* __restrict__ control, float* __restrict__ packed,
                                                      int64_t count, int columns, int rows, float* __restrict__ sums) {
    __shared__ float row_of[kRows * kPaddedRow];
    const Current& current = *memory.current;
    const int64_t first = static_cast<int64_t>(blockIdx.x) * kRows, total = count * kChannels;
    float weight[4] = {};
    const float* slice[4] = {};
    if (WithSpline)
        for (int k = 0; k < 4; ++k) {
            weight[k] = current.view.spline[k];
            slice[k] = control + (current.view.knot + k) * total;
        }
    for (int i = threadIdx.x; i < kRows * kChannels; i += kRows) {
        const int64_t at = first * kChannels + i;
        float value = 0;
        if (at < total) {
            value = WithSpline ? base[at] : packed[at];
            if (WithSpline) {
#pragma unroll
                for (int k = 0; k < 4; ++k) value = fma(weight[k], slice[k][at], value);
                packed[at] = value;
            }
        }
        row_of[i / kChannels * kPaddedRow + i % kChannels] = value;
    }
    if (sums)
        for (int i = threadIdx.x; i < kRows * kSums; i += kRows)
            if (first * kSums + i < count * kSums) sums[first * kSums + i] = 0;
    __syncthreads();
    const int64_t i = first + threadIdx.x;
    const float* row = row_of + threadIdx.x * kPaddedRow;
    float nothing = 0;  // 0 x anything finite
#pragma unroll
    for (int k = 0; k < kChannels; ++k) nothing += 0.0f * row[k];
    if (i < count && nothing != 0) atomicOr(&memory.progress->failure, kBadGaussian);

    Projected<float> p;
    project_gaussian(row, row + 3, row + 7, current.view.camera, p);
    SplatShape<float> shape;
    float tiles[4];
    const bool visible = shape_splat(p, row[10], current.view.camera, columns, rows, shape, tiles);
    const Splat splat{shape.mean_x, shape.mean_y,       shape.a, shape.b, shape.c, shape.log2_opacity, row[11],
                      row[12],      row[13],            p.z,     static_cast<uint32_t>(i), 0};
    TileBox box{};
    if (i < count && visible && tiles[2] > tiles[0] && tiles[3] > tiles[1])
        box = {static_cast<uint16_t>(tiles[0]), static_cast<uint16_t>(tiles[1]), static_cast<uint16_t>(tiles[2]),
               static_cast<uint16_t>(tiles[3])};
    const unsigned reached = count_tiles(memory, splat, box, count, columns, columns * rows);
    if (i >= count) return;
    const float4* parts = reinterpret_cast<const float4*>(&splat);
    float4* out = reinterpret_cast<float4*>(memory.splats + i);
    for (int k = 0; k < 3; ++k) out[k] = parts[k];
    memory.boxes[i] = box;
    memory.reached[i] = reached;
}

struct SplineWeights {
    float of[4];
};

__global__ void __launch_bounds__(256) evaluate_spline(const float* __restrict__ base,
                                                       const float* __restrict__ control, SplineWeights weights,
                                                       int64_t total, float* __restrict__ out) {
    const int64_t at = static_cast<int64_t>(blockIdx.x) * 256 + threadIdx.x;
    if (at >= total) return;
    float value = base[at];
#pragma unroll
    for (int k = 0; k < 4; ++k) value = fma(weights.of[k], control[k * total + at], value);
    out[at] = value;
}

}  // namespace

void spline_forward(const float* base, const float* control, const float* weights, int64_t count, float* out,
                    cudaStream_t stream) {
    if (count == 0) return;
    const int64_t total = count * kChannels;
    const SplineWeights four{{weights[0], weights[1], weights[2], weights[3]}};
    evaluate_spline<<<blocks_for(total, 256), 256, 0, stream>>>(base, control, four, total, out);
    ENDOGS_LAUNCHED("spline evaluation");
}

void project(const GaussianMemory& memory, const float* base, const float* control, float* packed, int64_t count,
             const Grid& grid, float* sums, cudaStream_t stream) {
    check(cudaMemsetAsync(memory.tile_counts, 0, 2 * grid.tiles() * sizeof(uint32_t), stream), "clearing tiles");
    if (count == 0) return;
    const auto kernel = control ? &project_rows<true> : &project_rows<false>;
    kernel<<<blocks_for(count, kRows), kRows, 0, stream>>>(memory, base, control, packed, count, grid.columns,
                                                           grid.rows, sums);
    ENDOGS_LAUNCHED("projection");
}

}  // namespace endogs::cuda
