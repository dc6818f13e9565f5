"""Paths of a camera laid over each other: by the first frame, by a rigid motion, or by a similarity.

S. Umeyama, "Least-squares estimation of transformation parameters between two point patterns", 1991; the first frame
shared is what J. Engel et al., "Direct sparse odometry", 2018, and the field since call no alignment.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from endogs.geometry import invert_rigid

Poses = NDArray[np.float64]
TrajectoryAlignment = Literal["first", "rigid", "similarity"]


@dataclass(frozen=True)
class Aligned:
    """An estimated path where it lies nearest to the true one."""

    poses: Poses
    """(n, 4, 4) T_world_camera."""
    scale: float
    """By what the estimate was multiplied; NaN where it never moves, so that every scale is as good."""


def align(estimated: Poses, true: Poses, alignment: TrajectoryAlignment) -> Aligned:
    """The estimated poses (n, 4, 4), T_world_camera, moved onto the true ones (n, 4, 4).

    `first` gives both the same first pose. `rigid` and `similarity` bring the camera centres as near as can be, in the
    sense of least squares, the latter with a scale too (Umeyama's equations 40 to 42).
    """
    if alignment == "first":
        return Aligned(true[0] @ invert_rigid(estimated[0]) @ estimated, 1.0)
    a, b = estimated[:, :3, 3], true[:, :3, 3]
    mean_a, mean_b = a.mean(0), b.mean(0)
    u, spread, vt = np.linalg.svd((b - mean_b).T @ (a - mean_a) / len(a))
    mirror = np.ones(3)
    mirror[2] = 1.0 if np.linalg.det(u) * np.linalg.det(vt) > 0 else -1.0
    rotation = (u * mirror) @ vt
    scale = 1.0
    if alignment == "similarity":
        variance = float(np.square(a - mean_a).sum(1).mean())
        scale = float((spread * mirror).sum() / variance) if np.ptp(a, axis=0).max() > 0 else float("nan")
    moved = estimated.copy()
    moved[:, :3, :3] = rotation @ estimated[:, :3, :3]
    moved[:, :3, 3] = (scale if np.isfinite(scale) else 1.0) * (a - mean_a) @ rotation.T + mean_b
    return Aligned(moved, scale)
