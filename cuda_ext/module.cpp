// The Python face of the kernels. Arrays come in over DLPack; nothing here knows torch.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <optional>
#include <stdexcept>

#include "align_view.h"
#include "buffer_pool.h"
#include "camera_view.h"
#include "fork.h"
#include "forward_state.h"
#include "kernels.h"
#include "module_parallax.h"
#include "parallel.h"

#ifdef ENDOGS_HAS_CUDA
#include "cuda/device.h"
#include "cuda/module_cuda.h"
#endif

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using namespace endogs;

template <class T, class... Shape>
using Array = nb::ndarray<T, nb::device::cpu, nb::c_contig, Shape...>;
using Floats = Array<float>;
using Matrix = Array<float, nb::ndim<2>>;
using Bytes = nb::ndarray<uint8_t, nb::device::cpu, nb::c_contig, nb::ndim<1>>;

std::vector<const Kernels*> supported_kernels() {  // widest first
    std::vector<const Kernels*> found;
#ifdef ENDOGS_HAS_avx512
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("bmi2"))
        found.push_back(&kernels_avx512());
#endif
#ifdef ENDOGS_HAS_avx2
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"))
        found.push_back(&kernels_avx2());
#endif
    found.push_back(&kernels_portable());
    return found;
}

void use_instruction_set(const std::string& name) {
    for (const Kernels* table : supported_kernels())
        if (name == table->name) {
            active() = table;
            return;
        }
    throw std::invalid_argument("this machine or build has no instruction set named " + name);
}

CameraView camera_view(const Matrix& world_to_camera, const Matrix& K, int width, int height, float near,
                       bool antialiased) {
    require(world_to_camera.shape(0) == 4 && world_to_camera.shape(1) == 4, "world_to_camera must be (4, 4)");
    require(K.shape(0) == 3 && K.shape(1) == 3, "K must be (3, 3)");
    return endogs::camera_view(world_to_camera.data(), K.data(), width, height, near, antialiased);
}

nb::object pooled_bytes(void* memory, std::size_t bytes) {
    nb::capsule owner(memory, [](void* p) noexcept { return_buffer(p); });
    return nb::cast(nb::ndarray<nb::numpy, uint8_t, nb::ndim<1>>(memory, {bytes}, owner));
}

struct Layers {  // 5 planes, then the extra features
    int width, height, features;
    std::size_t pixels() const { return static_cast<std::size_t>(width) * height; }
};

Layers layers_of(const Array<float, nb::ndim<3>>& image) {
    require(image.shape(0) >= kPlanes && image.shape(0) <= kMaxSide, "an image has at least 5 planes and at most 65535");
    require(image.shape(1) >= 1 && image.shape(1) <= kMaxSide && image.shape(2) >= 1 && image.shape(2) <= kMaxSide,
            "an image's sides must be in 1..65535 pixels");
    return {static_cast<int>(image.shape(2)), static_cast<int>(image.shape(1)),
            static_cast<int>(image.shape(0)) - kPlanes};
}

int64_t gaussians_in(const Matrix& packed) {
    require(packed.shape(1) == kChannels, "packed Gaussians must be (N, 14)");
    require(packed.shape(0) < (std::size_t{1} << 31), "packed has too many Gaussians: at most 2 147 483 647");
    return static_cast<int64_t>(packed.shape(0));
}

// Four feature channels at a time, padded with zeros.
void copy_features(const float* features, int64_t count, int total, int first, float* rows) {
    for (int64_t i = 0; i < count; ++i)
        for (int k = 0; k < 4; ++k) rows[i * 4 + k] = first + k < total ? features[i * total + first + k] : 0.0f;
}

