// Depth from parallax at one pixel, compilable for CUDA as well: where a point of inverse depth w lies in another
// picture, what depth an observed place means, and on what depth several estimates agree. The formulas are derived in
// endogs/priors/depth/triangulation.py and agreement.py; their twin in double precision is parallax_reference.py.
#pragma once
#include "host_device.h"
#ifndef ENDOGS_ISA
#include "scalar.h"
#endif

namespace endogs {

constexpr int kMostEstimates = 32;  // of one pixel
constexpr float kBefore = 1e-3f;    // of z w: what is nearer to the other camera's plane is not before it

// K_b [R K_a^-1 | t], row by row: homogeneous pixels (u, v, 1, w) of one camera to pixels (x z, y z, z) w of another.
struct Epipolar {
    float m[12];
};

// What a pixel's flow must do to count.
struct FlowRule {
    float relative, absolute;  // |there and back|^2 < relative (|there|^2 + |back|^2) + absolute, square pixels
    float farthest;            // pixels
};

// What another frame says of its own depth, (height, width) samples, and where this one's samples lie among them.
struct DepthWord {
    const float *inverse, *relative;  // 0 is unknown
    Epipolar epipolar;
    int width, height;
};

// When a word of another frame is heard.
struct WordRule {
    float inside;   // share of the four pixels around a place that must be known
    float firmest;  // relative deviation that a word has at least
    float apart;    // standard deviations beyond which estimates do not agree
};

}  // namespace endogs

