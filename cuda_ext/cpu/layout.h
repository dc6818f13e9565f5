// The records that binning and rasterization share.
#pragma once
#include <cstdint>

#include "cpu/simd.h"
#include "splat_math.h"

namespace endogs::ENDOGS_ISA {

constexpr int kBlockWidth = 4;              // a SIMD vector is a block of 4 x (lanes / 4) pixels
constexpr int kBlockHeight = kLanes / 4;
constexpr int kBlockColumns = kTile / kBlockWidth;
constexpr int kBlocks = kTile * kTile / kLanes;

template <int Blocks>
struct MaskWordFor {
    using type = uint64_t;
};
template <>
struct MaskWordFor<16> {
    using type = uint16_t;
};
template <>
struct MaskWordFor<32> {
    using type = uint32_t;
};
using MaskWord = MaskWordFor<kBlocks>::type;  // which blocks of a tile a Gaussian reaches

constexpr int kOpaqueCheck = 16;      // Gaussians between two such checks

// log2 of alpha at offset d from the mean is log2_opacity + a dx^2 + b dx dy + c dy^2.
struct alignas(64) Splat {
    float mean_x, mean_y, a, b, c, log2_opacity;
    float channel[4];  // red, green, blue, z
};
static_assert(sizeof(Splat) == 64);

// What binning wants, apart from the splat, because it is visited in depth order: random access to few bytes.
struct alignas(16) Footprint {
    uint16_t x0, y0, x1, y1;  // tiles; empty when not drawn
    uint32_t slot;            // index of its first (Gaussian, tile) candidate, row-major over the tiles
    uint32_t depth_key;
    bool drawn() const { return x1 > x0; }
    int tiles() const { return (x1 - x0) * (y1 - y0); }
};

// The `splats` buffer.
struct Splats {
    Splat* splat;
    Footprint* footprint;
    Splats(void* memory, int64_t count)
        : splat(static_cast<Splat*>(memory)), footprint(reinterpret_cast<Footprint*>(splat + count)) {}
};

struct Entry {
    uint32_t gaussian, slot;
    MaskWord mask;
};

struct Grid {
    int width, height, columns, rows;
    Grid(int w, int h) : width(w), height(h), columns((w + kTile - 1) / kTile), rows((h + kTile - 1) / kTile) {}
    int tiles() const { return columns * rows; }
};

// The `bins` buffer: masks by slot, tile ranges, entries.
struct Bins {
    MaskWord* masks;
    uint32_t* tile_begin;  // tiles + 1
    Entry* entries;

    static std::size_t round_up(std::size_t bytes) { return (bytes + 63) / 64 * 64; }
    static std::size_t bytes(int64_t slots, const Grid& grid) {
        return round_up(sizeof(MaskWord) * slots) + round_up(sizeof(uint32_t) * (grid.tiles() + 1)) +
               round_up(sizeof(Entry) * slots);
    }
    Bins(void* memory, int64_t slots, const Grid& grid) {
        char* at = static_cast<char*>(memory);
        masks = reinterpret_cast<MaskWord*>(at);
        at += round_up(sizeof(MaskWord) * slots);
        tile_begin = reinterpret_cast<uint32_t*>(at);
        at += round_up(sizeof(uint32_t) * (grid.tiles() + 1));
        entries = reinterpret_cast<Entry*>(at);
    }
};

// Pixel offsets of the lanes inside a block, and of the blocks inside a tile.
struct Offsets {
    vf x, y;
    float block_x[kBlocks], block_y[kBlocks];
    Offsets() {
        alignas(64) float xs[kLanes], ys[kLanes];
        for (int lane = 0; lane < kLanes; ++lane) {
            xs[lane] = static_cast<float>(lane % kBlockWidth);
            ys[lane] = static_cast<float>(lane / kBlockWidth);
        }
        x = load(xs);
        y = load(ys);
        for (int block = 0; block < kBlocks; ++block) {
            block_x[block] = static_cast<float>(block % kBlockColumns * kBlockWidth);
            block_y[block] = static_cast<float>(block / kBlockColumns * kBlockHeight);
        }
    }
};

}  // namespace endogs::ENDOGS_ISA
