#include "cuda/module_cuda.h"

#include <cuda_runtime.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "align_view.h"
#include "camera_view.h"
#include "cuda/align.h"
#include "cuda/fit.h"
#include "cuda/launch.h"
#include "cuda/stages.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace endogs::cuda {
namespace {

template <class T, class... Shape>
using Device = nb::ndarray<T, nb::device::cuda, nb::c_contig, Shape...>;
template <class T, class... Shape>
using Host = nb::ndarray<T, nb::device::cpu, nb::c_contig, Shape...>;
using Rows = Device<float, nb::ndim<2>>;
using Planes = Device<float, nb::ndim<3>>;
using Memory = Device<uint8_t, nb::ndim<1>>;
using HostMatrix = Host<float, nb::ndim<2>>;

cudaStream_t stream_of(std::uintptr_t handle) { return reinterpret_cast<cudaStream_t>(handle); }

template <class Array>
auto* data_or_null(const std::optional<Array>& array) {
    return array ? array->data() : nullptr;
}

// Sizes as they come from Python, before any memory is measured by them.
void require_sizes(int64_t count, int64_t entries, int64_t width, int64_t height) {
    require(count >= 0 && count < kMaxGaussians, "too many Gaussians for one rendering on the GPU: at most 16 777 215");
    require(entries >= 0 && entries <= std::numeric_limits<int32_t>::max(), "entries must be in 0..2^31 - 1");
    require(width > 0 && height > 0 && width <= kMaxSide && height <= kMaxSide,
            "image sides must be in 1..65535 pixels");
}

// A rendering's two blocks of memory, and what is needed to walk through them again.
struct Frame {
    Grid grid;
    GaussianMemory gaussians;
    EntryMemory entries;

    Frame(const Memory& state, const std::optional<Memory>& bins, int64_t count, int64_t entry_count, int64_t width,
          int64_t height, bool deterministic)
        : grid(checked_grid(count, entry_count, width, height)), gaussians(state.data(), count, grid),
          entries(bins ? bins->data() : nullptr, entry_count, count, deterministic,
                  deterministic ? order_scratch_bytes(entry_count, count) : 0) {
        require(state.shape(0) >= gaussians.bytes, "the state is too small for these Gaussians");
        require(!bins || bins->shape(0) >= entries.bytes, "the bins are too small for these entries");
    }

