"""What a pinhole camera measures of a point, and how that changes with the point.

A measurement is (u, v, q): the pixel, and the inverse depth times a weight that makes it pixels too. Without depth the
weight is 0. B. Triggs et al., "Bundle adjustment - a modern synthesis", 2000.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
NEAREST = 1e-6
"""Least z, in world units, for which a projection is computed; what lies nearer is measured there."""


def seen_from(poses: Array, points: Array) -> Array:
    """Points (N, 3) in the cameras' frames, of poses (N, 4, 4) or (4, 4)."""
    if poses.ndim == 2:
        return np.asarray(points @ poses[:3, :3].T + poses[:3, 3])
    return np.einsum("...ij,...j->...i", poses[..., :3, :3], points) + poses[..., :3, 3]


def measured(seen: Array, K: Array, inverse_weight: Array) -> Array:
    """(N, 3) pixel and weighted inverse depth of points (N, 3) in the camera's frame."""
    inverse = 1 / np.maximum(seen[:, 2], NEAREST)
    pixels = seen[:, :2] * inverse[:, None] * K[[0, 1], [0, 1]] + K[:2, 2]
    return np.concatenate([pixels, (inverse * inverse_weight)[:, None]], 1)


def slopes(seen: Array, K: Array, inverse_weight: Array) -> Array:
    """(N, 3, 3) derivatives of `measured` by the point in the camera's frame."""
    inverse = 1 / np.maximum(seen[:, 2], NEAREST)
    found = np.zeros((len(seen), 3, 3))
    found[:, 0, 0] = K[0, 0] * inverse
    found[:, 1, 1] = K[1, 1] * inverse
    found[:, 0, 2] = -K[0, 0] * seen[:, 0] * np.square(inverse)
    found[:, 1, 2] = -K[1, 1] * seen[:, 1] * np.square(inverse)
    found[:, 2, 2] = -inverse_weight * np.square(inverse)
    return found


def pose_slopes(by_point: Array, seen: Array) -> Array:
    """(N, 3, 6) derivatives by a small motion of the camera (translation, rotation), from those by the point."""
    found = np.empty((len(seen), 3, 6))
    found[:, :, :3] = by_point
    # d(w x X)/dw = -[X]x, so each row g becomes -(g [X]x) = X x g.
    x, y, z = seen[:, None, 0], seen[:, None, 1], seen[:, None, 2]
    a, b, c = by_point[..., 0], by_point[..., 1], by_point[..., 2]
    found[..., 3], found[..., 4], found[..., 5] = y * c - z * b, z * a - x * c, x * b - y * a
    return found
