// What a forward pass hands to Python and gets back for the backward pass: two blocks of bytes that belong together.
#pragma once
#include <atomic>
#include <cstring>

#include "camera_view.h"
#include "kernels.h"

namespace endogs {

// In front of the bins, so that a backward pass recognizes the forward pass it belongs to.
struct alignas(64) BinsHeader {
    const Kernels* kernels;
    int64_t slot_count, gaussian_count;
    int width, height;
    uint64_t serial;  // the same number stands behind the splats
};

constexpr std::size_t kSplatsTail = 64;

inline std::size_t splats_bytes(const Kernels& k, int64_t count) { return k.splat_bytes * count + kSplatsTail; }

inline std::size_t bins_bytes(const Kernels& k, int64_t slots, int width, int height) {
    return sizeof(BinsHeader) + k.bins_bytes(slots, width, height);
}

// Lays the header; fills `bins` of the state.
inline void begin_bins(const Kernels& k, RasterState& state, void* memory, int width, int height) {
    static std::atomic<uint64_t> last{0};
    const BinsHeader header{&k, state.slot_count, state.gaussian_count, width, height, ++last};
    std::memcpy(memory, &header, sizeof header);
    std::memcpy(static_cast<char*>(state.splats) + k.splat_bytes * state.gaussian_count, &header.serial,
                sizeof header.serial);
    state.bins = static_cast<char*>(memory) + sizeof(BinsHeader);
}

inline bool aligned(const void* memory) { return reinterpret_cast<std::uintptr_t>(memory) % 64 == 0; }

// The state in two blocks of so many bytes. Throws std::invalid_argument unless one forward pass of `k` left both and
// drew an image of this size.
inline RasterState state_in(const Kernels& k, void* splats, std::size_t splats_size, void* bins, std::size_t bins_size,
                            int width, int height) {
    require(bins_size >= sizeof(BinsHeader) && aligned(bins), "bins are not what a forward pass left");
    BinsHeader header;
    std::memcpy(&header, bins, sizeof header);
    require(header.kernels == &k,
            "bins are not what a forward pass left, or the instruction set changed since then");
    require(header.width == width && header.height == height &&
                bins_size == bins_bytes(k, header.slot_count, width, height),
            "bins belong to an image of another size");
    require(splats_size == splats_bytes(k, header.gaussian_count) && aligned(splats),
            "splats are not what this forward pass left");
    uint64_t serial;
    std::memcpy(&serial, static_cast<const char*>(splats) + k.splat_bytes * header.gaussian_count, sizeof serial);
    require(serial == header.serial, "splats and bins are of two forward passes");
    return {splats, static_cast<char*>(bins) + sizeof(BinsHeader), header.gaussian_count, header.slot_count};
}

}  // namespace endogs
