// What the machine's CUDA side can say about itself. Compiled only where nvcc is found.
#pragma once
#include <string>

namespace endogs::cuda {

// Empty when a kernel launched on device 0 gave the right answer; else one sentence saying why not.
std::string self_check();

}  // namespace endogs::cuda
