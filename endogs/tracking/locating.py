"""Where a frame was taken, against a map that does not change: follow the corners, then find the pose they agree on."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from endogs.tracking.config import TrackingConfig
from endogs.tracking.corner_tracks import affine_between, carried_over, follow, settle
from endogs.tracking.landmarks import Ids, Keyframe, Observations, SparseMap
from endogs.tracking.luma import CELLS, Look
from endogs.tracking.measured_depth import Depths
from endogs.tracking.projection import measured, seen_from
from endogs.tracking.relocalization import Recognizer
from endogs.tracking.resection import Resection, Sightings, consensus, resect
from endogs.tracking.rigid_motion import between
from endogs.tracking.two_view import rays

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
FARTHEST = 3.0
"""Frames' worth of motion that is predicted at most, across frames that are missing."""


CLOSEST = 0.4
"""Size of a keyframe's patches from here, or its inverse, below which the prediction is not believed."""

AGAIN, SOME = 4, 15
"""How often a frame that was recognized is followed from its keyframe, each time from the pose that was found, as long
as so many points agree."""


@dataclass(frozen=True)
class Tracks:
    """Corners that are followed."""

    ids: Ids
    """(n,) of the map's points."""
    pixels: Array
    """(n, 2) where they are in the last frame."""
    anchors: Array
    """(n, 2) where they were in the frame with whose patches they are compared."""

    def only(self, chosen: Bools) -> "Tracks":
        """Those chosen (n,)."""
        return Tracks(self.ids[chosen], self.pixels[chosen], self.anchors[chosen])


@dataclass(frozen=True)
class Following:
    """What is carried from one frame to the next."""

    look: Look
    tracks: Tracks
    reference: int
    """The keyframe that the anchors are of."""
    pose: Array
    """(4, 4) of `look`."""
    motion: Array
    """(4, 4) by which the pose changed, from the left, in `seconds`."""
    seconds: float

    def predicted(self, time: float, damping: float) -> Array:
        """The pose at `time`, if the camera goes on as it did, ever slower."""
        if self.seconds <= 0:
            return self.pose
        share = float(np.clip((time - self.look.time) / self.seconds, -FARTHEST, FARTHEST))
        return between(np.eye(4), self.motion, damping * share) @ self.pose


@dataclass(frozen=True)
class Located:
    """A frame's pose, or why it has none."""

    pose: Array | None
    reason: str
    tracks: Tracks
    seen: Observations
    inliers: Bools
    """(n,) which of `seen` agree with the pose; False for points without a place."""
    residual: Array
    """(n,) pixels, infinite for points without a place."""
    scale: float = float("inf")
    covariance: Array | None = None
    near: Array | None = None
    """(4, 4) the pose that was looked at, believed or not."""
    reference: int = -1
    """The keyframe whose patches the points were compared with."""


def unusable(look: Look, config: TrackingConfig) -> str:
    """Why a frame says nothing at all, or an empty string."""
    if look.dark > config.unusable:
        return "dark"
    if look.saturated > config.unusable:
        return "saturated"
    if not look.usable.any():
        return "no tissue"
    return ""


def locate(
    look: Look, depths: Depths, base: Following, world: SparseMap, recognizer: Recognizer, config: TrackingConfig
) -> Located:
    """Follow from the last frame, else from its keyframe, else find a keyframe that looks like this frame."""
    first = _tried(look, depths, base, base.predicted(look.time, config.damping), world, config)
    if first.pose is not None:
        return first
    keyframe = world.keyframes[base.reference]
    again = _tried(look, depths, from_keyframe(keyframe, base.reference), base.pose, world, config)
    if again.pose is not None:
        return again
    found = recognized(look, depths, world, recognizer, config)
    return first if found is None else found


def followed(look: Look, depths: Depths, base: Following, world: SparseMap, config: TrackingConfig) -> Located:
    """Follow from a frame whose pose is known to one beside it, before or after."""
    return _tried(look, depths, base, base.predicted(look.time, config.damping), world, config)


def recognized(
    look: Look, depths: Depths, world: SparseMap, recognizer: Recognizer, config: TrackingConfig
) -> Located | None:
    """Where a frame was taken that looks like one of a map's keyframes, or None."""
    found = recognizer.find(look, world)
    if found is None:
        return None
    number, pose = found
    start = from_keyframe(world.keyframes[number], number)
    for _ in range(AGAIN):
        located = _tried(look, depths, start, pose, world, config)
        if located.pose is not None:
            return located
        if located.near is None or located.inliers.sum() < SOME:
            break
        pose = located.near
    return None


def from_keyframe(keyframe: Keyframe, number: int) -> Following:
    """Following that begins at a keyframe of the map."""
    tracks = Tracks(keyframe.seen.ids, keyframe.seen.pixels, keyframe.seen.pixels)
    return Following(keyframe.look, tracks, number, keyframe.world_to_camera, np.eye(4), 0.0)


