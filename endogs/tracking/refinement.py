"""Once all frames are there: all keyframes adjusted together, and every frame's pose found anew on the adjusted map."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from endogs.tracking.bundle import adjust
from endogs.tracking.config import TrackingConfig
from endogs.tracking.landmarks import Observations, SparseMap
from endogs.tracking.locating import resected
from endogs.tracking.luma import Look
from endogs.tracking.resection import Resection

Array = NDArray[np.float64]
ROUNDS = 2
"""Of the adjustment; between rounds what disagrees is forgotten."""


@dataclass(frozen=True)
class FrameRecord:
    """What is kept of a frame until the end."""

    piece: int
    """The sub-map that it belongs to."""
    look: Look
    """Without its picture."""
    maps: bool
    """Whether it is not held out."""
    seen: Observations
    reference: int
    """The keyframe that its pose hangs on; -1 before the start."""
    from_reference: Array | None
    """(4, 4) from that keyframe's camera to the frame's, None where there was no pose."""
    keyframe: int
    """The keyframe that it became, or -1."""
    rejected: Array | None = None
    """(m, 2) pixels of the looking view where points were that did not agree, and are not among those seen."""


def record_of(
    piece: int,
    look: Look,
    maps: bool,
    seen: Observations,
    world: SparseMap,
    pose: Array,
    reference: int,
    keyframe: int = -1,
) -> FrameRecord:
    """The record of a frame with a pose (4, 4), which hangs on the keyframe `reference`."""
    hung = pose @ np.linalg.inv(world.keyframes[reference].world_to_camera)
    return FrameRecord(piece, look.without_picture(), maps, seen, reference, hung, keyframe)


def adjust_all(world: SparseMap, config: TrackingConfig) -> None:
    """Bundle adjustment of all keyframes but the first, which holds the world in place."""
    for _ in range(ROUNDS):
        found = world.bundle(range(1, len(world.keyframes)), [0])
        if found is None:
            return
        bundle, ids, numbers = found
        adjusted = adjust(bundle, config.final_adjustment)
        world.take(bundle, adjusted, ids, numbers, max(config.gate, 5 * adjusted.scale))


def pose_again(
    record: FrameRecord, world: SparseMap, near: Array | None, config: TrackingConfig
) -> tuple[Array | None, Resection | None]:
    """The pose (4, 4) of a frame on the adjusted map, and what speaks for it.

    A frame that had a pose keeps the one beside its keyframe where the adjusted map gives none; one that had none takes
    the pose `near` (4, 4) as a start, and gets one only if as much speaks for it as for any other.
    """
    start = near
    if record.from_reference is not None:
        start = record.from_reference @ world.keyframes[record.reference].world_to_camera
    if start is None:
        return None, None
    placed = world.placed(record.seen.ids)
    found, reason = resected(record.look, world.sightings(record.seen.only(placed)), start, config)
    if found is not None and not reason:
        return found.world_to_camera, found
    return (start if record.from_reference is not None else None), None
