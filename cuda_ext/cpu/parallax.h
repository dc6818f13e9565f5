// Depth from parallax. Whoever calls works on several frames at once, a thread for each, so that these keep to the thread
// they are called on; every pixel is computed by itself.
#pragma once
#include "cpu/simd.h"
#include "kernels.h"
#include "parallax_math.h"

namespace endogs::ENDOGS_ISA {

// The last few of a row, as many as there are, with zeros behind them.
ENDOGS_INLINE vf load_some(const float* from, int count) {
    if (count >= kLanes) return loadu(from);
    alignas(64) float lanes[kLanes] = {};
    for (int lane = 0; lane < count; ++lane) lanes[lane] = from[lane];
    return load(lanes);
}
ENDOGS_INLINE void store_some(float* to, vf value, int count) {
    if (count >= kLanes) return storeu(to, value);
    alignas(64) float lanes[kLanes];
    store(lanes, value);
    for (int lane = 0; lane < count; ++lane) to[lane] = lanes[lane];
}
// The centres of pixels `step` apart from `first` on.
ENDOGS_INLINE vf centres(int first, int step) {
    alignas(64) float lanes[kLanes];
    for (int lane = 0; lane < kLanes; ++lane) lanes[lane] = static_cast<float>(first + lane * step) + 0.5f;
    return load(lanes);
}

inline void warp_by_depth(const float* inverse, const unsigned char* image, const unsigned char* tissue,
                          const unsigned char* stand_in, const Epipolar& e, int width, int height,
                          unsigned char* warped, unsigned char* shown, float* places) {
    for (int row = 0; row < height; ++row) {
        const long long start = static_cast<long long>(row) * width;
        for (int column = 0; column < width; column += kLanes) {
            const int own = width - column < kLanes ? width - column : kLanes;
            const Homogeneous<vf> seen =
                other_pixel(centres(column, 1), vf(static_cast<float>(row) + 0.5f),
                            load_some(inverse + start + column, own), e);
            const Mask before = seen.z > vf(kBefore);
            const vf scale = keep(before, vf(1.0f) / select(before, seen.z, vf(1.0f)));
            alignas(64) float x[kLanes], y[kLanes], scales[kLanes];
            store(x, seen.x * scale);
            store(y, seen.y * scale);
            store(scales, scale);
            for (int lane = 0; lane < own; ++lane) {
                const long long at = start + column + lane;
                const Warped pixel = warped_pixel(x[lane], y[lane], scales[lane] > 0, image, tissue, width, height);
                warped[at] = pixel.shown ? pixel.luma : stand_in[at];
                shown[at] = pixel.shown;
                places[2 * at] = x[lane];
                places[2 * at + 1] = y[lane];
            }
        }
    }
}

// `out` are 5 planes of the samples: inverse depth, its deviation for a flow that errs by a pixel, pixels across the
// epipolar line, from where it were infinitely far, and from where the pixel is. All 0 where the flow says nothing.
inline void triangulate_flow(const float* flow, const float* back, const unsigned char* tissue,
                             const unsigned char* other_tissue, const float* places, const Epipolar& e,
                             const FlowRule& rule, int width, int height, int step, float* out) {
    const int columns = (width - step / 2 + step - 1) / step, rows = (height - step / 2 + step - 1) / step;
    const long long plane = static_cast<long long>(rows) * columns;
    for (int i = 0; i < rows; ++i) {
        const int row = step / 2 + i * step;
        for (int j = 0; j < columns; j += kLanes) {
            const int own = columns - j < kLanes ? columns - j : kLanes;
            alignas(64) float x[kLanes] = {}, y[kLanes] = {}, counts[kLanes] = {};
            bool any = false;
            for (int lane = 0; lane < own; ++lane) {
                const Correspondence one = correspondence(step / 2 + (j + lane) * step, row, flow, back, tissue,
                                                          other_tissue, places, width, height, rule);
                x[lane] = one.x;
                y[lane] = one.y;
                counts[lane] = one.usable;
                any = any || one.usable;
            }
            float* at = out + static_cast<long long>(i) * columns + j;
            if (!any) {
                for (int k = 0; k < 5; ++k) store_some(at + k * plane, vf(0.0f), own);
                continue;
            }
            const vf u = centres(step / 2 + j * step, step), v(static_cast<float>(row) + 0.5f);
            const vf away_x = load(x), away_y = load(y);
            const Triangulated<vf> found = triangulate(u, v, away_x, away_y, e);
            const Mask good = (load(counts) > vf(0.5f)) & (found.inverse > vf(0.0f));
            store_some(at, keep(good, found.inverse), own);
            store_some(at + plane, keep(good, found.deviation), own);
            store_some(at + 2 * plane, keep(good, found.across), own);
            store_some(at + 3 * plane, keep(good, found.shift), own);
            store_some(at + 4 * plane, keep(good, sqrt(away_x * away_x + away_y * away_y)), own);
        }
    }
}

// The weight of an estimate that is known: the inverse of its variance.
ENDOGS_INLINE vf weight_of(Mask known, vf deviation) {
    known = known & (deviation > vf(0.0f));
    const vf safe = select(known, deviation, vf(1.0f));
    return keep(known, vf(1.0f) / (safe * safe));
}

inline void agree_on_depth(const float* const* values, const float* const* deviations, int estimates,
                           const DepthWord* words, int word_count, const float* guess, const WordRule& rule, int width,
                           int height, float* value, float* deviation) {
    for (int row = 0; row < height; ++row) {
        const vf v(static_cast<float>(row) + 0.5f);
        for (int column = 0; column < width; column += kLanes) {
            const int own = width - column < kLanes ? width - column : kLanes;
            const long long at = static_cast<long long>(row) * width + column;
            vf told[kMostEstimates], weights[kMostEstimates];
            for (int k = 0; k < estimates; ++k) {
                told[k] = load_some(values[k] + at, own);
                weights[k] = weight_of(told[k] > vf(0.0f), load_some(deviations[k] + at, own));
            }
            const vf near = word_count ? load_some(guess + at, own) : vf(0.0f);
            const vf u = centres(column, 1);
            for (int k = 0; k < word_count; ++k) {
                const DepthWord& word = words[k];
                const Homogeneous<vf> seen = other_pixel(u, v, near, word.epipolar);
                const Mask before = (seen.z > vf(kBefore)) & (near > vf(0.0f));
                const vf scale = keep(before, vf(1.0f) / select(before, seen.z, vf(1.0f)));
                alignas(64) float x[kLanes], y[kLanes], scales[kLanes];
                alignas(64) float shares[kLanes] = {}, inverses[kLanes] = {}, spreads[kLanes] = {};
                store(x, fma(seen.x, scale, vf(-0.5f)));
                store(y, fma(seen.y, scale, vf(-0.5f)));
                store(scales, scale);
                for (int lane = 0; lane < own; ++lane) {
                    if (!(scales[lane] > 0.0f)) continue;
                    const Heard one =
                        heard(word.inverse, word.relative, x[lane], y[lane], word.width, word.height, rule);
                    shares[lane] = one.share;
                    inverses[lane] = one.inverse;
                    spreads[lane] = one.spread;
                }
                const vf share = load(shares);
                const Mask known = share > vf(rule.inside);
                const vf by = vf(1.0f) / select(known, share, vf(1.0f));
                // The other frame's depth by that of the moved point is what the guess is to be multiplied by.
                told[estimates + k] = keep(known, load(inverses) * by * seen.z);
                weights[estimates + k] = weight_of(known, near * load(spreads) * by);
            }
            const Agreed<vf> found = agreed(told, weights, estimates + word_count, rule.apart);
            store_some(value + at, found.value, own);
            store_some(deviation + at, found.deviation, own);
        }
    }
}

}  // namespace endogs::ENDOGS_ISA
