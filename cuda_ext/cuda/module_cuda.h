// The Python face of the CUDA side, a submodule.
#pragma once
#include <nanobind/nanobind.h>

namespace endogs::cuda {

void bind(nanobind::module_& m);

}  // namespace endogs::cuda
