// Drawing.
#include "cuda/launch.h"
#include "cuda/parts.cuh"

namespace endogs::cuda {
namespace {

__global__ void __launch_bounds__(32 * kWarps)
    draw(GaussianMemory g, EntryMemory e, const float* channels, Grid grid, float* planes, float* alpha_plane) {
    __shared__ StagedSplat staged[kWarps][32];
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const int index = blockIdx.x * kWarps + warp;
    const Tile tile(index / kParts, index % kParts, grid, lane);
    const float x = tile.x + 0.5f, y = tile.y + 0.5f;
    float through = tile.inside ? 1.0f : 0.0f, c0 = 0, c1 = 0, c2 = 0, c3 = 0;
    Batches batches(g, e, channels, tile, lane);
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
    if (!tile.inside) return;
    const std::size_t pixel = static_cast<std::size_t>(tile.y) * grid.width + tile.x, pixels = grid.pixels();
    planes[pixel] = c0;
    planes[pixels + pixel] = c1;
    planes[2 * pixels + pixel] = c2;
    planes[3 * pixels + pixel] = c3;
    if (alpha_plane) alpha_plane[pixel] = 1.0f - through;
}

}  // namespace

void rasterize(const GaussianMemory& gaussians, const EntryMemory& entries, const float* channels, const Grid& grid,
               float* planes, float* alpha, cudaStream_t stream) {
    draw<<<grid.tiles() * kParts / kWarps, 32 * kWarps, 0, stream>>>(gaussians, entries, channels, grid, planes, alpha);
    ENDOGS_LAUNCHED("rasterization");
}

}  // namespace endogs::cuda
