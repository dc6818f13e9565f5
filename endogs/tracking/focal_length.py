"""The focal length of a camera that nobody calibrated, from how its own motion moves what it sees.

A part of the clip is tracked under a few focal lengths. Of those whose map does not lie against the light
(`light_side.py`), that under which most points agree is then refined: bundle adjustment of the same map at focal
lengths around it, from one to the next, gives the robust cost as a curve, whose lowest point is the answer and whose
width says how well it is known (R. Hartley and A. Zisserman, "Multiple View Geometry", 2004, section 19.3, on what
motion leaves the focal length open). The principal point is taken as it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from endogs.clip.clip import Clip
from endogs.tracking.bundle import Bundle, adjust, robust_cost
from endogs.tracking.config import TrackingConfig
from endogs.tracking.light_side import against_light, depth_by_light
from endogs.tracking.telling_frames import telling_frames
from endogs.tracking.tracker import Tracker
from endogs.tracking.trajectory import Landmarks, Trajectory

Array = NDArray[np.float64]

FACTORS = (0.3, 0.38, 0.48, 0.6, 0.775, 1.0, 1.29, 1.67)
"""Of the guess: under these the clip is tracked first. Of the usual guess they are views 109 to 28 degrees wide."""
WIDEST, NARROWEST = 0.2, 2.4
"""Factors on the guess beyond which no focal length is looked for."""
FRAMES = 120
"""Frames that are tracked for it."""
STEP, STEPS = 1.06, 8
"""Factor from one focal length of the curve to the next, and how many lie on each side at least."""
MOST_STEPS = 40
"""The same at most."""
ITERATIONS = 8
"""Of bundle adjustment at each."""
MOST_POINTS = 500
"""Points of the map that are adjusted: those that most keyframes see."""
FEWEST_SIGHTINGS = 4
"""Keyframes that must see such a point."""
ADMISSIBLE = 100.0
"""Rise of the robust cost, in variances, up to which a focal length is not excluded: points' errors are not
independent, and on six clips of known focal length the true one lay below it."""
ROUNDS = 4
"""Curves that are drawn at most, each of a map that was tracked under the answer of the one before."""
KNOWN = 2.5
"""Ratio of the largest to the smallest admissible focal length from which on it is not known."""
KEYFRAMES = 40
"""Of a finished map, by which the focal length it was found under is checked."""
MISS = 2.0
"""Pixels that a point which does not agree counts, at a width of 400 pixels."""


@dataclass(frozen=True)
class FocalLength:
    """A focal length as a factor on the one that the clip has."""

    factor: float
    low: float
    """Smallest factor that the pictures do not exclude; 0 where they exclude none of the smaller ones tried."""
    high: float
    """Largest one; infinite where they exclude none of the larger ones."""
    light: float | None = None
    """How the map's depths correlate with those by brightness, -1 to 1, as `depth_by_light` says."""

    @property
    def known(self) -> bool:
        """Whether it is narrowed down enough, from both sides, to be used."""
        return self.low > 0 and self.high / self.low < KNOWN

    def left_open(self, guess: float) -> str:
        """The range of focal lengths that is not excluded, of which `guess`, pixels, has the factor 1."""
        low, high = f"{self.low * guess:.0f}", f"{self.high * guess:.0f}"
        if self.low > 0 and np.isfinite(self.high):
            return f"{low} to {high}"
        return f"all from {low} on" if self.low > 0 else f"all up to {high}" if np.isfinite(self.high) else "all"


def find_focal_length(clip: Clip, held_out: Sequence[int] = ()) -> FocalLength | None:
    """The focal length under which the clip's motion is most that of a camera through a rigid world.

    `held_out` frames are not looked at. None where nothing can be tracked. Depth is not used.
    """
    frames = telling_frames(clip, FRAMES, held_out)
    tried = {factor: _tracked(clip, frames, factor) for factor in FACTORS}
    light = {factor: depth_by_light(with_focal(clip, factor), path) for factor, path in tried.items()}
    miss = MISS * clip.width / 400
    best = min(FACTORS, key=lambda factor: (against_light(light[factor]), disagreement(tried[factor], miss)))
    trajectory, found = tried[best], FocalLength(best, 0.0, np.inf)
    for _ in range(ROUNDS):
        if trajectory.landmarks is None or trajectory.found.sum() < 3:
            return None
        bundle = _bundle(trajectory, trajectory.landmarks, with_focal_factor(clip.K[frames[0]], found.factor))
        if bundle is None:
            return None
        one = lowest(*_curve(bundle, WIDEST / found.factor, NARROWEST / found.factor))
        found = FocalLength(*(found.factor * factor for factor in (one.factor, one.low, one.high)))
        if abs(np.log(one.factor)) < 0.5 * np.log(STEP):
            break
        trajectory = _tracked(clip, frames, found.factor)
    return replace(found, light=depth_by_light(with_focal(clip, found.factor), trajectory))


def focal_length_seen(trajectory: Trajectory, K: Array) -> FocalLength | None:
    """What a finished path says of the focal length it was found under; factor 1 where the pictures agree with it.

    `K` (3, 3) are the intrinsics it was found with. Only the `KEYFRAMES` of the map in the middle of the clip are
    adjusted. None where the map has too few points for an answer.
    """
    if trajectory.landmarks is None or trajectory.found.sum() < 3:
        return None
    bundle = _bundle(trajectory, _in_the_middle(trajectory.landmarks), K)
    return None if bundle is None else lowest(*_curve(bundle))


