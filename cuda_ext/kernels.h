// The table of CPU kernels that each instruction set provides. Plain pointers, contiguous rows, float32.
#pragma once
#include <cstddef>
#include <cstdint>

#include "align_math.h"
#include "parallax_math.h"
#include "pixel_math.h"
#include "projection_math.h"

namespace endogs {

constexpr int kChannels = 14;  // packed row: 3 mean, 4 quat, 3 log-scale, 1 opacity logit, 3 colour
constexpr int kPlanes = 5;     // image planes: red, green, blue, accumulated z, alpha

// What the forward pass keeps for the backward pass: two opaque buffers.
struct RasterState {
    void* splats;     // gaussian_count records
    void* bins;       // sized by slot_count, filled by bin()
    int64_t gaussian_count;
    int64_t slot_count;
};

struct LossTerms {
    double absolute, squared, depth;  // weighted sums
};

struct Kernels {
    const char* name;

    // Projects; writes splats, depth keys and slots. Returns the number of slots (Gaussian x tile candidates).
    int64_t (*project)(const float* packed, int64_t count, const CameraView& camera, void* splats);
    std::size_t splat_bytes;
    std::size_t (*bins_bytes)(int64_t slot_count, int width, int height);
    void (*bin)(const RasterState& state, int width, int height);

    // `channels` (count rows of 4, `stride` floats apart) may be null for the main pass: colour and depth of the splats.
    // Writes 4 planes and, when alpha is given, 1 - transmittance.
    void (*rasterize)(const RasterState& state, const float* channels, int width, int height, float* planes,
                      float* alpha);
    int64_t (*contributing_pairs)(const RasterState& state, int width, int height);
    // Writes one row of 16 sums per slot. `alpha`, `alpha_grad` may be null (no gradient through alpha).
    void (*rasterize_backward)(const RasterState& state, const float* channels, int width, int height,
                               const float* planes, const float* alpha, const float* planes_grad,
                               const float* alpha_grad, float* slots, bool with_absolute);
    // Adds the slots of one pass to (count, 16) sums.
    void (*gather_slots)(const RasterState& state, const float* slots, float* sums, int width, int height);
    void (*project_backward)(const float* packed, int64_t count, const CameraView& camera, const RasterState& state,
                             const float* slots, const float* extra_sums, float* packed_grad, double* pose_grad,
                             float* absolute_grad);

    // out = base + sum_k weights[k] control[k]; control is 4 slices of count x 14.
    void (*spline_forward)(const float* base, const float* control, const float* weights, int64_t count, float* out);
    // One Adam step on `slices` parameter slices of count x 14 that share one gradient, scaled per slice.
    void (*adam)(float* const* parameters, float* const* first, float* const* second, const float* gradient,
                 const float* gradient_scale, const float* rates, const float* first_correction,
                 const float* second_correction, int slices, int64_t count, const AdamCoefficients& adam);

    // Weights are bytes, 255 = 1. Writes color_scale x the gradient of the weighted absolute colour error, and
    // depth_scale x that of the weighted absolute error of inverse depth, to the five planes of planes_grad.
    LossTerms (*pixel_loss)(const float* planes, const unsigned char* target, const unsigned char* color_weight,
                            const float* depth_target, const unsigned char* depth_weight, int width, int height,
                            float color_scale, float depth_scale, float* planes_grad);
    // Weighted sum over pixels and channels of 1 - SSIM; adds `scale` x its gradient to the colour planes.
    double (*ssim_loss)(const float* planes, const unsigned char* target, const unsigned char* color_weight, int width,
                        int height, float scale, float* scratch, float* planes_grad);
    std::size_t (*ssim_scratch_floats)(int width, int height);

    // The Gauss-Newton system of a frame over points (6, count), as kAlignSums sums; `residuals` (count) may be null.
    void (*align_system)(const float* points, int64_t count, const float* frame, const AlignView& view, double* sums,
                         float* residuals);

    // Depth from parallax; pictures are (height, width), flows and places (height, width, 2), masks bytes, 0 or not.
    // The picture of another camera as this one would see it at an inverse depth, `stand_in` where it shows nothing.
    void (*warp_by_depth)(const float* inverse, const unsigned char* image, const unsigned char* tissue,
                          const unsigned char* stand_in, const Epipolar& epipolar, int width, int height,
                          unsigned char* warped, unsigned char* shown, float* places);
    // Writes 5 planes of every step-th pixel; `back` and `places` may be null.
    void (*triangulate_flow)(const float* flow, const float* back, const unsigned char* tissue,
                             const unsigned char* other_tissue, const float* places, const Epipolar& epipolar,
                             const FlowRule& rule, int width, int height, int step, float* out);
    // What `estimates` planes and the words of others agree on, near a guess that may be null without words.
    void (*agree_on_depth)(const float* const* values, const float* const* deviations, int estimates,
                           const DepthWord* words, int word_count, const float* guess, const WordRule& rule, int width,
                           int height, float* value, float* deviation);

    double (*peak_fma)(int64_t iterations);
};

const Kernels& kernels_portable();
const Kernels& kernels_avx2();
const Kernels& kernels_avx512();

}  // namespace endogs
