// The part of the Python face that finds depth from parallax.
#pragma once
#include <nanobind/nanobind.h>

#include "kernels.h"

namespace endogs {

const Kernels*& active();  // the table of the instruction set in use (module.cpp)

void bind_parallax(nanobind::module_& m);

}  // namespace endogs