nb::tuple render_forward(const Matrix& packed, const Matrix& world_to_camera, const Matrix& K, float near,
                         bool antialiased, std::optional<Matrix> features, Array<float, nb::ndim<3>> image) {
    const Kernels& k = *active();
    const int64_t count = gaussians_in(packed);
    const Layers layers = layers_of(image);
    const std::size_t feature_count = features ? features->shape(1) : 0;
    require(feature_count == static_cast<std::size_t>(layers.features),
            "the image must have 5 planes and one per feature");
    require(!features || static_cast<int64_t>(features->shape(0)) == count, "features must have one row per Gaussian");
    const CameraView view = camera_view(world_to_camera, K, layers.width, layers.height, near, antialiased);
    void *splats = nullptr, *bins = nullptr;
    std::size_t splat_bytes = splats_bytes(k, count), bin_bytes = 0;
    int64_t slots = 0;
    {
        nb::gil_scoped_release release;
        Buffer splat_buffer(splat_bytes);
        RasterState state{splat_buffer.memory, nullptr, count, 0};
        slots = count ? k.project(packed.data(), count, view, state.splats) : 0;
        if (slots < 0) throw std::domain_error("a Gaussian is not finite");
        if (slots >= (int64_t{1} << 32)) throw std::length_error("the Gaussians cover too many tiles to be rasterized");
        state.slot_count = slots;
        bin_bytes = bins_bytes(k, slots, layers.width, layers.height);
        Buffer bin_buffer(bin_bytes);
        begin_bins(k, state, bin_buffer.memory, layers.width, layers.height);
        k.bin(state, layers.width, layers.height);
        float* out = image.data();
        const std::size_t pixels = layers.pixels();
        k.rasterize(state, nullptr, layers.width, layers.height, out, out + 4 * pixels);
        if (feature_count > 0) {
            Buffer rows(sizeof(float) * 4 * (count + 1)), drawn(sizeof(float) * 4 * pixels);
            for (int first = 0; first < layers.features; first += 4) {
                copy_features(features->data(), count, layers.features, first, static_cast<float*>(rows.memory));
                k.rasterize(state, static_cast<float*>(rows.memory), layers.width, layers.height,
                            static_cast<float*>(drawn.memory), nullptr);
                const int copied = std::min(4, layers.features - first);
                std::copy_n(static_cast<float*>(drawn.memory), copied * pixels, out + (kPlanes + first) * pixels);
            }
        }
        splats = splat_buffer.release();
        bins = bin_buffer.release();
    }
    return nb::make_tuple(pooled_bytes(splats, splat_bytes), pooled_bytes(bins, bin_bytes), slots);
}