    static Grid checked_grid(int64_t count, int64_t entries, int64_t width, int64_t height) {
        require_sizes(count, entries, width, height);
        return Grid(static_cast<int>(width), static_cast<int>(height));
    }
};

std::size_t state_bytes(int64_t count, int width, int height) {
    require_sizes(count, 0, width, height);
    return GaussianMemory(nullptr, count, Grid(width, height)).bytes;
}

std::size_t bins_bytes(int64_t entries, int64_t count, bool deterministic) {
    require_sizes(count, entries, 1, 1);
    const std::size_t scratch = deterministic ? order_scratch_bytes(entries, count) : 0;
    return EntryMemory(nullptr, entries, count, deterministic, scratch).bytes;
}

// Projects and counts entries by tile; waits, and returns how many there are.
int64_t project_gaussians(const Rows& packed, const HostMatrix& world_to_camera, const HostMatrix& K, int width,
                          int height, float near, bool antialiased, const Memory& state, std::uintptr_t stream) {
    const int64_t count = static_cast<int64_t>(packed.shape(0));
    require(packed.shape(1) == kChannels, "packed Gaussians must be (N, 14)");
    require(world_to_camera.shape(0) == 4 && world_to_camera.shape(1) == 4, "world_to_camera must be (4, 4)");
    require(K.shape(0) == 3 && K.shape(1) == 3, "K must be (3, 3)");
    const Frame frame(state, std::nullopt, count, 0, width, height, false);
    Current current{};
    current.view.camera = camera_view(world_to_camera.data(), K.data(), width, height, near, antialiased);
    nb::gil_scoped_release release;
    const cudaStream_t s = stream_of(stream);
    check(cudaMemcpyAsync(frame.gaussians.current, &current, sizeof current, cudaMemcpyHostToDevice, s), "the camera");
    check(cudaMemsetAsync(frame.gaussians.progress, 0, sizeof(Progress), s), "the flags");
    project(frame.gaussians, nullptr, nullptr, packed.data(), count, frame.grid, nullptr, s);
    place_entries(frame.gaussians, std::numeric_limits<int32_t>::max(), frame.grid, s);
    uint32_t entries = 0;
    Progress progress{};
    const uint32_t* last = frame.gaussians.tile_begin + frame.grid.tiles();
    check(cudaMemcpyAsync(&entries, last, sizeof entries, cudaMemcpyDeviceToHost, s), "entries");
    check(cudaMemcpyAsync(&progress, frame.gaussians.progress, sizeof progress, cudaMemcpyDeviceToHost, s), "flags");
    check(cudaStreamSynchronize(s), "projection");
    if (progress.failure & kBadGaussian) throw std::domain_error("a Gaussian is not finite");
    if (progress.failure & kOverflow)
        throw std::length_error("the Gaussians cover too many tiles to be rasterized");
    return entries;
}

// Channels come in groups of four: `channels` (G, N, 4) and image (5 + 4 G, H, W).
void rasterize_image(const Memory& state, const Memory& bins, int64_t count, int64_t entries,
                     const std::optional<Planes>& channels, const Planes& image, bool deterministic,
                     std::uintptr_t stream) {
    const int64_t height = static_cast<int64_t>(image.shape(1)), width = static_cast<int64_t>(image.shape(2));
    const std::size_t groups = channels ? channels->shape(0) : 0;
    require(image.shape(0) == kPlanes + 4 * groups, "the image must have 5 planes and four per group of channels");
    require(!channels || (channels->shape(1) == static_cast<std::size_t>(count) && channels->shape(2) == 4),
            "channels must be (G, N, 4)");
    const Frame frame(state, bins, count, entries, width, height, deterministic);
    nb::gil_scoped_release release;
    const cudaStream_t s = stream_of(stream);
    const std::size_t pixels = frame.grid.pixels();
    float* out = image.data();
    bin(frame.gaussians, frame.entries, count, entries, frame.grid, s);
    rasterize(frame.gaussians, frame.entries, nullptr, frame.grid, out, out + 4 * pixels, s);
    for (std::size_t group = 0; group < groups; ++group)
        rasterize(frame.gaussians, frame.entries, channels->data() + group * count * 4, frame.grid,
                  out + (kPlanes + 4 * group) * pixels, nullptr, s);
}

// Adds one pass to sums (N, 12): the image's own five planes, or with `group` that group of channels.
void rasterize_image_backward(const Memory& state, const Memory& bins, int64_t count, int64_t entries,
                              const std::optional<Planes>& channels, int group, const Planes& image,
                              const Planes& image_grad, const Rows& sums, bool absolute, bool deterministic,
                              std::uintptr_t stream) {
    const int64_t height = static_cast<int64_t>(image.shape(1)), width = static_cast<int64_t>(image.shape(2));
    const std::size_t groups = channels ? channels->shape(0) : 0;
    require(image.shape(0) == kPlanes + 4 * groups, "the image must have 5 planes and four per group of channels");
    require(!channels || (channels->shape(1) == static_cast<std::size_t>(count) && channels->shape(2) == 4),
            "channels must be (G, N, 4)");
    for (int side = 0; side < 3; ++side)
        require(image_grad.shape(side) == image.shape(side), "the image and its gradient must have one shape");
    require(sums.shape(0) == static_cast<std::size_t>(count) && sums.shape(1) == kSums, "sums must be (N, 12)");
    require(group < 0 || static_cast<std::size_t>(group) < groups, "no such group");
    const Frame frame(state, bins, count, entries, width, height, deterministic);
    nb::gil_scoped_release release;
    const cudaStream_t s = stream_of(stream);
    const std::size_t pixels = frame.grid.pixels();
    const std::size_t first = group < 0 ? 0 : (kPlanes + 4 * static_cast<std::size_t>(group)) * pixels;
    const float *out = image.data() + first, *grad = image_grad.data() + first;
    const float* from = group < 0 ? nullptr : channels->data() + static_cast<std::size_t>(group) * count * 4;
    rasterize_backward(frame.gaussians, frame.entries, from, frame.grid, out, group < 0 ? out + 4 * pixels : nullptr,
                       grad, group < 0 ? grad + 4 * pixels : nullptr, sums.data(), absolute, s);
    gather(frame.entries, count, sums.data(), s);
}

// pose_parts (blocks, 12) receives the parts of the gradient by the 3x4 world-to-camera matrix, to be added up.
void project_gaussians_backward(const Memory& state, const Rows& packed, const Rows& sums, const Rows& packed_grad,
                                const std::optional<Device<double, nb::ndim<2>>>& pose_parts,
                                const std::optional<Device<float, nb::ndim<1>>>& absolute_grad, int width, int height,
                                std::uintptr_t stream) {
    const int64_t count = static_cast<int64_t>(packed.shape(0));
    require(packed.shape(1) == kChannels, "packed Gaussians must be (N, 14)");
    require(sums.shape(0) == packed.shape(0) && sums.shape(1) == kSums, "sums must be (N, 12)");
    require(packed_grad.shape(0) == packed.shape(0) && packed_grad.shape(1) == kChannels,
            "packed_grad must have the shape of the Gaussians");
    require(!absolute_grad || absolute_grad->shape(0) == packed.shape(0), "absolute_grad must be (N,)");
    require(!pose_parts || (pose_parts->shape(0) == blocks_for(count, 128) && pose_parts->shape(1) == 12),
            "pose_parts must have a row of 12 per 128 Gaussians");
    const Frame frame(state, std::nullopt, count, 0, width, height, false);
    nb::gil_scoped_release release;
    project_backward(frame.gaussians, packed.data(), count, sums.data(), packed_grad.data(),
                     data_or_null(pose_parts), data_or_null(absolute_grad), stream_of(stream));
}

void evaluate_spline(const Rows& base, const Planes& control, std::vector<float> weights, const Rows& out,
                     std::uintptr_t stream) {
    require(base.shape(1) == kChannels && out.shape(0) == base.shape(0) && out.shape(1) == kChannels,
            "rows must be (N, 14)");
    require(control.shape(0) == 4 && control.shape(1) == base.shape(0) && control.shape(2) == kChannels,
            "the active control points must be (4, N, 14)");
    require(weights.size() == 4, "a cubic spline has 4 weights");
    spline_forward(base.data(), control.data(), weights.data(), static_cast<int64_t>(base.shape(0)), out.data(),
                   stream_of(stream));
}

// Writes the sums of each block of points to `parts` (blocks, kAlignSums), to be added up.
void align_frame(const Rows& points, const Rows& frame, const HostMatrix& motion, const HostMatrix& K, float gain,
                 float bias, float inverse_cut, const Device<double, nb::ndim<2>>& parts,
                 const std::optional<Device<float, nb::ndim<1>>>& residuals, std::uintptr_t stream) {
    const std::size_t count = points.shape(1);
    require(points.shape(0) == 6, "points must be (6, P)");
    require(!residuals || residuals->shape(0) == count, "residuals must be (P,)");
    require(parts.shape(0) == blocks_for(count, kAlignBlock) && parts.shape(1) == static_cast<std::size_t>(kAlignSums),
            "parts must have a row of 45 per 256 points");
    const AlignView view = align_view(motion.data(), motion.shape(0), motion.shape(1), K.data(), K.shape(0), K.shape(1),
                                      frame.shape(0), frame.shape(1), gain, bias, inverse_cut);
    align_system(points.data(), static_cast<int64_t>(count), frame.data(), view, parts.data(), data_or_null(residuals),
                 stream_of(stream));
}

template <class Record>
nb::bytes bytes_of(const std::vector<Record>& records) {
    return nb::bytes(reinterpret_cast<const char*>(records.data()), records.size() * sizeof(Record));
}

nb::bytes view_record(const HostMatrix& world_to_camera, const HostMatrix& K, int width, int height, float near,
                      const Device<uint8_t, nb::ndim<3>>& image, const Device<uint8_t, nb::ndim<2>>& color_weight,
                      const std::optional<Device<uint8_t, nb::ndim<2>>>& depth_weight,
                      const std::optional<Rows>& depth_target, const std::optional<Device<uint8_t, nb::ndim<2>>>& hidden,
                      float color_scale, float ssim_scale, float depth_scale, float hidden_scale, int depth_mode,
                      int knot, std::vector<float> spline, int frame) {
    require_sizes(0, 0, width, height);
    const std::size_t h = height, w = width;
    auto sized = [&](const auto& array) { return array.shape(0) == h && array.shape(1) == w; };
    require(sized(image) && image.shape(2) == 3 && sized(color_weight), "image (H, W, 3) and color_weight (H, W)");
    require(!hidden || sized(*hidden), "hidden must be (H, W)");
    require(depth_mode == kNoDepth || (depth_weight && depth_target && sized(*depth_weight) && sized(*depth_target)),
            "depth needs a target and a weight (H, W)");
    require(depth_mode >= kNoDepth && depth_mode <= kDisparity, "no such kind of depth");
    require(knot >= 0 && frame >= -1, "knot and frame must be row numbers; frame may be -1");
    require(spline.size() == 4, "a cubic spline has 4 weights");
    require(world_to_camera.shape(0) == 4 && world_to_camera.shape(1) == 4 && K.shape(0) == 3 && K.shape(1) == 3,
            "world_to_camera must be (4, 4) and K (3, 3)");
    std::vector<ViewRecord> records(1);
    ViewRecord& r = records[0];
    r.camera = camera_view(world_to_camera.data(), K.data(), width, height, near, false);
    r.image = image.data();
    r.color_weight = color_weight.data();
    r.depth_weight = data_or_null(depth_weight);
    r.hidden = data_or_null(hidden);
    r.depth_target = data_or_null(depth_target);
    r.color_scale = color_scale;
    r.ssim_scale = ssim_scale;
    r.depth_scale = depth_scale;
    r.hidden_scale = hidden_scale;
    r.depth_mode = depth_mode;
    r.knot = knot;
    std::copy_n(spline.data(), 4, r.spline);
    r.frame = frame;
    return bytes_of(records);
}

// views (S,), smooth (S,), rates and roots (S, 5).
nb::bytes step_records(const Host<int32_t, nb::ndim<1>>& views, const Host<float, nb::ndim<1>>& smooth,
                       const HostMatrix& rates, const HostMatrix& roots) {
    const std::size_t steps = views.shape(0);
    require(smooth.shape(0) == steps && rates.shape(0) == steps && roots.shape(0) == steps &&
                rates.shape(1) == kSlices && roots.shape(1) == kSlices,
            "one of everything per step");
    require(std::all_of(views.data(), views.data() + steps, [](int32_t view) { return view >= 0; }),
            "views must be row numbers");
    std::vector<StepRecord> records(steps);
    for (std::size_t i = 0; i < steps; ++i) {
        records[i].view = views.data()[i];
        records[i].smooth_scale = smooth.data()[i];
        std::copy_n(rates.data() + i * kSlices, kSlices, records[i].rate);
        std::copy_n(roots.data() + i * kSlices, kSlices, records[i].root);
    }
    return bytes_of(records);
}

std::size_t workspace_bytes(int64_t count, int64_t capacity, int width, int height, bool with_ssim,
                            bool deterministic) {
    require_sizes(count, capacity, width, height);
    return Fit::workspace_bytes(count, capacity, width, height, with_ssim, deterministic);
}

Fit* new_fit(const Rows& base, const Rows& base_m, const Rows& base_v, const std::optional<Planes>& control,
             const std::optional<Planes>& control_m, const std::optional<Planes>& control_v, const Rows& rates,
             std::vector<float> adam, const Memory& views, const Memory& steps, const Memory& workspace,
             int64_t capacity, int width, int height, bool with_ssim, bool deterministic, std::vector<float> depth,
             const std::optional<Device<uint8_t, nb::ndim<2>>>& unseen, const std::optional<Planes>& residual,
             const std::optional<Planes>& residual_depth, const Device<double, nb::ndim<2>>& log, int first,
             std::uintptr_t stream) {
    const std::size_t count = base.shape(0);
    require_sizes(static_cast<int64_t>(count), capacity, width, height);
    for (const Rows* rows : {&base, &base_m, &base_v})
        require(rows->shape(0) == count && rows->shape(1) == kChannels, "rows must be (N, 14)");
    require(control.has_value() == control_m.has_value() && control.has_value() == control_v.has_value(),
            "control points need both moments");
    if (control)
        for (const Planes* slices : {&*control, &*control_m, &*control_v})
            require(slices->shape(0) == control->shape(0) && slices->shape(1) == count &&
                        slices->shape(2) == kChannels,
                    "control points must be (Kn, N, 14)");
    require(!control || control->shape(0) >= 4, "a cubic spline has at least 4 control points");
    require(rates.shape(0) == 2 && rates.shape(1) == kChannels, "rates must be (2, 14)");
    require(adam.size() == 3 && depth.size() == 4, "three numbers of Adam and four of relative depth");
    require(steps.shape(0) % sizeof(StepRecord) == 0 && views.shape(0) % sizeof(ViewRecord) == 0, "damaged tables");
    const std::size_t step_count = steps.shape(0) / sizeof(StepRecord);
    require(log.shape(0) == step_count && log.shape(1) == kTerms, "the log must have a row of 8 per step");
    require(first >= 0 && static_cast<std::size_t>(first) <= step_count, "first must be one of the steps");
    require(views.shape(0) > 0 || step_count == 0, "steps need views");
    require(!unseen || (unseen->shape(0) == static_cast<std::size_t>(height) &&
                        unseen->shape(1) == static_cast<std::size_t>(width)),
            "unseen must be (H, W)");
    require(residual.has_value() == residual_depth.has_value(), "residual maps come in pairs");
    for (const std::optional<Planes>* maps : {&residual, &residual_depth})
        require(!*maps || ((*maps)->shape(0) == residual->shape(0) &&
                           (*maps)->shape(1) == static_cast<std::size_t>((height + 1) / 2) &&
                           (*maps)->shape(2) == static_cast<std::size_t>((width + 1) / 2)),
                "residual maps must be (F, ceil(H / 2), ceil(W / 2))");
    require(workspace.shape(0) >= Fit::workspace_bytes(count, capacity, width, height, with_ssim, deterministic),
            "the workspace is too small");
    FitSetup setup{};
    setup.count = static_cast<int64_t>(count);
    setup.capacity = capacity;
    setup.step_count = static_cast<int64_t>(step_count);
    setup.width = width;
    setup.height = height;
    setup.with_ssim = with_ssim;
    setup.deterministic = deterministic;
    setup.parameters = {base.data(),
                        base_m.data(),
                        base_v.data(),
                        data_or_null(control),
                        data_or_null(control_m),
                        data_or_null(control_v),
                        rates.data(),
                        {adam[0], adam[1], adam[2]}};
    setup.loss = {depth[0], depth[1], depth[2], depth[3], data_or_null(unseen), data_or_null(residual),
                  data_or_null(residual_depth), log.data()};
    setup.views = reinterpret_cast<const ViewRecord*>(views.data());
    setup.steps = reinterpret_cast<const StepRecord*>(steps.data());
    return new Fit(setup, workspace.data(), first, stream_of(stream));
}

}  // namespace