def _tried(
    look: Look, depths: Depths, base: Following, predicted: Array, world: SparseMap, config: TrackingConfig
) -> Located:
    """Follow the tracks of `base` into a frame whose pose is about `predicted` (4, 4)."""
    tracks = base.tracks
    reference = world.keyframes[base.reference]
    placed = world.placed(tracks.ids)
    points = np.where(placed[:, None], world.positions[tracks.ids], 0)
    before = seen_from(base.pose, points)
    middle = float(np.median(before[placed, 2])) if placed.any() else 1.0
    ray = rays(tracks.pixels, look.K) * middle
    before = np.where(placed[:, None], before, ray)
    motion = predicted @ np.linalg.inv(base.pose)
    after = seen_from(motion, before)
    weightless = np.zeros(len(before))
    shift = (measured(after, look.K, weightless) - measured(before, look.K, weightless))[:, :2]
    ahead = (after[:, 2] > 0.1 * middle) & (before[:, 2] > 0)
    shift = np.where(ahead[:, None], shift, 0)
    anchor_z = seen_from(reference.world_to_camera, points)[:, 2]
    sure = placed & ahead & (anchor_z > 0)
    zoom = np.where(sure, anchor_z / np.where(ahead, after[:, 2], 1), 1.0)
    # The keyframe as it would look from here, but for parallax: patches of another size or turn are followed badly.
    drawn = after[sure]
    affine = affine_between(tracks.anchors[sure], measured(drawn, look.K, np.zeros(len(drawn)))[:, :2])
    size = float(np.sqrt(abs(np.linalg.det(affine[:, :2]))))
    if not CLOSEST < size < 1 / CLOSEST:
        affine, size = np.eye(2, 3), 1.0
    patches = carried_over(reference.look, affine)
    anchors = tracks.anchors @ affine[:, :2].T + affine[:, 2]
    before_look, start = base.look, tracks.pixels
    if before_look is reference.look:
        before_look, start = patches, anchors
    moved, good = follow(before_look, look, start, tracks.pixels + shift, config)
    tracks = replace(tracks, pixels=moved).only(good)
    settled, alike = settle(patches, look, anchors[good], tracks.pixels, config, zoom[good] / size)
    tracks = replace(tracks, pixels=settled).only(alike)
    return judged(look, depths, tracks, predicted, world, base.reference, config)


def judged(
    look: Look,
    depths: Depths,
    tracks: Tracks,
    start: Array,
    world: SparseMap,
    reference: int,
    config: TrackingConfig,
) -> Located:
    """The pose near `start` (4, 4) that the tracks agree on, if enough of them do."""
    seen = Observations(tracks.ids, tracks.pixels, *depths.always(tracks.pixels))
    placed = world.placed(seen.ids)
    sightings = world.sightings(seen.only(placed))
    inliers, residual = np.zeros(len(placed), bool), np.full(len(placed), np.inf)
    found, reason = resected(look, sightings, start, config)
    if found is None:
        return Located(None, reason, tracks, seen, inliers, residual, reference=reference)
    inliers[placed], residual[placed] = found.inliers, found.residual
    pose = found.world_to_camera if not reason else None
    return Located(
        pose, reason, tracks, seen, inliers, residual, found.scale, found.covariance, found.world_to_camera, reference
    )


def resected(look: Look, sightings: Sightings, start: Array, config: TrackingConfig) -> tuple[Resection | None, str]:
    """The pose near `start`, else the one that most points agree with, and why it is not to be believed."""
    found = resect(sightings, look.K, start, config.noise, config.gate)
    reason = doubt(look, sightings, found, config)
    if reason and len(sightings.points) >= config.fewest:
        other = consensus(sightings, look.K)
        again = None if other is None else resect(sightings, look.K, other, config.noise, config.gate)
        if again is not None and not (doubted := doubt(look, sightings, again, config)):
            return again, doubted
    return found, reason


def doubt(look: Look, sightings: Sightings, found: Resection | None, config: TrackingConfig) -> str:
    """Why a pose is not to be believed, or an empty string."""
    total = len(sightings.points)
    if found is None or total < config.fewest:
        return "few points"
    agree = int(found.inliers.sum())
    # A few points that all agree say as much as many of which some do.
    clear = agree >= config.clear_share * total
    if agree < (config.fewest if clear else config.inliers):
        return "few points" if total < config.inliers else "few inliers"
    if agree < config.inlier_share * total:
        return "points disagree"
    if coverage(look, sightings.pixels[found.inliers]) < config.coverage / (2 if clear else 1):
        return "points in one corner only"
    depth = seen_from(found.world_to_camera, sightings.points[found.inliers])[:, 2]
    spread = np.sqrt(max(0.0, float(np.linalg.eigvalsh(found.covariance[:3, :3])[-1])))
    if spread > config.deviation * float(np.median(depth)):
        return "pose uncertain"
    return ""


def coverage(look: Look, pixels: Array) -> float:
    """Share of the cells with usable tissue that hold one of `pixels` (n, 2)."""
    return float(len(np.unique(cell_of(look, pixels)))) / max(1, look.cells)


def cell_of(look: Look, pixels: Array) -> NDArray[np.intp]:
    """(n,) number of the cell of the picture that each pixel lies in."""
    place = np.clip((pixels * CELLS / [look.width, look.height]).astype(np.intp), 0, CELLS - 1)
    return np.asarray(place[:, 1] * CELLS + place[:, 0], np.intp)