def _in_the_middle(landmarks: Landmarks) -> Landmarks:
    """The sightings by the keyframes in the middle of a map."""
    keyframes = np.unique(landmarks.seen_by)
    first = max(0, (len(keyframes) - KEYFRAMES) // 2)
    kept = np.isin(landmarks.seen_by, keyframes[first : first + KEYFRAMES])
    return replace(
        landmarks, seen_by=landmarks.seen_by[kept], point=landmarks.point[kept], pixels=landmarks.pixels[kept]
    )


def _tracked(clip: Clip, frames: Sequence[int], factor: float) -> Trajectory:
    tracker = Tracker(config=TrackingConfig())
    for i in frames:
        frame = clip.frame(i)
        tracker.feed(replace(frame, K=with_focal_factor(frame.K, factor)))
    return tracker.finish()


def disagreement(trajectory: Trajectory, miss: float) -> float:
    """Mean over frames of the squared distances of points, those that do not agree counted as `miss` pixels each.

    Frames whose distances nobody measured, as of one that a map begins with, do not count; infinite without others.
    """
    corners = TrackingConfig().corners
    costs = []
    for one in trajectory.frames:
        agree = one.inliers if one.world_to_camera is not None and one.sub_map == trajectory.sub_map else 0
        residual = one.residual_px if agree else 0.0
        if np.isfinite(residual):
            costs.append(agree * min(residual, miss) ** 2 + max(0, corners - agree) * miss**2)
    return float(np.mean(costs)) if costs else float("inf")


def lowest(factors: Array, costs: Array) -> FocalLength:
    """Where a curve of costs over increasing `factors` is lowest, between its points, and where it is admissible."""
    k = int(np.argmin(costs))
    logs = np.log(factors)
    at, bottom = logs[k], costs[k]
    if 0 < k < len(costs) - 1:
        a, b, _ = np.polyfit(logs[k - 1 : k + 2] - logs[k], costs[k - 1 : k + 2], 2)
        if a > 0:
            at = logs[k] + float(np.clip(-b / (2 * a), logs[k - 1] - logs[k], logs[k + 1] - logs[k]))
            bottom = costs[k] - b * b / (4 * a)
    limit = bottom + ADMISSIBLE
    low, high = -np.inf, np.inf
    for i in range(k, 0, -1):
        if costs[i - 1] >= limit:
            low = _crossing(logs[i], costs[i], logs[i - 1], costs[i - 1], limit)
            break
    for i in range(k, len(costs) - 1):
        if costs[i + 1] >= limit:
            high = _crossing(logs[i], costs[i], logs[i + 1], costs[i + 1], limit)
            break
    return FocalLength(float(np.exp(at)), float(np.exp(min(low, at))), float(np.exp(max(high, at))))


def _crossing(inside: float, low: float, outside: float, high: float, limit: float) -> float:
    part = 1.0 if high <= low else (limit - low) / (high - low)
    return float(inside + np.clip(part, 0, 1) * (outside - inside))


def with_focal(clip: Clip, factor: float) -> Clip:
    """The clip with focal lengths times a factor; the same clip for 1."""
    return clip if factor == 1 else clip.with_intrinsics(with_focal_factor(clip.K, factor))


def with_focal_factor(K: Array, factor: float) -> Array:
    """Intrinsics (..., 3, 3) with focal lengths times `factor`."""
    scaled = np.array(K, np.float64)
    scaled[..., [0, 1], [0, 1]] *= factor
    return scaled


def _bundle(trajectory: Trajectory, landmarks: Landmarks, K: Array) -> Bundle | None:
    """The map's firmest points and the keyframes that see them, for adjustment; None where there are too few."""
    times = np.bincount(landmarks.point, minlength=len(landmarks.points))
    chosen = np.argsort(-times, kind="stable")[:MOST_POINTS]
    chosen = chosen[times[chosen] >= FEWEST_SIGHTINGS]
    row = np.full(len(landmarks.points), -1)
    row[chosen] = np.arange(len(chosen))
    frames = {one.frame: k for k, one in enumerate(trajectory.frames)}
    poses = trajectory.world_to_camera
    placed = np.array([f in frames and bool(np.isfinite(poses[frames[f], 0, 0])) for f in landmarks.seen_by], bool)
    used = (row[landmarks.point] >= 0) & placed
    keyframes, keyframe = np.unique(landmarks.seen_by[used], return_inverse=True)
    if len(chosen) < 30 or len(keyframes) < 3:
        return None
    count = int(used.sum())
    return Bundle(
        K,
        poses[[frames[f] for f in keyframes]],
        np.arange(len(keyframes)) == 0,
        landmarks.points[chosen],
        keyframe,
        row[landmarks.point[used]],
        landmarks.pixels[used],
        np.zeros(count),
        np.zeros(count),
        landmarks.rigid[landmarks.point[used]],
    )


def _curve(bundle: Bundle, least: float = STEP**-STEPS, most: float = STEP**STEPS) -> tuple[Array, Array]:
    """Factors (n,), increasing, and the robust costs of the bundle adjusted under each.

    Beyond STEPS on each side the curve goes on, within `least` and `most`, until a focal length is excluded.
    """
    middle = adjust(bundle, 2 * ITERATIONS)
    start = replace(bundle, poses=middle.poses, points=middle.points)
    costs = {0: robust_cost(start, middle.scale)}
    for side in (1, -1):
        one = start
        for k in range(1, MOST_STEPS + 1):
            excluded = costs[side * (k - 1)] >= min(costs.values()) + ADMISSIBLE
            if k > STEPS and (excluded or not least <= STEP ** (side * k) <= most):
                break
            one = replace(one, K=with_focal_factor(bundle.K, STEP ** (side * k)))
            found = adjust(one, ITERATIONS)
            one = replace(one, poses=found.poses, points=found.points)
            costs[side * k] = robust_cost(one, middle.scale)
    order = sorted(costs)
    return np.array([STEP**k for k in order]), np.array([costs[k] for k in order])
