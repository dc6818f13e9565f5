"""Once all keyframes are adjusted: each is aligned with its neighbours by brightness, and their poses follow.

Corners slide a little along with light and highlights, the same way for many frames, which no adjustment sees.
All pixels around them together slide less.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from endogs.geometry import invert_rigid
from endogs.tracking.align import AlignConfig, Drawn, align
from endogs.tracking.bundle import adjust
from endogs.tracking.config import TrackingConfig
from endogs.tracking.landmarks import SparseMap
from endogs.tracking.near_points import brightness, drawn_near_points
from endogs.tracking.pose_graph import Measured, agreed
from endogs.tracking.rigid_motion import between
from endogs.tracking.trajectory import TrackedFrame

Array = NDArray[np.float64]
ALIGNMENT = AlignConfig(shrink=(2, 1), rounds=(8, 5), tukey=4.685, belief=0.5, most=8000)
"""Adjusted poses are good to half a pixel; highlights are no part of what is drawn."""
ITERATIONS = 8
"""Of the points' adjustment, at most."""


def aligned_frames(
    frames: Sequence[TrackedFrame], worlds: Mapping[int, SparseMap], config: TrackingConfig
) -> list[TrackedFrame]:
    """Frames after the keyframes of the maps `worlds`, by their numbers, are aligned; the maps change too.

    Between two keyframes they are carried along, in proportion to time.
    """
    found = list(frames)
    for number, world in worlds.items():
        times = np.array([keyframe.look.time for keyframe in world.keyframes])
        carried = align_keyframes(world, config)
        order = np.argsort(times, kind="stable")
        times, carried = times[order], carried[order]
        for k, one in enumerate(found):
            if one.sub_map == number and one.world_to_camera is not None:
                found[k] = replace(one, world_to_camera=_between(times, carried, one.time) @ one.world_to_camera)
    return found


def _between(times: Array, motions: Array, time: float) -> Array:
    """The motion (4, 4) at a time, from those (n, 4, 4) at rising `times` (n,)."""
    later = int(np.clip(np.searchsorted(times, time), 0, len(times) - 1))
    before = max(0, later - 1)
    gap = float(times[later] - times[before])
    share = float(np.clip((time - times[before]) / gap, 0, 1)) if gap > 0 else 1.0
    return between(motions[before], motions[later], share) @ motions[before]


def align_keyframes(world: SparseMap, config: TrackingConfig) -> Array:
    """Move the keyframes to where their pictures fit those of `config.aligned` neighbours on either side best, then the
    points to where these keyframes see them.

    Returns (n, 4, 4) the motions by which the keyframes' poses changed, applied from the left.
    """
    count = len(world.keyframes)
    if count < 2 or config.aligned < 1:
        return np.tile(np.eye(4), (count, 1, 1))
    poses = np.stack([keyframe.world_to_camera for keyframe in world.keyframes])
    motions = []
    for first, keyframe in enumerate(world.keyframes):
        drawn = drawn_near_points(keyframe, world)
        deviation = _pixel(drawn, keyframe.look.K)
        for second in range(max(0, first - config.aligned), min(count, first + config.aligned + 1)):
            if second != first:
                start = poses[second] @ invert_rigid(poses[first])
                motion = start if drawn is None else _aligned(drawn, world, second, start)
                motions.append(Measured(first, second, motion, deviation))
    moved = agreed(poses, motions)
    for keyframe, pose in zip(world.keyframes, moved, strict=True):
        keyframe.world_to_camera = pose
    found = world.bundle(range(1, count), [0])
    if found is not None:
        bundle, ids, numbers = found
        adjusted = adjust(replace(bundle, held=np.ones_like(bundle.held)), ITERATIONS)
        world.take(bundle, adjusted, ids, numbers, max(config.gate, 5 * adjusted.scale))
    return moved @ invert_rigid(poses)


def _aligned(drawn: Drawn, world: SparseMap, second: int, start: Array) -> Array:
    """The motion (4, 4) from what is drawn to another keyframe, near `start`, and `start` where none fits better."""
    other = world.keyframes[second]
    found = align(drawn, brightness(other), other.look.usable > 0, other.look.K, start, ALIGNMENT)
    return start if found is None or found.error >= found.error_before else found.motion


def _pixel(drawn: Drawn | None, K: Array) -> Array:
    """(6,) the translation and rotation that move what is drawn by a pixel: all motions are taken to be as good."""
    depth = 1.0 if drawn is None else float(np.median(drawn.depth[drawn.alpha > 0]))
    return np.repeat([depth / K[0, 0], 1 / K[0, 0]], 3)