void render_backward(const Matrix& packed, const Matrix& world_to_camera, const Matrix& K, float near,
                     bool antialiased, std::optional<Matrix> features, const Array<float, nb::ndim<3>>& image,
                     const Bytes& splats, const Bytes& bins,
                     const Array<float, nb::ndim<3>>& image_grad, Matrix packed_grad,
                     std::optional<Array<double, nb::ndim<2>>> pose_grad, std::optional<Matrix> features_grad,
                     std::optional<Array<float, nb::ndim<1>>> absolute_grad) {
    const Kernels& k = *active();
    const Layers layers = layers_of(image);
    const int64_t count = gaussians_in(packed);
    const std::size_t feature_count = features ? features->shape(1) : 0;
    require(feature_count == static_cast<std::size_t>(layers.features),
            "the image must have 5 planes and one per feature");
    require(!features || features->shape(0) == packed.shape(0), "features must have one row per Gaussian");
    for (int side = 0; side < 3; ++side)
        require(image_grad.shape(side) == image.shape(side), "the image and its gradient must have one shape");
    require(packed_grad.shape(0) == packed.shape(0) && packed_grad.shape(1) == kChannels,
            "packed_grad must have the shape of the Gaussians");
    require(!pose_grad || (pose_grad->shape(0) == 4 && pose_grad->shape(1) == 4), "pose_grad must be (4, 4)");
    require(!features_grad || (features && features_grad->shape(0) == features->shape(0) &&
                               features_grad->shape(1) == feature_count),
            "features_grad must have the shape of the features");
    require(!absolute_grad || absolute_grad->shape(0) == packed.shape(0), "absolute_grad must be (N,)");
    const RasterState state =
        state_in(k, splats.data(), splats.shape(0), bins.data(), bins.shape(0), layers.width, layers.height);
    require(state.gaussian_count == count, "packed has another number of Gaussians than the forward pass had");
    const int64_t slot_count = state.slot_count;
    const CameraView view = camera_view(world_to_camera, K, layers.width, layers.height, near, antialiased);
    nb::gil_scoped_release release;
    if (pose_grad) std::fill_n(pose_grad->data(), 12, 0.0);
    if (count == 0) return;
    Buffer slots(sizeof(float) * 16 * (slot_count + 1));
    float* rows = static_cast<float*>(slots.memory);
    const std::size_t pixels = layers.pixels();
    const float *out = image.data(), *grad = image_grad.data();
    std::optional<Buffer> sums;
    if (layers.features > 0) {
        sums.emplace(sizeof(float) * 16 * count);
        float* total = static_cast<float*>(sums->memory);
        std::fill_n(total, 16 * count, 0.0f);
        Buffer channel_buffer(sizeof(float) * 4 * count), plane_buffer(sizeof(float) * 8 * pixels);
        float *channels = static_cast<float*>(channel_buffer.memory), *drawn = static_cast<float*>(plane_buffer.memory);
        for (int first = 0; first < layers.features; first += 4) {
            const int used = std::min(4, layers.features - first);
            copy_features(features->data(), count, layers.features, first, channels);
            std::fill_n(drawn, 8 * pixels, 0.0f);
            std::copy_n(out + (kPlanes + first) * pixels, used * pixels, drawn);
            std::copy_n(grad + (kPlanes + first) * pixels, used * pixels, drawn + 4 * pixels);
            k.rasterize_backward(state, channels, layers.width, layers.height, drawn, nullptr, drawn + 4 * pixels,
                                 nullptr, rows, absolute_grad.has_value());
            for (int64_t i = 0; i < count; ++i) std::fill_n(total + 16 * i + 8, 4, 0.0f);
            k.gather_slots(state, rows, total, layers.width, layers.height);
            if (features_grad)
                for (int64_t i = 0; i < count; ++i)
                    std::copy_n(total + 16 * i + 8, used, features_grad->data() + i * layers.features + first);
        }
    }
    k.rasterize_backward(state, nullptr, layers.width, layers.height, out, out + 4 * pixels, grad, grad + 4 * pixels,
                         rows, absolute_grad.has_value());
    k.project_backward(packed.data(), count, view, state, rows, sums ? static_cast<float*>(sums->memory) : nullptr,
                       packed_grad.data(), pose_grad ? pose_grad->data() : nullptr,
                       absolute_grad ? absolute_grad->data() : nullptr);
}

int64_t contributing_pairs(const Bytes& splats, const Bytes& bins, int width, int height) {
    const Kernels& k = *active();
    const RasterState state = state_in(k, splats.data(), splats.shape(0), bins.data(), bins.shape(0), width, height);
    nb::gil_scoped_release release;
    return k.contributing_pairs(state, width, height);
}

void spline_forward(const Matrix& base, const Array<float, nb::ndim<3>>& control, std::vector<float> weights,
                    Matrix out) {
    const std::size_t count = base.shape(0);
    require(base.shape(1) == kChannels && out.shape(1) == kChannels && out.shape(0) == count, "rows must be (N, 14)");
    require(control.shape(0) == 4 && control.shape(1) == count && control.shape(2) == kChannels,
            "the active control points must be (4, N, 14)");
    require(weights.size() == 4, "a cubic spline has 4 weights");
    nb::gil_scoped_release release;
    active()->spline_forward(base.data(), control.data(), weights.data(), static_cast<int64_t>(count), out.data());
}

