"""Relative depth blended along the optical flow, so that it does not flicker from frame to frame."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.priors.motion.flow import Flow, consistency_mask, warp

KEPT = 0.6
"""Share of the past in the blend, where the flow is confirmed."""
SAME_BRIGHTNESS = 25
"""8-bit grey values by which a pixel may change along its flow and still be the same tissue."""

Values = NDArray[np.float32]


def smooth_along_flow(
    values: Sequence[Values],
    confidences: Sequence[Values],
    greys: Sequence[NDArray[np.uint8]],
    flow: Callable[[int, int], Flow],
) -> list[Values]:
    """Log depths (H, W) of consecutive frames, blended along the flow in both directions of time, NaN where they were.

    `flow(a, b)` (H, W, 2) leads from entry a to entry b of the lists, b = a + 1 or a - 1; `greys` are the frames,
    uint8 (H, W). A recursive filter runs forwards, another backwards, and their mean has no lag. Only pixels whose flow
    comes back, to a pixel of about the same brightness, and that are confident on both sides are blended. The median
    difference between two frames is the camera's changed exposure, or the whole scene's motion, and stays.
    """
    count = len(values)
    passes = []
    for order in (range(count), range(count - 1, -1, -1)):
        filtered: list[Values] = [np.empty(0, np.float32)] * count
        before = None
        for here in order:
            value = values[here]
            if before is not None:
                back, forth = flow(here, before), flow(before, here)
                same = consistency_mask(back, forth)
                moved = warp(np.dstack([filtered[before], confidences[before], greys[before].astype(np.float32)]), back)
                past, trust, brightness = cv2.split(moved)
                same &= np.abs(brightness - greys[here]) < SAME_BRIGHTNESS
                same &= (trust > 0) & (confidences[here] > 0) & np.isfinite(past) & np.isfinite(value)
                if np.count_nonzero(same) > 0.01 * same.size:
                    change = value - past
                    change -= np.median(change[same][::7])
                    # A soft edge, or the border of what is blended would show in the depth.
                    share = cv2.GaussianBlur(cv2.erode(same.astype(np.float32), np.ones((5, 5), np.uint8)), (0, 0), 2)
                    value = np.where(np.isfinite(change), value - KEPT * share * change, value).astype(np.float32)
            filtered[here] = value
            before = here
        passes.append(filtered)
    return [(a + b) / 2 for a, b in zip(*passes, strict=True)]
