#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/vector.h>

#include <optional>
#include <vector>

#include "cuda/module_cuda.h"
#include "cuda/parallax.h"
#include "parallax_view.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace endogs::cuda {
namespace {

template <class T, class... Shape>
using Device = nb::ndarray<T, nb::device::cuda, nb::c_contig, Shape...>;
using Plane = Device<float, nb::ndim<2>>;
using Vectors = Device<float, nb::ndim<3>>;
using Bytes = Device<uint8_t, nb::ndim<2>>;
using Matrix = nb::ndarray<float, nb::device::cpu, nb::c_contig, nb::ndim<2>>;
using Matrices = nb::ndarray<float, nb::device::cpu, nb::c_contig, nb::ndim<3>>;

cudaStream_t stream_of(std::uintptr_t handle) { return reinterpret_cast<cudaStream_t>(handle); }

template <class A>
bool sized(const A& array, std::size_t height, std::size_t width) {
    return array.shape(0) == height && array.shape(1) == width;
}

Epipolar one_epipolar(const Matrix& matrix) {
    require(sized(matrix, 3, 4), "epipolar must be (3, 4)");
    return epipolar(matrix.data());
}

void warp(const Plane& inverse, const Bytes& image, const Bytes& tissue, const Bytes& stand_in, const Matrix& epipolar,
          const Bytes& warped, const Bytes& shown, const Vectors& places, std::uintptr_t stream) {
    const std::size_t height = inverse.shape(0), width = inverse.shape(1);
    require_picture(height, width);
    for (const Bytes* array : {&image, &tissue, &stand_in, &warped, &shown})
        require(sized(*array, height, width), "pictures and masks must have the depth's shape");
    require(sized(places, height, width) && places.shape(2) == 2, "places must be (H, W, 2)");
    warp_by_depth(inverse.data(), image.data(), tissue.data(), stand_in.data(), one_epipolar(epipolar),
                  static_cast<int>(width), static_cast<int>(height), warped.data(), shown.data(), places.data(),
                  stream_of(stream));
}

void triangulate(const Vectors& flow, const std::optional<Vectors>& back, const Bytes& tissue,
                 const Bytes& other_tissue, const std::optional<Vectors>& places, const Matrix& epipolar,
                 float relative, float absolute, float farthest, int step, const Vectors& out, std::uintptr_t stream) {
    const std::size_t height = flow.shape(0), width = flow.shape(1);
    require_step(height, width, step);
    require(flow.shape(2) == 2 && (!back || (sized(*back, height, width) && back->shape(2) == 2)),
            "flows must be (H, W, 2)");
    require(sized(tissue, height, width) && sized(other_tissue, height, width), "masks must have the flow's shape");
    require(!places || (sized(*places, height, width) && places->shape(2) == 2), "places must be (H, W, 2)");
    require(out.shape(0) == 5 && out.shape(1) == samples(height, step) && out.shape(2) == samples(width, step),
            "the result must be 5 planes of the samples");
    triangulate_flow(flow.data(), back ? back->data() : nullptr, tissue.data(), other_tissue.data(),
                     places ? places->data() : nullptr, one_epipolar(epipolar),
                     FlowRule{relative, absolute, farthest}, static_cast<int>(width), static_cast<int>(height), step,
                     out.data(), stream_of(stream));
}

void agree(std::vector<Plane> values, std::vector<Plane> deviations, std::vector<Plane> word_inverses,
           std::vector<Plane> word_relatives, const std::optional<Matrices>& epipolars,
           const std::optional<Plane>& guess, float inside, float firmest, float apart, const Plane& value,
           const Plane& deviation, std::uintptr_t stream) {
    const std::size_t height = value.shape(0), width = value.shape(1), words = word_inverses.size();
    require_picture(height, width);
    require(sized(deviation, height, width), "value and deviation must have one shape");
    require(values.size() == deviations.size() && word_relatives.size() == words, "one deviation per estimate");
    require(values.size() + words <= kMostEstimates, "there are at most 32 estimates");
    require(words == 0 || (epipolars && guess && epipolars->shape(0) == words && epipolars->shape(1) == 3 &&
                           epipolars->shape(2) == 4 && sized(*guess, height, width)),
            "words need a guess (H, W) and an epipolar (3, 4) each");
    DepthWords said{};
    said.words = static_cast<int>(words);
    said.estimates = static_cast<int>(values.size());
    for (std::size_t k = 0; k < values.size(); ++k) {
        require(sized(values[k], height, width) && sized(deviations[k], height, width), "estimates must be (H, W)");
        said.value[k] = values[k].data();
        said.deviation[k] = deviations[k].data();
    }
    for (std::size_t k = 0; k < words; ++k) {
        const Plane &inverse = word_inverses[k], &relative = word_relatives[k];
        require_picture(inverse.shape(0), inverse.shape(1));
        require(sized(relative, inverse.shape(0), inverse.shape(1)), "a word's planes must have one shape");
        said.word[k] = {inverse.data(), relative.data(), epipolar(epipolars->data() + 12 * k),
                        static_cast<int>(inverse.shape(1)), static_cast<int>(inverse.shape(0))};
    }
    agree_on_depth(said, guess ? guess->data() : nullptr, WordRule{inside, firmest, apart}, static_cast<int>(width),
                   static_cast<int>(height), value.data(), deviation.data(), stream_of(stream));
}

}  // namespace

void bind_parallax(nb::module_& m) {
    m.def("warp_by_depth", &warp, "inverse"_a, "image"_a, "tissue"_a, "stand_in"_a, "epipolar"_a,
          "warped"_a.noconvert(), "shown"_a.noconvert(), "places"_a.noconvert(), "stream"_a);
    m.def("triangulate_flow", &triangulate, "flow"_a, "back"_a.none(), "tissue"_a, "other_tissue"_a,
          "places"_a.none(), "epipolar"_a, "relative"_a, "absolute"_a, "farthest"_a, "step"_a, "out"_a.noconvert(),
          "stream"_a);
    m.def("agree_on_depth", &agree, "values"_a, "deviations"_a, "word_inverses"_a, "word_relatives"_a,
          "epipolars"_a.none(), "guess"_a.none(), "inside"_a, "firmest"_a, "apart"_a, "value"_a.noconvert(),
          "deviation"_a.noconvert(), "stream"_a);
}

}  // namespace endogs::cuda
