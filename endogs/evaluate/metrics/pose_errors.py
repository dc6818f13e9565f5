"""Errors of camera poses: absolute ones of the centres, and relative ones of the motion over a number of frames.

J. Sturm et al., "A benchmark for the evaluation of RGB-D SLAM systems", IROS 2012, equations 1 to 4.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from endogs.evaluate.metrics.pose_alignment import Poses
from endogs.geometry import invert_rigid

Array = NDArray[np.float64]


@dataclass(frozen=True)
class RelativeErrors:
    """Errors of the motion between pairs of poses."""

    first: NDArray[np.intp]
    """(m,) the pose that each pair begins with."""
    translation: Array
    """(m,) lengths of the motion's error, in the poses' units."""
    degrees: Array
    """(m,) angles of the motion's error, 0 to 180."""


def centre_distances(aligned: Poses, true: Poses) -> Array:
    """Distances (n,) of the camera centres of poses (n, 4, 4), T_world_camera, that lie over each other already."""
    return np.asarray(np.linalg.norm(aligned[:, :3, 3] - true[:, :3, 3], axis=1))


def relative_errors(estimated: Poses, true: Poses, frames: int) -> RelativeErrors:
    """Errors of the motion from every pose to the one `frames` later, m = n - frames of them.

    Motions are compared in the camera's own axes, so that no alignment but its scale changes them. Poses (n, 4, 4) are
    T_world_camera.
    """
    motions = [invert_rigid(poses[:-frames]) @ poses[frames:] for poses in (true, estimated)]
    gap = invert_rigid(motions[0]) @ motions[1]
    count = max(len(true) - frames, 0)
    return RelativeErrors(np.arange(count), np.linalg.norm(gap[:, :3, 3], axis=1), rotation_degrees(gap[:, :3, :3]))


def rotation_degrees(rotations: Array) -> Array:
    """Angles (m,), 0 to 180 degrees, of rotations (m, 3, 3); as exact near 0 as anywhere, unlike the arc cosine."""
    skew = rotations - rotations.swapaxes(1, 2)
    sine = np.sqrt(skew[:, 2, 1] ** 2 + skew[:, 0, 2] ** 2 + skew[:, 1, 0] ** 2) / 2
    cosine = (np.trace(rotations, axis1=1, axis2=2) - 1) / 2
    return np.asarray(np.degrees(np.arctan2(sine, cosine)))


def path_length(poses: Poses) -> float:
    """Length of the way through the centres of poses (n, 4, 4), T_world_camera."""
    return float(np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1).sum())


def rms(values: Array) -> float:
    """Root of the mean square; NaN of nothing."""
    return float(np.sqrt(np.mean(np.square(values)))) if len(values) else float("nan")
