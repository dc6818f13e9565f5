// Depth from parallax on the GPU; enqueues work on a stream, and neither allocates nor waits. What each writes is said at
// the CPU's (cpu/parallax.h); pointers are device memory.
#pragma once
#include <cuda_runtime.h>

#include "parallax_math.h"

namespace endogs::cuda {

struct DepthWords {  // by value: its pointers are device memory too
    DepthWord word[kMostEstimates];
    const float *value[kMostEstimates], *deviation[kMostEstimates];
    int words, estimates;
};

void warp_by_depth(const float* inverse, const unsigned char* image, const unsigned char* tissue,
                   const unsigned char* stand_in, const Epipolar& epipolar, int width, int height,
                   unsigned char* warped, unsigned char* shown, float* places, cudaStream_t stream);
void triangulate_flow(const float* flow, const float* back, const unsigned char* tissue,
                      const unsigned char* other_tissue, const float* places, const Epipolar& epipolar,
                      const FlowRule& rule, int width, int height, int step, float* out, cudaStream_t stream);
void agree_on_depth(const DepthWords& said, const float* guess, const WordRule& rule, int width, int height,
                    float* value, float* deviation, cudaStream_t stream);

}  // namespace endogs::cuda
