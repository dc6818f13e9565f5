"""How far a scene's cameras are from a true trajectory: absolute (ATE) and relative pose errors (RPE).

J. Sturm et al., "A benchmark for the evaluation of RGB-D SLAM systems", IROS 2012; alignment by S. Umeyama,
"Least-squares estimation of transformation parameters between two point patterns", 1991.
"""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from endogs.clip.files.number_files import finite_numbers, read_text
from endogs.errors import InputError
from endogs.geometry import invert_rigid

Poses = NDArray[np.float64]
TrajectoryAlignment = Literal["none", "rigid", "similarity"]
SAME_TIME = 0.02
"""Seconds by which a pose's time may miss a frame's."""
THOUSAND = (300.0, 3000.0)
"""Ratios of two extents that are taken for a mistaken unit."""


@dataclass(frozen=True)
class TrueCameras:
    """Camera poses from elsewhere."""

    frames: NDArray[np.intp]
    """(n,) clip frames whose pose is known; two at least."""
    poses: Poses
    """(n, 4, 4) T_world_camera."""


@dataclass(frozen=True)
class TrajectoryErrors:
    """Errors of n camera poses; lengths in the true trajectory's units."""

    alignment: TrajectoryAlignment
    """What was free before positions were compared."""
    poses: int
    ate_rmse: float
    """Root mean squared distance of the camera centres after the alignment."""
    ate_median: float
    rpe_translation_rmse: float
    """Of the motion from one pose to the next."""
    rpe_rotation_degrees_rmse: float
    """Of the angle of that motion's error, degrees."""
    per_pose: list[float]
    """Distances of the camera centres."""


def trajectory_errors(estimated: Poses, true: Poses, alignment: TrajectoryAlignment = "rigid") -> TrajectoryErrors:
    """Compare poses (n, 4, 4), T_world_camera, pair by pair; `similarity` also frees the scale.

    Relative errors compare motions in the camera's own axes, so only the scale of the alignment touches them. Raises
    ValueError for fewer than two poses or unequal numbers of them.
    """
    if len(estimated) != len(true) or len(true) < 2:
        raise ValueError(f"{len(estimated)} estimated and {len(true)} true poses: as many of both, two at least")
    aligned = align(estimated, true, alignment)
    distance = np.linalg.norm(aligned[:, :3, 3] - true[:, :3, 3], axis=1)
    steps = [np.stack([invert_rigid(a) @ b for a, b in pairwise(p)]) for p in (true, aligned)]
    gap = np.stack([invert_rigid(a) @ b for a, b in zip(*steps, strict=True)])
    translation = np.linalg.norm(gap[:, :3, 3], axis=1)
    cosine = np.clip((np.trace(gap[:, :3, :3], axis1=1, axis2=2) - 1) / 2, -1, 1)
    return TrajectoryErrors(
        alignment,
        len(true),
        _rms(distance),
        float(np.median(distance)),
        _rms(translation),
        _rms(np.degrees(np.arccos(cosine))),
        distance.tolist(),
    )


def align(estimated: Poses, true: Poses, alignment: TrajectoryAlignment) -> Poses:
    """The estimated poses moved (and scaled) so that their centres are nearest to the true ones."""
    if alignment == "none":
        return estimated.copy()
    a, b = estimated[:, :3, 3], true[:, :3, 3]
    mean_a, mean_b = a.mean(0), b.mean(0)
    u, spread, vt = np.linalg.svd((b - mean_b).T @ (a - mean_a) / len(a))
    mirror = np.diag([1, 1, np.sign(np.linalg.det(u @ vt))])
    rotation = u @ mirror @ vt
    variance = np.square(a - mean_a).sum(1).mean()
    scale = float((spread * np.diag(mirror)).sum() / variance) if alignment == "similarity" and variance > 0 else 1.0
    moved = estimated.copy()
    moved[:, :3, :3] = rotation @ estimated[:, :3, :3]
    moved[:, :3, 3] = scale * (a - mean_a) @ rotation.T + mean_b
    return moved


def read_tum(path: Path) -> tuple[NDArray[np.float64], Poses]:
    """Times (n,) in seconds and T_world_camera (n, 4, 4) of a TUM file: time tx ty tz qx qy qz qw, one pose a line.

    A comment "# time_offset SECONDS", as `endogs export cameras` writes it, is added to the times. Raises InputError
    for a file that is none.
    """
    from scipy.spatial.transform import Rotation

    rows = [line.split() for line in read_text(path).splitlines() if line.strip()]
    offsets = [row[2] for row in rows if row[:2] == ["#", "time_offset"] and len(row) == 3]
    seconds = finite_numbers("".join(offsets), offsets)
    lines = [finite_numbers("".join(row), row) for row in rows if not row[0].startswith("#")]
    if not lines or any(len(line) != 8 for line in lines) or len(seconds) != len(offsets):
        raise InputError(f"{path} is not a TUM trajectory; give time tx ty tz qx qy qz qw, one pose a line.")
    offset, values = sum(seconds), np.array(lines, np.float64)
    if (np.linalg.norm(values[:, 4:], axis=1) < 1e-6).any():
        raise InputError(f"{path} holds a quaternion of zeros, which is no rotation; give qx qy qz qw of length 1.")
    poses = np.tile(np.eye(4), (len(values), 1, 1))
    poses[:, :3, :3] = Rotation.from_quat(values[:, 4:]).as_matrix()
    poses[:, :3, 3] = values[:, 1:4]
    return values[:, 0] + offset, poses


def read_true_cameras(path: Path, times: NDArray[np.float64]) -> TrueCameras:
    """Poses of the TUM file at the frames that it knows; `times` (F,) are seconds from the input's first frame.

    Raises InputError for a file that is none, or of other times.
    """
    true_times, true = read_tum(path)
    nearest = np.abs(true_times[None] - times[:, None]).argmin(1)
    both = np.flatnonzero(np.abs(true_times[nearest] - times) < SAME_TIME)
    if len(both) < 2:
        raise InputError(f"{path}: its times are not those of the clip's frames; give seconds from its first frame.")
    return TrueCameras(both, true[nearest[both]])


def scene_trajectory_errors(true: TrueCameras, world_to_camera: Poses, units: str) -> TrajectoryErrors:
    """The cameras (F, 4, 4) against the true ones; a scene in relative units is aligned with its scale."""
    estimated = np.stack([invert_rigid(pose) for pose in world_to_camera[true.frames]])
    return trajectory_errors(estimated, true.poses, "rigid" if units == "mm" else "similarity")


def unit_doubt(true: TrueCameras, world_to_camera: Poses, units: str) -> str | None:
    """What to say when a scene in mm has cameras about a thousand times as far apart as the true ones, or the other
    way round; None where there is no doubt."""
    if units != "mm":
        return None
    estimated = np.stack([invert_rigid(pose) for pose in world_to_camera[true.frames]])
    ours, theirs = (float(np.linalg.norm(np.ptp(poses[:, :3, 3], axis=0))) for poses in (estimated, true.poses))
    for unit, ratio in (("metres", ours / max(theirs, 1e-12)), ("micrometres", theirs / max(ours, 1e-12))):
        if THOUSAND[0] < ratio < THOUSAND[1]:
            return f"its positions seem to be in {unit} ({theirs:.3g} across), not in mm as the cameras ({ours:.3g})"
    return None


def _rms(values: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
