// A camera as the kernels take it, from the arrays that Python has.
#pragma once
#include <stdexcept>

#include "projection_math.h"

namespace endogs {

inline void require(bool condition, const char* message) {
    if (!condition) throw std::invalid_argument(message);
}

constexpr int kMaxSide = 65535;  // pixels of an image's side: tiles are counted in 16 bits

// world_to_camera (4, 4) and K (3, 3), row-major.
inline CameraView camera_view(const float* world_to_camera, const float* K, int width, int height, float near,
                              bool antialiased) {
    require(width > 0 && height > 0 && width <= kMaxSide && height <= kMaxSide,
            "image sides must be in 1..65535 pixels");
    CameraView view{};
    const float *w = world_to_camera, *k = K;
    for (int row = 0; row < 3; ++row) {
        for (int column = 0; column < 3; ++column) view.rotation[3 * row + column] = w[4 * row + column];
        view.translation[row] = w[4 * row + 3];
    }
    view.fx = k[0];
    view.fy = k[4];
    view.cx = k[2];
    view.cy = k[5];
    view.width = static_cast<float>(width);
    view.height = static_cast<float>(height);
    view.near = near;
    view.antialiased = antialiased;
    return view;
}

}  // namespace endogs
