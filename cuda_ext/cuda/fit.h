// A fit on the GPU: the whole training step as a sequence of kernels, run one by one or replayed as a CUDA graph.
//
// The step reads what to do from tables in device memory (records.h) and counts itself, so that replaying the same graph
// does step after step. Nothing is allocated and nobody waits between `run` and `progress`. When a step cannot be done
// (too little room for entries, numbers that are not finite) the parameters are left alone from there on, and the host
// learns of it at its next look.
#pragma once
#include <cuda_runtime.h>

#include <cstdint>
#include <vector>

#include "cuda/stages.h"

namespace endogs::cuda {

struct FitSetup {
    int64_t count, capacity;  // Gaussians; entries that there is room for
    int64_t step_count;       // rows of `steps`
    int width, height;
    bool with_ssim, deterministic;
    Parameters parameters;
    LossSettings loss;
    const ViewRecord* views;
    const StepRecord* steps;
};

class Fit {
  public:
    static std::size_t workspace_bytes(int64_t count, int64_t capacity, int width, int height, bool with_ssim,
                                       bool deterministic);
    // `workspace` is device memory of that many bytes, which must outlive this; steps start from `first`.
    Fit(const FitSetup& setup, void* workspace, int first, cudaStream_t stream);
    ~Fit();
    Fit(const Fit&) = delete;
    Fit& operator=(const Fit&) = delete;

    // One step per flag; a set flag asks for the extra losses too. Enqueues and returns. Throws std::invalid_argument
    // for more steps than are left in the table.
    void run(const std::vector<uint8_t>& with_extra, bool as_graph, cudaStream_t stream);
    Progress progress(cudaStream_t stream) const;  // waits for the stream

  private:
    void enqueue(bool with_extra, cudaStream_t stream);
    cudaGraphExec_t captured(bool with_extra, cudaStream_t stream);

    FitSetup setup_;
    Grid grid_;
    GaussianMemory gaussians_;
    EntryMemory entries_;
    LossMemory loss_;
    float *packed_, *sums_, *planes_, *planes_grad_;
    int64_t enqueued_;  // steps, with those before `first`
    cudaGraphExec_t graphs_[2] = {nullptr, nullptr};
};

}  // namespace endogs::cuda
