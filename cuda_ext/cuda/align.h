// Aligning a frame with a picture on the GPU; enqueues work on a stream, and neither allocates nor waits.
#pragma once
#include <cuda_runtime.h>

#include <cstdint>

#include "align_math.h"

namespace endogs::cuda {

constexpr int kAlignBlock = 256;

// `points` is (6, count): x, y, z, luma, and the slopes. Writes kAlignSums sums per block of kAlignBlock points to
// `parts`, and the residuals (count), not a number outside the frame, where they are asked for.
void align_system(const float* points, int64_t count, const float* frame, const AlignView& view, double* parts,
                  float* residuals, cudaStream_t stream);

}  // namespace endogs::cuda
