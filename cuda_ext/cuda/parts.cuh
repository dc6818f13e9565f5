// What drawing and its gradient share: one warp per part of 8 x 4 pixels, and its Gaussians 32 at a time.
//
// Warps do not wait for each other: each walks its tile's entries, takes those whose mask says that they reach its own
// pixels into shared memory (reading the next 32 meanwhile), and leaves when all of its pixels are opaque.
#pragma once
#include "cuda/stages.h"

namespace endogs::cuda {

constexpr unsigned kAllLanes = ~0u;

struct Tile {
    int index, part, x, y;  // x, y: this lane's pixel
    bool inside;
    __device__ Tile(int tile, int part_, const Grid& grid, int lane) : index(tile), part(part_) {
        x = tile % grid.columns * kTile + part % kPartColumns * kPartWidth + lane % kPartWidth;
        y = tile / grid.columns * kTile + part / kPartColumns * kPartHeight + lane / kPartWidth;
        inside = x < grid.width && y < grid.height;
    }
};

struct StagedSplat {
    float4 shape, color;  // mean, a, b; c, log2 opacity, first two channels
    float4 rest;          // last two channels, Gaussian, and its place in the batch
};

// Reads a tile's entries 32 at a time. `take` leaves in `staged` those that reach the part.
class Batches {
  public:
    __device__ Batches(const GaussianMemory& g, const EntryMemory& e, const float* channels, const Tile& tile, int lane)
        : splats_(g.splats), entries_(e.entries), channels_(channels), part_(tile.part), lane_(lane),
          next_(g.tile_begin[tile.index]), end_(g.tile_begin[tile.index + 1]) {
        fetch();
    }
    __device__ bool done() const { return first_ >= end_; }
    __device__ uint32_t first() const { return first_; }

    __device__ int take(StagedSplat* staged) {
        __syncwarp();  // nobody reads the batch before any more
        const unsigned hits = __ballot_sync(kAllLanes, hit_);
        if (hit_) {
            rest_.w = __int_as_float(lane_);
            staged[__popc(hits & ((1u << lane_) - 1))] = {shape_, color_, rest_};
        }
        __syncwarp();
        fetch();
        return __popc(hits);
    }

  private:
    __device__ void fetch() {
        first_ = next_;
        next_ += 32;
        const uint32_t at = first_ + lane_;
        uint32_t entry = 0;
        if (at < end_) entry = entries_[at];
        hit_ = holds_part(entry, part_);
        if (!hit_) return;
        const uint32_t gaussian = gaussian_of(entry);
        const float4* splat = reinterpret_cast<const float4*>(splats_ + gaussian);
        shape_ = __ldg(splat);
        color_ = __ldg(splat + 1);
        rest_ = __ldg(splat + 2);
        if (channels_) {
            const float4 other = __ldg(reinterpret_cast<const float4*>(channels_) + gaussian);
            color_.z = other.x;
            color_.w = other.y;
            rest_.x = other.z;
            rest_.y = other.w;
        }
    }

    const Splat* splats_;
    const uint32_t* entries_;
    const float* channels_;
    int part_, lane_;
    uint32_t first_ = 0, next_, end_;
    bool hit_ = false;
    float4 shape_, color_, rest_;
};

__device__ inline float response_of(const StagedSplat& s, float dx, float dy) {
    return response_at(s.shape.z, s.shape.w, s.color.x, s.color.y, dx, dy);
}

constexpr int kWarps = 2;  // per block: parts of one tile that leave together

}  // namespace endogs::cuda
