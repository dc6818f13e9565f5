// The CUDA kernels as plain functions that enqueue work on a stream; none of them allocates or waits.
#pragma once
#include <cuda_runtime.h>

#include "cuda/memory_layout.h"

namespace endogs::cuda {

// ---- project.cu
// Counts entries by tile. Reads `packed` (N, 14), or, when `control` is given, evaluates
// base + sum_k spline[k] control[knot + k] and writes it to `packed`. The camera, the knot and the weights are those of
// memory.current. Clears `sums` when given.
void project(const GaussianMemory& memory, const float* base, const float* control, float* packed, int64_t count,
             const Grid& grid, float* sums, cudaStream_t stream);

// out = base + sum_k weights[k] control[k]; rows of 14, control is 4 slices. For rendering; training fuses it.
void spline_forward(const float* base, const float* control, const float* weights, int64_t count, float* out,
                    cudaStream_t stream);

// ---- bin.cu
std::size_t order_scratch_bytes(int64_t capacity, int64_t count);
// Where each tile's entries begin; tile_begin[tiles] is then their number. More than `capacity` is a failure.
void place_entries(const GaussianMemory& gaussians, int64_t capacity, const Grid& grid, cudaStream_t stream);
// Entries by tile, front to back; for sums in a fixed order also where each Gaussian's entries are.
void bin(const GaussianMemory& gaussians, const EntryMemory& entries, int64_t count, int64_t capacity,
         const Grid& grid, cudaStream_t stream);

// ---- rasterize.cu
// `channels` (N, 4), or null for colour and z. Writes 4 planes, and alpha when it is given.
void rasterize(const GaussianMemory& gaussians, const EntryMemory& entries, const float* channels, const Grid& grid,
               float* planes, float* alpha, cudaStream_t stream);
// Adds to sums (N, kSums): w, w dx, w dy, w dx^2, w dx dy, w dy^2, dL/d channel[0..3], |dL/d mean| by x and y, where
// w = dL/d log(opacity). With memory for ordered sums those of every entry are written apart, and `gather` adds them.
void rasterize_backward(const GaussianMemory& gaussians, const EntryMemory& entries, const float* channels,
                        const Grid& grid, const float* planes, const float* alpha, const float* planes_grad,
                        const float* alpha_grad, float* sums, bool absolute, cudaStream_t stream);
void gather(const EntryMemory& entries, int64_t count, float* sums, cudaStream_t stream);

// ---- optimize.cu
// Gradients (N, 14) by the packed Gaussians; pose_parts (blocks of 128, 12) doubles and absolute_grad (N) may be null.
void project_backward(const GaussianMemory& memory, const float* packed, int64_t count, const float* sums,
                      float* packed_grad, double* pose_parts, float* absolute_grad, cudaStream_t stream);

struct Parameters {
    float *base, *base_m, *base_v;            // (N, 14)
    float *control, *control_m, *control_v;   // (Kn, N, 14), or null
    const float* rates;                       // (2, 14): of the canonical Gaussians and of the control points
    AdamCoefficients adam;
};
// The gradient by the Gaussians and one Adam step on the slices of the step under way, in one pass over memory.
void step_parameters(const GaussianMemory& memory, const float* packed, int64_t count, const float* sums,
                     const Parameters& parameters, cudaStream_t stream);

// ---- loss.cu
struct LossMemory {
    double* parts;          // (blocks, kTerms) of the pixel loss
    double* ssim_parts;     // (blocks)
    double* extra_parts;    // (blocks, kExtraSums)
    float* extra;           // what the extra losses' gradients need
    float* ssim_derivatives;  // (9, H, W), null without D-SSIM
    std::size_t bytes;
    LossMemory(void* base, const Grid& grid, bool with_ssim);
};

struct LossSettings {
    float depth_weight, anchor_weight, anchor_mean, anchor_std;  // of relative depth; the anchor is off at weight 0
    const uint8_t* unseen;                                       // (H, W), null where every pixel is seen
    float *residual, *residual_depth;                            // (F, ceil(H/2), ceil(W/2)), or null
    double* log;                                                 // (steps, kTerms), or null
};

// Writes planes_grad (5, H, W) from the view of the step under way.
void pixel_loss(const GaussianMemory& memory, const LossMemory& loss, const LossSettings& settings, const Grid& grid,
                const float* planes, float* planes_grad, cudaStream_t stream);
void ssim_loss(const GaussianMemory& memory, const LossMemory& loss, const Grid& grid, const float* planes,
               float* planes_grad, cudaStream_t stream);
// Relative depth and smoothness of never-seen pixels, as far as the step under way asks for them.
void extra_loss(const GaussianMemory& memory, const LossMemory& loss, const LossSettings& settings, const Grid& grid,
                const float* planes, float* planes_grad, cudaStream_t stream);
// Adds up the terms, logs them, and stops the fit when the loss is not finite.
void judge_loss(const GaussianMemory& memory, const LossMemory& loss, const LossSettings& settings, const Grid& grid,
                bool with_ssim, bool with_extra, cudaStream_t stream);

}  // namespace endogs::cuda
