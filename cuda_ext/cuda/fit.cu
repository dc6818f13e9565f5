#include "cuda/fit.h"

#include "cuda/launch.h"

namespace endogs::cuda {
namespace {

__global__ void begin_step(GaussianMemory memory, const ViewRecord* views, const StepRecord* steps) {
    static_assert(sizeof(ViewRecord) % 4 == 0 && sizeof(StepRecord) % 4 == 0);
    Current& current = *memory.current;
    const int index = memory.progress->steps_done;
    const StepRecord* step = steps + index;
    const ViewRecord* view = views + step->view;
    auto copy = [](void* to, const void* from, std::size_t bytes) {
        for (std::size_t k = threadIdx.x; k < bytes / 4; k += blockDim.x)
            static_cast<uint32_t*>(to)[k] = static_cast<const uint32_t*>(from)[k];
    };
    copy(&current.view, view, sizeof(ViewRecord));
    copy(&current.step, step, sizeof(StepRecord));
    if (threadIdx.x == 0) {
        current.index = index;
        current.idle = memory.progress->failure != 0;
    }
}

__global__ void end_step(GaussianMemory memory) {
    // A step in which single Gaussians had to sit out has been taken all the same; it is the last.
    if (!memory.current->idle && (memory.progress->failure & ~kBadGradient) == 0) ++memory.progress->steps_done;
}

struct Blocks {  // the workspace, in the order of its parts
    GaussianMemory gaussians;
    EntryMemory entries;
    LossMemory loss;
    float *packed, *sums, *planes, *planes_grad;
    std::size_t bytes;

    Blocks(char* base, int64_t count, int64_t capacity, const Grid& grid, bool with_ssim, bool deterministic)
        : gaussians(base, count, grid),
          entries(past(base, gaussians.bytes), capacity, count, deterministic,
                  deterministic ? order_scratch_bytes(capacity, count) : 0),
          loss(past(base, gaussians.bytes + entries.bytes), grid, with_ssim) {
        const std::size_t before = gaussians.bytes + entries.bytes + loss.bytes;
        Walk walk(past(base, before));
        packed = walk.take<float>(count * kChannels);
        sums = walk.take<float>(count * kSums);
        planes = walk.take<float>(kPlanes * grid.pixels());
        planes_grad = walk.take<float>(kPlanes * grid.pixels());
        bytes = before + walk.used();
    }
    static char* past(char* base, std::size_t offset) { return base ? base + offset : nullptr; }
};

}  // namespace

std::size_t Fit::workspace_bytes(int64_t count, int64_t capacity, int width, int height, bool with_ssim,
                                 bool deterministic) {
    return Blocks(nullptr, count, capacity, Grid(width, height), with_ssim, deterministic).bytes;
}

Fit::Fit(const FitSetup& setup, void* workspace, int first, cudaStream_t stream)
    : setup_(setup), grid_(setup.width, setup.height), gaussians_(workspace, setup.count, grid_),
      entries_(nullptr, setup.capacity, setup.count, false, 0), loss_(nullptr, grid_, setup.with_ssim) {
    const Blocks blocks(static_cast<char*>(workspace), setup.count, setup.capacity, grid_, setup.with_ssim,
                        setup.deterministic);
    entries_ = blocks.entries;
    loss_ = blocks.loss;
    packed_ = blocks.packed;
    sums_ = blocks.sums;
    planes_ = blocks.planes;
    planes_grad_ = blocks.planes_grad;
    enqueued_ = first;
    Progress start{};
    start.steps_done = first;
    check(cudaMemcpyAsync(gaussians_.progress, &start, sizeof start, cudaMemcpyHostToDevice, stream), "starting a fit");
    check(cudaStreamSynchronize(stream), "starting a fit");
}

Fit::~Fit() {
    for (cudaGraphExec_t graph : graphs_)
        if (graph) cudaGraphExecDestroy(graph);
}

void Fit::enqueue(bool with_extra, cudaStream_t stream) {
    const int64_t count = setup_.count;
    begin_step<<<1, 128, 0, stream>>>(gaussians_, setup_.views, setup_.steps);
    ENDOGS_LAUNCHED("beginning a step");
    if (setup_.parameters.control) {
        project(gaussians_, setup_.parameters.base, setup_.parameters.control, packed_, count, grid_, sums_, stream);
    } else {
        check(cudaMemcpyAsync(packed_, setup_.parameters.base, count * kChannels * sizeof(float),
                              cudaMemcpyDeviceToDevice, stream),
              "copying still Gaussians");
        project(gaussians_, nullptr, nullptr, packed_, count, grid_, sums_, stream);
    }
    place_entries(gaussians_, setup_.capacity, grid_, stream);
    bin(gaussians_, entries_, count, setup_.capacity, grid_, stream);
    float* alpha = planes_ + 4 * grid_.pixels();
    rasterize(gaussians_, entries_, nullptr, grid_, planes_, alpha, stream);
    pixel_loss(gaussians_, loss_, setup_.loss, grid_, planes_, planes_grad_, stream);
    if (setup_.with_ssim) ssim_loss(gaussians_, loss_, grid_, planes_, planes_grad_, stream);
    if (with_extra) extra_loss(gaussians_, loss_, setup_.loss, grid_, planes_, planes_grad_, stream);
    judge_loss(gaussians_, loss_, setup_.loss, grid_, setup_.with_ssim, with_extra, stream);
    rasterize_backward(gaussians_, entries_, nullptr, grid_, planes_, alpha, planes_grad_,
                       planes_grad_ + 4 * grid_.pixels(), sums_, false, stream);
    gather(entries_, count, sums_, stream);
    step_parameters(gaussians_, packed_, count, sums_, setup_.parameters, stream);
    end_step<<<1, 1, 0, stream>>>(gaussians_);
    ENDOGS_LAUNCHED("ending a step");
}

cudaGraphExec_t Fit::captured(bool with_extra, cudaStream_t stream) {
    cudaGraphExec_t& exec = graphs_[with_extra];
    if (exec) return exec;
    check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed), "capturing a step");
    cudaGraph_t graph = nullptr;
    try {
        enqueue(with_extra, stream);
    } catch (...) {
        cudaStreamEndCapture(stream, &graph);
        if (graph) cudaGraphDestroy(graph);
        throw;
    }
    check(cudaStreamEndCapture(stream, &graph), "capturing a step");
    const cudaError_t status = cudaGraphInstantiate(&exec, graph, 0);
    cudaGraphDestroy(graph);
    check(status, "preparing a captured step");
    return exec;
}

void Fit::run(const std::vector<uint8_t>& with_extra, bool as_graph, cudaStream_t stream) {
    if (enqueued_ + static_cast<int64_t>(with_extra.size()) > setup_.step_count)
        throw std::invalid_argument("there are fewer steps left than flags");
    enqueued_ += static_cast<int64_t>(with_extra.size());
    for (const uint8_t extra : with_extra) {
        if (as_graph)
            check(cudaGraphLaunch(captured(extra != 0, stream), stream), "replaying a step");
        else
            enqueue(extra != 0, stream);
    }
}

Progress Fit::progress(cudaStream_t stream) const {
    Progress now{};
    check(cudaMemcpyAsync(&now, gaussians_.progress, sizeof now, cudaMemcpyDeviceToHost, stream), "reading progress");
    check(cudaStreamSynchronize(stream), "a training step");
    return now;
}

}  // namespace endogs::cuda