void bind(nb::module_& m) {
    // An array that is written to, or that a fit keeps a pointer to, is never converted: it would be a copy.
    m.attr("log_terms") = kTerms;
    m.def("state_bytes", &state_bytes, "count"_a, "width"_a, "height"_a);
    m.def("bins_bytes", &bins_bytes, "entries"_a, "count"_a, "deterministic"_a);
    m.def("project", &project_gaussians, "packed"_a, "world_to_camera"_a, "K"_a, "width"_a, "height"_a, "near"_a,
          "antialiased"_a, "state"_a.noconvert(), "stream"_a);
    m.def("rasterize", &rasterize_image, "state"_a.noconvert(), "bins"_a.noconvert(), "count"_a, "entries"_a,
          "channels"_a.none(), "image"_a.noconvert(), "deterministic"_a, "stream"_a);
    m.def("rasterize_backward", &rasterize_image_backward, "state"_a.noconvert(), "bins"_a.noconvert(), "count"_a,
          "entries"_a, "channels"_a.none(), "group"_a, "image"_a, "image_grad"_a, "sums"_a.noconvert(), "absolute"_a,
          "deterministic"_a, "stream"_a);
    m.def("project_backward", &project_gaussians_backward, "state"_a.noconvert(), "packed"_a, "sums"_a,
          "packed_grad"_a.noconvert(), "pose_parts"_a.none().noconvert(), "absolute_grad"_a.none().noconvert(),
          "width"_a, "height"_a, "stream"_a);
    m.def("spline_forward", &evaluate_spline, "base"_a, "control"_a, "weights"_a, "out"_a.noconvert(), "stream"_a);
    m.attr("align_block") = kAlignBlock;
    m.def("align_system", &align_frame, "points"_a, "frame"_a, "motion"_a, "K"_a, "gain"_a, "bias"_a, "inverse_cut"_a,
          "parts"_a.noconvert(), "residuals"_a.none().noconvert(), "stream"_a);
    m.def("view_record", &view_record, "world_to_camera"_a, "K"_a, "width"_a, "height"_a, "near"_a, "image"_a,
          "color_weight"_a, "depth_weight"_a.none(), "depth_target"_a.none(), "hidden"_a.none(), "color_scale"_a,
          "ssim_scale"_a, "depth_scale"_a, "hidden_scale"_a, "depth_mode"_a, "knot"_a, "spline"_a, "frame"_a);
    m.def("step_records", &step_records, "views"_a, "smooth"_a, "rates"_a, "roots"_a);
    m.def("workspace_bytes", &workspace_bytes, "count"_a, "capacity"_a, "width"_a, "height"_a, "with_ssim"_a,
          "deterministic"_a);
    nb::class_<Fit>(m, "Fit")
        .def("run", [](Fit& fit, std::vector<uint8_t> with_extra, bool as_graph, std::uintptr_t stream) {
            nb::gil_scoped_release release;
            fit.run(with_extra, as_graph, stream_of(stream));
        }, "with_extra"_a, "as_graph"_a, "stream"_a)
        .def("progress", [](const Fit& fit, std::uintptr_t stream) {
            Progress now{};
            {
                nb::gil_scoped_release release;
                now = fit.progress(stream_of(stream));
            }
            return nb::make_tuple(now.steps_done, now.failure, now.entries_needed, now.bad_channels);
        }, "stream"_a);
    m.def("new_fit", &new_fit, nb::rv_policy::take_ownership, "base"_a, "base_m"_a, "base_v"_a, "control"_a.none(),
          "control_m"_a.none(), "control_v"_a.none(), "rates"_a, "adam"_a, "views"_a, "steps"_a, "workspace"_a,
          "capacity"_a, "width"_a, "height"_a, "with_ssim"_a, "deterministic"_a, "depth"_a, "unseen"_a.none(),
          "residual"_a.none(), "residual_depth"_a.none(), "log"_a, "first"_a, "stream"_a);
}

}  // namespace endogs::cuda
