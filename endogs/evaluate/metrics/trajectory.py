"""How far an estimated camera path is from the true one, in all the ways that papers report it.

Absolute trajectory error (ATE) and relative pose error (RPE): J. Sturm et al., "A benchmark for the evaluation of RGB-D
SLAM systems", IROS 2012. Beside every ATE stands that of a camera that never moves, since on many endoscopic clips such
a trivial answer scores well.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from endogs.evaluate.metrics.pose_alignment import Poses, TrajectoryAlignment, align
from endogs.evaluate.metrics.pose_errors import centre_distances, path_length, relative_errors, rms
from endogs.evaluate.metrics.still_jitter import Jitter, still_jitter
from endogs.output import to_json

AlignmentName = Literal["first_frame", "se3", "sim3"]
ALIGNMENTS: dict[AlignmentName, TrajectoryAlignment] = {
    "first_frame": "first",
    "se3": "rigid",
    "sim3": "similarity",
}
"""What is free before centres are compared, by its name in JSON."""
STEPS = (1, 10, 30)
"""Frames over which motions are compared."""


@dataclass(frozen=True)
class AbsoluteErrors:
    """Distances of camera centres after an alignment, in the true trajectory's units."""

    scale: float
    """What the estimate was multiplied by; NaN where it never moves."""
    rmse: float
    mean: float
    median: float
    max: float
    percent_of_path: float
    """The RMSE as a share of the true path's length, percent."""
    zero_motion_rmse: float
    """The RMSE of a camera that never moves: at the first pose where that is shared, else at the mean of all."""
    ratio_to_zero_motion: float
    """RMSE by that; 1 and more is no better than standing still."""


@dataclass(frozen=True)
class RelativeSummary:
    """Errors of motions over a number of frames, over all pairs of matched poses that many apart."""

    frames: int
    pairs: int
    over_gaps: int
    """How many of the pairs lie further apart, because frames between them are lost."""
    translation_rmse: float
    translation_mean: float
    translation_rmse_scaled: float
    """With the estimate multiplied by the scale of its Sim(3) alignment."""
    translation_mean_scaled: float
    rotation_degrees_rmse: float
    rotation_degrees_mean: float


@dataclass(frozen=True)
class PathComparison:
    """An estimated path beside the true one; lengths in the true one's units."""

    poses: int
    """Matched poses."""
    path_length: float
    """Of the true path through the matched poses."""
    estimated_path_length: float
    """Of the estimated one, in its own units."""
    absolute: dict[AlignmentName, AbsoluteErrors]
    keyframes: int
    absolute_keyframes: dict[AlignmentName, AbsoluteErrors] | None
    """The same over keyframes alone, which are aligned alone; None where nobody named three."""
    relative: list[RelativeSummary]
    """Over each of STEPS frames for which there are poses."""
    jitter: Jitter | None
    """Where the true camera stands still; None where it never does."""

    def as_dict(self) -> dict[str, Any]:
        """A JSON object; numbers that are not finite become None."""
        found: dict[str, Any] = to_json(self)
        return found


def compare_paths(
    estimated: Poses,
    true: Poses,
    keyframes: NDArray[np.bool_] | None = None,
    frames: NDArray[np.intp] | None = None,
) -> PathComparison:
    """Compare matched poses (n, 4, 4), T_world_camera, in the order of time.

    `keyframes` (n,) is True at keyframes. `frames` (n,) are increasing numbers of the frames that the poses belong to,
    by default one after the other. Raises ValueError for fewer than two poses, unequal numbers of them, and true poses
    that never move, beside which no error means anything.
    """
    if len(estimated) != len(true) or len(true) < 2:
        raise ValueError(f"{len(estimated)} estimated and {len(true)} true poses: as many of both, two at least")
    if never_moves(true):
        raise ValueError("the true camera never moves")
    frames = np.arange(len(true)) if frames is None else frames
    absolute = absolute_errors(estimated, true)
    chosen = None if keyframes is None or keyframes.sum() < 3 or never_moves(true[keyframes]) else keyframes
    return PathComparison(
        len(true),
        path_length(true),
        path_length(estimated),
        absolute,
        0 if keyframes is None else int(keyframes.sum()),
        None if chosen is None else absolute_errors(estimated[chosen], true[chosen]),
        [_relative(estimated, true, step, absolute["sim3"].scale, frames) for step in STEPS if step < len(true)],
        still_jitter(estimated, true),
    )


def absolute_errors(estimated: Poses, true: Poses) -> dict[AlignmentName, AbsoluteErrors]:
    """The errors of poses (n, 4, 4) of a true camera that moves, after every alignment."""
    length, centres = path_length(true), true[:, :3, 3]
    found: dict[AlignmentName, AbsoluteErrors] = {}
    for name, alignment in ALIGNMENTS.items():
        aligned = align(estimated, true, alignment)
        distance = centre_distances(aligned.poses, true)
        still = centres[0] if alignment == "first" else centres.mean(0)
        zero, rmse = rms(np.linalg.norm(centres - still, axis=1)), rms(distance)
        found[name] = AbsoluteErrors(
            aligned.scale,
            rmse,
            float(distance.mean()),
            float(np.median(distance)),
            float(distance.max()),
            100 * rmse / length,
            zero,
            rmse / zero,
        )
    return found


def never_moves(poses: Poses) -> bool:
    """Whether the centres of poses (n, 4, 4) are one point, but for rounding."""
    centres = poses[:, :3, 3]
    return bool(np.ptp(centres, axis=0).max() <= 1e-12 * max(1.0, float(np.abs(centres).max())))


def _relative(estimated: Poses, true: Poses, step: int, scale: float, frames: NDArray[np.intp]) -> RelativeSummary:
    scaled = estimated.copy()
    scaled[:, :3, 3] *= scale if math.isfinite(scale) else 1.0
    errors, with_scale = (relative_errors(poses, true, step) for poses in (estimated, scaled))
    return RelativeSummary(
        step,
        len(errors.first),
        int((frames[step:] - frames[:-step] > step).sum()),
        rms(errors.translation),
        float(errors.translation.mean()),
        rms(with_scale.translation),
        float(with_scale.translation.mean()),
        rms(errors.degrees),
        float(errors.degrees.mean()),
    )