namespace ENDOGS_MATH {

// Bilinear samples of planes of one shape: the first pixel, those to the right and below, and their weights. At an edge
// the pixel itself stands for the one that is not there.
struct Corner {
    long long first;
    int right, below;
    float a, b;
};
ENDOGS_HD Corner corner(float x, float y, int width, int height) {
    x = x > 0.0f ? (x < static_cast<float>(width - 1) ? x : static_cast<float>(width - 1)) : 0.0f;
    y = y > 0.0f ? (y < static_cast<float>(height - 1) ? y : static_cast<float>(height - 1)) : 0.0f;
    const int column = static_cast<int>(x), row = static_cast<int>(y);
    return {static_cast<long long>(row) * width + column, column < width - 1 ? 1 : 0, row < height - 1 ? width : 0,
            x - static_cast<float>(column), y - static_cast<float>(row)};
}
template <class T>
ENDOGS_HD float sampled(const T* plane, const Corner& c, int channels = 1) {
    const T* at = plane + c.first * channels;
    const int right = c.right * channels, below = c.below * channels;
    const float top = static_cast<float>(at[0]) + c.a * (static_cast<float>(at[right]) - static_cast<float>(at[0]));
    const float low = static_cast<float>(at[below]) +
                      c.a * (static_cast<float>(at[below + right]) - static_cast<float>(at[below]));
    return top + c.b * (low - top);
}
// Whether all four pixels around are set.
ENDOGS_HD bool all_set(const unsigned char* mask, const Corner& c) {
    const unsigned char* at = mask + c.first;
    return at[0] && at[c.right] && at[c.below] && at[c.below + c.right];
}

// Within the picture to half a pixel beyond the centres of its rim; false for what is not a number.
ENDOGS_HD bool within(float x, float y, int width, int height) {
    return x >= -0.5f && y >= -0.5f && x <= static_cast<float>(width) - 0.5f && y <= static_cast<float>(height) - 0.5f;
}

// A pixel of a picture warped by depth, whose place (x, y) has centres at +0.5; `before` is whether it lies before the
// other camera.
struct Warped {
    unsigned char luma;
    bool shown;
};
ENDOGS_HD Warped warped_pixel(float x, float y, bool before, const unsigned char* image, const unsigned char* tissue,
                              int width, int height) {
    x -= 0.5f;
    y -= 0.5f;
    if (!before || !(x >= 0.0f && y >= 0.0f && x <= static_cast<float>(width - 1) && y <= static_cast<float>(height - 1)))
        return {0, false};
    const Corner c = corner(x, y, width, height);
    return {static_cast<unsigned char>(sampled(image, c) + 0.5f), all_set(tissue, c)};
}

// Where the flow from one picture to another says that a pixel is, in pixels away; `usable` is false where the flow does
// not come back, or leads out of the picture or the tissue. `places` (H, W, 2) are where the pixels of the other picture
// were taken from if that was warped, and else null. Without a flow `back` every flow comes back.
struct Correspondence {
    float x, y;
    bool usable;
};
ENDOGS_HD Correspondence correspondence(int column, int row, const float* flow, const float* back,
                                        const unsigned char* tissue, const unsigned char* other_tissue,
                                        const float* places, int width, int height, const FlowRule& rule) {
    const long long at = static_cast<long long>(row) * width + column;
    const float fx = flow[2 * at], fy = flow[2 * at + 1];
    const float x = static_cast<float>(column) + fx, y = static_cast<float>(row) + fy;
    if (!tissue[at] || !within(x, y, width, height)) return {0.0f, 0.0f, false};
    const Corner c = corner(x, y, width, height);
    const float bx = back ? sampled(back, c, 2) : -fx, by = back ? sampled(back + 1, c, 2) : -fy;
    const float size = fx * fx + fy * fy + bx * bx + by * by;
    const float gap = (fx + bx) * (fx + bx) + (fy + by) * (fy + by);
    const bool usable = gap < rule.relative * size + rule.absolute && fx < rule.farthest && -fx < rule.farthest &&
                        fy < rule.farthest && -fy < rule.farthest && all_set(other_tissue, c);
    if (!places) return {fx, fy, usable};
    return {sampled(places, c, 2) - static_cast<float>(column) - 0.5f,
            sampled(places + 1, c, 2) - static_cast<float>(row) - 0.5f, usable};
}

// A frame's word at a place between its samples: sums over the four around of what is known.
struct Heard {
    float share, inverse, spread;
};
ENDOGS_HD Heard heard(const float* inverse, const float* relative, float x, float y, int width, int height,
                      const WordRule& rule) {
    Heard sum{0.0f, 0.0f, 0.0f};
    if (!(x > -1.0f && y > -1.0f && x < static_cast<float>(width) && y < static_cast<float>(height))) return sum;
    const int column = static_cast<int>(x + 1.0f) - 1, row = static_cast<int>(y + 1.0f) - 1;
    const float a = x - static_cast<float>(column), b = y - static_cast<float>(row);
    for (int corner = 0; corner < 4; ++corner) {
        const int u = column + (corner & 1), v = row + (corner >> 1);
        if (u < 0 || v < 0 || u >= width || v >= height) continue;
        const long long at = static_cast<long long>(v) * width + u;
        const float known = inverse[at];
        if (!(known > 0.0f)) continue;
        const float weight = (corner & 1 ? a : 1.0f - a) * (corner >> 1 ? b : 1.0f - b);
        const float deviation = relative[at] > rule.firmest ? relative[at] : rule.firmest;
        sum.share += weight;
        sum.inverse += weight * known;
        sum.spread += weight * deviation;
    }
    return sum;
}

template <class F>
struct Homogeneous {
    F x, y, z;
};

// Of a pixel (u, v), centres at +0.5, and inverse depth w.
template <class F>
ENDOGS_HD Homogeneous<F> other_pixel(F u, F v, F w, const Epipolar& e) {
    const float* m = e.m;
    return {fma(F(m[0]), u, fma(F(m[1]), v, fma(F(m[3]), w, F(m[2])))),
            fma(F(m[4]), u, fma(F(m[5]), v, fma(F(m[7]), w, F(m[6])))),
            fma(F(m[8]), u, fma(F(m[9]), v, fma(F(m[11]), w, F(m[10]))))};
}

// Inverse depth of a pixel (u, v) that is seen (x, y) pixels away, its deviation for a flow that errs by one pixel,
// and how far it lies across its epipolar line and from where it were if it was infinitely far.
template <class F>
struct Triangulated {
    F inverse, deviation, across, shift;
};
template <class F>
ENDOGS_HD Triangulated<F> triangulate(F u, F v, F x, F y, const Epipolar& e) {
    const float* m = e.m;
    const F zero(0.0f), one(1.0f);
    const Homogeneous<F> start = other_pixel(u, v, zero, e);
    const F far_x = start.x / start.z, far_y = start.y / start.z;
    F along_x = F(m[3]) - far_x * F(m[11]), along_y = F(m[7]) - far_y * F(m[11]);
    const F strength = max(sqrt(fma(along_x, along_x, along_y * along_y)), F(1e-12f));
    along_x = along_x / strength;
    along_y = along_y / strength;
    const F shift_x = u + x - far_x, shift_y = v + y - far_y;
    const F moved = shift_x * along_x + shift_y * along_y;
    const F slope = strength - moved * F(m[11]);
    // p(w) = far + along * w strength / (A_z + w B_z), whose derivative is along * strength A_z / ahead^2
    const F rises = keep(slope > zero, one);
    const F inverse = keep(rises > zero, moved * start.z / select(rises > zero, slope, one));
    const F ahead = fma(inverse, F(m[11]), start.z);
    const auto good = (start.z > F(1e-3f)) & (inverse > zero) & (ahead > F(1e-3f));
    return {keep(good, inverse), ahead * ahead / (strength * max(start.z, F(1e-6f))),
            abs(shift_x * along_y - shift_y * along_x), sqrt(shift_x * shift_x + shift_y * shift_y)};
}

// The mean of the estimates that agree with their weighted median, and its standard deviation; 0 and 0 where those that
// do not agree weigh more. An estimate of weight 0, the inverse of a variance, says nothing.
template <class F>
struct Agreed {
    F value, deviation;
};
template <class F>
ENDOGS_HD Agreed<F> agreed(const F* values, const F* weights, int count, float apart) {
    const F zero(0.0f), one(1.0f);
    F total(0.0f);
    for (int i = 0; i < count; ++i) total = total + weights[i];
    const F half = total * F(0.5f);
    F median(3e38f);
    for (int i = 0; i < count; ++i) {
        F reached(0.0f);
        for (int j = 0; j < count; ++j) reached = reached + keep(values[i] >= values[j], weights[j]);
        const auto may = (weights[i] > zero) & (reached >= half) & (median > values[i]);
        median = select(may, values[i], median);
    }
    F precision(0.0f), sum(0.0f);
    for (int i = 0; i < count; ++i) {
        const F off = values[i] - median;
        const F weight = keep(F(apart * apart) > off * off * weights[i], weights[i]);
        precision = precision + weight;
        sum = fma(weight, values[i], sum);
    }
    const auto known = precision > half;
    const F divisor = select(known, precision, one);
    return {keep(known, sum / divisor), keep(known, one / sqrt(divisor))};
}

}  // namespace ENDOGS_MATH
