// Tile rasterization, forward and backward.
//
// A tile's pixels are cut into SIMD blocks; a Gaussian visits only the blocks its ellipse reaches. The mathematics is
// that of splat_math.h.
#pragma once
#include "cpu/layout.h"
#include "kernels.h"
#include "parallel.h"

namespace endogs::ENDOGS_ISA {

constexpr int kTilesPerGrab = 4;
constexpr int kTilePixels = kTile * kTile;

// Pixels of a tile in block order, so that a block is one vector.
ENDOGS_INLINE void load_tile(const float* plane, const Grid& grid, int x0, int y0, float* tile) {
    const int wide = grid.width - x0 < kTile ? grid.width - x0 : kTile;
    const int high = grid.height - y0 < kTile ? grid.height - y0 : kTile;
    if (wide < kTile || high < kTile) __builtin_memset(tile, 0, sizeof(float) * kTilePixels);
    for (int y = 0; y < high; ++y) {
        const float* row = plane + static_cast<std::size_t>(y0 + y) * grid.width + x0;
        float* out = tile + y / kBlockHeight * kBlockColumns * kLanes + y % kBlockHeight * kBlockWidth;
        if (wide == kTile)
            for (int block = 0; block < kBlockColumns; ++block)
                __builtin_memcpy(out + block * kLanes, row + block * kBlockWidth, sizeof(float) * kBlockWidth);
        else
            for (int x = 0; x < wide; ++x) out[x / kBlockWidth * kLanes + x % kBlockWidth] = row[x];
    }
}

ENDOGS_INLINE void store_tile(float* plane, const Grid& grid, int x0, int y0, const float* tile) {
    const int wide = grid.width - x0 < kTile ? grid.width - x0 : kTile;
    const int high = grid.height - y0 < kTile ? grid.height - y0 : kTile;
    for (int y = 0; y < high; ++y) {
        float* row = plane + static_cast<std::size_t>(y0 + y) * grid.width + x0;
        const float* in = tile + y / kBlockHeight * kBlockColumns * kLanes + y % kBlockHeight * kBlockWidth;
        if (wide == kTile)
            for (int block = 0; block < kBlockColumns; ++block)
                __builtin_memcpy(row + block * kBlockWidth, in + block * kLanes, sizeof(float) * kBlockWidth);
        else
            for (int x = 0; x < wide; ++x) row[x] = in[x / kBlockWidth * kLanes + x % kBlockWidth];
    }
}

struct SplatVectors {
    vf a, b, c, log2_opacity;
    ENDOGS_INLINE explicit SplatVectors(const Splat& s) : a(s.a), b(s.b), c(s.c), log2_opacity(s.log2_opacity) {}
    // Opacity times the Gaussian, before the clamp and the threshold.
    ENDOGS_INLINE vf response(vf dx, vf dy) const {
        return response_at(a, b, c, log2_opacity, dx, dy);
    }
};

// Opacity times the Gaussian in every reached block, one after the other; returns how many. A loop of its own, because
// these chains are long and independent: together with what consumes them they would fill the processor's scheduler.
ENDOGS_INLINE int responses_in(const SplatVectors& splat, const Offsets& offset, vf dx0, vf dy0, MaskWord reached,
                               float* responses) {
    int count = 0;
    for (MaskWord left = reached; left; left &= left - 1, ++count) {
        const int block = __builtin_ctzll(left);
        const vf dx = dx0 + vf(offset.block_x[block]), dy = dy0 + vf(offset.block_y[block]);
        store(responses + count * kLanes, splat.response(dx, dy));
    }
    return count;
}

// Drops the blocks in which every pixel is opaque.
ENDOGS_INLINE MaskWord still_open(MaskWord open, const float* transmittance) {
    for (MaskWord left = open; left; left &= left - 1) {
        const int block = __builtin_ctzll(left);
        if (max_lane(load(transmittance + block * kLanes)) < kOpaque) open &= ~(MaskWord{1} << block);
    }
    return open;
}

ENDOGS_INLINE const float* channels_of(const Splat& s, const float* channels, uint32_t gaussian) {
    return channels ? channels + static_cast<std::size_t>(gaussian) * 4 : s.channel;
}

inline void rasterize(const RasterState& state, const float* channels, int width, int height, float* planes,
                      float* alpha_plane) {
    const Grid grid(width, height);
    const Bins bins(state.bins, state.slot_count, grid);
    const Splat* splats = static_cast<const Splat*>(state.splats);
    const std::size_t pixels = static_cast<std::size_t>(width) * height;
    const int tiles = grid.tiles();

    auto draw = [&](int grab) {
        alignas(64) float through[kTilePixels], color[4][kTilePixels];
        const Offsets offset;
        for (int tile = grab * kTilesPerGrab; tile < (grab + 1) * kTilesPerGrab && tile < tiles; ++tile) {
            const int x0 = tile % grid.columns * kTile, y0 = tile / grid.columns * kTile;
            for (int k = 0; k < kTilePixels; k += kLanes) {
                store(through + k, vf(1.0f));
                for (int ch = 0; ch < 4; ++ch) store(color[ch] + k, vf(0.0f));
            }
            const Entry* entry = bins.entries + bins.tile_begin[tile];
            const Entry* const end = bins.entries + bins.tile_begin[tile + 1];
            MaskWord open = static_cast<MaskWord>(~MaskWord{0});
            for (int since = 0; entry < end; ++entry, ++since) {
                if (since == kOpaqueCheck) {
                    since = 0;
                    open = still_open(open, through);
                    if (!open) break;
                }
                if (entry + 6 < end) __builtin_prefetch(&splats[entry[6].gaussian]);
                const Splat& s = splats[entry->gaussian];
                const SplatVectors splat(s);
                const float* channel = channels_of(s, channels, entry->gaussian);
                const vf c0(channel[0]), c1(channel[1]), c2(channel[2]), c3(channel[3]);
                const vf dx0 = offset.x + vf(static_cast<float>(x0) + 0.5f - s.mean_x);
                const vf dy0 = offset.y + vf(static_cast<float>(y0) + 0.5f - s.mean_y);
                for (MaskWord left = entry->mask & open; left; left &= left - 1) {
                    const int block = __builtin_ctzll(left), at = block * kLanes;
                    const vf dx = dx0 + vf(offset.block_x[block]);
                    const vf dy = dy0 + vf(offset.block_y[block]);
                    const vf alpha = visible_alpha(splat.response(dx, dy));
                    const vf passing = load(through + at), weight = alpha * passing;
                    store(through + at, passing - weight);
                    store(color[0] + at, fma(weight, c0, load(color[0] + at)));
                    store(color[1] + at, fma(weight, c1, load(color[1] + at)));
                    store(color[2] + at, fma(weight, c2, load(color[2] + at)));
                    store(color[3] + at, fma(weight, c3, load(color[3] + at)));
                }
            }
            for (int ch = 0; ch < 4; ++ch) store_tile(planes + ch * pixels, grid, x0, y0, color[ch]);
            if (alpha_plane) {
                for (int k = 0; k < kTilePixels; k += kLanes) store(through + k, vf(1.0f) - load(through + k));
                store_tile(alpha_plane, grid, x0, y0, through);
            }
        }
    };
    parallel_for((tiles + kTilesPerGrab - 1) / kTilesPerGrab, draw);
}

// Number of (pixel, Gaussian) pairs whose alpha reaches the threshold, inside the image: the work there is to do.
inline int64_t contributing_pairs(const RasterState& state, int width, int height) {
    const Grid grid(width, height);
    const Bins bins(state.bins, state.slot_count, grid);
    const Splat* splats = static_cast<const Splat*>(state.splats);
    const Offsets offset;
    int64_t pairs = 0;
    for (int tile = 0; tile < grid.tiles(); ++tile) {
        const float x0 = static_cast<float>(tile % grid.columns * kTile) + 0.5f;
        const float y0 = static_cast<float>(tile / grid.columns * kTile) + 0.5f;
        for (uint32_t i = bins.tile_begin[tile]; i < bins.tile_begin[tile + 1]; ++i) {
            const Splat& s = splats[bins.entries[i].gaussian];
            const SplatVectors splat(s);
            for (MaskWord left = bins.entries[i].mask; left; left &= left - 1) {
                const int block = __builtin_ctzll(left);
                const vf x = offset.x + vf(x0 + offset.block_x[block]);
                const vf y = offset.y + vf(y0 + offset.block_y[block]);
                const Mask inside = (vf(static_cast<float>(width)) > x) & (vf(static_cast<float>(height)) > y);
                const vf response = splat.response(x - vf(s.mean_x), y - vf(s.mean_y));
                pairs += __builtin_popcount(bits(inside & (response >= vf(kMinAlpha))));
            }
        }
    }
    return pairs;
}

// Twelve vectors to the twelve sums of their lanes, followed by four zeros.
ENDOGS_INLINE void store_sums(float* slot, const vf* v) {
#if defined(__AVX512F__)
    __m512 quads[3];
    for (int k = 0; k < 3; ++k) {
        const __m512 a = v[4 * k].v, b = v[4 * k + 1].v, c = v[4 * k + 2].v, d = v[4 * k + 3].v;
        const __m512 ab = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
        const __m512 cd = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
        quads[k] = _mm512_add_ps(_mm512_shuffle_ps(ab, cd, 0x44), _mm512_shuffle_ps(ab, cd, 0xee));
    }
    const __m512 none = _mm512_setzero_ps();
    const __m512 xy = _mm512_add_ps(_mm512_shuffle_f32x4(quads[0], quads[1], 0x44),
                                    _mm512_shuffle_f32x4(quads[0], quads[1], 0xee));
    const __m512 zw =
        _mm512_add_ps(_mm512_shuffle_f32x4(quads[2], none, 0x44), _mm512_shuffle_f32x4(quads[2], none, 0xee));
    _mm512_store_ps(slot, _mm512_add_ps(_mm512_shuffle_f32x4(xy, zw, 0x88), _mm512_shuffle_f32x4(xy, zw, 0xdd)));
#elif defined(__AVX2__)
    for (int k = 0; k < 3; ++k) {
        const __m256 a = v[4 * k].v, b = v[4 * k + 1].v, c = v[4 * k + 2].v, d = v[4 * k + 3].v;
        const __m256 ab = _mm256_add_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
        const __m256 cd = _mm256_add_ps(_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
        const __m256 quad = _mm256_add_ps(_mm256_shuffle_ps(ab, cd, 0x44), _mm256_shuffle_ps(ab, cd, 0xee));
        _mm_store_ps(slot + 4 * k, _mm_add_ps(_mm256_castps256_ps128(quad), _mm256_extractf128_ps(quad, 1)));
    }
    _mm_store_ps(slot + 12, _mm_setzero_ps());
#else
    for (int k = 0; k < 12; ++k) slot[k] = sum(v[k]);
    for (int k = 12; k < 16; ++k) slot[k] = 0.0f;
#endif
}

// A slot: sums over the tile's pixels of, with w = dL/d log(opacity),
//   w, w dx, w dy, w dx^2, w dx dy, w dy^2, |dL/d mean_x|, |dL/d mean_y|, and dL/d channel[0..3].
template <bool WithAbsolute>
void rasterize_backward_with(const RasterState& state, const float* channels, int width, int height,
                             const float* planes, const float* alpha_plane, const float* planes_grad,
                             const float* alpha_grad, float* slots) {
    const Grid grid(width, height);
    const Bins bins(state.bins, state.slot_count, grid);
    const Splat* splats = static_cast<const Splat*>(state.splats);
    const std::size_t pixels = static_cast<std::size_t>(width) * height;
    const int tiles = grid.tiles();

    auto sweep = [&](int grab) {
        alignas(64) float through[kTilePixels], behind[kTilePixels], v[5][kTilePixels], drawn[kTilePixels];
        alignas(64) float responses[kTilePixels];
        const Offsets offset;
        for (int tile = grab * kTilesPerGrab; tile < (grab + 1) * kTilesPerGrab && tile < tiles; ++tile) {
            const Entry* entry = bins.entries + bins.tile_begin[tile];
            const Entry* const end = bins.entries + bins.tile_begin[tile + 1];
            if (entry == end) continue;
            const int x0 = tile % grid.columns * kTile, y0 = tile / grid.columns * kTile;
            for (int k = 0; k < kTilePixels; k += kLanes) {
                store(through + k, vf(1.0f));
                store(behind + k, vf(0.0f));
                store(v[4] + k, vf(0.0f));
            }
            vf any(0.0f);
            for (int ch = 0; ch < 5; ++ch) {
                if (ch == 4 && !alpha_grad) break;
                load_tile(ch < 4 ? planes_grad + ch * pixels : alpha_grad, grid, x0, y0, v[ch]);
                load_tile(ch < 4 ? planes + ch * pixels : alpha_plane, grid, x0, y0, drawn);
                for (int k = 0; k < kTilePixels; k += kLanes) {
                    store(behind + k, fma(load(v[ch] + k), load(drawn + k), load(behind + k)));
                    any = max(any, abs(load(v[ch] + k)));
                }
            }
            MaskWord open = static_cast<MaskWord>(~MaskWord{0});
            if (!(max_lane(any) > 0.0f)) open = 0;  // a tile without gradient, such as one under an instrument
            for (int since = 0; entry < end; ++entry, ++since) {
                float* slot = slots + static_cast<std::size_t>(entry->slot) * 16;
                if (since == kOpaqueCheck) {
                    since = 0;
                    open = still_open(open, through);
                }
                MaskWord left = entry->mask & open;
                if (!left) {
                    for (int k = 0; k < 16; k += kLanes) store(slot + k, vf(0.0f));
                    continue;
                }
                if (entry + 6 < end) __builtin_prefetch(&splats[entry[6].gaussian]);
                const Splat& s = splats[entry->gaussian];
                const SplatVectors splat(s);
                const float* channel = channels_of(s, channels, entry->gaussian);
                const vf c0(channel[0]), c1(channel[1]), c2(channel[2]), c3(channel[3]);
                const vf dx0 = offset.x + vf(static_cast<float>(x0) + 0.5f - s.mean_x);
                const vf dy0 = offset.y + vf(static_cast<float>(y0) + 0.5f - s.mean_y);
                vf sums[12];
                for (int k = 0; k < 12; ++k) sums[k] = vf(0.0f);
                const int count = responses_in(splat, offset, dx0, dy0, left, responses);
                for (int k = 0; k < count; ++k, left &= left - 1) {
                    const int block = __builtin_ctzll(left), at = block * kLanes;
                    const vf dx = dx0 + vf(offset.block_x[block]);
                    const vf dy = dy0 + vf(offset.block_y[block]);
                    const vf response = load(responses + k * kLanes);
                    const vf v0 = load(v[0] + at), v1 = load(v[1] + at), v2 = load(v[2] + at), v3 = load(v[3] + at);
                    const vf q = fma(v0, c0, fma(v1, c1, load(v[4] + at))) + fma(v2, c2, v3 * c3);
                    vf passing = load(through + at), rest = load(behind + at), weight;
                    const vf w = blend_backward(response, q, passing, rest, weight);
                    store(through + at, passing);
                    store(behind + at, rest);
                    const vf wx = w * dx, wy = w * dy;
                    sums[0] += w;
                    sums[1] += wx;
                    sums[2] += wy;
                    sums[3] = fma(wx, dx, sums[3]);
                    sums[4] = fma(wx, dy, sums[4]);
                    sums[5] = fma(wy, dy, sums[5]);
                    if (WithAbsolute) {  // d log(alpha) / d mean, from log2 units
                        const float ln2 = 0.69314718f;
                        const vf slope_x = fma(vf(-2.0f * ln2) * splat.a, wx, vf(-ln2) * splat.b * wy);
                        const vf slope_y = fma(vf(-2.0f * ln2) * splat.c, wy, vf(-ln2) * splat.b * wx);
                        sums[6] += abs(slope_x);
                        sums[7] += abs(slope_y);
                    }
                    sums[8] = fma(weight, v0, sums[8]);
                    sums[9] = fma(weight, v1, sums[9]);
                    sums[10] = fma(weight, v2, sums[10]);
                    sums[11] = fma(weight, v3, sums[11]);
                }
                store_sums(slot, sums);
            }
        }
    };
    parallel_for((tiles + kTilesPerGrab - 1) / kTilesPerGrab, sweep);
}

inline void rasterize_backward(const RasterState& state, const float* channels, int width, int height,
                               const float* planes, const float* alpha_plane, const float* planes_grad,
                               const float* alpha_grad, float* slots, bool with_absolute) {
    const auto run = with_absolute ? &rasterize_backward_with<true> : &rasterize_backward_with<false>;
    run(state, channels, width, height, planes, alpha_plane, planes_grad, alpha_grad, slots);
}

}  // namespace endogs::ENDOGS_ISA
