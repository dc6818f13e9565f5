"""How much an estimated camera trembles while the true one stands still."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from endogs.evaluate.metrics.pose_alignment import Poses
from endogs.evaluate.metrics.pose_errors import relative_errors, rms, rotation_degrees
from endogs.geometry import invert_rigid

SHORTEST = 10
"""Poses of a part that counts as still."""
STILL_SHARE = 0.05
"""A step is still when it is shorter, and turns less, than so much of the steps that 95 % of all stay below."""
STILL_DEGREES = 1e-3
"""A turn below it is none, whatever the others are: TUM files round quaternions."""


@dataclass(frozen=True)
class Jitter:
    """Motion from one frame to the next that is not there."""

    parts: int
    """How often the true camera stands still."""
    poses: int
    """In how many poses."""
    translation_rms: float
    """Of the step from one pose to the next there, less the true one, in the poses' units."""
    rotation_degrees_rms: float


def still_jitter(estimated: Poses, true: Poses) -> Jitter | None:
    """The jitter of poses (n, 4, 4), T_world_camera, where the true ones rest; None where they never do."""
    step = invert_rigid(true[:-1]) @ true[1:]
    length, turn = np.linalg.norm(step[:, :3, 3], axis=1), rotation_degrees(step[:, :3, :3])
    still = length <= STILL_SHARE * np.percentile(length, 95)
    still &= turn <= STILL_SHARE * np.percentile(turn, 95) + STILL_DEGREES
    parts = _runs(still, SHORTEST - 1)
    if not parts:
        return None
    errors = relative_errors(estimated, true, 1)
    steps = np.concatenate([np.arange(*part) for part in parts])
    poses = len(steps) + len(parts)
    return Jitter(len(parts), poses, rms(errors.translation[steps]), rms(errors.degrees[steps]))


def _runs(flags: NDArray[np.bool_], shortest: int) -> list[tuple[int, int]]:
    """Begin and end of the runs of True that are long enough."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(int), [0]])))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a >= shortest]
