"""Small rigid motions, and how far poses are apart.

A pose changes as T <- exp(xi) T, with xi = (translation, rotation vector) in the camera's frame (Sola et al., "A micro
Lie theory for state estimation in robotics", 2018, with translation and rotation decoupled).
"""

import numpy as np

from endogs.geometry import Array, rotation_about, rotation_vector


def moved_by(poses: Array, steps: Array) -> Array:
    """Poses (..., 4, 4) after small motions (..., 6) in the cameras' frames."""
    turn = rotation_about(steps[..., 3:])
    found = np.array(poses, np.float64)
    found[..., :3, :3] = turn @ poses[..., :3, :3]
    found[..., :3, 3] = np.einsum("...ij,...j->...i", turn, poses[..., :3, 3]) + steps[..., :3]
    return found


def centre(world_to_camera: Array) -> Array:
    """Camera centres (..., 3) in the world, of poses (..., 4, 4)."""
    return -np.einsum("...ji,...j->...i", world_to_camera[..., :3, :3], world_to_camera[..., :3, 3])


def degrees_between(a: Array, b: Array) -> float:
    """Degrees that the rotations of two poses (4, 4) are apart."""
    trace = float(np.trace(a[:3, :3] @ b[:3, :3].T))
    return float(np.degrees(np.arccos(np.clip((trace - 1) / 2, -1, 1))))


def between(earlier: Array, later: Array, share: float) -> Array:
    """The motion (4, 4) from pose `earlier` to pose `later`, times `share`; applied to a pose from the left."""
    motion = later @ np.linalg.inv(earlier)
    found = np.eye(4)
    found[:3, :3] = rotation_about(share * rotation_vector(motion[:3, :3]))
    found[:3, 3] = share * motion[:3, 3]
    return found
