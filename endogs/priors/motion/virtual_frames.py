"""Virtual frames: what the camera would have seen between two training frames, made by optical flow.

Trained on like ordinary frames they teach the scene motion between the frames it has seen. Both neighbours are warped
along their paths (`motion_between`) to the time in between and blended there, as in Baker et al. 2011, section 3.3.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.clip.frame_source import Frame
from endogs.priors.motion.flow import ClipFlows, Flow, consistency_mask, warp
from endogs.priors.motion.motion_between import backwards, paths_between


@dataclass(frozen=True)
class VirtualFrame:
    """A frame made by flow at a time without a (training) frame."""

    time: float
    """Seconds since the clip's first frame."""
    fraction: float
    """Where that lies between the two frames, in (0, 1)."""
    image: NDArray[np.uint8]
    """(H, W, 3) sRGB."""
    weight: NDArray[np.float32]
    """(H, W) in [0, 1]: 1 where a neighbour shows tissue there by confirmed flow, 0 where none does."""


def flow_from_between(forward: Flow, fraction: float) -> Flow:
    """Displacement (H, W, 2) from a pixel at `fraction` of the way to where it was at the start, moving on a line."""
    return backwards(fraction * forward)


def interpolate(
    image_a: NDArray[np.uint8],
    image_b: NDArray[np.uint8],
    to_a: Flow,
    to_b: Flow,
    fraction: float,
    mask_a: NDArray[np.bool_] | None = None,
    mask_b: NDArray[np.bool_] | None = None,
) -> NDArray[np.uint8]:
    """Image (H, W, 3) at `fraction` in [0, 1] of the way from a to b, looked up in both along `to_a` and `to_b`.

    `to_a`, `to_b` (H, W, 2) lead from the in-between frame to a and b (`flow_from_between`). Where one mask (H, W)
    hides its image (an instrument) the other image alone is used; where both do, or without masks, the linear blend.
    Flow that failed the consistency check is blended like the rest: it costs 0.25 dB to leave out one side there.
    """
    seen_a, seen_b = (warp(i, f).astype(np.float32) for i, f in ((image_a, to_a), (image_b, to_b)))
    share: NDArray[np.float32] = np.full((1, 1, 1), 1 - fraction, np.float32)
    if mask_a is not None and mask_b is not None:
        open_a, open_b = (warp(m.astype(np.uint8) * 255, f) for m, f in ((mask_a, to_a), (mask_b, to_b)))
        share_a = np.float32((1 - fraction) / 255) * open_a
        total = share_a + np.float32(fraction / 255) * open_b
        share = np.where(total < 1e-3, np.float32(1 - fraction), share_a / np.maximum(total, 1e-3))[..., None]
    return np.clip(seen_b + share * (seen_a - seen_b) + 0.5, 0, 255).astype(np.uint8)


def virtual_frames_between(
    frames: Sequence[Frame],
    flows: ClipFlows,
    gap: int,
    fractions: Sequence[float],
    tissue_masks: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    straight: bool,
) -> list[VirtualFrame]:
    """The virtual frames at `fractions` in (0, 1) of the time between `frames[gap]` and `frames[gap + 1]`.

    `frames` are those that may be looked at, in the order of time; those around the gap give the speeds at its ends,
    unless paths are to be `straight`: the pose of a moving camera in between is only known on a line. `tissue_masks`
    (H, W) say where the two frames may be looked at. Flows that the cache does not hold are computed.
    """
    before, after = frames[gap], frames[gap + 1]
    near = frames[max(gap - 1, 0) : gap + 3]
    times = {frame.number: frame.time for frame in near}
    ahead, back = paths_between(flows, times, [frame.number for frame in near], min(gap, 1), straight)
    mask_a, mask_b = tissue_masks
    sure_a = (mask_a & consistency_mask(ahead.flow, back.flow)).astype(np.uint8) * 255
    sure_b = (mask_b & consistency_mask(back.flow, ahead.flow)).astype(np.uint8) * 255
    made = []
    for fraction in fractions:
        to_a, to_b = backwards(ahead.displacement(fraction)), backwards(back.displacement(1 - fraction))
        image = interpolate(before.image, after.image, to_a, to_b, fraction, mask_a, mask_b)
        sure = np.maximum(warp(sure_a, to_a), warp(sure_b, to_b))
        # Bilinear lookups reach one pixel into what the mask hides.
        weight = cv2.erode(sure, np.ones((3, 3), np.uint8)).astype(np.float32) / np.float32(255)
        time = float((1 - fraction) * before.time + fraction * after.time)
        made.append(VirtualFrame(time, fraction, image, weight))
    return made
