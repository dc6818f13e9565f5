"""The first map from one eye alone: motion and points at once, over several frames, once there is parallax enough.

In a colon the endoscope moves along its axis, and there is little parallax. No baseline is insisted on: all guesses of
`two_view.py` are adjusted over the same frames, and the best is believed when it explains what was seen, places enough
points, and no other motion does as well.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from endogs.tracking.bundle import Adjusted, Bundle, adjust
from endogs.tracking.config import TrackingConfig
from endogs.tracking.projection import seen_from
from endogs.tracking.rigid_motion import centre, degrees_between
from endogs.tracking.two_view import guesses, rays, turned

Array = NDArray[np.float64]
UNIT = 100.0
"""Median depth of the first frame, in relative units."""
EXPLAINED = 1.2
"""Pixels that a start may leave at the most, in the median."""
CLEARER = 1.05
"""How many times larger the cost of every other motion must be."""
OTHER_DEGREES = 20.0
"""Degrees between directions of motion from which they are others."""


@dataclass(frozen=True)
class Start:
    """Poses and points of the first frames."""

    poses: Array
    """(f, 4, 4) world_to_camera; the first is the identity."""
    points: Array
    """(n, 3) world, NaN where a point is not placed."""
    residual: float
    """Median, pixels."""


def start_from(pixels: Array, K: Array, config: TrackingConfig) -> tuple[Start | None, str]:
    """A start from points (f, n, 2) that all f frames see, or None and why there is none yet."""
    frames, count = pixels.shape[:2]
    if count < config.start_points:
        return None, "few points"
    found = []
    for motion in guesses(pixels[0], pixels[-1], K):
        adjusted = _adjusted(pixels, K, motion)
        if adjusted is not None:
            found.append(adjusted)
    if not found:
        return None, "no motion explains the points"
    found.sort(key=lambda one: one.cost)
    best = found[0]
    residual = float(np.median(best.residual))
    if residual > EXPLAINED:
        return None, "no rigid motion explains the points"
    way = centre(best.poses[-1])
    for other in found[1:]:
        if other.cost < CLEARER * best.cost and _differ(way, centre(other.poses[-1])):
            return None, "two motions explain the points"
    worst = best.residual.reshape(frames, count).max(0)
    depth = np.stack([seen_from(pose, best.points)[:, 2] for pose in best.poses]).min(0)
    first = rays(pixels[0], K)
    last = rays(pixels[-1], K) @ best.poses[-1, :3, :3]
    cosine = (first * last).sum(1) / np.linalg.norm(first, axis=1) / np.linalg.norm(last, axis=1)
    angle = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
    good = (worst < max(4 * best.scale, 1.5)) & (depth > 0) & (angle > config.triangulated / 2)
    if good.sum() < config.start_points:
        return None, "little parallax"
    if good.sum() < config.inlier_share * count:
        return None, "few points agree on a motion"
    factor = UNIT / float(np.median(best.points[good, 2]))
    poses = best.poses.copy()
    poses[:, :3, 3] *= factor
    return Start(poses, np.where(good[:, None], factor * best.points, np.nan), residual), ""


def parallax_of(here: Array, there: Array, K: Array) -> float:
    """Median pixels that turning the camera does not explain of how points (n, 2) moved."""
    return turned(here, there, K)[1] if len(here) >= 8 else 0.0


def _differ(one: Array, other: Array) -> bool:
    sizes = np.linalg.norm(one) * np.linalg.norm(other)
    return bool(sizes == 0 or one @ other < np.cos(np.radians(OTHER_DEGREES)) * sizes)


def _adjusted(pixels: Array, K: Array, motion: Array) -> Adjusted | None:
    """Frames and points adjusted from a guess of the motion from the first frame to the last."""
    frames, count = pixels.shape[:2]
    poses = np.tile(np.eye(4), (frames, 1, 1))
    for k in range(1, frames):
        poses[k, :3, :3] = turned(pixels[0], pixels[k], K)[0]
        poses[k, :3, 3] = motion[:3, 3] * k / (frames - 1)
    poses[-1] = motion
    flat = rays(pixels[0], K)
    depth = np.ones(count)
    if motion[:3, 3].any():
        depth = _depths(flat, rays(pixels[-1], K), motion)
    frame, point = (x.ravel() for x in np.meshgrid(np.arange(frames), np.arange(count), indexing="ij"))
    held = np.arange(frames) == 0
    nothing = np.zeros(frames * count)
    bundle = Bundle(
        K, poses, held, flat * depth[:, None], frame, point, pixels.reshape(-1, 2), nothing, nothing, nothing + 1
    )
    found = adjust(bundle, 30)
    turn = max(degrees_between(found.poses[k], found.poses[k + 1]) for k in range(frames - 1))
    if not np.isfinite(found.cost) or turn > 45 or np.linalg.norm(centre(found.poses[-1])) < 1e-9:
        return None
    return found


def _depths(here: Array, there: Array, motion: Array) -> Array:
    """(n,) depths in the first frame of rays (n, 3), between a third and three times their median, where ahead."""
    turned_rays = here @ motion[:3, :3].T
    # z (R r) + t lies along the other ray: cross products of both sides with it vanish.
    a, b = np.cross(there, turned_rays), -np.cross(there, np.broadcast_to(motion[:3, 3], there.shape))
    depth = (a * b).sum(1) / np.maximum(np.square(a).sum(1), 1e-12)
    ahead = depth[depth > 0]
    middle = float(np.median(ahead)) if len(ahead) else 1.0
    return np.clip(np.where(depth > 0, depth, middle), middle / 3, middle * 3)
