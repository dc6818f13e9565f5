// Where things lie in the two blocks of device memory that the caller owns: one sized by the Gaussians, one by the
// entries. The same walk measures (base null) and places. No CUDA here.
#pragma once
#include <cstddef>
#include <cstdint>

#include "cuda/records.h"
#include "cuda/tiles.h"
#include "kernels.h"

namespace endogs::cuda {

constexpr int kSums = 12;  // per Gaussian, see stages.h

class Walk {
  public:
    explicit Walk(void* base) : base_(static_cast<char*>(base)) {}
    template <class T>
    T* take(std::size_t count) {
        T* here = base_ ? reinterpret_cast<T*>(base_ + used_) : nullptr;
        used_ += (count * sizeof(T) + 255) / 256 * 256;
        return here;
    }
    std::size_t used() const { return used_; }

  private:
    char* base_;
    std::size_t used_ = 0;
};

struct Grid {
    int width, height, columns, rows;
    ENDOGS_HD Grid(int w, int h) : width(w), height(h), columns((w + kTile - 1) / kTile), rows((h + kTile - 1) / kTile) {}
    ENDOGS_HD int tiles() const { return columns * rows; }
    ENDOGS_HD std::size_t pixels() const { return static_cast<std::size_t>(width) * height; }
};

// What projection leaves, by Gaussian and by tile.
struct GaussianMemory {
    Current* current;
    Progress* progress;
    Splat* splats;
    TileBox* boxes;
    uint32_t* reached;      // tiles that a Gaussian reaches; 0 when it is not drawn
    uint32_t* ranks;        // (kFewTiles, N) the place of a small splat's entry among those of the same tile
    uint32_t* tile_counts;  // (2, tiles) entries of every tile, of small splats and of large ones
    uint32_t* tile_begin;   // (tiles + 1) their running sums; the last is the number of entries
    std::size_t bytes;

    GaussianMemory(void* base, int64_t count, const Grid& grid) {
        Walk walk(base);
        current = walk.take<Current>(1);
        progress = walk.take<Progress>(1);
        splats = walk.take<Splat>(count);
        boxes = walk.take<TileBox>(count);
        reached = walk.take<uint32_t>(count);
        ranks = walk.take<uint32_t>(count * kFewTiles);
        tile_counts = walk.take<uint32_t>(2 * grid.tiles());
        tile_begin = walk.take<uint32_t>(grid.tiles() + 1);
        bytes = walk.used();
    }
};

// What sums in a fixed order want besides: every entry's own row, and where each Gaussian's entries are.
struct OrderedSums {
    float* sums;                                // (capacity, kSums) by place in the sorted entries; null when not wanted
    uint32_t *gaussians[2], *places[2];         // sorted by Gaussian, into [0]
    uint32_t* begin;                            // (N + 1)
    void* scratch;
    std::size_t scratch_bytes;
};

// Entries by tile, front to back.
struct EntryMemory {
    uint32_t* entries;
    uint64_t *keys, *merged;  // before they are sorted, and between two merges of a crowded tile
    OrderedSums ordered;
    std::size_t bytes;

    EntryMemory(void* base, int64_t capacity, int64_t count, bool in_order, std::size_t scratch_size) {
        Walk walk(base);
        entries = walk.take<uint32_t>(capacity);
        keys = walk.take<uint64_t>(capacity);
        merged = walk.take<uint64_t>(capacity);
        ordered = {};
        if (in_order) {
            ordered.sums = walk.take<float>(capacity * kSums);
            for (int k = 0; k < 2; ++k) {
                ordered.gaussians[k] = walk.take<uint32_t>(capacity);
                ordered.places[k] = walk.take<uint32_t>(capacity);
            }
            ordered.begin = walk.take<uint32_t>(count + 1);
            ordered.scratch = walk.take<char>(scratch_size);
            ordered.scratch_bytes = scratch_size;
        }
        bytes = walk.used();
    }
};

}  // namespace endogs::cuda
