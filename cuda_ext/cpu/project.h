// Projection of packed Gaussians to splats, and back, kLanes Gaussians at a time.
#pragma once
#include "buffer_pool.h"
#include "cpu/layout.h"
#include "kernels.h"
#include "parallel.h"

namespace endogs::ENDOGS_ISA {

constexpr int kChunk = 512;  // Gaussians per unit of work, fixed so that sums never depend on the threads

inline int chunk_count(int64_t count) { return static_cast<int>((count + kChunk - 1) / kChunk); }

// Rows [first, first + kLanes) as columns; rows past the end repeat the last one.
ENDOGS_INLINE void load_columns(const float* packed, int64_t first, int64_t count, float (*columns)[kLanes]) {
    for (int lane = 0; lane < kLanes; ++lane) {
        const int64_t row = first + lane < count ? first + lane : count - 1;
        for (int c = 0; c < kChannels; ++c) columns[c][lane] = packed[row * kChannels + c];
    }
}

struct LoadedGaussian {
    vf mean[3], quat[4], log_scale[3], logit;
    ENDOGS_INLINE explicit LoadedGaussian(const float (*columns)[kLanes]) {
        for (int k = 0; k < 3; ++k) mean[k] = load(columns[k]);
        for (int k = 0; k < 4; ++k) quat[k] = load(columns[3 + k]);
        for (int k = 0; k < 3; ++k) log_scale[k] = load(columns[7 + k]);
        logit = load(columns[10]);
    }
};

// The number of slots, or -1 when an input is not finite.
inline int64_t project(const float* packed, int64_t count, const CameraView& camera, void* splat_memory) {
    const Splats splats(splat_memory, count);
    const Grid grid(static_cast<int>(camera.width), static_cast<int>(camera.height));
    const int chunks = chunk_count(count);
    Buffer totals_buffer(sizeof(int64_t) * (chunks + 1));
    int64_t* totals = static_cast<int64_t*>(totals_buffer.memory);

    auto project_chunk = [&](int chunk) {
        alignas(64) float columns[kChannels][kLanes];
        alignas(64) float fields[6][kLanes], depth[kLanes], rect[4][kLanes], drawn[kLanes];
        const int64_t begin = static_cast<int64_t>(chunk) * kChunk;
        const int64_t end = begin + kChunk < count ? begin + kChunk : count;
        int64_t slots = 0;
        vf nothing(0.0f);  // 0 x anything finite
        for (int64_t first = begin; first < end; first += kLanes) {
            load_columns(packed, first, count, columns);
            for (int c = 0; c < kChannels; ++c) nothing = fma(load(columns[c]), vf(0.0f), nothing);
            const LoadedGaussian in(columns);
            Projected<vf> p;
            project_gaussian(in.mean, in.quat, in.log_scale, camera, p);
            SplatShape<vf> shape;
            vf tiles[4];
            const Mask visible = shape_splat(p, in.logit, camera, grid.columns, grid.rows, shape, tiles);
            store(fields[0], shape.mean_x);
            store(fields[1], shape.mean_y);
            store(fields[2], shape.a);
            store(fields[3], shape.b);
            store(fields[4], shape.c);
            store(fields[5], shape.log2_opacity);
            store(depth, p.z);
            for (int side = 0; side < 4; ++side) store(rect[side], tiles[side]);
            store(drawn, keep(visible, vf(1.0f)));
            for (int lane = 0; lane < kLanes && first + lane < end; ++lane) {
                Splat& s = splats.splat[first + lane];
                const bool shown = drawn[lane] != 0.0f;
                s.mean_x = fields[0][lane];
                s.mean_y = fields[1][lane];
                s.a = fields[2][lane];
                s.b = fields[3][lane];
                s.c = fields[4][lane];
                s.log2_opacity = fields[5][lane];
                for (int k = 0; k < 3; ++k) s.channel[k] = columns[11 + k][lane];
                s.channel[3] = depth[lane];
                Footprint f{};
                if (shown && rect[2][lane] > rect[0][lane] && rect[3][lane] > rect[1][lane]) {
                    f.x0 = static_cast<uint16_t>(rect[0][lane]);
                    f.y0 = static_cast<uint16_t>(rect[1][lane]);
                    f.x1 = static_cast<uint16_t>(rect[2][lane]);
                    f.y1 = static_cast<uint16_t>(rect[3][lane]);
                }
                f.slot = static_cast<uint32_t>(slots);
                __builtin_memcpy(&f.depth_key, &depth[lane], 4);  // drawn depths are positive: bits sort like numbers
                slots += f.tiles();
                splats.footprint[first + lane] = f;
            }
        }
        totals[chunk] = sum(nothing) == 0.0f ? slots : -1;
    };
    parallel_for(chunks, project_chunk);

    int64_t total = 0;
    for (int chunk = 0; chunk < chunks; ++chunk) {
        const int64_t slots = totals[chunk];
        if (slots < 0) return -1;
        totals[chunk] = total;
        total += slots;
    }
    auto shift_chunk = [&](int chunk) {
        const int64_t begin = static_cast<int64_t>(chunk) * kChunk;
        const int64_t end = begin + kChunk < count ? begin + kChunk : count;
        for (int64_t i = begin; i < end; ++i) splats.footprint[i].slot += static_cast<uint32_t>(totals[chunk]);
    };
    if (total < (int64_t{1} << 32)) parallel_for(chunks, shift_chunk);
    return total;
}

// Sums of one Gaussian's slots, in tile order. Layout of a slot: see rasterize_backward.
ENDOGS_INLINE void add_slots(const Footprint& footprint, const MaskWord* masks, const float* slots, float* sums) {
    const int tiles = footprint.tiles();
    for (int t = 0; t < tiles; ++t) {
        const std::size_t slot = footprint.slot + t;
        if (!masks[slot]) continue;
        const float* row = slots + slot * 16;
        for (int k = 0; k < 16; k += kLanes) store(sums + k, load(sums + k) + load(row + k));
    }
}

inline void gather_slots(const RasterState& state, const float* slots, float* sums, int width, int height) {
    const Grid grid(width, height);
    const Bins bins(state.bins, state.slot_count, grid);
    const Splats splats(state.splats, state.gaussian_count);
    auto gather_chunk = [&](int chunk) {
        const int64_t begin = static_cast<int64_t>(chunk) * kChunk;
        const int64_t end = begin + kChunk < state.gaussian_count ? begin + kChunk : state.gaussian_count;
        for (int64_t i = begin; i < end; ++i) add_slots(splats.footprint[i], bins.masks, slots, sums + i * 16);
    };
    parallel_for(chunk_count(state.gaussian_count), gather_chunk);
}

inline void project_backward(const float* packed, int64_t count, const CameraView& camera, const RasterState& state,
                             const float* slots, const float* extra_sums, float* packed_grad, double* pose_grad,
                             float* absolute_grad) {
    const Splats splats(state.splats, count);
    const Grid grid(static_cast<int>(camera.width), static_cast<int>(camera.height));
    const Bins bins(state.bins, state.slot_count, grid);
    const int chunks = chunk_count(count);
    Buffer pose_buffer(sizeof(double) * 12 * (chunks + 1));
    double* pose_parts = static_cast<double*>(pose_buffer.memory);

    auto backward_chunk = [&](int chunk) {
        alignas(64) float columns[kChannels][kLanes], sums[kLanes][16], by_field[12][kLanes], drawn[kLanes];
        const int64_t begin = static_cast<int64_t>(chunk) * kChunk;
        const int64_t end = begin + kChunk < count ? begin + kChunk : count;
        vf pose_sum[12];
        for (int k = 0; k < 12; ++k) pose_sum[k] = vf(0.0f);
        for (int64_t first = begin; first < end; first += kLanes) {
            bool any = false;
            for (int lane = 0; lane < kLanes; ++lane) {
                for (int k = 0; k < 16; ++k) sums[lane][k] = 0.0f;
                drawn[lane] = 0.0f;
                if (first + lane >= end) continue;
                const Footprint& footprint = splats.footprint[first + lane];
                if (footprint.drawn()) {
                    any = true;
                    drawn[lane] = 1.0f;
                    add_slots(footprint, bins.masks, slots, sums[lane]);
                    if (extra_sums)
                        for (int k = 0; k < 8; ++k) sums[lane][k] += extra_sums[(first + lane) * 16 + k];
                }
            }
            if (!any) {
                const int64_t last = first + kLanes < end ? first + kLanes : end;
                for (int64_t i = first * kChannels; i < last * kChannels; ++i) packed_grad[i] = 0.0f;
                if (absolute_grad)
                    for (int64_t i = first; i < last; ++i) absolute_grad[i] = 0.0f;
                continue;
            }
            for (int k = 0; k < 12; ++k)
                for (int lane = 0; lane < kLanes; ++lane) by_field[k][lane] = sums[lane][k];
            load_columns(packed, first, count, columns);
            const LoadedGaussian in(columns);
            Projected<vf> p;
            project_gaussian(in.mean, in.quat, in.log_scale, camera, p);
            vf sums_of[6];
            for (int k = 0; k < 6; ++k) sums_of[k] = load(by_field[k]);
            const ProjectionGradient<vf> g = gradient_of_sums(p, sums_of, load(by_field[11]));
            vf mean_grad[3], quat_grad[4], log_scale_grad[3], pose[12];
            project_gaussian_backward(in.mean, camera, p, g, mean_grad, quat_grad, log_scale_grad, pose,
                                      pose_grad != nullptr);
            // the first sum is the gradient by log(opacity x compensation); d log sigmoid(x) = 1 - sigmoid(x)
            const vf logit_grad = sums_of[0] * (vf(1.0f) - sigmoid(in.logit));
            const Mask seen = load(drawn) > vf(0.0f);
            for (int k = 0; k < 3; ++k) store(columns[k], keep(seen, mean_grad[k]));
            for (int k = 0; k < 4; ++k) store(columns[3 + k], keep(seen, quat_grad[k]));
            for (int k = 0; k < 3; ++k) store(columns[7 + k], keep(seen, log_scale_grad[k]));
            store(columns[10], keep(seen, logit_grad));
            for (int k = 0; k < 3; ++k) store(columns[11 + k], load(by_field[8 + k]));
            for (int lane = 0; lane < kLanes && first + lane < end; ++lane)
                for (int c = 0; c < kChannels; ++c) packed_grad[(first + lane) * kChannels + c] = columns[c][lane];
            if (pose_grad)
                for (int k = 0; k < 12; ++k) pose_sum[k] += keep(seen, pose[k]);
            if (absolute_grad)
                for (int lane = 0; lane < kLanes && first + lane < end; ++lane)
                    absolute_grad[first + lane] =
                        __builtin_sqrtf(sums[lane][6] * sums[lane][6] + sums[lane][7] * sums[lane][7]);
        }
        for (int k = 0; k < 12; ++k) pose_parts[chunk * 12 + k] = sum(pose_sum[k]);
    };
    parallel_for(chunks, backward_chunk);
    if (pose_grad)
        for (int k = 0; k < 12; ++k) {
            pose_grad[k] = 0.0;
            for (int chunk = 0; chunk < chunks; ++chunk) pose_grad[k] += pose_parts[chunk * 12 + k];
        }
}

}  // namespace endogs::ENDOGS_ISA