void adam_step(std::vector<Matrix> parameters, std::vector<Matrix> first, std::vector<Matrix> second,
               const Matrix& gradient, std::vector<float> gradient_scale, const Matrix& rates,
               std::vector<float> first_correction, std::vector<float> second_correction, float beta1, float beta2,
               float eps) {
    const std::size_t slices = parameters.size(), count = gradient.shape(0);
    require(slices > 0 && slices <= 8, "between 1 and 8 slices per step");
    require(first.size() == slices && second.size() == slices && gradient_scale.size() == slices &&
                first_correction.size() == slices && second_correction.size() == slices && rates.shape(0) == slices &&
                rates.shape(1) == kChannels,
            "one of everything per slice");
    require(gradient.shape(1) == kChannels, "rows must be (N, 14)");
    float *p[8], *m[8], *v[8];
    for (std::size_t i = 0; i < slices; ++i) {
        for (const Matrix* array : {&parameters[i], &first[i], &second[i]})
            require(array->shape(0) == count && array->shape(1) == kChannels, "slices must have the gradient's shape");
        p[i] = parameters[i].data();
        m[i] = first[i].data();
        v[i] = second[i].data();
    }
    nb::gil_scoped_release release;
    active()->adam(p, m, v, gradient.data(), gradient_scale.data(), rates.data(), first_correction.data(),
                   second_correction.data(), static_cast<int>(slices), static_cast<int64_t>(count),
                   AdamCoefficients{beta1, beta2, eps});
}

nb::tuple photometric_loss(const Array<float, nb::ndim<3>>& image, const Array<uint8_t, nb::ndim<3>>& target,
                           const Array<uint8_t, nb::ndim<2>>& color_weight, std::optional<Matrix> depth_target,
                           std::optional<Array<uint8_t, nb::ndim<2>>> depth_weight, float color_scale,
                           float ssim_scale, float depth_scale, Array<float, nb::ndim<3>> image_grad) {
    const Kernels& k = *active();
    const Layers layers = layers_of(image);
    const std::size_t height = layers.height, width = layers.width;
    auto sized = [&](const auto& array) { return array.shape(0) == height && array.shape(1) == width; };
    require(layers.features == 0, "the loss takes the 5 planes alone");
    require(image_grad.shape(0) == kPlanes && image_grad.shape(1) == height && image_grad.shape(2) == width,
            "the gradient must have the image's shape");
    require(sized(target) && target.shape(2) == 3, "target must be (H, W, 3)");
    require(sized(color_weight), "color_weight must be (H, W)");
    require(depth_target.has_value() == depth_weight.has_value(), "depth needs both a target and a weight");
    require(!depth_target || (sized(*depth_target) && sized(*depth_weight)), "depth arrays must be (H, W)");
    LossTerms terms{};
    double ssim = 0;
    {
        nb::gil_scoped_release release;
        terms = k.pixel_loss(image.data(), target.data(), color_weight.data(),
                             depth_target ? depth_target->data() : nullptr,
                             depth_weight ? depth_weight->data() : nullptr, layers.width, layers.height, color_scale,
                             depth_scale, image_grad.data());
        if (ssim_scale != 0) {
            Buffer scratch(sizeof(float) * k.ssim_scratch_floats(layers.width, layers.height));
            ssim = k.ssim_loss(image.data(), target.data(), color_weight.data(), layers.width, layers.height,
                               ssim_scale, static_cast<float*>(scratch.memory), image_grad.data());
        }
    }
    return nb::make_tuple(terms.absolute, terms.squared, ssim, terms.depth);
}

// Writes the sums of the system (kAlignSums), and the residuals (P,) where they are asked for.
void align_system(const Matrix& points, const Matrix& frame, const Array<float, nb::ndim<2>>& motion, const Matrix& K,
                  float gain, float bias, float inverse_cut, Array<double, nb::ndim<1>> sums,
                  std::optional<Array<float, nb::ndim<1>>> residuals) {
    const std::size_t count = points.shape(1);
    require(points.shape(0) == 6, "points must be (6, P)");
    require(!residuals || residuals->shape(0) == count, "residuals must be (P,)");
    require(sums.shape(0) == static_cast<std::size_t>(kAlignSums), "there are 45 sums");
    const AlignView view = align_view(motion.data(), motion.shape(0), motion.shape(1), K.data(), K.shape(0), K.shape(1),
                                      frame.shape(0), frame.shape(1), gain, bias, inverse_cut);
    nb::gil_scoped_release release;
    active()->align_system(points.data(), static_cast<int64_t>(count), frame.data(), view, sums.data(),
                           residuals ? residuals->data() : nullptr);
}

