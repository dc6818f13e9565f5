// What an alignment is made with, as the kernels take it, from the arrays that Python has.
#pragma once
#include "align_math.h"
#include "camera_view.h"

namespace endogs {

// motion (4, 4) and K (3, 3), row-major, of the shapes given; a frame of `height` x `width` pixels, 2 x 2 at least.
inline AlignView align_view(const float* motion, std::size_t motion_rows, std::size_t motion_columns, const float* K,
                            std::size_t K_rows, std::size_t K_columns, std::size_t height, std::size_t width, float gain,
                            float bias, float inverse_cut) {
    require(motion_rows == 4 && motion_columns == 4, "motion must be (4, 4)");
    require(K_rows == 3 && K_columns == 3, "K must be (3, 3)");
    require(height >= 2 && width >= 2 && height <= kMaxSide && width <= kMaxSide,
            "a frame's sides must be in 2..65535 pixels");
    AlignView view{};
    for (int k = 0; k < 12; ++k) view.motion[k] = motion[k];
    view.fx = K[0];
    view.fy = K[4];
    view.cx = K[2];
    view.cy = K[5];
    view.gain = gain;
    view.bias = bias;
    view.inverse_cut = inverse_cut;
    view.width = static_cast<int>(width);
    view.height = static_cast<int>(height);
    return view;
}

}  // namespace endogs
