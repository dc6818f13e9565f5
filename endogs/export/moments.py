"""The Gaussians of a scene at the moments that an export asks for."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from endogs.errors import InputError
from endogs.gaussians import Gaussians
from endogs.render.normals import gaussian_normals
from endogs.scene import Scene

TOLERANCE = 1e-6
"""Seconds by which a time may miss the clip's range through rounding."""


@dataclass(frozen=True)
class Moment:
    """Gaussians at one time, ready to be written."""

    gaussians: Gaussians
    """On the CPU, float32, unit quaternions; N > 0."""
    normals: torch.Tensor
    """(N, 3) unit, world: the shortest axis, turned to face the clip's first camera."""
    comments: tuple[str, ...]
    """What the file is, its units and its time, one line each."""


def requested_times(scene: Scene, request: Sequence[float] | str) -> list[float | None]:
    """Seconds of each moment; None stands for the canonical Gaussians.

    `request` is "canonical", "first", "all" (frames of the clip) or seconds since the clip's first frame. Raises
    InputError for no time at all and for one outside the clip, naming the range.
    """
    if isinstance(request, str):
        words: dict[str, list[float | None]] = {
            "canonical": [None],
            "first": [float(scene.times[0])],
            "all": [float(time) for time in scene.times],
        }
        if request not in words:
            raise InputError(f"--time {request} is neither a number of seconds nor one of {', '.join(words)}.")
        return words[request]
    first, last = float(scene.times[0]), float(scene.times[-1])
    for time in request:
        if not (math.isfinite(time) and first - TOLERANCE <= time <= last + TOLERANCE):
            raise InputError(
                f"--time {time:g} is outside the scene; its clip runs from {first:g} to {last:.6g} seconds."
            )
    if not len(request):
        raise InputError(f"--time names no time; give seconds from {first:g} to {last:.6g}, or all.")
    return [min(max(float(time), first), last) for time in request]


@torch.no_grad()
def moment(scene: Scene, time: float | None, min_opacity: float) -> Moment:
    """The scene's Gaussians at `time` (seconds; None: canonical) whose opacity is at least `min_opacity`.

    Raises InputError when `min_opacity` is not in [0, 1] or leaves nothing.
    """
    if not 0 <= min_opacity <= 1:
        raise InputError(f"--min-opacity {min_opacity:g} is out of range; give a value from 0 to 1.")
    source = Gaussians.from_packed(scene.base) if time is None else scene.gaussians_at(time)
    packed = source.to("cpu", torch.float32).packed()
    opacity = torch.sigmoid(packed[:, 10])
    packed = packed[opacity >= min_opacity]
    if len(packed) == 0:
        highest = f"; the highest is {opacity.max():.3g}" if len(opacity) else ""
        when = "" if time is None else f" at {time:g} s"
        raise InputError(f"No Gaussian{when} has an opacity of {min_opacity:g} or more{highest}; lower --min-opacity.")
    packed[:, 3:7] = torch.nn.functional.normalize(packed[:, 3:7], dim=1)
    world_to_camera = torch.as_tensor(scene.world_to_camera[0], dtype=torch.float32)
    normals = gaussian_normals(packed, world_to_camera) @ world_to_camera[:3, :3]
    units = "millimetres" if scene.units == "mm" else "relative (median depth of the first frame is 100)"
    when = "time canonical" if time is None else f"time {time:.6f} s since the clip's first frame"
    comments = ("endogs", f"units {units}", when, "axes x right, y down, z forward of the first camera's world")
    return Moment(Gaussians.from_packed(packed), normals, comments)
