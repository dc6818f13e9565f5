"""Where a clip's knots lie: close together while the tissue moves, far apart while it rests or nothing was seen.

A control point learns from the frames in its reach. Tissue at rest needs few and profits when many frames share one;
measured on two clips in docs/BENCHMARKS.md.
"""

import numpy as np
from numpy.typing import NDArray

from endogs.clip import Clip
from endogs.scene.observations import Observations
from endogs.scene.spline import Knots

FAST = 1 / 640
"""Image widths per frame interval from which on knots are as close as they get."""
FAST_SHARE = 0.1
"""Share of the tissue that moves at least as fast as a frame counts for: an instrument moves a part of what is seen."""
REST = 0.25
"""Knots of resting tissue, as a share of those of moving tissue."""
MISSING_POWER = 0.7
"""A gap of n frame intervals gets as many knots as n to this power: more would have nothing to hold on to."""


def clip_knots(clip: Clip, observations: Observations, knot_frames: float) -> Knots:
    """Knots over the whole clip, every `knot_frames` frames of its usual frame interval where the tissue moves.

    Motion is that of the flow between training frames.
    """
    last = float(clip.times[-1])
    interval = float(np.median(np.diff(clip.times))) if len(clip) > 1 else 1.0
    times = np.asarray(observations.times, float)
    if len(times) < 2 or interval <= 0 or not (np.diff(times) > 0).all():
        return Knots.over(0.0, last, knot_frames * (interval if interval > 0 else 1.0))
    gaps = np.diff(times) / interval
    speeds = np.array([_speed(observations, k) for k in range(len(gaps))]) / gaps
    dense = _smoothed(np.clip(speeds / (FAST * clip.width), REST, 1)) * gaps**MISSING_POWER / knot_frames
    passed = np.concatenate([[0], np.cumsum(dense)])
    breakpoints = np.interp(np.linspace(0, passed[-1], max(1, int(np.ceil(passed[-1] - 1e-6))) + 1), passed, times)
    # A frame or two at the ends may be held out; they belong to the outermost intervals.
    breakpoints[0], breakpoints[-1] = min(breakpoints[0], 0.0), max(breakpoints[-1], last)
    return Knots(tuple(breakpoints.tolist()))


def _speed(observations: Observations, k: int) -> float:
    """Pixels that the fastest FAST_SHARE of the tissue moves at least, from training frame k to the next."""
    flow = observations.flow(k, k + 1)[observations.masks[k]]
    return float(np.quantile(np.hypot(flow[:, 0], flow[:, 1]), 1 - FAST_SHARE)) if len(flow) else 0.0


def _smoothed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Twice the weights 1 2 1 over neighbours: the spacing of knots changes gently."""
    for _ in range(2):
        padded = np.pad(values, 1, mode="edge")
        values = (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4
    return values
