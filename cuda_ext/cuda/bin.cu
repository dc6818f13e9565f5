// Sorting by depth, then by tile: two radix sorts of 32-bit keys instead of one of 64 bits over every entry.
#include <cub/device/device_radix_sort.cuh>
#include <cub/device/device_scan.cuh>
#include <thrust/iterator/permutation_iterator.h>

#include "cuda/stages.h"
#include "cuda/launch.h"

namespace endogs::cuda {
namespace {

constexpr int kBlock = 256;
constexpr int kManyTiles = 24;

// One thread per Gaussian, front to back; large ones are spread over the warp.
__global__ void __launch_bounds__(kBlock) write_entries(GaussianMemory g, EntryMemory e, int64_t count,
                                                        int64_t capacity, int columns) {
    const int64_t k = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x;
    const int lane = threadIdx.x % 32;
    uint32_t i = 0, at = 0;
    TileBox box{};
    Splat s{};
    if (k < count) {
        const uint32_t end = g.ends[k + 1];
        at = g.ends[k];
        if (k == count - 1) {
            g.progress->entries_needed = max(g.progress->entries_needed, end);
            if (end > capacity) atomicOr(&g.progress->failure, kOverflow);
        }
        if (end > at && end <= capacity) {
            i = g.order[0][k];
            box = g.boxes[i];
            const float4* parts = reinterpret_cast<const float4*>(g.splats + i);
            float4* mine = reinterpret_cast<float4*>(&s);
            mine[0] = parts[0];
            mine[1] = parts[1];
            if (e.by_position) g.first_entry[i] = at;
        }
    }
    auto write = [&](uint32_t position, int tile, uint32_t entry) {
        e.keys[0][position] = static_cast<uint32_t>(tile);
        e.entries[0][position] = e.by_position ? position : entry;
        if (e.by_position) e.by_position[position] = entry;
    };
    const int tiles = tiles_in(box);
    if (tiles <= kManyTiles) {
        const Reach<float> reach(s.a, s.b, s.c, s.log2_opacity);
        for (int y = box.y0; y < box.y1; ++y)
            for (int x = box.x0; x < box.x1; ++x)
                if (reaches_tile(reach, s.mean_x, s.mean_y, x, y))
                    write(at++, y * columns + x, entry_of(i, reached_parts(reach, s.mean_x, s.mean_y, x, y)));
    }
    for (unsigned large = __ballot_sync(~0u, tiles > kManyTiles); large; large &= large - 1) {
        const int from = __ffs(large) - 1;
        auto shared = [&](float value) { return __shfl_sync(~0u, value, from); };
        const float mean_x = shared(s.mean_x), mean_y = shared(s.mean_y);
        const Reach<float> reach(shared(s.a), shared(s.b), shared(s.c), shared(s.log2_opacity));
        const int x0 = __shfl_sync(~0u, box.x0, from), y0 = __shfl_sync(~0u, box.y0, from);
        const int across = __shfl_sync(~0u, box.x1, from) - x0, all = __shfl_sync(~0u, tiles, from);
        const uint32_t gaussian = __shfl_sync(~0u, i, from);
        uint32_t position = __shfl_sync(~0u, at, from);
        for (int first = 0; first < all; first += 32) {
            const int tile = first + lane, x = x0 + tile % across, y = y0 + tile / across;
            const bool hit = tile < all && reaches_tile(reach, mean_x, mean_y, x, y);
            const unsigned hits = __ballot_sync(~0u, hit);
            if (hit)
                write(position + __popc(hits & ((1u << lane) - 1)), y * columns + x,
                      entry_of(gaussian, reached_parts(reach, mean_x, mean_y, x, y)));
            position += __popc(hits);
        }
    }
}

__global__ void __launch_bounds__(kBlock) find_tiles(const uint32_t* keys, int64_t count, int tiles, uint32_t* begin) {
    const int64_t i = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x;
    if (i <= count) open_tiles(keys, i, count, tiles, begin);
}

// Runs one of CUB's two-phase calls, first to ask for its scratch memory when there is none.
std::size_t sort_bytes(std::size_t count, int bits) {
    std::size_t bytes = 0;
    cub::DoubleBuffer<uint32_t> keys(nullptr, nullptr), values(nullptr, nullptr);
    check(cub::DeviceRadixSort::SortPairs(nullptr, bytes, keys, values, static_cast<int>(count), 0, bits), "sort size");
    return bytes;
}

void sort_pairs(void* scratch, std::size_t bytes, uint32_t* const (&keys)[2], uint32_t* const (&values)[2],
                std::size_t count, int bits, cudaStream_t stream) {
    cub::DoubleBuffer<uint32_t> key_buffer(keys[0], keys[1]), value_buffer(values[0], values[1]);
    check(cub::DeviceRadixSort::SortPairs(scratch, bytes, key_buffer, value_buffer, static_cast<int>(count), 0, bits,
                                          stream),
          "sort");
    if (key_buffer.selector != 0) {
        check(cudaMemcpyAsync(keys[0], keys[1], count * sizeof(uint32_t), cudaMemcpyDeviceToDevice, stream), "keys");
        check(cudaMemcpyAsync(values[0], values[1], count * sizeof(uint32_t), cudaMemcpyDeviceToDevice, stream),
              "values");
    }
}

auto counts_in_order(const GaussianMemory& g) { return thrust::make_permutation_iterator(g.tile_counts, g.order[0]); }

}  // namespace

std::size_t gaussian_scratch_bytes(int64_t count) {
    if (count == 0) return 0;
    std::size_t scan = 0;
    uint32_t* none = nullptr;
    check(cub::DeviceScan::InclusiveSum(nullptr, scan, thrust::make_permutation_iterator(none, none), none,
                                        static_cast<int>(count)),
          "scan size");
    return std::max(scan, sort_bytes(count, 32));
}

std::size_t entry_scratch_bytes(int64_t capacity, const Grid& grid) {
    return capacity == 0 ? 0 : sort_bytes(capacity, tile_key_bits(grid.tiles()));
}

void order_by_depth(const GaussianMemory& memory, int64_t count, cudaStream_t stream) {
    if (count == 0) return;
    sort_pairs(memory.scratch, memory.scratch_bytes, memory.keys, memory.order, count, 32, stream);
    std::size_t bytes = memory.scratch_bytes;
    check(cub::DeviceScan::InclusiveSum(memory.scratch, bytes, counts_in_order(memory), memory.ends + 1,
                                        static_cast<int>(count), stream),
          "scan");
}

void bin(const GaussianMemory& gaussians, const EntryMemory& entries, int64_t count, int64_t capacity, bool padded,
         const Grid& grid, cudaStream_t stream) {
    if (padded)
        check(cudaMemsetAsync(entries.keys[0], 0xff, capacity * sizeof(uint32_t), stream), "clearing keys");
    if (count > 0) {
        write_entries<<<blocks_for(count, kBlock), kBlock, 0, stream>>>(gaussians, entries, count, capacity,
                                                                        grid.columns);
        ENDOGS_LAUNCHED("writing entries");
    }
    if (capacity > 0)
        sort_pairs(entries.scratch, entries.scratch_bytes, entries.keys, entries.entries, capacity,
                   tile_key_bits(grid.tiles()), stream);
    find_tiles<<<blocks_for(capacity + 1, kBlock), kBlock, 0, stream>>>(entries.keys[0], capacity, grid.tiles(),
                                                                        entries.tile_begin);
    ENDOGS_LAUNCHED("finding tiles");
}

}  // namespace endogs::cuda
