// One trivial kernel: proof that what nvcc compiled runs on the GPU that is here.
#include "cuda/device.h"

#include <cuda_runtime.h>

namespace endogs::cuda {
namespace {

__global__ void square_indices(int* out, int count) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count) out[i] = i * i;
}

std::string check(cudaError_t status) { return status == cudaSuccess ? "" : cudaGetErrorString(status); }

}  // namespace

std::string self_check() {
    int devices = 0;
    if (std::string problem = check(cudaGetDeviceCount(&devices)); !problem.empty()) return problem;
    if (devices == 0) return "no CUDA device";
    constexpr int kCount = 1000;
    int* memory = nullptr;
    if (std::string problem = check(cudaMalloc(&memory, kCount * sizeof(int))); !problem.empty()) return problem;
    square_indices<<<(kCount + 255) / 256, 256>>>(memory, kCount);
    int host[kCount] = {};
    std::string problem = check(cudaGetLastError());
    if (problem.empty()) problem = check(cudaMemcpy(host, memory, sizeof host, cudaMemcpyDeviceToHost));
    cudaFree(memory);
    for (int i = 0; problem.empty() && i < kCount; ++i)
        if (host[i] != i * i) problem = "the test kernel gave a wrong result";
    return problem;
}

}  // namespace endogs::cuda
