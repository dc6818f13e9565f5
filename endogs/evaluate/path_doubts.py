"""What two camera paths give reason to doubt: their units, and what their poses mean."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from endogs.clip.cameras.pose_conventions import CONVENTIONS, world_to_camera
from endogs.evaluate.metrics.pose_alignment import Poses
from endogs.evaluate.metrics.pose_errors import path_length, relative_errors, rms
from endogs.geometry import invert_rigid

OTHER_LENGTH = 3.0
"""Ratio of paths and of extents from which units, or an unknown scale, are the likelier reason than errors."""
KNOWN_RATIOS = {
    10.0: "centimetres beside millimetres are 10",
    100.0: "metres beside centimetres are 100",
    1000.0: "metres beside millimetres, or millimetres beside micrometres, are 1000",
    1e6: "metres beside micrometres are 1000000",
}
NEAR = 1.4
"""Factor by which a ratio may miss a known one."""
BAD, BETTER, AS_GOOD = 0.3, 1 / 3, 1.05
"""Another convention is named when motions are wrong by so much of themselves, and in the other by less, and less than
so much of that; it is the plainest of those that are as good as the best."""
TREMBLING = 0.5
"""Share of the path's width that the steps of white noise exceed; those of a camera that travels are far below."""
SHIFTED, MOST_SHIFT = 0.05, 30
"""A clock is doubted when motions are wrong by so much of themselves, and tried so many poses off."""
ROUNDING = 1e-9
"""An error of a motion, by the motion, that is none."""
MOST_POSES = 2000
"""Poses that conventions are tried on."""


Side = Literal["estimate", "reference"]


@dataclass(frozen=True)
class ConventionDoubt:
    """A convention by which the paths would fit far better."""

    convention: str
    sides: tuple[Side, ...]
    """Which path it is likely of; both where either reading fits as well."""
    frames: int
    """Over which motions were compared."""
    as_read: float
    """RMSE of these motions, with the best scale, by the true motions."""
    then: float
    """The same with the convention."""
    estimated: Poses
    """(n, 4, 4) The estimated poses, T_world_camera, read by the convention where that is likely."""
    true: Poses
    """(n, 4, 4) The true ones."""


def unit_doubt(estimated: Poses, true: Poses) -> str | None:
    """What to say of matched poses (n, 4, 4) whose paths, steps and extents all differ by more than OTHER_LENGTH.

    Steps and extents are those that nine tenths of the poses stay below, so that single wild poses are no other unit.
    """
    sizes = [(path_length(poses), _typical_step(poses), _typical_radius(poses)) for poses in (estimated, true)]
    if min(min(size) for size in sizes) <= 0:
        return None
    ratios = [ours / theirs for ours, theirs in zip(*sizes, strict=True)]
    if not (min(ratios) > OTHER_LENGTH or max(ratios) < 1 / OTHER_LENGTH):
        return None
    factors = [max(ratio, 1 / ratio) for ratio in ratios]
    known = next(
        (said for value, said in KNOWN_RATIOS.items() if all(value / NEAR < f < value * NEAR for f in factors)), None
    )
    reason = f" ({known})" if known else " or a scale that is not known"
    return (
        f"the estimate's path is {sizes[0][0]:.4g} long and the reference's {sizes[1][0]:.4g}, a ratio of "
        f"{ratios[0]:.4g}: other units{reason}; only Sim(3) tells how good the path's shape is"
    )


def tremble_doubt(poses: Poses, whose: str) -> str | None:
    """What to say of poses (n, 4, 4) that jump to and fro about one place, as a still camera's do that is measured."""
    if len(poses) < 20 or _typical_radius(poses) <= 0:
        return None
    if _typical_step(poses) < TREMBLING * _typical_radius(poses):
        return None
    return (
        f"the {whose}'s steps ({_typical_step(poses):.3g}) are as long as its whole path is wide "
        f"({_typical_radius(poses):.3g}), as of a still camera with noise: its path's length means nothing"
    )


def _typical_step(poses: Poses) -> float:
    return float(np.percentile(np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1), 90))


def _typical_radius(poses: Poses) -> float:
    centres = poses[:, :3, 3]
    return float(np.percentile(np.linalg.norm(centres - np.median(centres, axis=0), axis=1), 90))


def stillness_doubt(estimated: Poses) -> str | None:
    """What to say of an estimate that never moves."""
    if path_length(estimated) > 0:
        return None
    return "the estimate never moves: its errors are those of zero motion, and no scale can be found for it"


