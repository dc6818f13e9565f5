// Launching and checking.
#pragma once
#include <cuda_runtime.h>

#include <stdexcept>
#include <string>

namespace endogs::cuda {

inline void check(cudaError_t status, const char* what) {
    if (status != cudaSuccess)
        throw std::runtime_error(std::string("CUDA: ") + what + ": " + cudaGetErrorString(status));
}

inline unsigned blocks_for(std::size_t work, unsigned block) { return static_cast<unsigned>((work + block - 1) / block); }

#define ENDOGS_LAUNCHED(what) ::endogs::cuda::check(cudaGetLastError(), what)

}  // namespace endogs::cuda
