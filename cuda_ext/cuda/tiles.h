// Which Gaussians reach which tiles: the logic of binning, free of CUDA's syntax, so that a host program can check it.
//
// Gaussians are sorted by depth, each writes one entry per tile it reaches, in that order, and a stable sort by tile
// leaves every tile's entries front to back. An entry is the Gaussian's index and a mask of the tile's parts it reaches:
// one part of 8 x 4 pixels per warp.
#pragma once
#include <cstdint>

#include "splat_math.h"

namespace endogs::cuda {

constexpr int kPartWidth = 8, kPartHeight = 4;
constexpr int kPartColumns = kTile / kPartWidth;
constexpr int kParts = kPartColumns * (kTile / kPartHeight);  // bits of an entry's mask
constexpr int64_t kMaxGaussians = int64_t{1} << (32 - kParts);
constexpr uint32_t kNeverDrawn = 0xffffffffu;  // depth key

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

// Whether a splat reaches a tile at all: exactly the union of what `reached_parts` looks at, and the gaps between.
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

// Bits that tile numbers need, with one value above them all: unused capacity is filled with ones and sorts last.
inline int tile_key_bits(int tiles) {
    int bits = 1;
    while ((int64_t{1} << bits) <= tiles) ++bits;
    return bits;
}

// Entry `i` of sorted `keys` opens every tile after the previous entry's, up to its own. Keys beyond the tiles are
// unused capacity. `begin` has tiles + 1 elements; with i = count the last ones are closed.
ENDOGS_HD void open_tiles(const uint32_t* keys, int64_t i, int64_t count, int tiles, uint32_t* begin) {
    const int64_t beyond = tiles;
    const int64_t before = i == 0 ? -1 : (keys[i - 1] < static_cast<uint32_t>(tiles) ? keys[i - 1] : beyond);
    const int64_t here = i == count ? beyond : (keys[i] < static_cast<uint32_t>(tiles) ? keys[i] : beyond);
    for (int64_t tile = before + 1; tile <= here; ++tile) begin[tile] = static_cast<uint32_t>(i);
}

}  // namespace endogs::cuda
