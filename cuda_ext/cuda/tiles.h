// Which Gaussians reach which tiles: the logic of binning, free of CUDA's syntax, so that a host program can check it.
//
// Gaussians write one entry per tile they reach, in any order, and every tile sorts its own entries by depth, then by
// index. An entry is the Gaussian's index and a mask of the tile's parts it reaches: one part of 8 x 4 pixels per warp.
#pragma once
#include <cstdint>

#include "splat_math.h"

namespace endogs::cuda {

constexpr int kPartWidth = 8, kPartHeight = 4;
constexpr int kPartColumns = kTile / kPartWidth;
constexpr int kParts = kPartColumns * (kTile / kPartHeight);  // bits of an entry's mask
constexpr int64_t kMaxGaussians = int64_t{1} << (32 - kParts);
constexpr int kFewTiles = 6;  // a splat whose box has no more is small
constexpr uint32_t kNoRank = ~0u;
constexpr uint64_t kLastKey = ~uint64_t{0};  // sorts behind every entry

struct alignas(16) Splat {  // as rasterization reads it, three vectors of four
    float mean_x, mean_y, a, b;
    float c, log2_opacity, channel0, channel1;
    float channel2, channel3;
    uint32_t gaussian, unused;
};
static_assert(sizeof(Splat) == 48);

struct alignas(8) TileBox {  // [x0, x1) x [y0, y1); empty when not drawn
    uint16_t x0, y0, x1, y1;
};

ENDOGS_HD int tiles_in(const TileBox& box) { return (box.x1 - box.x0) * (box.y1 - box.y0); }

ENDOGS_HD int tile_at(const TileBox& box, int candidate, int columns) {
    const int wide = box.x1 - box.x0;
    return (box.y0 + candidate / wide) * columns + box.x0 + candidate % wide;
}

// The float of a positive number sorts like its bits.
ENDOGS_HD uint32_t depth_key(float z) {
    union {
        float number;
        uint32_t bits;
    } u{z};
    return u.bits;
}

// Whether a splat reaches a tile at all. It is asked twice, when entries are counted and when they are written, and the
// answers must agree to the last bit: products are only added inside fma, so that no compiler fuses them one way here and
// another way there. Exactly the union of what `reached_parts` looks at, and the gaps between.
ENDOGS_HD bool reaches_tile(const Reach<float>& reach, float mean_x, float mean_y, int tile_x, int tile_y) {
    const float x0 = static_cast<float>(tile_x * kTile) + 0.5f - mean_x;
    const float y0 = static_cast<float>(tile_y * kTile) + 0.5f - mean_y;
    return reach(x0, y0, x0 + (kTile - 1.0f), y0 + (kTile - 1.0f));
}

ENDOGS_HD uint32_t reached_parts(const Reach<float>& reach, float mean_x, float mean_y, int tile_x, int tile_y) {
    uint32_t mask = 0;
    for (int part = 0; part < kParts; ++part) {
        const float x0 = static_cast<float>(tile_x * kTile + part % kPartColumns * kPartWidth) + 0.5f - mean_x;
        const float y0 = static_cast<float>(tile_y * kTile + part / kPartColumns * kPartHeight) + 0.5f - mean_y;
        if (reach(x0, y0, x0 + (kPartWidth - 1.0f), y0 + (kPartHeight - 1.0f))) mask |= 1u << part;
    }
    return mask;
}

ENDOGS_HD uint32_t entry_of(uint32_t gaussian, uint32_t parts) { return gaussian << kParts | parts; }
ENDOGS_HD uint32_t gaussian_of(uint32_t entry) { return entry >> kParts; }
ENDOGS_HD bool holds_part(uint32_t entry, int part) { return entry >> part & 1u; }

ENDOGS_HD uint64_t sort_key(float z, uint32_t entry) { return static_cast<uint64_t>(depth_key(z)) << 32 | entry; }
ENDOGS_HD uint32_t entry_in(uint64_t key) { return static_cast<uint32_t>(key); }

constexpr int kRun = 128;  // keys that are ranked by looking at all of them

// How many keys of a sorted run come before `key`.
ENDOGS_HD int rank_in_run(const uint64_t* run, uint64_t key) {
    int rank = 0;
#ifdef __CUDA_ARCH__
#pragma unroll
#endif
    for (int step = kRun / 2; step > 0; step /= 2)
        if (run[rank + step - 1] < key) rank += step;
    return rank + (run[rank] < key);
}

// How many of the sorted keys [0, count) come before `key`; keys are all different.
ENDOGS_HD int64_t rank_among(const uint64_t* keys, int64_t count, uint64_t key) {
    int64_t low = 0, high = count;
    while (low < high) {
        const int64_t middle = (low + high) / 2;
        if (keys[middle] < key) low = middle + 1;
        else high = middle;
    }
    return low;
}

// Bits that numbers below `count` need, with one value above them all: unused room is filled with ones and sorts last.
inline int key_bits(int64_t count) {
    int bits = 1;
    while ((int64_t{1} << bits) <= count) ++bits;
    return bits;
}

// Of `count` sorted `keys`, key `i` opens every group after the previous key's, up to its own. Keys from `groups` on are
// unused room. `begin` has groups + 1 elements; i = count closes the last ones.
ENDOGS_HD void open_groups(const uint32_t* keys, int64_t i, int64_t count, int64_t groups, uint32_t* begin) {
    const int64_t before = i == 0 ? -1 : (keys[i - 1] < groups ? keys[i - 1] : groups);
    const int64_t here = i == count ? groups : (keys[i] < groups ? keys[i] : groups);
    for (int64_t group = before + 1; group <= here; ++group) begin[group] = static_cast<uint32_t>(i);
}

}  // namespace endogs::cuda
