// Entries by tile, front to back: counted by projection, written in any order, then sorted tile by tile in shared
// memory. Sorting everything at once, by depth and then by tile, takes six passes over memory and twice the time.
#include <cub/device/device_radix_sort.cuh>

#include "cuda/launch.h"
#include "cuda/stages.h"
#include "cuda/warp_tiles.cuh"

namespace endogs::cuda {
namespace {

constexpr int kBlock = 256;
constexpr int kScanBlock = 1024;
constexpr int kSorted = 2048;  // keys that a block sorts in shared memory at once
static_assert(kSorted % kBlock == 0 && kSorted % kRun == 0 && kRun % 32 == 0);

using Total = unsigned long long;  // entries may be more than 32 bits count, until they are refused

__device__ Total warp_sum_up_to(Total value) {
    const int lane = threadIdx.x % 32;
    for (int step = 1; step < 32; step *= 2) {
        const Total before = __shfl_up_sync(~0u, value, step);
        if (lane >= step) value += before;
    }
    return value;
}

// One block: running sums of the tiles' counts, and the flags. The counts of large splats become places to write to,
// behind those of the small ones.
__global__ void __launch_bounds__(kScanBlock) place_tiles(GaussianMemory g, int tiles, int64_t capacity) {
    __shared__ Total warps[32];
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    Total total = 0;
    for (int first = 0; first < tiles; first += kScanBlock) {
        const int tile = first + threadIdx.x;
        const uint32_t small = tile < tiles ? g.tile_counts[tile] : 0;
        const uint32_t count = small + (tile < tiles ? g.tile_counts[tiles + tile] : 0);
        const Total within = warp_sum_up_to(count);
        if (lane == 31) warps[warp] = within;
        __syncthreads();
        if (warp == 0) warps[lane] = warp_sum_up_to(warps[lane]);
        __syncthreads();
        const Total begin = total + within + (warp ? warps[warp - 1] : 0) - count;
        if (tile < tiles) {
            g.tile_begin[tile] = static_cast<uint32_t>(begin);
            g.tile_counts[tiles + tile] = static_cast<uint32_t>(begin + small);
        }
        total += warps[31];
        __syncthreads();
    }
    const bool fits = total <= static_cast<Total>(capacity);
    if (!fits)  // nothing is drawn, and the step will not count
        for (int tile = threadIdx.x; tile < tiles; tile += kScanBlock) g.tile_begin[tile] = 0;
    if (threadIdx.x != 0) return;
    const uint32_t needed = total > ~0u ? ~0u : static_cast<uint32_t>(total);
    g.tile_begin[tiles] = fits ? needed : 0;
    if (needed > g.progress->entries_needed) g.progress->entries_needed = needed;
    if (!fits) atomicOr(&g.progress->failure, kOverflow);
}

__global__ void __launch_bounds__(kBlock) write_entries(GaussianMemory g, EntryMemory e, int64_t count,
                                                        int64_t capacity, int columns, int all_tiles) {
    const int64_t i = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x;
    Splat s{};
    TileBox box{};
    if (i < count && g.reached[i] > 0) {
        box = g.boxes[i];
        const float4* parts = reinterpret_cast<const float4*>(g.splats + i);
        float4* mine = reinterpret_cast<float4*>(&s);
        for (int k = 0; k < 3; ++k) mine[k] = parts[k];
    }
    const int tiles = tiles_in(box);
    if (tiles <= kFewTiles) {
        const Reach<float> reach(s.a, s.b, s.c, s.log2_opacity);
        for (int k = 0; k < tiles; ++k) {
            const uint32_t rank = g.ranks[k * count + i];
            if (rank == kNoRank) continue;
            const int tile = tile_at(box, k, columns);
            const uint32_t at = g.tile_begin[tile] + rank;
            const uint32_t parts = reached_parts(reach, s.mean_x, s.mean_y, tile % columns, tile / columns);
            if (at < capacity) e.keys[at] = sort_key(s.channel3, entry_of(s.gaussian, parts));
        }
        box = {};
    }
    unsigned reached = 0;
    for_each_tile(
        s, box, columns,
        [&](int tile, uint32_t gaussian, const Reach<float>& reach, float mean_x, float mean_y, int x, int y) {
            const uint32_t at = atomicAdd(g.tile_counts + all_tiles + tile, 1u);
            const float z = g.splats[gaussian].channel3;  // a large splat's tiles are visited by all lanes
            if (at < capacity)
                e.keys[at] = sort_key(z, entry_of(gaussian, reached_parts(reach, mean_x, mean_y, x, y)));
        },
        reached);
}

// Sorts up to kSorted keys of `from` into `to`, or their entries into `entries`, through shared memory. Every key is
// ranked by counting: in its own run of kRun keys by looking at all of them (a warp's keys share a run, so these reads
// are broadcasts), in every other run, sorted by then, by bisection. There are three barriers, whatever the size.
__device__ void sort_run(const uint64_t* from, uint64_t* to, uint32_t* entries, int count, uint64_t* keys) {
    const int runs = (count + kRun - 1) / kRun;
    for (int i = threadIdx.x; i < runs * kRun; i += kBlock) keys[i] = i < count ? from[i] : kLastKey;
    __syncthreads();
    uint64_t mine[kSorted / kBlock];
    int place[kSorted / kBlock];
#pragma unroll
    for (int k = 0; k < kSorted / kBlock; ++k) {
        const int i = k * kBlock + threadIdx.x;
        if (i >= count) break;
        mine[k] = keys[i];
        const ulonglong2* run = reinterpret_cast<const ulonglong2*>(keys + i / kRun * kRun);
        int before = 0;
#pragma unroll 8
        for (int other = 0; other < kRun / 2; ++other) {
            const ulonglong2 pair = run[other];
            before += pair.x < mine[k];
            before += pair.y < mine[k];
        }
        place[k] = before;
    }
    __syncthreads();
#pragma unroll
    for (int k = 0; k < kSorted / kBlock; ++k) {
        const int i = k * kBlock + threadIdx.x;
        if (i >= count) break;
        keys[i / kRun * kRun + place[k]] = mine[k];
    }
    __syncthreads();
#pragma unroll
    for (int k = 0; k < kSorted / kBlock; ++k) {
        const int i = k * kBlock + threadIdx.x;
        if (i >= count) break;
        int at = place[k];
#pragma unroll 4
        for (int run = 0; run < runs; ++run)
            if (run != i / kRun) at += rank_in_run(keys + run * kRun, mine[k]);
        if (entries) entries[at] = entry_in(mine[k]);
        else to[at] = mine[k];
    }
    __syncthreads();
}

// One block per tile. A tile with more entries than fit is sorted in runs, which are merged two by two in memory.
__global__ void __launch_bounds__(kBlock) sort_tiles(GaussianMemory g, EntryMemory e) {
    __shared__ alignas(16) uint64_t keys[kSorted];
    const int64_t begin = g.tile_begin[blockIdx.x], end = g.tile_begin[blockIdx.x + 1];
    const int64_t count = end - begin;
    uint64_t *from = e.keys + begin, *to = e.merged + begin;
    uint32_t* entries = e.entries + begin;
    if (count <= kSorted) {
        sort_run(from, nullptr, entries, static_cast<int>(count), keys);
        return;
    }
    for (int64_t run = 0; run < count; run += kSorted)
        sort_run(from + run, from + run, nullptr, count - run < kSorted ? static_cast<int>(count - run) : kSorted, keys);
    for (int64_t run = kSorted; run < count; run *= 2) {
        for (int64_t i = threadIdx.x; i < count; i += kBlock) {
            const int64_t left = i / (2 * run) * (2 * run), middle = left + run < count ? left + run : count;
            const int64_t right = middle + run < count ? middle + run : count;
            const bool in_left = i < middle;
            const int64_t others = in_left ? rank_among(from + middle, right - middle, from[i])
                                           : rank_among(from + left, middle - left, from[i]);
            to[in_left ? i + others : left + (i - middle) + others] = from[i];
        }
        __syncthreads();
        uint64_t* const swap = from;
        from = to;
        to = swap;
    }
    for (int64_t i = threadIdx.x; i < count; i += kBlock) entries[i] = entry_in(from[i]);
}

__global__ void __launch_bounds__(kBlock) list_places(GaussianMemory g, EntryMemory e, int tiles, int64_t capacity) {
    const int64_t i = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x;
    if (i >= capacity) return;
    e.ordered.gaussians[0][i] = i < g.tile_begin[tiles] ? gaussian_of(e.entries[i]) : ~0u;
    e.ordered.places[0][i] = static_cast<uint32_t>(i);
}

__global__ void __launch_bounds__(kBlock) find_gaussians(OrderedSums ordered, int64_t capacity, int64_t count) {
    const int64_t i = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x;
    if (i <= capacity) open_groups(ordered.gaussians[0], i, capacity, count, ordered.begin);
}

}  // namespace

std::size_t order_scratch_bytes(int64_t capacity, int64_t count) {
    if (capacity == 0) return 0;
    std::size_t bytes = 0;
    cub::DoubleBuffer<uint32_t> keys(nullptr, nullptr), values(nullptr, nullptr);
    check(cub::DeviceRadixSort::SortPairs(nullptr, bytes, keys, values, static_cast<int>(capacity), 0,
                                          key_bits(count)),
          "sort size");
    return bytes;
}

void place_entries(const GaussianMemory& gaussians, int64_t capacity, const Grid& grid, cudaStream_t stream) {
    place_tiles<<<1, kScanBlock, 0, stream>>>(gaussians, grid.tiles(), capacity);
    ENDOGS_LAUNCHED("placing entries");
}

void bin(const GaussianMemory& gaussians, const EntryMemory& entries, int64_t count, int64_t capacity,
         const Grid& grid, cudaStream_t stream) {
    if (count > 0 && capacity > 0) {
        write_entries<<<blocks_for(count, kBlock), kBlock, 0, stream>>>(gaussians, entries, count, capacity,
                                                                        grid.columns, grid.tiles());
        ENDOGS_LAUNCHED("writing entries");
    }
    sort_tiles<<<grid.tiles(), kBlock, 0, stream>>>(gaussians, entries);
    ENDOGS_LAUNCHED("sorting tiles");
    const OrderedSums& o = entries.ordered;
    if (!o.sums) return;
    if (capacity > 0) {
        list_places<<<blocks_for(capacity, kBlock), kBlock, 0, stream>>>(gaussians, entries, grid.tiles(), capacity);
        ENDOGS_LAUNCHED("listing places");
        cub::DoubleBuffer<uint32_t> keys(o.gaussians[0], o.gaussians[1]), values(o.places[0], o.places[1]);
        std::size_t bytes = o.scratch_bytes;
        check(cub::DeviceRadixSort::SortPairs(o.scratch, bytes, keys, values, static_cast<int>(capacity), 0,
                                              key_bits(count), stream),
              "sort");
        if (keys.selector != 0)
            for (uint32_t* const* pair : {o.gaussians, o.places})
                check(cudaMemcpyAsync(pair[0], pair[1], capacity * sizeof(uint32_t), cudaMemcpyDeviceToDevice, stream),
                      "sorted places");
    }
    find_gaussians<<<blocks_for(capacity + 1, kBlock), kBlock, 0, stream>>>(o, capacity, count);
    ENDOGS_LAUNCHED("finding a Gaussian's entries");
}

}  // namespace endogs::cuda
