"""First guesses of how a camera moved between two pictures, from points followed from one to the other.

Several, since each fails somewhere: the essential matrix of a surface that is nearly flat, a homography's of one that
is not, and both where there is little parallax, as along the axis of a tube. Which is right is told by adjusting all
(`startup.py`). R. Hartley and A. Zisserman, "Multiple view geometry", 2004, chapters 9 and 13; small motion by H. Ha
et al., "High-quality depth from uncalibrated small motion clip", CVPR 2016: all points equally far, no motion.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
ERROR = 1.0
"""Pixels within which points agree with a model."""


def turned(here: Array, there: Array, K: Array, K_there: Array | None = None) -> tuple[Array, float]:
    """The rotation (3, 3) that best explains points (N, 2) in two pictures alone, and the median pixels it leaves.

    `K` (3, 3) is of the first picture, and of the second where `K_there` is not given. The rotation between rays is
    Kabsch's (1976), reweighted by Cauchy's function of the residuals.
    """
    first, K = K, K if K_there is None else K_there
    a, b = rays(here, first), rays(there, K)
    a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
    weights = np.ones(len(a))
    rotation, left = np.eye(3), np.zeros(len(a))
    for _ in range(4):
        u, _, vt = np.linalg.svd((b * weights[:, None]).T @ a)
        rotation = u @ np.diag([1, 1, np.sign(np.linalg.det(u @ vt))]) @ vt
        seen = a @ rotation.T
        drawn = seen[:, :2] / np.maximum(seen[:, 2:], 1e-6) * K[[0, 1], [0, 1]] + K[:2, 2]
        left = np.linalg.norm(drawn - there, axis=1)
        weights = 1 / (1 + np.square(left / max(float(np.median(left)), 0.1)))
    return rotation, float(np.median(left))


def rays(pixels: Array, K: Array) -> Array:
    """Directions (N, 3) with z = 1 of pixels (N, 2), centres at +0.5."""
    return np.c_[(pixels - K[:2, 2]) / K[[0, 1], [0, 1]], np.ones(len(pixels))]


def guesses(here: Array, there: Array, K: Array) -> list[Array]:
    """Motions (4, 4) from the first camera to the second, with a translation of length 1, or 0: only turned."""
    found = []
    lens = K.copy()
    a, b = (np.ascontiguousarray(x) for x in (here, there))
    essential, inliers = cv2.findEssentialMat(a, b, lens, cv2.RANSAC, 0.999, ERROR)
    if essential is not None and essential.shape == (3, 3):
        _, rotation, shift, _ = cv2.recoverPose(essential, a, b, lens, mask=inliers.copy())
        found.append(_motion(rotation, shift))
    plane, inliers = cv2.findHomography(a, b, cv2.RANSAC, ERROR * 2)
    if plane is not None and inliers is not None and inliers.mean() > 0.5:
        _, rotations, shifts, normals = cv2.decomposeHomographyMat(plane, lens)
        one, other = (x[:, None].astype(np.float32) for x in (a, b))
        kept = cv2.filterHomographyDecompByVisibleRefpoints(
            rotations, normals, one, other, pointsMask=np.asarray(inliers, np.uint8)
        )
        for k in [] if kept is None else [int(k) for k in np.ravel(kept)]:
            if np.linalg.norm(shifts[k]) > 1e-6:
                found.append(_motion(rotations[k], shifts[k] / np.linalg.norm(shifts[k])))
    found.append(_motion(turned(here, there, K)[0], np.zeros(3)))
    return [motion for motion in found if np.isfinite(motion).all()]


def _motion(rotation: Any, shift: Any) -> Array:
    found = np.eye(4)
    found[:3, :3], found[:3, 3] = rotation, np.ravel(shift)
    return found
