"""What two camera paths give reason to doubt: their units, and what their poses mean."""

from dataclasses import dataclass

import numpy as np

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
"""Another convention is named when motions are wrong by so much of themselves, wrong by less than so much of that in
the other, and the plainest of those that are as good as the best."""
MOST_POSES = 2000
"""Poses that conventions are tried on."""


@dataclass(frozen=True)
class ConventionDoubt:
    """A convention by which the estimate would fit far better."""

    convention: str
    frames: int
    """Over which motions were compared."""
    as_read: float
    """RMSE of these motions in the true path's units, with the best scale."""
    then: float
    """The same with the convention."""
    estimated: Poses
    """(n, 4, 4) The estimated poses, T_world_camera, with the convention."""


def unit_doubt(estimated: Poses, true: Poses) -> str | None:
    """What to say of matched poses (n, 4, 4) whose paths and extents both differ by more than OTHER_LENGTH."""
    lengths = path_length(estimated), path_length(true)
    extents = [rms(np.linalg.norm(poses[:, :3, 3] - poses[:, :3, 3].mean(0), axis=1)) for poses in (estimated, true)]
    if min(*lengths, *extents) <= 0:
        return None
    ratio, other = lengths[0] / lengths[1], extents[0] / extents[1]
    if 1 / OTHER_LENGTH < ratio < OTHER_LENGTH or (ratio > 1) != (other > 1) or 1 / OTHER_LENGTH < other < OTHER_LENGTH:
        return None
    factor = max(other, 1 / other)
    known = next((said for value, said in KNOWN_RATIOS.items() if value / NEAR < factor < value * NEAR), None)
    reason = f" ({known})" if known else " or a scale that is not known"
    return (
        f"the estimate's path is {lengths[0]:.4g} long and the reference's {lengths[1]:.4g}, a ratio of {ratio:.4g}: "
        f"other units{reason}; only Sim(3), which scales by {extents[1] / extents[0]:.4g} or so, tells how good the "
        "path's shape is"
    )


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


def convention_doubt(estimated: Poses, true: Poses) -> ConventionDoubt | None:
    """The convention by which matched poses (n, 4, 4) of an estimate that does not fit would fit; None without one."""
    every, whole = -(-len(true) // MOST_POSES), estimated
    estimated, true = estimated[::every], true[::every]
    frames = max(1, min(10, len(true) // 5))
    own = _motion_error(true[:1].repeat(len(true), 0), true, frames)
    as_read = _motion_error(estimated, true, frames)
    if len(true) < 5 or own <= 0 or as_read < BAD * own:
        return None
    errors = {
        name: _motion_error(invert_rigid(world_to_camera(estimated, name)), true, frames) for name in CONVENTIONS[1:]
    }
    best = min(errors.values())
    if best > BETTER * as_read:
        return None
    name = next(name for name, error in errors.items() if error <= AS_GOOD * best + 1e-9 * own)
    return ConventionDoubt(name, frames, as_read, errors[name], invert_rigid(world_to_camera(whole, name)))


def _motion_error(estimated: Poses, true: Poses, frames: int) -> float:
    """RMSE of the motions over so many frames, the estimate brought to the scale that its motions have."""
    lengths = [
        np.linalg.norm((invert_rigid(poses[:-frames]) @ poses[frames:])[:, :3, 3], axis=1)
        for poses in (estimated, true)
    ]
    squares = float(np.square(lengths[0]).sum())
    scaled = estimated.copy()
    scaled[:, :3, 3] *= float((lengths[0] * lengths[1]).sum()) / squares if squares > 0 else 1.0
    return rms(relative_errors(scaled, true, frames).translation)
