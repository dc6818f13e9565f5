"""Whether a fit will fit into this machine's memory, said before anyone waits for it."""

from typing import TYPE_CHECKING

from endogs.fit.config import FitConfig
from endogs.gaussians import CHANNELS
from endogs.memory_budget import require_memory

if TYPE_CHECKING:
    import torch

    from endogs.clip import Clip

BASE_BYTES = 450e6
"""What torch, OpenCV and the kernels take before the first frame."""
CONTROL_COPIES = 5.3
"""Control points, their gradients, Adam's moments and what is copied at insertions, in copies of the control points;
other deformations' numbers likewise."""
BYTES_PER_PIXEL = 26
"""Frames, flows, masks and depth, per pixel and frame."""
COMFORTABLE = 0.7
"""Share of the machine's memory from which on a fit is worth a note."""


def trained_bytes(frames: int, config: FitConfig, deformation: str) -> float:
    """Bytes of a deformation's trained numbers."""
    count, forms = config.gaussians_cap, config.deformations
    numbers: float = 0
    if deformation == "spline":
        numbers = (frames / config.knot_frames + 3) * count * CHANNELS
    elif deformation == "bases":
        numbers = 3 * forms.bases.count * count * CHANNELS
    elif deformation == "lowrank":
        numbers = forms.lowrank.trajectories * count * CHANNELS
    elif deformation == "hexplane":
        h = forms.hexplane
        numbers = sum(3 * (s * h.spatial) * (s * h.spatial + h.temporal) * h.features for s in h.scales)
    return 4 * numbers


def graph_bytes(config: FitConfig, deformation: str) -> float:
    """Bytes that a field's graph keeps from evaluation to step: what its layers or planes gave for every Gaussian."""
    if deformation == "mlp":
        return 4 * config.gaussians_cap * 2 * (config.deformations.mlp.layers + 1) * config.deformations.mlp.width
    if deformation == "hexplane":
        h = config.deformations.hexplane
        return 4 * config.gaussians_cap * 12 * (len(h.scales) * h.features + h.hidden)
    return 0


def fit_bytes(frames: int, width: int, height: int, config: FitConfig, deformation: str = "spline") -> float:
    """Peak memory of a fit, about.

    The constants are measured with splines: seven fits of 4 to 63 frames of 160x128 to 640x512, 0.5 to 1.5 GB, agree
    within 20 %. Longer clips are extrapolated.
    """
    model = CONTROL_COPIES * trained_bytes(frames, config, deformation) + graph_bytes(config, deformation)
    return BASE_BYTES + model + BYTES_PER_PIXEL * frames * width * height


GPU_BASE_BYTES = 500e6
"""What CUDA and torch take on a GPU before the first frame."""
GPU_CONTROL_COPIES = 4.2
"""Control points, Adam's moments and what an insertion copies, in copies of the control points."""
GPU_BYTES_PER_PIXEL = 14
"""Frames, virtual frames and residual maps on a GPU, per pixel and frame."""


def gpu_fit_bytes(frames: int, width: int, height: int, config: FitConfig, deformation: str = "spline") -> float:
    """Peak memory of a fit on a GPU, about: 640x512, 63 frames and 100 000 Gaussians took 1.37 GB beside the base."""
    model = GPU_CONTROL_COPIES * trained_bytes(frames, config, deformation) + graph_bytes(config, deformation)
    return GPU_BASE_BYTES + model + GPU_BYTES_PER_PIXEL * frames * width * height


def require_room(clip: "Clip", config: FitConfig, deformation: str, device: "torch.device") -> None:
    """Raises InputError, with what would make it lighter, for a fit of the clip that cannot be had memory for.

    On a GPU the machine's own memory holds the frames. What Python and its libraries take is taken already.
    """
    frames, width, height = len(clip), clip.width, clip.height
    needed = float(BYTES_PER_PIXEL * frames * width * height)
    if device.type == "cpu":
        needed = fit_bytes(frames, width, height, config, deformation) - BASE_BYTES
    require_memory(
        needed,
        f"{clip.source}: a fit of {frames} frames of {width} x {height} and up to {config.gaussians_cap} Gaussians",
        "choose a shorter range (--start, --end), --stride, --max-size, --preset fast or --gaussians",
    )


def memory_note(needed: float, available: float) -> str | None:
    """A sentence for a fit that needs `needed` bytes where there are `available`; None when that is comfortable."""
    if needed <= COMFORTABLE * available:
        return None
    return (
        f"memory: this fit needs about {needed / 1e9:.1f} GB of this machine's {available / 1e9:.1f} GB: a shorter "
        "range (--start, --end), --stride, --preset fast, --gaussians or --max-size make it lighter."
    )
