"""Pieces of a clip that hang together: each has a map of its own, until a frame is recognized that belongs to two."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from endogs.tracking.config import TrackingConfig
from endogs.tracking.landmarks import SparseMap, carried
from endogs.tracking.locating import Following, Located, Tracks, recognized
from endogs.tracking.luma import Look
from endogs.tracking.measured_depth import Depths
from endogs.tracking.projection import seen_from
from endogs.tracking.refinement import FrameRecord
from endogs.tracking.relocalization import Recognizer
from endogs.tracking.rigid_motion import centre
from endogs.tracking.start_window import StartWindow

Array = NDArray[np.float64]
NEAR = 10.0
"""Pixels within which a point of one map tells how deep a point of another is."""
SHARED = 12
"""Points of both maps that must tell it."""


@dataclass
class Piece:
    """One sub-map and what is followed on it."""

    number: int
    world: SparseMap
    window: StartWindow
    recognizer: Recognizer = field(default_factory=Recognizer)
    following: Following | None = None
    lost: int = 0
    """Frames since the last that had a pose."""
    since_keyframe: int = 0
    waited: int = 0
    """Frames without a map."""


def new_piece(number: int, prior: float, config: TrackingConfig) -> Piece:
    """A piece without a map; `prior` is the logarithm of the odds that a point deforms."""
    world = SparseMap(prior)
    return Piece(number, world, StartWindow(world, config))


def reunited(
    older: Piece, newer: Piece, look: Look, depths: Depths, metric: bool, config: TrackingConfig
) -> tuple[float, Array, Array] | None:
    """The similarity x -> s R x + t that carries a newer map into an older one that recognizes its last frame.

    Poses say turn and place; how much larger one map is than the other is told by points of both that lie near each
    other in the picture, unless both are in the same units.
    """
    following = newer.following
    if following is None:
        return None
    located = recognized(look, depths, older.world, older.recognizer, config)
    if located is None or located.pose is None:
        return None
    scale = 1.0 if metric else _scale_between(older.world, located, newer.world, following)
    if scale is None:
        return None
    rotation = located.pose[:3, :3].T @ following.pose[:3, :3]
    return scale, rotation, centre(located.pose) - scale * rotation @ centre(following.pose)


def merge(older: Piece, newer: Piece, scale: float, rotation: Array, shift: Array) -> None:
    """Carry a newer map into an older one, which takes over its points, keyframes and what is followed."""
    assert newer.following is not None
    newer.world.moved(scale, rotation, shift)
    points, keyframes = len(older.world), len(older.world.keyframes)
    ids = older.world.add(len(newer.world))
    older.world.positions[ids], older.world.log_odds[ids] = newer.world.positions, newer.world.log_odds
    patch_of = newer.world.patch_of
    older.world.patch_of[ids] = np.where(patch_of < 0, -1, patch_of + keyframes)
    older.world.patch_at[ids] = newer.world.patch_at
    for keyframe in newer.world.keyframes:
        keyframe.seen = replace(keyframe.seen, ids=keyframe.seen.ids + points)
        older.world.keyframes.append(keyframe)
    following = newer.following
    motion = following.motion.copy()
    motion[:3, 3] *= scale
    older.following = Following(
        following.look,
        Tracks(following.tracks.ids + points, following.tracks.pixels, following.tracks.anchors),
        following.reference + keyframes,
        carried(following.pose, scale, rotation, shift),
        motion,
        following.seconds,
    )
    older.lost, older.since_keyframe = newer.lost, newer.since_keyframe


def moved_record(record: FrameRecord, older: Piece, scale: float, points: int, keyframes: int) -> FrameRecord:
    """A frame's record after its map joined an older one that had so many points and keyframes."""
    hung = record.from_reference
    if hung is not None:
        hung = hung.copy()
        hung[:3, 3] *= scale
    seen = record.seen
    seen = replace(
        seen,
        ids=seen.ids + points,
        inverse_depth=seen.inverse_depth / scale,
        inverse_weight=seen.inverse_weight * scale,
    )
    return replace(
        record,
        piece=older.number,
        seen=seen,
        reference=record.reference + keyframes if record.reference >= 0 else -1,
        from_reference=hung,
        keyframe=record.keyframe + keyframes if record.keyframe >= 0 else -1,
    )


def _scale_between(old: SparseMap, located: Located, new: SparseMap, following: Following) -> float | None:
    """How many units of the old map are one of the new, from the depths of points that are near in the picture."""
    assert located.pose is not None
    agree = located.inliers
    placed = new.placed(following.tracks.ids)
    if agree.sum() < SHARED or placed.sum() < SHARED:
        return None
    distance, near = cKDTree(following.tracks.pixels[placed]).query(located.seen.pixels[agree])
    there = seen_from(located.pose, old.positions[located.seen.ids[agree]])[:, 2]
    here = seen_from(following.pose, new.positions[following.tracks.ids[placed]])[:, 2][near]
    good = (distance < NEAR) & (there > 0) & (here > 0)
    return float(np.median(there[good] / here[good])) if good.sum() >= SHARED else None
