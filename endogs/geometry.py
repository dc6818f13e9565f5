"""Rigid motions and pinhole projection, in OpenCV axes (x right, y down, z forward)."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def rotation_from_quaternion(quat_wxyz: Array) -> Array:
    """Rotation matrices (..., 3, 3) of quaternions (..., 4) in wxyz order, normalized here.

    Raises ValueError for a zero quaternion, which has no direction.
    """
    quat = np.asarray(quat_wxyz, np.float64)
    norm = np.linalg.norm(quat, axis=-1, keepdims=True)
    if np.any(norm == 0):
        raise ValueError("a zero quaternion is not a rotation")
    w, x, y, z = np.moveaxis(quat / norm, -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, -1) for row in rows], -2)


def rigid(rotation: Array, translation: Array) -> Array:
    """Rigid 4x4 transforms (..., 4, 4) of rotations (..., 3, 3) and translations (..., 3)."""
    transform = np.zeros((*np.shape(rotation)[:-2], 4, 4))
    transform[..., :3, :3], transform[..., :3, 3], transform[..., 3, 3] = rotation, translation, 1
    return transform


def invert_rigid(transform: Array) -> Array:
    """Inverse of rigid 4x4 transforms (..., 4, 4) by transposing the rotation."""
    transform = np.asarray(transform, np.float64)
    rotation = np.swapaxes(transform[..., :3, :3], -1, -2)
    return rigid(rotation, -np.einsum("...ij,...j->...i", rotation, transform[..., :3, 3]))


def cross_matrix(vector: Array) -> Array:
    """[v] (..., 3, 3) of vectors v (..., 3), with [v] x = v cross x."""
    x, y, z = np.moveaxis(np.asarray(vector, np.float64), -1, 0)
    zero = np.zeros_like(x)
    rows = [[zero, -z, y], [z, zero, -x], [-y, x, zero]]
    return np.stack([np.stack(row, -1) for row in rows], -2)


def rotation_about(vector: Array) -> Array:
    """Rotations (..., 3, 3) about vectors (..., 3) by their lengths in radians (Rodrigues' formula)."""
    turn, angle = cross_matrix(vector), np.linalg.norm(vector, axis=-1)[..., None, None]
    # sin(a)/a and (1 - cos a)/a^2 without a division by 0; np.sinc(x) is sin(pi x)/(pi x).
    half = np.sinc(angle / (2 * np.pi))
    return np.asarray(np.eye(3) + np.sinc(angle / np.pi) * turn + half * half / 2 * turn @ turn, np.float64)


def rotation_vector(rotation: Array) -> Array:
    """The vector (3,) with rotation_about(vector) = rotation (3, 3), for turns of less than half a circle."""
    sine = np.array([rotation[2, 1] - rotation[1, 2], rotation[0, 2] - rotation[2, 0], rotation[1, 0] - rotation[0, 1]])
    half = float(np.linalg.norm(sine)) / 2
    angle = np.arctan2(half, (np.trace(rotation) - 1) / 2)
    return np.asarray(sine / 2 * (angle / half if half > 1e-12 else 1.0))


def left_jacobian(vector: Array) -> Array:
    """J (3, 3) with rotation_about(v + dv) = rotation_about(J dv) rotation_about(v) for small dv.

    T. Barfoot, "State estimation for robotics", 2017, eq. 7.77.
    """
    angle, turn = float(np.linalg.norm(vector)), cross_matrix(vector)
    half = np.sinc(angle / (2 * np.pi))
    third = 1 / 6 - angle**2 / 120 if angle < 1e-2 else (angle - np.sin(angle)) / angle**3
    return np.asarray(np.eye(3) + half * half / 2 * turn + third * turn @ turn)


def corrected(world_to_camera: Array, correction: Array) -> Array:
    """A pose (4, 4) after the camera's surroundings are turned about it by the vector correction[:3], radians, and then
    shifted by correction[3:], world units, both in the camera's axes.
    """
    found = world_to_camera.copy()
    found[:3] = rotation_about(correction[:3]) @ world_to_camera[:3]
    found[:3, 3] += correction[3:]
    return found


def interpolate_rigid(start: Array, end: Array, fraction: float) -> Array:
    """`world_to_camera` (4, 4) at `fraction` in [0, 1] of an even motion: the centre on a line, turning about one axis.

    Rodrigues' formula for the turn from `start` to `end`, which is the shortest one (K. Shoemake, "Animating rotation
    with quaternion curves", 1985).
    """
    start, end = invert_rigid(start), invert_rigid(end)
    turn = start[:3, :3].T @ end[:3, :3]
    angle = np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1))
    # The eigenvector of eigenvalue 1 is the axis; unlike the antisymmetric part it is there at half a turn as well.
    axis = np.linalg.svd(turn - np.eye(3))[2][2] if angle > 1e-9 else np.zeros(3)
    cross = cross_matrix(axis)
    if np.sum(cross * (turn - turn.T)) < 0:
        cross = -cross
    part = fraction * angle
    rotation = start[:3, :3] @ (np.eye(3) + np.sin(part) * cross + (1 - np.cos(part)) * cross @ cross)
    return invert_rigid(rigid(rotation, (1 - fraction) * start[:3, 3] + fraction * end[:3, 3]))


def look_at(eye: Array, target: Array, up: Array) -> Array:
    """`world_to_camera` (4, 4) of a camera at `eye` looking at `target`, with `up` pointing to the top of the image."""
    forward = np.asarray(target, np.float64) - np.asarray(eye, np.float64)
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, np.asarray(up, np.float64))
    right /= np.linalg.norm(right)
    return invert_rigid(rigid(np.stack([right, np.cross(forward, right), forward], 1), eye))


def pixel_rays(K: Array, width: int, height: int) -> Array:
    """Camera-space directions (height, width, 3) with z = 1 through the pixel centres (at +0.5)."""
    x = (np.arange(width) + 0.5 - K[0, 2]) / K[0, 0]
    y = (np.arange(height) + 0.5 - K[1, 2]) / K[1, 1]
    return np.stack(np.broadcast_arrays(x[None, :], y[:, None], np.ones((1, 1))), -1)


def unproject(depth: NDArray[np.float32], K: Array, world_to_camera: Array) -> Array:
    """World points (height, width, 3) of a z-depth map (height, width); pixels of depth 0 land on the camera centre."""
    height, width = depth.shape
    points = pixel_rays(K, width, height) * np.asarray(depth, np.float64)[..., None]
    camera_to_world = invert_rigid(world_to_camera)
    return points @ camera_to_world[:3, :3].T + camera_to_world[:3, 3]


def project(points: Array, K: Array, world_to_camera: Array) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Pixels (P, 2), centres at +0.5, and z-depth (P,) of world points (P, 3) in a pinhole camera of K (3, 3)
    and pose (4, 4); pixels mean nothing at z <= 0."""
    seen = points @ world_to_camera[:3, :3].T + world_to_camera[:3, 3]
    z = seen[:, 2]
    pixels = seen[:, :2] / np.where(z > 0, z, 1)[:, None] * K[[0, 1], [0, 1]] + K[:2, 2]
    return pixels.astype(np.float32), z.astype(np.float32)
