// Depth from parallax: a thread per pixel or sample.
#include "cuda/parallax.h"

#include "cuda/launch.h"

namespace endogs::cuda {
namespace {

constexpr int kBlock = 128;

__global__ void __launch_bounds__(kBlock)
    warp_pixels(const float* inverse, const unsigned char* image, const unsigned char* tissue,
                const unsigned char* stand_in, Epipolar e, int width, int height, unsigned char* warped,
                unsigned char* shown, float* places) {
    const long long at = static_cast<long long>(blockIdx.x) * kBlock + threadIdx.x;
    if (at >= static_cast<long long>(width) * height) return;
    const float u = static_cast<float>(at % width) + 0.5f, v = static_cast<float>(at / width) + 0.5f;
    const Homogeneous<float> seen = other_pixel(u, v, inverse[at], e);
    const bool before = seen.z > kBefore;
    const float scale = before ? 1.0f / seen.z : 0.0f;
    const float x = seen.x * scale, y = seen.y * scale;
    const Warped pixel = warped_pixel(x, y, scale > 0.0f, image, tissue, width, height);
    warped[at] = pixel.shown ? pixel.luma : stand_in[at];
    shown[at] = pixel.shown;
    places[2 * at] = x;
    places[2 * at + 1] = y;
}

__global__ void __launch_bounds__(kBlock)
    triangulate_samples(const float* flow, const float* back, const unsigned char* tissue,
                        const unsigned char* other_tissue, const float* places, Epipolar e, FlowRule rule, int width,
                        int height, int step, int columns, long long samples, float* out) {
    const long long at = static_cast<long long>(blockIdx.x) * kBlock + threadIdx.x;
    if (at >= samples) return;
    const int column = step / 2 + static_cast<int>(at % columns) * step;
    const int row = step / 2 + static_cast<int>(at / columns) * step;
    const Correspondence one =
        correspondence(column, row, flow, back, tissue, other_tissue, places, width, height, rule);
    const Triangulated<float> found =
        triangulate(static_cast<float>(column) + 0.5f, static_cast<float>(row) + 0.5f, one.x, one.y, e);
    const bool good = one.usable && found.inverse > 0.0f;
    const float rows[5] = {found.inverse, found.deviation, found.across, found.shift,
                           sqrt(one.x * one.x + one.y * one.y)};
    for (int k = 0; k < 5; ++k) out[at + k * samples] = good ? rows[k] : 0.0f;
}

__device__ float weight_of(bool known, float deviation) {
    return known && deviation > 0.0f ? 1.0f / (deviation * deviation) : 0.0f;
}

__global__ void __launch_bounds__(kBlock)
    agree_at_samples(DepthWords said, const float* guess, WordRule rule, int width, int height, float* value,
                     float* deviation) {
    const long long at = static_cast<long long>(blockIdx.x) * kBlock + threadIdx.x;
    if (at >= static_cast<long long>(width) * height) return;
    const float u = static_cast<float>(at % width) + 0.5f, v = static_cast<float>(at / width) + 0.5f;
    float told[kMostEstimates], weights[kMostEstimates];
    for (int k = 0; k < said.estimates; ++k) {
        told[k] = said.value[k][at];
        weights[k] = weight_of(told[k] > 0.0f, said.deviation[k][at]);
    }
    const float near = said.words ? guess[at] : 0.0f;
    for (int k = 0; k < said.words; ++k) {
        const DepthWord& word = said.word[k];
        const Homogeneous<float> seen = other_pixel(u, v, near, word.epipolar);
        const float scale = seen.z > kBefore && near > 0.0f ? 1.0f / seen.z : 0.0f;
        Heard one{0.0f, 0.0f, 0.0f};
        if (scale > 0.0f)
            one = heard(word.inverse, word.relative, seen.x * scale - 0.5f, seen.y * scale - 0.5f, word.width,
                        word.height, rule);
        const bool known = one.share > rule.inside;
        told[said.estimates + k] = known ? one.inverse / one.share * seen.z : 0.0f;
        weights[said.estimates + k] = weight_of(known, known ? near * one.spread / one.share : 0.0f);
    }
    const Agreed<float> found = agreed(told, weights, said.estimates + said.words, rule.apart);
    value[at] = found.value;
    deviation[at] = found.deviation;
}

}  // namespace

void warp_by_depth(const float* inverse, const unsigned char* image, const unsigned char* tissue,
                   const unsigned char* stand_in, const Epipolar& epipolar, int width, int height,
                   unsigned char* warped, unsigned char* shown, float* places, cudaStream_t stream) {
    warp_pixels<<<blocks_for(static_cast<std::size_t>(width) * height, kBlock), kBlock, 0, stream>>>(
        inverse, image, tissue, stand_in, epipolar, width, height, warped, shown, places);
    ENDOGS_LAUNCHED("warping by depth");
}

void triangulate_flow(const float* flow, const float* back, const unsigned char* tissue,
                      const unsigned char* other_tissue, const float* places, const Epipolar& epipolar,
                      const FlowRule& rule, int width, int height, int step, float* out, cudaStream_t stream) {
    const int columns = (width - step / 2 + step - 1) / step, rows = (height - step / 2 + step - 1) / step;
    const long long samples = static_cast<long long>(columns) * rows;
    triangulate_samples<<<blocks_for(samples, kBlock), kBlock, 0, stream>>>(
        flow, back, tissue, other_tissue, places, epipolar, rule, width, height, step, columns, samples, out);
    ENDOGS_LAUNCHED("triangulation");
}

void agree_on_depth(const DepthWords& said, const float* guess, const WordRule& rule, int width, int height,
                    float* value, float* deviation, cudaStream_t stream) {
    agree_at_samples<<<blocks_for(static_cast<std::size_t>(width) * height, kBlock), kBlock, 0, stream>>>(
        said, guess, rule, width, height, value, deviation);
    ENDOGS_LAUNCHED("agreement on depth");
}

}  // namespace endogs::cuda
