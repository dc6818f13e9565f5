// The Gauss-Newton system that aligns a frame with a picture: a block per 256 points, whose sums the caller adds up.
#include "cuda/align.h"

#include "cuda/launch.h"

namespace endogs::cuda {
namespace {

constexpr int kWarpLanes = 32;

__global__ void __launch_bounds__(kAlignBlock)
    align_points(const float* points, int64_t count, const float* frame, AlignView view, double* parts,
                 float* residuals) {
    __shared__ float rows[kUnknowns + 2][kAlignBlock];
    const int thread = threadIdx.x;
    const int64_t at = static_cast<int64_t>(blockIdx.x) * kAlignBlock + thread;
    AlignRow<float> row{};
    if (at < count) {
        const AlignPoint<float> p{points[at],             points[count + at],     points[2 * count + at],
                                  points[3 * count + at], points[4 * count + at], points[5 * count + at]};
        const Landing<float> place = land(p, view);
        const float seen = place.inside > 0 ? between_pixels(frame, view.width, place.u, place.v) : 0.0f;
        row = align_row(p, seen, place.inside, view);
        if (residuals) residuals[at] = place.inside > 0 ? row.residual : nanf("");
    }
    for (int k = 0; k < kUnknowns; ++k) rows[k][thread] = row.by[k];
    rows[kUnknowns][thread] = row.residual;
    rows[kUnknowns + 1][thread] = row.weight;
    __syncthreads();
    // Each warp adds up some of the sums, in an order that does not depend on when it runs.
    for (int sum = thread / kWarpLanes; sum < kAlignSums; sum += kAlignBlock / kWarpLanes) {
        int a = kUnknowns, b = 0;  // of the weights alone
        if (sum < kUpper) {
            a = 0;
            for (b = sum; b >= kUnknowns - a; ++a) b -= kUnknowns - a;
            b += a;
        } else if (sum < kUpper + kUnknowns) {
            a = sum - kUpper;
            b = kUnknowns;
        }
        double total = 0;
        for (int i = thread % kWarpLanes; i < kAlignBlock; i += kWarpLanes) {
            const float weight = rows[kUnknowns + 1][i];
            total += a == kUnknowns ? weight : weight * rows[a][i] * rows[b][i];
        }
        for (int bit = kWarpLanes / 2; bit > 0; bit /= 2) total += __shfl_xor_sync(~0u, total, bit);
        if (thread % kWarpLanes == 0) parts[static_cast<int64_t>(blockIdx.x) * kAlignSums + sum] = total;
    }
}

}  // namespace

void align_system(const float* points, int64_t count, const float* frame, const AlignView& view, double* parts,
                  float* residuals, cudaStream_t stream) {
    if (count == 0) return;
    align_points<<<blocks_for(count, kAlignBlock), kAlignBlock, 0, stream>>>(points, count, frame, view, parts, residuals);
    ENDOGS_LAUNCHED("align");
}

}  // namespace endogs::cuda
