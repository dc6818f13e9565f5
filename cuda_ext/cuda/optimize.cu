// From the sums over pixels back to the parameters: projection, spline and Adam, 128 Gaussians at a time. The gradient
// of a row only ever lives in shared memory; parameters and moments are read and written once.
#include "cuda/launch.h"
#include "cuda/rows.cuh"
#include "cuda/stages.h"

namespace endogs::cuda {
namespace {

constexpr int kStepRows = 64;  // per block of the parameter step: small, so that blocks at work hide blocks that wait

// The gradient by one packed row of `row_of`, from the row's sums; zero where the Gaussian was not drawn.
__device__ void row_gradient(const float* row, const float* sums, const CameraView& camera, bool drawn,
                             float (&grad)[kChannels], float (&pose)[12], bool with_pose) {
#pragma unroll
    for (int k = 0; k < kChannels; ++k) grad[k] = 0;
#pragma unroll
    for (int k = 0; k < 12; ++k) pose[k] = 0;
    if (!drawn) return;
    Projected<float> p;
    project_gaussian(row, row + 3, row + 7, camera, p);
    const ProjectionGradient<float> g = gradient_of_sums(p, sums, sums[9]);
    project_gaussian_backward(row, camera, p, g, grad, grad + 3, grad + 7, pose, with_pose);
    grad[10] = sums[0] * (1.0f - sigmoid(row[10]));
    for (int k = 0; k < 3; ++k) grad[11 + k] = sums[6 + k];
}

template <int Rows>
__device__ void load_rows(const float* __restrict__ packed, int64_t first, int64_t count, float* row_of) {
    for (int i = threadIdx.x; i < Rows * kChannels; i += Rows) {
        const int64_t at = first * kChannels + i;
        row_of[i / kChannels * kPaddedRow + i % kChannels] = at < count * kChannels ? packed[at] : 0;
    }
}

__global__ void __launch_bounds__(kRows)
    gradient_rows(GaussianMemory memory, const float* __restrict__ packed, int64_t count,
                  const float* __restrict__ sums, float* __restrict__ packed_grad, double* __restrict__ pose_parts,
                  float* __restrict__ absolute_grad) {
    __shared__ float row_of[kRows * kPaddedRow];
    __shared__ double pose_of[kRows / 32][12];
    const int64_t first = static_cast<int64_t>(blockIdx.x) * kRows, i = first + threadIdx.x;
    load_rows<kRows>(packed, first, count, row_of);
    __syncthreads();
    float grad[kChannels], pose[12], mine[kSums] = {};
    const bool drawn = i < count && memory.reached[i] > 0;
    if (drawn)
        for (int k = 0; k < kSums; ++k) mine[k] = sums[i * kSums + k];
    float* row = row_of + threadIdx.x * kPaddedRow;
    row_gradient(row, mine, memory.current->view.camera, drawn, grad, pose, pose_parts != nullptr);
    for (int k = 0; k < kChannels; ++k) row[k] = grad[k];
    if (absolute_grad && i < count) absolute_grad[i] = sqrtf(mine[10] * mine[10] + mine[11] * mine[11]);
    if (pose_parts) {
        for (int k = 0; k < 12; ++k) {
            double total = pose[k];
            for (int bit = 16; bit > 0; bit /= 2) total += __shfl_xor_sync(~0u, total, bit);
            if (threadIdx.x % 32 == 0) pose_of[threadIdx.x / 32][k] = total;
        }
    }
    __syncthreads();
    if (pose_parts && threadIdx.x < 12) {
        double total = 0;
        for (int warp = 0; warp < kRows / 32; ++warp) total += pose_of[warp][threadIdx.x];
        pose_parts[blockIdx.x * 12 + threadIdx.x] = total;
    }
    for (int k = threadIdx.x; k < kRows * kChannels; k += kRows)
        if (first * kChannels + k < count * kChannels)
            packed_grad[first * kChannels + k] = row_of[k / kChannels * kPaddedRow + k % kChannels];
}

__global__ void __launch_bounds__(kStepRows)
    step_rows(GaussianMemory memory, const float* __restrict__ packed, int64_t count, const float* __restrict__ sums,
              Parameters parameters) {
    __shared__ float row_of[kStepRows * kPaddedRow];
    __shared__ float rates[kSlices * kChannels];
    __shared__ bool sits_out[kStepRows];
    const Current& current = *memory.current;
    if (current.idle) return;
    const int64_t first = static_cast<int64_t>(blockIdx.x) * kStepRows, i = first + threadIdx.x;
    const int64_t total = count * kChannels;
    load_rows<kStepRows>(packed, first, count, row_of);
    for (int k = threadIdx.x; k < kSlices * kChannels; k += kStepRows) {
        const int slice = k / kChannels, row = slice == 0 ? 0 : kChannels;
        rates[k] = parameters.rates[row + k % kChannels] * current.step.rate[slice];
    }
    __syncthreads();
    {
        float grad[kChannels], pose[12], mine[kSums - 2] = {};
        const bool drawn = i < count && memory.reached[i] > 0;
        if (drawn) {  // rows of 12 floats: three vectors of four, of which the last two numbers are not used here
            const float4* from = reinterpret_cast<const float4*>(sums + i * kSums);
            const float4 a = from[0], b = from[1], c = from[2];
            mine[0] = a.x, mine[1] = a.y, mine[2] = a.z, mine[3] = a.w;
            mine[4] = b.x, mine[5] = b.y, mine[6] = b.z, mine[7] = b.w;
            mine[8] = c.x, mine[9] = c.y;
        }
        float* row = row_of + threadIdx.x * kPaddedRow;
        row_gradient(row, mine, current.view.camera, drawn, grad, pose, false);
        uint32_t bad = 0;
#pragma unroll
        for (int k = 0; k < kChannels; ++k)
            if (!(fabsf(grad[k]) <= 3e38f)) bad |= 1u << k;
        if (bad) {  // this Gaussian stays as it is, and from the next step on everything does
            atomicOr(&memory.progress->bad_channels, bad);
            atomicOr(&memory.progress->failure, kBadGradient);
        }
#pragma unroll
        for (int k = 0; k < kChannels; ++k) row[k] = grad[k];
        sits_out[threadIdx.x] = bad != 0;
    }
    __syncthreads();
    // In registers, because a store to the parameters might, for all the compiler knows, change them in memory.
    float root[kSlices], weight[kSlices];
#pragma unroll
    for (int slice = 0; slice < kSlices; ++slice) {
        root[slice] = slice == 0 || parameters.control ? current.step.root[slice] : 0.0f;
        weight[slice] = slice == 0 ? 1.0f : current.view.spline[slice - 1];
    }
    const int64_t slices_from = current.view.knot * total;
    // Rows start on multiples of 8 bytes, whatever their number.
    constexpr int pairs = kStepRows * kChannels / 2;
    for (int pair = threadIdx.x; pair < pairs; pair += kStepRows) {
        const int k = 2 * pair, channel = k % kChannels;
        const int64_t at = first * kChannels + k;
        if (at >= total) break;
        if (sits_out[k / kChannels]) continue;
        const float* row = row_of + k / kChannels * kPaddedRow + channel;
        const float gx = row[0], gy = row[1];
        auto place = [&](float* base, float* control, int slice) {
            return reinterpret_cast<float2*>(slice == 0 ? base + at : control + slices_from + (slice - 1) * total + at);
        };
        float2 p[kSlices], m[kSlices], v[kSlices];  // all loads before the first store
#pragma unroll
        for (int slice = 0; slice < kSlices; ++slice) {
            if (root[slice] == 0) continue;
            p[slice] = *place(parameters.base, parameters.control, slice);
            m[slice] = *place(parameters.base_m, parameters.control_m, slice);
            v[slice] = *place(parameters.base_v, parameters.control_v, slice);
        }
#pragma unroll
        for (int slice = 0; slice < kSlices; ++slice) {
            if (root[slice] == 0) continue;
            const float* rate = rates + slice * kChannels + channel;
            p[slice].x = adam_update(gx * weight[slice], m[slice].x, v[slice].x, p[slice].x, rate[0], root[slice],
                                     parameters.adam);
            p[slice].y = adam_update(gy * weight[slice], m[slice].y, v[slice].y, p[slice].y, rate[1], root[slice],
                                     parameters.adam);
            *place(parameters.base, parameters.control, slice) = p[slice];
            *place(parameters.base_m, parameters.control_m, slice) = m[slice];
            *place(parameters.base_v, parameters.control_v, slice) = v[slice];
        }
    }
}

}  // namespace

void project_backward(const GaussianMemory& memory, const float* packed, int64_t count, const float* sums,
                      float* packed_grad, double* pose_parts, float* absolute_grad, cudaStream_t stream) {
    if (count == 0) return;
    gradient_rows<<<blocks_for(count, kRows), kRows, 0, stream>>>(memory, packed, count, sums, packed_grad, pose_parts,
                                                                  absolute_grad);
    ENDOGS_LAUNCHED("the backward pass of projection");
}

void step_parameters(const GaussianMemory& memory, const float* packed, int64_t count, const float* sums,
                     const Parameters& parameters, cudaStream_t stream) {
    if (count == 0) return;
    step_rows<<<blocks_for(count, kStepRows), kStepRows, 0, stream>>>(memory, packed, count, sums, parameters);
    ENDOGS_LAUNCHED("the parameter step");
}

}  // namespace endogs::cuda
