"""Small rigid motions, similarities, and how far poses are apart.

A pose changes as T <- exp(xi) T, with xi = (translation, rotation vector) in the camera's frame (Sola et al., "A micro
Lie theory for state estimation in robotics", 2018, with translation and rotation decoupled).
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def rotation_of(vectors: Array) -> Array:
    """Rotation matrices (..., 3, 3) of rotation vectors (..., 3), radians (Rodrigues' formula)."""
    vectors = np.asarray(vectors, np.float64)
    angle = np.linalg.norm(vectors, axis=-1)[..., None, None]
    cross = skew(vectors)
    small = angle < 1e-8
    safe = np.where(small, 1.0, angle)
    first = np.where(small, 1.0, np.sin(safe) / safe)
    second = np.where(small, 0.5, (1 - np.cos(safe)) / np.square(safe))
    return np.asarray(np.eye(3) + first * cross + second * (cross @ cross))


def rotation_vector(rotation: Array) -> Array:
    """Rotation vector (3,), radians, of a rotation matrix (3, 3)."""
    from scipy.spatial.transform import Rotation

    return np.asarray(Rotation.from_matrix(rotation).as_rotvec(), np.float64)


def skew(vectors: Array) -> Array:
    """Matrices (..., 3, 3) that multiply like the cross product with vectors (..., 3)."""
    x, y, z = np.moveaxis(np.asarray(vectors, np.float64), -1, 0)
    zero = np.zeros_like(x)
    return np.stack([np.stack([zero, -z, y], -1), np.stack([z, zero, -x], -1), np.stack([-y, x, zero], -1)], -2)


def moved_by(poses: Array, steps: Array) -> Array:
    """Poses (..., 4, 4) after small motions (..., 6) in the cameras' frames."""
    turn = rotation_of(steps[..., 3:])
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
    found[:3, :3] = rotation_of(share * rotation_vector(motion[:3, :3]))
    found[:3, 3] = share * motion[:3, 3]
    return found


def similarity(a: Array, b: Array, weights: Array | None = None, scaled: bool = True) -> tuple[float, Array, Array]:
    """Scale, rotation (3, 3) and translation (3,) with b = s R a + t for points (N, 3), least squares.

    S. Umeyama, "Least-squares estimation of transformation parameters between two point patterns", 1991, eqs. 40-42.
    """
    w = np.ones(len(a)) if weights is None else weights
    w = w / w.sum()
    mean_a, mean_b = w @ a, w @ b
    u, spread, vt = np.linalg.svd(((b - mean_b) * w[:, None]).T @ (a - mean_a))
    mirror = np.array([1.0, 1.0, 1.0 if np.linalg.det(u @ vt) > 0 else -1.0])
    rotation = (u * mirror) @ vt
    variance = float(w @ np.square(a - mean_a).sum(1))
    scale = float((spread * mirror).sum() / max(variance, 1e-300)) if scaled else 1.0
    return scale, rotation, mean_b - scale * rotation @ mean_a
