// Every CPU kernel for one instruction set. CMake compiles this file once per set, with ENDOGS_ISA as its name.
#include "kernels.h"

#include "cpu/align.h"
#include "cpu/bin.h"
#include "cpu/layout.h"
#include "cpu/loss.h"
#include "cpu/optimize.h"
#include "cpu/parallax.h"
#include "cpu/project.h"
#include "cpu/rasterize.h"

#define ENDOGS_JOIN2(a, b) a##b
#define ENDOGS_JOIN(a, b) ENDOGS_JOIN2(a, b)
#define ENDOGS_TEXT2(a) #a
#define ENDOGS_TEXT(a) ENDOGS_TEXT2(a)

namespace endogs {
namespace ENDOGS_ISA {

inline std::size_t bins_bytes(int64_t slot_count, int width, int height) {
    return Bins::bytes(slot_count, Grid(width, height));
}

}  // namespace ENDOGS_ISA

const Kernels& ENDOGS_JOIN(kernels_, ENDOGS_ISA)() {
    namespace isa = ENDOGS_ISA;
    static constexpr Kernels table{
        .name = ENDOGS_TEXT(ENDOGS_ISA),
        .project = isa::project,
        .splat_bytes = sizeof(isa::Splat) + sizeof(isa::Footprint),
        .bins_bytes = isa::bins_bytes,
        .bin = isa::bin,
        .rasterize = isa::rasterize,
        .contributing_pairs = isa::contributing_pairs,
        .rasterize_backward = isa::rasterize_backward,
        .gather_slots = isa::gather_slots,
        .project_backward = isa::project_backward,
        .spline_forward = isa::spline_forward,
        .adam = isa::adam,
        .pixel_loss = isa::pixel_loss,
        .ssim_loss = isa::ssim_loss,
        .ssim_scratch_floats = isa::ssim_scratch_floats,
        .align_system = isa::align_system,
        .warp_by_depth = isa::warp_by_depth,
        .triangulate_flow = isa::triangulate_flow,
        .agree_on_depth = isa::agree_on_depth,
        .peak_fma = isa::peak_fma,
    };
    return table;
}

}  // namespace endogs
