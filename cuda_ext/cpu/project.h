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

ENDOGS_INLINE vf sigmoid(vf x) { return vf(1.0f) / (vf(1.0f) + exp(-max(x, vf(-80.0f)))); }

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
            const vf opacity = sigmoid(in.logit) * p.compensation;
            const vf log2_opacity = log2(max(opacity, vf(1e-30f)));
            const float half_log2e = 0.72134752f;
            store(fields[0], p.mean_x);
            store(fields[1], p.mean_y);
            store(fields[2], p.conic_a * vf(-half_log2e));
            store(fields[3], p.conic_b * vf(-2.0f * half_log2e));
            store(fields[4], p.conic_c * vf(-half_log2e));
            store(fields[5], log2_opacity);
            store(depth, p.z);
            // alpha >= 1/255 inside an ellipse of squared Mahalanobis radius 2 ln(255 opacity)
            const vf reach = (log2_opacity + vf(kLog2Of255)) * vf(1.38629436f);
            const vf radius_x = sqrt(max(reach, vf(0.0f)) * p.cov_x) + vf(1e-3f);
            const vf radius_y = sqrt(max(reach, vf(0.0f)) * p.cov_y) + vf(1e-3f);
            const vf inverse_tile(1.0f / kTile), half(0.5f), one(1.0f), columns_f(static_cast<float>(grid.columns)),
                rows_f(static_cast<float>(grid.rows)), zero(0.0f);
            store(rect[0], floor(clamp_between((p.mean_x - radius_x - half) * inverse_tile, zero, columns_f)));
            store(rect[1], floor(clamp_between((p.mean_y - radius_y - half) * inverse_tile, zero, rows_f)));
            store(rect[2], floor(clamp_between((p.mean_x + radius_x - half) * inverse_tile + one, zero, columns_f)));
            store(rect[3], floor(clamp_between((p.mean_y + radius_y - half) * inverse_tile + one, zero, rows_f)));
            // Comparisons with a NaN are false: what is not finite is not drawn.
            const Mask visible = (p.z >= vf(camera.near)) & (reach > zero) & (p.det > zero) &
                                 (vf(3e38f) >= p.cov_x + p.cov_y) & (vf(1e15f) >= abs(p.mean_x) + abs(p.mean_y));
            store(drawn, keep(visible, one));
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
            const vf w = load(by_field[0]), wx = load(by_field[1]), wy = load(by_field[2]);
            ProjectionGradient<vf> g;
            g.mean_x = p.conic_a * wx + p.conic_b * wy;
            g.mean_y = p.conic_b * wx + p.conic_c * wy;
            g.conic_a = vf(-0.5f) * load(by_field[3]);
            g.conic_b = -load(by_field[4]);
            g.conic_c = vf(-0.5f) * load(by_field[5]);
            g.depth = load(by_field[11]);
            const vf opacity = sigmoid(in.logit);
            g.compensation = w / max(p.compensation, vf(1e-12f));
            vf mean_grad[3], quat_grad[4], log_scale_grad[3], pose[12];
            project_gaussian_backward(in.mean, camera, p, g, mean_grad, quat_grad, log_scale_grad, pose,
                                      pose_grad != nullptr);
            // w is the gradient by log(opacity x compensation); d log sigmoid(x) = 1 - sigmoid(x)
            const vf logit_grad = w * (vf(1.0f) - opacity);
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
