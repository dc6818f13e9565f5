// Walking over the tiles that a warp's Gaussians reach: each lane its own, but large ones with the whole warp.
#pragma once
#include "cuda/tiles.h"

namespace endogs::cuda {

constexpr int kManyTiles = 24;  // from here on the whole warp looks at one Gaussian's tiles

// Calls visit(tile, gaussian, reach, mean_x, mean_y, tile_x, tile_y) for every tile that this lane's splat reaches, on
// whichever lane, and adds the number of them to this lane's `reached`. All lanes of the warp must call; a lane with
// nothing to do has an empty box.
template <class Visit>
__device__ __forceinline__ void for_each_tile(const Splat& s, const TileBox& box, int columns, Visit&& visit,
                                              unsigned& reached) {
    const int tiles = tiles_in(box);
    if (tiles <= kManyTiles) {
        const Reach<float> reach(s.a, s.b, s.c, s.log2_opacity);
        for (int y = box.y0; y < box.y1; ++y)
            for (int x = box.x0; x < box.x1; ++x)
                if (reaches_tile(reach, s.mean_x, s.mean_y, x, y)) {
                    ++reached;
                    visit(y * columns + x, s.gaussian, reach, s.mean_x, s.mean_y, x, y);
                }
    }
    const int lane = threadIdx.x % 32;
    for (unsigned large = __ballot_sync(~0u, tiles > kManyTiles); large; large &= large - 1) {
        const int from = __ffs(large) - 1;
        auto shared = [&](float value) { return __shfl_sync(~0u, value, from); };
        const float mean_x = shared(s.mean_x), mean_y = shared(s.mean_y);
        const Reach<float> reach(shared(s.a), shared(s.b), shared(s.c), shared(s.log2_opacity));
        const int x0 = __shfl_sync(~0u, box.x0, from), y0 = __shfl_sync(~0u, box.y0, from);
        const int across = __shfl_sync(~0u, box.x1, from) - x0, all = __shfl_sync(~0u, tiles, from);
        const uint32_t gaussian = __shfl_sync(~0u, s.gaussian, from);
        for (int first = 0; first < all; first += 32) {
            const int candidate = first + lane, x = x0 + candidate % across, y = y0 + candidate / across;
            const bool hit = candidate < all && reaches_tile(reach, mean_x, mean_y, x, y);
            const unsigned hits = __ballot_sync(~0u, hit);
            if (hit) visit(y * columns + x, gaussian, reach, mean_x, mean_y, x, y);
            if (lane == from) reached += __popc(hits);
        }
    }
}

}  // namespace endogs::cuda
