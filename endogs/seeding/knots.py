"""Where a clip's knots lie: close together while the tissue moves, far apart while it rests or nothing was seen.

A control point learns from the frames in its reach. Tissue at rest needs few and profits when many frames share one;
measured on two clips in docs/EXPERIMENTS.md.
"""

import numpy as np
from numpy.typing import NDArray

from endogs.clip import Clip
from endogs.geometry import unproject
from endogs.scene.deformation.clip_time import ClipTime
from endogs.scene.deformation.knots import Knots
from endogs.seeding.observations import Observations

FAST = 1 / 640
"""Image widths per frame interval from which on knots are as close as they get."""
FAST_SHARE = 0.1
"""Share of the tissue that moves at least as fast as a frame counts for: an instrument moves a part of what is seen."""
REST = 0.25
"""Knots of resting tissue, as a share of those of moving tissue."""
MISSING_POWER = 0.7
"""A gap of n frame intervals gets as many knots as n to this power: more would have nothing to hold on to."""
LONGEST_GAP = 30
"""Frame intervals that a longer gap counts as: knots are stored for every Gaussian, and their number must follow from
what was seen, not from a timestamp."""
HELD_OUT = 8
"""Frame intervals at either end of a clip that motion is continued over; before and after that it rests."""


def clip_knots(clip: Clip, observations: Observations, knot_frames: float, span: ClipTime | None = None) -> Knots:
    """Knots over the whole clip, or a `span` of it, every `knot_frames` of its frames where the tissue moves.

    Motion is that of the flow between training frames. Where the camera moves, what metric depth and its poses predict
    for still tissue is taken off; relative depth predicts nothing, so all of a moving camera's tissue counts as moving
    then, and the knots lie evenly but for gaps.
    """
    first, last = (0.0, float(clip.times[-1])) if span is None else (span.start, span.start + span.duration)
    interval = float(np.median(np.diff(clip.times))) if len(clip) > 1 else 1.0
    times = np.asarray(observations.times, float)
    if len(times) < 2 or interval <= 0 or not (np.diff(times) > 0).all():
        return Knots.over(first, last, knot_frames * (interval if interval > 0 else 1.0))
    gaps = np.diff(times) / interval
    if clip.static_camera or observations.metric:
        speeds = np.array([_speed(observations, k, clip.static_camera) for k in range(len(gaps))]) / gaps
    else:
        speeds = np.full(len(gaps), np.inf)
    dense = (
        _smoothed(np.clip(speeds / (FAST * clip.width), REST, 1))
        * np.minimum(gaps, LONGEST_GAP) ** MISSING_POWER
        / knot_frames
    )
    passed = np.concatenate([[0], np.cumsum(dense)])
    breakpoints = np.interp(np.linspace(0, passed[-1], max(1, int(np.ceil(passed[-1] - 1e-6))) + 1), passed, times)
    # A few frames at the ends may be held out; they belong to the outermost intervals. Darkness does not: splines rest.
    if times[0] - first <= HELD_OUT * interval:
        breakpoints[0] = min(breakpoints[0], first)
    if last - times[-1] <= HELD_OUT * interval:
        breakpoints[-1] = max(breakpoints[-1], last)
    return Knots(tuple(breakpoints.tolist()))


def _speed(observations: Observations, k: int, static_camera: bool) -> float:
    """Pixels that the fastest FAST_SHARE of the tissue moves at least, from training frame k to the next.

    0 where the frame shows no tissue, infinite where a moving camera's frame has no depth on it.
    """
    tissue = observations.masks[k]
    if not tissue.any():
        return 0.0
    moved: NDArray[np.floating] = observations.flow(k, k + 1)
    if not static_camera:
        still, known = still_flow(observations, k)
        moved, tissue = moved - still, tissue & known
        if not tissue.any():
            return float("inf")
    return float(np.quantile(np.hypot(moved[tissue, 0], moved[tissue, 1]), 1 - FAST_SHARE))


def still_flow(observations: Observations, k: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Flow (H, W, 2), pixels, from training frame k to the next if nothing but the camera moved, and where it is known.

    Each pixel is unprojected with its metric depth and projected again by the next frame's camera.
    """
    depth = observations.depth(k)
    here = unproject(depth, observations.K[k], observations.world_to_camera[k])
    pose, K = observations.world_to_camera[k + 1], observations.K[k + 1]
    seen = here @ pose[:3, :3].T + pose[:3, 3]
    known = (depth > 0) & (seen[..., 2] > 0)
    projected = seen[..., :2] / np.where(known, seen[..., 2], 1)[..., None] * K[[0, 1], [0, 1]] + K[:2, 2]
    height, width = depth.shape
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    return projected - np.stack([x, y], -1), known


def _smoothed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Twice the weights 1 2 1 over neighbours: the spacing of knots changes gently."""
    for _ in range(2):
        padded = np.pad(values, 1, mode="edge")
        values = (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4
    return values
