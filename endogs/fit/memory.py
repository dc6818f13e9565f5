"""Whether a fit will fit into this machine's memory, said before anyone waits for it."""

from typing import TYPE_CHECKING

from endogs.fit.config import FitConfig
from endogs.fit.optimize.autograd_adam import form_of
from endogs.memory_budget import require_memory
from endogs.scene.deformation.registry import DEFORMATIONS

if TYPE_CHECKING:
    import torch

    from endogs.clip import Clip

BASE_BYTES = 450e6
"""What torch, OpenCV and the kernels take before the first frame."""
CONTROL_COPIES = 3.8
"""Control points, their gradients, Adam's moments and what is copied at insertions, in copies of the control points;
other deformations' numbers likewise."""
BYTES_PER_PIXEL = 30
"""Frames, flows, masks and depth, per pixel and frame."""
COMFORTABLE = 0.7
"""Share of the machine's memory from which on a fit is worth a note."""


def trained_bytes(frames: int, config: FitConfig) -> float:
    """Bytes of a deformation's trained numbers."""
    kind = DEFORMATIONS[config.deformation]
    return 4 * kind.trained_numbers(form_of(config), config.gaussians_cap, frames / config.knot_frames)


def graph_bytes(config: FitConfig) -> float:
    """Bytes that a field's graph keeps from evaluation to step: what its layers or planes gave for every Gaussian."""
    return 4 * DEFORMATIONS[config.deformation].graph_numbers(form_of(config), config.gaussians_cap)


def fit_bytes(frames: int, width: int, height: int, config: FitConfig) -> float:
    """Peak memory of a fit, about.

    The constants are measured with splines: ten fits of 4 to 179 frames of 160x128 to 675x540 with all presets, 0.5
    to 4.5 GB, agree within 20 %. Longer clips are extrapolated.
    """
    model = CONTROL_COPIES * trained_bytes(frames, config) + graph_bytes(config)
    return BASE_BYTES + model + BYTES_PER_PIXEL * frames * width * height


GPU_BASE_BYTES = 500e6
"""What CUDA and torch take on a GPU before the first frame."""
GPU_CONTROL_COPIES = 4.2
"""Control points, Adam's moments and what an insertion copies, in copies of the control points."""
GPU_BYTES_PER_PIXEL = 14
"""Frames, virtual frames and residual maps on a GPU, per pixel and frame."""


def gpu_fit_bytes(frames: int, width: int, height: int, config: FitConfig) -> float:
    """Peak memory of a fit on a GPU, about: 640x512, 63 frames and 100 000 Gaussians took 1.37 GB beside the base."""
    model = GPU_CONTROL_COPIES * trained_bytes(frames, config) + graph_bytes(config)
    return GPU_BASE_BYTES + model + GPU_BYTES_PER_PIXEL * frames * width * height


def require_room(clip: "Clip", config: FitConfig, device: "torch.device", frames: int | None = None) -> None:
    """Raises InputError, with what would make it lighter, for a fit of the clip that cannot be had memory for.

    `frames` are those that are fitted at a time, by default all. On a GPU the machine's own memory holds the frames.
    What Python and its libraries take is taken already.
    """
    frames, width, height = frames or len(clip), clip.width, clip.height
    needed = float(BYTES_PER_PIXEL * frames * width * height)
    if device.type == "cpu":
        needed = fit_bytes(frames, width, height, config) - BASE_BYTES
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
