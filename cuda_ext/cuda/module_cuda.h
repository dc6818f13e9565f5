// The Python face of the CUDA side, a submodule.
#pragma once
#include <nanobind/nanobind.h>

namespace endogs::cuda {

void bind(nanobind::module_& m);
void bind_parallax(nanobind::module_& m);  // called by the other

}  // namespace endogs::cuda
