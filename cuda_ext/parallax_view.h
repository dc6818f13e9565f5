// What the kernels of depth from parallax are given, as they take it, from the arrays that Python has.
#pragma once
#include "camera_view.h"
#include "parallax_math.h"

namespace endogs {

// (3, 4) or a row of (M, 3, 4), row-major.
inline Epipolar epipolar(const float* matrix) {
    Epipolar e{};
    for (int k = 0; k < 12; ++k) e.m[k] = matrix[k];
    return e;
}

inline void require_picture(std::size_t height, std::size_t width) {
    require(height >= 1 && width >= 1 && height <= kMaxSide && width <= kMaxSide,
            "a picture's sides must be in 1..65535 pixels");
}

// Samples of a side: the first at step / 2, then every step-th pixel.
inline std::size_t samples(std::size_t pixels, int step) { return (pixels - step / 2 + step - 1) / step; }

inline void require_step(std::size_t height, std::size_t width, int step) {
    require_picture(height, width);
    require(step >= 1 && static_cast<std::size_t>(step / 2) < height && static_cast<std::size_t>(step / 2) < width,
            "the step between samples must be 1 or more, and small enough that there is one");
}

}  // namespace endogs
