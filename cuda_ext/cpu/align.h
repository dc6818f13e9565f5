// The Gauss-Newton system that aligns a frame with a picture, summed over the picture's points.
#pragma once
#include "align_math.h"
#include "buffer_pool.h"
#include "cpu/simd.h"
#include "kernels.h"
#include "parallel.h"

namespace endogs::ENDOGS_ISA {

constexpr int kPointsPerChunk = 512;
static_assert(kPointsPerChunk % kLanes == 0);

// `points` is (6, count): x, y, z, luma, and the slopes. Writes kAlignSums sums, and the residuals (count) if asked for:
// not a number outside the frame.
inline void align_system(const float* points, int64_t count, const float* frame, const AlignView& view, double* sums,
                         float* residuals) {
    const int chunks = static_cast<int>((count + kPointsPerChunk - 1) / kPointsPerChunk);
    Buffer parts_buffer(sizeof(float) * kAlignSums * (chunks + 1));
    float* parts = static_cast<float*>(parts_buffer.memory);
    auto chunk_of_points = [&](int chunk) {
        alignas(64) float point[6][kPointsPerChunk], rows[kUnknowns + 2][kPointsPerChunk];
        const int64_t first = static_cast<int64_t>(chunk) * kPointsPerChunk;
        const int own = static_cast<int>(count - first < kPointsPerChunk ? count - first : kPointsPerChunk);
        for (int k = 0; k < 6; ++k) {
            __builtin_memcpy(point[k], points + k * count + first, sizeof(float) * own);
            for (int i = own; i < kPointsPerChunk; ++i) point[k][i] = k == 2 ? -1.0f : 0.0f;  // behind the camera
        }
        const int used = (own + kLanes - 1) / kLanes * kLanes;
        for (int i = 0; i < used; i += kLanes) {
            const AlignPoint<vf> p{load(point[0] + i), load(point[1] + i), load(point[2] + i),
                                   load(point[3] + i), load(point[4] + i), load(point[5] + i)};
            const Landing<vf> place = land(p, view);
            alignas(64) float u[kLanes], v[kLanes], inside[kLanes], seen[kLanes];
            store(u, place.u);
            store(v, place.v);
            store(inside, place.inside);
            for (int lane = 0; lane < kLanes; ++lane) {
                if (i + lane >= own) inside[lane] = 0.0f;
                seen[lane] = inside[lane] > 0 ? between_pixels(frame, view.width, u[lane], v[lane]) : 0.0f;
            }
            const AlignRow<vf> row = align_row(p, load(seen), load(inside), view);
            for (int k = 0; k < kUnknowns; ++k) store(rows[k] + i, row.by[k]);
            store(rows[kUnknowns] + i, row.residual);
            store(rows[kUnknowns + 1] + i, row.weight);
            if (residuals)
                for (int lane = 0; lane < kLanes && i + lane < own; ++lane)
                    residuals[first + i + lane] = inside[lane] > 0 ? rows[kUnknowns][i + lane] : __builtin_nanf("");
        }
        float* out = parts + chunk * kAlignSums;
        vf total(0.0f);
        for (int i = 0; i < used; i += kLanes) total += load(rows[kUnknowns + 1] + i);
        out[kAlignSums - 1] = sum(total);
        int at = 0;
        for (int a = 0; a < kUnknowns; ++a) {
            vf products[kUnknowns + 1];
            for (int b = a; b <= kUnknowns; ++b) products[b] = vf(0.0f);
            for (int i = 0; i < used; i += kLanes) {
                const vf weighted = load(rows[a] + i) * load(rows[kUnknowns + 1] + i);
                for (int b = a; b <= kUnknowns; ++b) products[b] = fma(weighted, load(rows[b] + i), products[b]);
            }
            for (int b = a; b < kUnknowns; ++b) out[at++] = sum(products[b]);
            out[kUpper + a] = sum(products[kUnknowns]);
        }
    };
    parallel_for(chunks, chunk_of_points);
    for (int k = 0; k < kAlignSums; ++k) {
        sums[k] = 0;
        for (int chunk = 0; chunk < chunks; ++chunk) sums[k] += parts[chunk * kAlignSums + k];
    }
}

}  // namespace endogs::ENDOGS_ISA
