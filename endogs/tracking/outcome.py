"""What is handed out at the end: a pose for each frame on the adjusted maps, the map's points, and notes."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from endogs.tracking.config import TrackingConfig
from endogs.tracking.landmarks import SparseMap
from endogs.tracking.projection import measured, seen_from
from endogs.tracking.refinement import FrameRecord, pose_again
from endogs.tracking.rigidity import rigid_weight
from endogs.tracking.trajectory import Landmarks, State, TrackedFrame

Array = NDArray[np.float64]
APART = "camera: the clip falls into"
"""How the sentence about maps that stay apart begins."""


def final_frames(
    causal: Sequence[TrackedFrame],
    records: Sequence[FrameRecord | None],
    worlds: dict[int, SparseMap],
    config: TrackingConfig,
) -> list[TrackedFrame]:
    """The frames of `causal` with their poses on the adjusted maps `worlds`, by the numbers of their pieces."""
    found = list(causal)
    # Backwards, so that a frame from before the start begins from the pose of the one after it that is not held out.
    near: dict[int, Array] = {}
    for k in reversed(range(len(found))):
        one, record = found[k], records[k]
        if record is None or record.piece not in worlds:
            found[k] = replace(one, world_to_camera=None, state=State.LOST, reason=one.reason or "map given up")
            continue
        world = worlds[record.piece]
        again = None
        if record.keyframe >= 0:
            pose: Array | None = world.keyframes[record.keyframe].world_to_camera
        else:
            pose, again = pose_again(record, world, near.get(record.piece), config)
        if pose is None:
            continue
        if record.maps:
            near[record.piece] = pose
        state = State.TRACKED if one.world_to_camera is not None else State.INITIAL
        found[k] = replace(one, world_to_camera=pose, state=state, reason="", sub_map=record.piece)
        if again is not None:
            residual = float(np.median(again.residual[again.inliers]) / record.look.scale.mean())
            inliers = int(again.inliers.sum())
            found[k] = replace(found[k], inliers=inliers, residual_px=residual, covariance=again.covariance)
        pixels, agree = _followed(record, world, pose, config)
        found[k] = replace(found[k], pixels=pixels, agree=agree)
    return found


def _followed(
    record: FrameRecord, world: SparseMap, pose: Array, config: TrackingConfig
) -> tuple[Array, NDArray[np.bool_]]:
    """Where a frame's points of the map are (n, 2), in pixels of the clip's frame, and which agree with its pose."""
    seen = record.seen.only(world.placed(record.seen.ids))
    inside = seen_from(pose, world.positions[seen.ids])
    drawn = measured(inside, record.look.K, np.zeros(len(inside)))[:, :2]
    agree = (np.linalg.norm(drawn - seen.pixels, axis=1) < config.gate) & (inside[:, 2] > 0)
    rejected = np.zeros((0, 2)) if record.rejected is None else record.rejected
    pixels = np.concatenate([seen.pixels, rejected]) / record.look.scale
    return pixels, np.concatenate([agree, np.zeros(len(rejected), bool)])


def notes_about(held: dict[int, int]) -> list[str]:
    """Sentences about maps that stay apart; `held` is how many frames each piece has."""
    counts = [str(count) for count in held.values() if count]
    if len(counts) < 2:
        return []
    return [
        f"{APART} {len(counts)} maps with {', '.join(counts)} frames, and where they are from each other is not known."
    ]


def landmarks_of(world: SparseMap) -> Landmarks | None:
    """The points of a map and the keyframes that saw them, None where there are no keyframes."""
    if not world.keyframes:
        return None
    good = np.isfinite(world.positions[:, 0])
    row = np.cumsum(good) - 1
    frames, points, pixels = [], [], []
    for keyframe in world.keyframes:
        chosen = good[keyframe.seen.ids]
        frames.append(np.full(int(chosen.sum()), keyframe.look.frame))
        points.append(row[keyframe.seen.ids[chosen]])
        pixels.append(keyframe.seen.pixels[chosen] / keyframe.look.scale)
    return Landmarks(
        world.positions[good].copy(),
        rigid_weight(world.log_odds[good]),
        np.concatenate(frames),
        np.concatenate(points),
        np.concatenate(pixels),
    )
