// What a training step reads from device memory. Every step of a fit is laid down beforehand in two tables, views and
// steps, so that one captured graph, replayed, walks through them without a word from the host.
#pragma once
#include <cstdint>

#include "projection_math.h"

namespace endogs::cuda {

enum DepthMode : int32_t {
    kNoDepth = 0,
    kMetricDepth = 1,     // target: z, compared as inverse depth
    kLogDepth = 2,        // target: log z up to an affine map
    kRelativeDepth = 3,   // target: z up to an affine map of its logarithm
    kDisparity = 4,       // target: disparity up to an affine map
};

struct ViewRecord {
    CameraView camera;
    const uint8_t *image, *color_weight, *depth_weight, *hidden;  // (H, W, 3), then (H, W); null where there is none
    const float* depth_target;
    float color_scale, ssim_scale, depth_scale, hidden_scale;  // of the sums that the kernels take
    int32_t depth_mode;
    int32_t knot;       // first active control point
    float spline[4];    // their weights
    int32_t frame;      // row of the residual maps, -1 for none
};

constexpr int kSlices = 5;  // the canonical Gaussians and four control points

struct StepRecord {
    int32_t view;
    float smooth_scale;                   // of never-seen pixels; 0 leaves them out
    float rate[kSlices];                  // decay over bias correction, times the channel's rate
    float root[kSlices];                  // 1 / sqrt(1 - beta2^t); 0 leaves the slice alone
};

enum Failure : int32_t {
    kOverflow = 1,            // more entries than there is room for
    kBadGaussian = 2,         // a Gaussian is not finite
    kBadLoss = 4,
    kBadGradient = 8,
};

struct Progress {  // the host reads this between runs of steps
    int32_t steps_done;
    int32_t failure;
    uint32_t entries_needed;
    uint32_t bad_channels;    // of the gradient, one bit each
};

struct Current {  // the step under way
    ViewRecord view;
    StepRecord step;
    int32_t index;
    int32_t idle;  // an earlier step failed, or this one did: parameters stay as they are
};

constexpr int kTerms = 8;
enum Term : int { kAbsolute = 0, kSquared, kDissimilarity, kDepthError, kThrough, kSmoothness, kLoss, kUnusedTerm };

}  // namespace endogs::cuda
