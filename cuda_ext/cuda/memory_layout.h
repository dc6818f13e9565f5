// Where things lie in the two blocks of device memory that the caller owns: one sized by the Gaussians, one by the
// entries. The same walk measures (base null) and places. No CUDA here.
#pragma once
#include <cstddef>
#include <cstdint>

#include "cuda/records.h"
#include "cuda/tiles.h"
#include "kernels.h"

namespace endogs::cuda {

constexpr int kSums = 12;  // per Gaussian, see rasterize.cuh

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

// What projection leaves, by Gaussian, and the depth order.
struct GaussianMemory {
    Current* current;
    Progress* progress;
    Splat* splats;
    TileBox* boxes;
    uint32_t *tile_counts, *first_entry;   // first_entry is only written for deterministic sums
    uint32_t *keys[2], *order[2];          // by depth; the sort leaves its result in [0]
    uint32_t* ends;                        // (N + 1) running sums of tile counts in depth order
    void* scratch;                         // of sort and scan
    std::size_t scratch_bytes, bytes;

    GaussianMemory(void* base, int64_t count, std::size_t scratch_size) : scratch_bytes(scratch_size) {
        Walk walk(base);
        current = walk.take<Current>(1);
        progress = walk.take<Progress>(1);
        splats = walk.take<Splat>(count);
        boxes = walk.take<TileBox>(count);
        tile_counts = walk.take<uint32_t>(count);
        first_entry = walk.take<uint32_t>(count);
        for (int k = 0; k < 2; ++k) {
            keys[k] = walk.take<uint32_t>(count);
            order[k] = walk.take<uint32_t>(count);
        }
        ends = walk.take<uint32_t>(count + 1);
        scratch = walk.take<char>(scratch_size);
        bytes = walk.used();
    }
};

// Entries by tile. The sort leaves its result in [0].
struct EntryMemory {
    uint32_t* tile_begin;        // (tiles + 1)
    uint32_t *entries[2];        // sorted by tile; positions instead of entries where sums are deterministic
    uint32_t *keys[2];           // tiles
    uint32_t* by_position;       // entries in the order they were written; deterministic sums only
    float* sums;                 // (capacity, kSums) by position; deterministic sums only
    void* scratch;
    std::size_t scratch_bytes, bytes;

    EntryMemory(void* base, int64_t capacity, const Grid& grid, bool deterministic, std::size_t scratch_size)
        : scratch_bytes(scratch_size) {
        Walk walk(base);
        tile_begin = walk.take<uint32_t>(grid.tiles() + 1);
        for (int k = 0; k < 2; ++k) {
            entries[k] = walk.take<uint32_t>(capacity);
            keys[k] = walk.take<uint32_t>(capacity);
        }
        by_position = deterministic ? walk.take<uint32_t>(capacity) : nullptr;
        sums = deterministic ? walk.take<float>(capacity * kSums) : nullptr;
        scratch = walk.take<char>(scratch_size);
        bytes = walk.used();
    }
};

}  // namespace endogs::cuda