def line_doubt(true: Poses) -> str | None:
    """What to say of a true path that is a straight line, about which an alignment may turn freely."""
    centres = true[:, :3, 3] - true[:, :3, 3].mean(0)
    spread = np.linalg.svd(centres, compute_uv=False)
    if spread[1] > 1e-6 * spread[0]:
        return None
    return (
        "the reference's path is a straight line: an alignment by centres leaves turning about it open, so SE(3) and "
        "Sim(3) say nothing of rotations across it, and RPE does"
    )


def sameness_doubt(estimated: Poses, true: Poses) -> str | None:
    """What to say of poses that are equal to the last digit."""
    if not np.allclose(estimated, true, rtol=1e-9, atol=1e-9 * path_length(true)):
        return None
    return "both hold the same poses, so the errors say nothing of a tracker: one was made from, or given, the other"


def convention_doubt(
    estimated: Poses, true: Poses, sides: Sequence[Side] = ("estimate", "reference")
) -> ConventionDoubt | None:
    """The convention by which matched poses (n, 4, 4) that do not fit would fit; None without one.

    Only the paths named in `sides` are read in other ways. One path at a time is, since both at once would fit a pair
    of wrong paths to each other in some way.
    """
    every = -(-len(true) // MOST_POSES)
    few, few_true = estimated[::every], true[::every]
    frames = max(1, min(10, len(few) // 5))
    as_read = _motion_error(few, few_true, frames)
    if len(few) < 5 or not as_read >= BAD:
        return None
    errors: dict[tuple[str, Side], float] = {}
    for name in CONVENTIONS[1:]:
        if "estimate" in sides:
            errors[name, "estimate"] = _motion_error(_read_as(few, name), few_true, frames)
        if "reference" in sides:
            errors[name, "reference"] = _motion_error(few, _read_as(few_true, name), frames)
    best = min(errors.values())
    if not best <= min(BETTER * as_read, BAD):
        return None
    name = next(name for (name, _), error in errors.items() if error <= AS_GOOD * best + ROUNDING)
    found = tuple(side for side in sides if errors[name, side] <= AS_GOOD * best + ROUNDING)
    then = min(errors[name, side] for side in found)
    if found[0] == "estimate":
        estimated = _read_as(estimated, name)
    else:
        true = _read_as(true, name)
    return ConventionDoubt(name, found, frames, as_read, then, estimated, true)


def shift_doubt(times: NDArray[np.float64], estimated: Poses, true: Poses) -> str | None:
    """What to say of matched poses (n, 4, 4) at `times` (n,) that fit far better some poses earlier or later."""
    estimated, true, times = estimated[:MOST_POSES], true[:MOST_POSES], times[:MOST_POSES]
    farthest = min(MOST_SHIFT, len(true) // 4)
    if farthest < 1:
        return None
    frames = max(1, min(10, len(true) // 5))
    as_read = _motion_error(estimated, true, frames)
    if not as_read >= SHIFTED:
        return None
    count, errors = len(true), {}
    for shift in [*range(-farthest, 0), *range(1, farthest + 1)]:
        # Pose k + shift of the estimate beside pose k of the truth.
        late, early = max(shift, 0), max(-shift, 0)
        errors[shift] = _motion_error(estimated[late : count - early], true[early : count - late], frames)
    shift = min(errors, key=lambda shift: errors[shift])
    if not errors[shift] <= min(BETTER * as_read, BAD):
        return None
    seconds = -shift * float(np.median(np.diff(times)))
    return (
        f"the paths fit far better if the estimate's times are moved by {seconds:+.4g} s, {abs(shift)} poses: motions "
        f"over {frames} frames are then wrong by {errors[shift]:.1%} of their length instead of {as_read:.1%}, so one "
        "of the clocks is late"
    )


def _read_as(poses: Poses, convention: str) -> Poses:
    return invert_rigid(world_to_camera(poses, convention))


def _motion_error(estimated: Poses, true: Poses, frames: int) -> float:
    """RMSE of the motions over so many frames, by the true motions, the estimate brought to the scale that its motions
    have; infinite where the true camera does not move."""
    lengths = [
        np.linalg.norm((invert_rigid(poses[:-frames]) @ poses[frames:])[:, :3, 3], axis=1)
        for poses in (estimated, true)
    ]
    squares, motion = float(np.square(lengths[0]).sum()), rms(lengths[1])
    scaled = estimated.copy()
    scaled[:, :3, 3] *= float((lengths[0] * lengths[1]).sum()) / squares if squares > 0 else 1.0
    return rms(relative_errors(scaled, true, frames).translation) / motion if motion > 0 else float("inf")