std::string cuda_self_check() {
#ifdef ENDOGS_HAS_CUDA
    return cuda::self_check();
#else
    return "compiled without CUDA";
#endif
}

}  // namespace

const Kernels*& endogs::active() {
    static const Kernels* table = supported_kernels().front();
    return table;
}

NB_MODULE(_native, m) {
    survive_forks();
    m.doc() = "Compiled kernels of endogs. See endogs/native.py for the typed face.";
    m.def("instruction_sets", [] {
        std::vector<std::string> names;
        for (const Kernels* table : supported_kernels()) names.emplace_back(table->name);
        return names;
    });
    m.def("instruction_set", [] { return std::string(active()->name); });
    m.def("use_instruction_set", &use_instruction_set, "name"_a);
    m.def("threads", &thread_count);
    m.def("set_threads", [](int count) {
        require(count >= 1 && count <= 1024, "the number of threads must be in 1..1024");
        set_thread_count(count);
    }, "count"_a);
    m.def("peak_fma", [](int64_t iterations) {
        require(iterations >= 1 && iterations <= 1'000'000'000, "iterations must be in 1..1 000 000 000");
        nb::gil_scoped_release release;
        return active()->peak_fma(iterations);
    }, "iterations"_a);
    m.def("cuda_self_check", &cuda_self_check);
#ifdef ENDOGS_HAS_CUDA
    m.attr("compiled_with_cuda") = true;
    nb::module_ gpu = m.def_submodule("cuda", "Kernels for NVIDIA GPUs. Arrays are device memory of the caller's.");
    cuda::bind(gpu);
#else
    m.attr("compiled_with_cuda") = false;
#endif
    // An array that is written to is never converted: results in a converted copy would be lost without a word.
    m.def("render_forward", &render_forward, "packed"_a, "world_to_camera"_a, "K"_a, "near"_a, "antialiased"_a,
          "features"_a.none(), "image"_a.noconvert());
    m.def("contributing_pairs", &contributing_pairs, "splats"_a.noconvert(), "bins"_a.noconvert(), "width"_a, "height"_a);
    m.def("render_backward", &render_backward, "packed"_a, "world_to_camera"_a, "K"_a, "near"_a, "antialiased"_a,
          "features"_a.none(), "image"_a, "splats"_a.noconvert(), "bins"_a.noconvert(), "image_grad"_a,
          "packed_grad"_a.noconvert(), "pose_grad"_a.none().noconvert(), "features_grad"_a.none().noconvert(),
          "absolute_grad"_a.none().noconvert());
    m.def("spline_forward", &spline_forward, "base"_a, "control"_a, "weights"_a, "out"_a.noconvert());
    m.def("adam_step", &adam_step, "parameters"_a.noconvert(), "first"_a.noconvert(), "second"_a.noconvert(), "gradient"_a,
          "gradient_scale"_a, "rates"_a, "first_correction"_a, "second_correction"_a, "beta1"_a, "beta2"_a, "eps"_a);
    m.def("photometric_loss", &photometric_loss, "image"_a, "target"_a, "color_weight"_a, "depth_target"_a.none(),
          "depth_weight"_a.none(), "color_scale"_a, "ssim_scale"_a, "depth_scale"_a,
          "image_grad"_a.noconvert());
    m.attr("align_sums") = kAlignSums;
    m.def("align_system", &align_system, "points"_a, "frame"_a, "motion"_a, "K"_a, "gain"_a, "bias"_a, "inverse_cut"_a,
          "sums"_a.noconvert(), "residuals"_a.none().noconvert());
    bind_parallax(m);
}
