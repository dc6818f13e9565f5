// Which Gaussians reach which tiles, front to back.
#pragma once
#include "buffer_pool.h"
#include "cpu/layout.h"
#include "cpu/project.h"
#include "kernels.h"
#include "parallel.h"

namespace endogs::ENDOGS_ISA {

// The blocks of a tile in which a Gaussian's alpha can reach 1/255, one lane per block.
struct BlockReach {
    alignas(64) float left[kBlocks], top[kBlocks];
    BlockReach() {
        for (int block = 0; block < kBlocks; ++block) {
            left[block] = static_cast<float>(block % kBlockColumns * kBlockWidth) + 0.5f;
            top[block] = static_cast<float>(block / kBlockColumns * kBlockHeight) + 0.5f;
        }
    }

    // `x`, `y`: the mean relative to the tile's corner.
    ENDOGS_INLINE MaskWord operator()(const Splat& s, float x, float y) const {
        const Reach<vf> reaches(s.a, s.b, s.c, s.log2_opacity);
        MaskWord mask = 0;
        for (int group = 0; group < kBlocks / kLanes; ++group) {
            const vf x0 = load(left + group * kLanes) - vf(x), y0 = load(top + group * kLanes) - vf(y);
            const Mask reached = reaches(x0, y0, x0 + vf(kBlockWidth - 1.0f), y0 + vf(kBlockHeight - 1.0f));
            mask |= static_cast<MaskWord>(bits(reached)) << (group * kLanes);
        }
        return mask;
    }
};

// Stable least-significant-digit radix sort of (key, index) pairs; digits in which all keys agree are skipped.
inline uint64_t* radix_sort(uint64_t* pairs, uint64_t* spare, int64_t count) {
    constexpr int kDigits = 3, kBits = 11, kBins = 1 << kBits;
    static thread_local uint32_t histogram[kDigits][kBins];
    __builtin_memset(histogram, 0, sizeof histogram);
    for (int64_t i = 0; i < count; ++i) {
        const uint32_t key = static_cast<uint32_t>(pairs[i] >> 32);
        ++histogram[0][key & (kBins - 1)];
        ++histogram[1][key >> kBits & (kBins - 1)];
        ++histogram[2][key >> 2 * kBits];
    }
    for (int digit = 0; digit < kDigits && count > 0; ++digit) {
        const int shift = 32 + digit * kBits;
        uint32_t* bins = histogram[digit];
        if (bins[pairs[0] >> shift & (kBins - 1)] == count) continue;
        uint32_t total = 0;
        for (int bin = 0; bin < kBins; ++bin) {
            const uint32_t size = bins[bin];
            bins[bin] = total;
            total += size;
        }
        for (int64_t i = 0; i < count; ++i) spare[bins[pairs[i] >> shift & (kBins - 1)]++] = pairs[i];
        uint64_t* swap = pairs;
        pairs = spare;
        spare = swap;
    }
    return pairs;
}

inline void bin(const RasterState& state, int width, int height) {
    const Grid grid(width, height);
    Bins bins(state.bins, state.slot_count, grid);
    const Splats splats(state.splats, state.gaussian_count);
    const int64_t count = state.gaussian_count;
    Buffer pair_buffer(sizeof(uint64_t) * (2 * count + 1));
    uint64_t* pairs = static_cast<uint64_t*>(pair_buffer.memory);
    const uint64_t* order = pairs;
    int64_t drawn = 0;
    const BlockReach block_reach;

    // The depth sort is one chunk beside the block masks, which do not need it.
    auto sort_and_mask = [&](int chunk) {
        if (chunk == 0) {
            for (int64_t i = 0; i < count; ++i)
                if (splats.footprint[i].drawn())
                    pairs[drawn++] =
                        static_cast<uint64_t>(splats.footprint[i].depth_key) << 32 | static_cast<uint64_t>(i);
            order = radix_sort(pairs, pairs + count, drawn);
            return;
        }
        const int64_t begin = static_cast<int64_t>(chunk - 1) * kChunk;
        const int64_t end = begin + kChunk < count ? begin + kChunk : count;
        for (int64_t i = begin; i < end; ++i) {
            const Splat& s = splats.splat[i];
            const Footprint& f = splats.footprint[i];
            MaskWord* mask = bins.masks + f.slot;
            for (int ty = f.y0; ty < f.y1; ++ty)
                for (int tx = f.x0; tx < f.x1; ++tx)
                    *mask++ = block_reach(s, s.mean_x - tx * kTile, s.mean_y - ty * kTile);
        }
    };
    parallel_for(chunk_count(count) + 1, sort_and_mask);

    // Counting sort by tile. Each part takes a stretch of the depth order; the result is the same for any split.
    const int parts = thread_count() < 16 ? thread_count() : 16, tiles = grid.tiles();
    Buffer cursor_buffer(sizeof(uint32_t) * parts * tiles + 64);
    uint32_t* cursors = static_cast<uint32_t*>(cursor_buffer.memory);
    auto for_each_slot = [&](int part, auto&& visit) {
        const int64_t begin = drawn * part / parts, end = drawn * (part + 1) / parts;
        for (int64_t k = begin; k < end; ++k) {
            if (k + 16 < end) __builtin_prefetch(&splats.footprint[static_cast<uint32_t>(order[k + 16])]);
            if (k + 8 < end)
                __builtin_prefetch(&bins.masks[splats.footprint[static_cast<uint32_t>(order[k + 8])].slot]);
            const uint32_t i = static_cast<uint32_t>(order[k]);
            const Footprint& f = splats.footprint[i];
            uint32_t slot = f.slot;
            for (int ty = f.y0; ty < f.y1; ++ty)
                for (int tx = f.x0; tx < f.x1; ++tx, ++slot)
                    if (bins.masks[slot]) visit(i, slot, ty * grid.columns + tx);
        }
    };
    auto count_part = [&](int part) {
        uint32_t* mine = cursors + static_cast<std::size_t>(part) * tiles;
        __builtin_memset(mine, 0, sizeof(uint32_t) * tiles);
        for_each_slot(part, [&](uint32_t, uint32_t, int tile) { ++mine[tile]; });
    };
    parallel_for(parts, count_part);
    uint32_t total = 0;
    for (int tile = 0; tile < tiles; ++tile) {
        bins.tile_begin[tile] = total;
        for (int part = 0; part < parts; ++part) {
            uint32_t& cursor = cursors[static_cast<std::size_t>(part) * tiles + tile];
            const uint32_t size = cursor;
            cursor = total;
            total += size;
        }
    }
    bins.tile_begin[tiles] = total;
    auto fill_part = [&](int part) {
        uint32_t* mine = cursors + static_cast<std::size_t>(part) * tiles;
        for_each_slot(part, [&](uint32_t i, uint32_t slot, int tile) {
            bins.entries[mine[tile]++] = Entry{i, slot, bins.masks[slot]};
        });
    };
    parallel_for(parts, fill_part);
}

}  // namespace endogs::ENDOGS_ISA
