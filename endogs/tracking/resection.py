"""The pose of one frame from points whose places are known: consensus first where needed, then robust refinement.

J. Tukey's weights with the scale from the median absolute deviation (P. Huber, "Robust statistics", 1981), and
Gauss-Newton steps on the pose; consensus by M. Fischler and R. Bolles, "Random sample consensus", 1981.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.tracking.projection import measured, pose_slopes, seen_from, slopes
from endogs.tracking.rigid_motion import moved_by

Array = NDArray[np.float64]
TUKEY = 4.685
"""Standard deviations from which a residual does not count (95 % efficient for normal noise)."""
ROUNDS = 10
FEWEST = 6


@dataclass(frozen=True)
class Sightings:
    """Points of a map that one frame sees."""

    points: Array
    """(n, 3) world."""
    pixels: Array
    """(n, 2) where, centres at +0.5."""
    inverse_depth: Array
    """(n,) measured 1/z."""
    inverse_weight: Array
    """(n,) pixels of noise per unit of it; 0 where it was not measured."""
    weight: Array
    """(n,) in [0, 1]: how likely the point is rigid."""

    def only(self, chosen: NDArray[np.bool_]) -> "Sightings":
        """Those chosen (n,)."""
        return Sightings(
            self.points[chosen],
            self.pixels[chosen],
            self.inverse_depth[chosen],
            self.inverse_weight[chosen],
            self.weight[chosen],
        )


@dataclass(frozen=True)
class Resection:
    """A pose, and what speaks for it."""

    world_to_camera: Array
    """(4, 4)."""
    inliers: NDArray[np.bool_]
    """(n,) points that agree with it."""
    residual: Array
    """(n,) pixels."""
    scale: float
    """Standard deviation of the residuals of a pixel's coordinate."""
    covariance: Array
    """(6, 6) of (translation, rotation vector) in the camera's frame."""


def resect(sightings: Sightings, K: Array, start: Array, least_scale: float, gate: float) -> Resection | None:
    """The pose (4, 4) near `start` that draws the points where they were seen, None where nothing determines it.

    `least_scale` and `gate` are pixels: the noise at least, and the residual from which no point counts as agreeing.
    """
    if len(sightings.points) < FEWEST:
        return None
    pose, scale = start, np.inf
    seen = np.concatenate([sightings.pixels, (sightings.inverse_depth * sightings.inverse_weight)[:, None]], 1)
    information = np.eye(6)
    for turn in range(ROUNDS):
        inside = seen_from(pose, sightings.points)
        residuals = measured(inside, K, sightings.inverse_weight) - seen
        size = np.linalg.norm(residuals[:, :2], axis=1)
        trusted = (inside[:, 2] > 0) & (sightings.weight > 0)
        if trusted.sum() < FEWEST:
            return None
        # The median of a 2D normal's length is 1.177 of its coordinates' deviation.
        scale = max(least_scale, weighted_median(size[trusted], sightings.weight[trusted]) / 1.177)
        # Early rounds look farther, so that a start some pixels away is pulled in rather than cut off.
        limit = TUKEY * scale * (2.0 if turn < 3 else 1.0)
        weights = tukey(size, limit) * sightings.weight * trusted
        depth_weights = tukey(np.abs(residuals[:, 2]), limit) * sightings.weight * trusted
        both = np.stack([weights, weights, depth_weights], 1)
        by_pose = pose_slopes(slopes(inside, K, sightings.inverse_weight), inside)
        rows = by_pose.reshape(-1, 6)
        weighted = rows * both.reshape(-1, 1)
        information, side = rows.T @ weighted, weighted.T @ residuals.ravel()
        scales = np.sqrt(np.maximum(np.diag(information), 1e-12))
        normal = information / np.outer(scales, scales)
        if not np.isfinite(normal).all() or np.linalg.eigvalsh(normal)[0] < 1e-9:
            return None
        step = -np.linalg.solve(normal, side / scales) / scales
        pose = moved_by(pose, step)
        if turn > 3 and np.abs(step * scales).max() < 0.01 * np.sqrt(len(size)):
            break
    inside = seen_from(pose, sightings.points)
    residuals = measured(inside, K, sightings.inverse_weight) - seen
    size = np.linalg.norm(residuals[:, :2], axis=1)
    inliers = (size < min(gate, TUKEY * scale)) & (inside[:, 2] > 0) & (np.abs(residuals[:, 2]) < 2 * TUKEY * scale)
    covariance = np.asarray(np.linalg.pinv(information) * scale**2, np.float64)
    return Resection(pose, inliers, size, scale, covariance)


def consensus(sightings: Sightings, K: Array, error: float = 2.5) -> Array | None:
    """A pose (4, 4) that most points agree with to `error` pixels, whatever the others say; None where none is."""
    if len(sightings.points) < FEWEST:
        return None
    lens = K.copy()
    lens[:2, 2] -= 0.5
    try:
        found, turn, shift, inliers = cv2.solvePnPRansac(
            sightings.points.reshape(-1, 1, 3),
            (sightings.pixels - 0.5).reshape(-1, 1, 2),
            lens,
            None,
            iterationsCount=200,
            reprojectionError=error,
            confidence=0.999,
            flags=cv2.SOLVEPNP_AP3P,
        )
    except cv2.error:  # a degenerate sample
        return None
    if not found or inliers is None or len(inliers) < FEWEST:
        return None
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = cv2.Rodrigues(turn)[0], np.ravel(shift)
    return pose if np.isfinite(pose).all() else None


def tukey(size: Array, limit: float) -> Array:
    """Tukey's weights of residuals that stop counting at `limit`."""
    share = np.square(np.minimum(size / limit, 1.0))
    return np.asarray(np.square(1 - share), np.float64)


def weighted_median(values: Array, weights: Array) -> float:
    """The value below which half of the weight lies."""
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order[np.searchsorted(total, total[-1] / 2)]])
