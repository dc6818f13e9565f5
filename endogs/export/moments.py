"""The Gaussians of a scene at the moments that an export asks for."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from endogs.errors import InputError
from endogs.export.chain_map import instant
from endogs.export.evidence import Evidence, evidence
from endogs.export.extent import decided, in_view
from endogs.export.map_cameras import colored_from_nearby, nearest_cameras
from endogs.export.selection import Selection
from endogs.export.units import header_lines
from endogs.gaussians import Gaussians, all_finite
from endogs.geometry import invert_rigid
from endogs.scene import Scene

TOLERANCE = 1e-6
"""Seconds by which a time may miss the clip's range through rounding."""


@dataclass(frozen=True)
class Moment:
    """Gaussians at one time, ready to be written."""

    gaussians: Gaussians
    """On the CPU, float32, unit quaternions; N > 0."""
    rows: NDArray[np.int64]
    """(N,) their indices in the scene."""
    evidence: Evidence | None
    """Theirs; None where the scene does not know."""
    comments: tuple[str, ...]
    """What the file is, its units, its time and its axes, one line each."""
    time: float | None
    """Seconds; None for the canonical Gaussians."""
    eyes: NDArray[np.float64]
    """(N, 3) from where each is looked at: what its normal turns to."""


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


def requested_seconds(scene: Scene, request: Sequence[float] | str) -> list[float]:
    """`requested_times` without the canonical Gaussians, which have no time."""
    return [float(scene.times[0]) if time is None else time for time in requested_times(scene, request)]


@torch.no_grad()
def shown_from_clip(scene: Scene, time: float | None) -> torch.Tensor:
    """Packed Gaussians (N, 14) at `time` (seconds; None: canonical) as the clip's camera shows them, evenly exposed."""
    scene = scene.steady()
    if time is None:
        return scene.appearance.shown(scene.base.clone(), scene.camera(0), float(scene.times[0]))
    return scene.shown_at(time)


@torch.no_grad()
def map_at(scene: Scene, time: float | None) -> torch.Tensor:
    """Packed Gaussians (N, 14) of the whole map at `time` (seconds; None: canonical), evenly exposed, each as the
    nearest camera shows it; with a still camera `shown_from_clip`.
    """
    if scene.static_camera:
        return shown_from_clip(scene, time)
    scene = scene.steady()
    packed = scene.base.clone() if time is None else scene.packed_at(time)
    return colored_from_nearby(scene, packed, float(scene.times[0]) if time is None else time)


@torch.no_grad()
def selected(
    scene: Scene, time: float | None, selection: Selection
) -> tuple[torch.Tensor, NDArray[np.int64], Evidence | None]:
    """Packed Gaussians (M, 14) at `time` (seconds; None: canonical) that the selection takes, on the CPU, their indices
    in the scene (M,), and what the training frames say about all of the scene's, where it knows.

    Raises InputError as `decided`, `in_view` and `Selection.rows` do, and where single precision does not hold the
    Gaussians.
    """
    selection = decided(selection, scene)
    packed = shown_from_clip(scene, time) if selection.view_only else map_at(scene, time)
    packed = packed.to("cpu", torch.float32)
    if not all_finite(packed):
        where = "without deformation" if time is None else f"at {time:g} s"
        raise InputError(f"{scene.called}: its Gaussians are not finite {where}, so it is damaged: fit it again.")
    known = evidence(scene) if scene.visibility is not None else None
    when = "" if time is None else f" at {time:g} s"
    view = in_view(scene, time, packed) if selection.view_only else None
    rows = selection.rows(packed[:, :3].numpy(), torch.sigmoid(packed[:, 10]).numpy(), known, when, view)
    return packed[torch.from_numpy(rows)], rows, known


@torch.no_grad()
def moment(scene: Scene, time: float | None, selection: Selection) -> Moment:
    """The scene's Gaussians at `time` (seconds; None: canonical) that the selection takes; `rows` of a chain are those
    of its `instant`.

    Raises InputError as `selected` does.
    """
    scene = instant(scene, time, selection.view_only)
    packed, rows, known = selected(scene, time, selection)
    packed[:, 3:7] = torch.nn.functional.normalize(packed[:, 3:7], dim=1)
    if known is not None:
        known = Evidence(known.frames[rows], known.confidence[rows], known.seen[rows])
    frames = np.zeros(len(rows), np.int64)
    comments = header_lines(scene, time)
    if selection.view_only and time is not None:
        frames[:] = scene.nearest_frame(time)
        comments = (*comments, f"view of frame {frames[0]}")
    elif not scene.static_camera:
        frames = nearest_cameras(scene, packed[:, :3].numpy(), rows)
        comments = (*comments, "whole map")
    eyes = invert_rigid(scene.world_to_camera)[frames, :3, 3]
    return Moment(Gaussians.from_packed(packed), rows, known, comments, time, eyes)
