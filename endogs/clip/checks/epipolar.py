"""Where camera poses allow a followed point to be, and how far away its motion then puts it.

A point that is still in the world moves along a line of the other image that the poses foretell (Hartley and Zisserman
2004, section 9.1), and along half of it when it is in front of the camera.
"""

import numpy as np
from numpy.typing import NDArray

from endogs.clip.checks.followed_points import Pair

Array = NDArray[np.float64]


def median_error(K: Array, poses: Array, pairs: list[Pair]) -> float:
    """Median over all points of the distance in pixels to the half line where poses (F, 4, 4) allow them.

    `K` (F, 3, 3) and the points are of one geometry. A point must be in front of both cameras, at any distance. Each
    pair counts the same.
    """
    errors = []
    for pair in pairs:
        turned, moved, target, focal = relative(K, poses, pair)
        depth = inverse_depth(turned, moved, target)
        seen = turned + np.maximum(depth, 0)[:, None] * moved
        flat = seen[:, :2] / np.maximum(seen[:, 2:], 1e-6)
        error = np.linalg.norm((flat - target) * focal, axis=1)
        errors.append(np.median(np.where(seen[:, 2] > 1e-6, error, np.inf)))
    return float(np.median(errors))


def smallest_error(K: Array, pairs: list[Pair]) -> float:
    """What `median_error` comes to for the best motion of a camera between each two frames: the noise of following.

    The motion is the essential matrix of least median of squares (Nister 2004, OpenCV's findEssentialMat), and the
    error the distance of points to its epipolar lines. What is left over is the tracker's noise, and tissue that moves.
    """
    import cv2

    errors = []
    for pair in pairs:
        first, second = K[pair.first], K[pair.second]
        here, there = (
            (points - camera[:2, 2]) / camera[[0, 1], [0, 1]]
            for points, camera in ((pair.here, first), (pair.there, second))
        )
        essential, _ = cv2.findEssentialMat(here, there, np.eye(3), method=cv2.LMEDS, prob=0.99)
        if essential is None or essential.shape[0] < 3:
            continue
        lines = np.concatenate([here, np.ones((len(here), 1))], 1) @ essential[:3].T
        beside = np.abs((lines[:, :2] * there).sum(1) + lines[:, 2])
        # The line in pixels of the second image: a slope in normalized coordinates is stretched by the focal lengths.
        slope = np.linalg.norm(lines[:, :2] / second[[0, 1], [0, 1]], axis=1)
        errors.append(float(np.median(beside / np.maximum(slope, 1e-12))))
    return float(np.median(errors)) if errors else 0.0


def relative(K: Array, poses: Array, pair: Pair) -> tuple[Array, Array, Array, Array]:
    """Rays (N, 3) of the first frame turned to the second, the motion (3,), and the points there (N, 2) with z = 1.

    Last come the second camera's focal lengths (2,).
    """
    first, second = K[pair.first], K[pair.second]
    focal = second[[0, 1], [0, 1]]
    motion = poses[pair.second] @ np.linalg.inv(poses[pair.first])
    rays = np.concatenate([(pair.here - first[:2, 2]) / first[[0, 1], [0, 1]], np.ones((len(pair.here), 1))], 1)
    return rays @ motion[:3, :3].T, motion[:3, 3], (pair.there - second[:2, 2]) / focal, focal


def inverse_depth(turned: Array, moved: Array, target: Array) -> Array:
    """Inverse z-depth (N,) in the first frame that brings `turned` + w `moved` closest to `target`; may be negative."""
    along = moved[:2] - target * moved[2]
    beside = turned[:, :2] - target * turned[:, 2:]
    return np.asarray(-(along * beside).sum(1) / np.maximum((along * along).sum(1), 1e-30), np.float64)


def with_parallax(turned: Array, target: Array, least: float) -> NDArray[np.bool_]:
    """(N,) True for points whose two rays differ in direction by more than the angle `least`, in radians."""
    away = np.concatenate([target, np.ones((len(target), 1))], 1)
    cosine = (away * turned).sum(1) / np.linalg.norm(away, axis=1) / np.linalg.norm(turned, axis=1)
    return np.asarray(cosine < np.cos(least))
