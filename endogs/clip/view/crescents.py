"""Black beside a round view that moves a little within the picture, as it does when a scope is held by hand."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
WIDEST = 0.025
"""Of the width: how far a view moves; dark tissue and shafts reach farther in."""
CONTRAST = 30
"""By how much the view inside is brighter: tissue fades into the dark less sharply."""
LEAST = 0.002
"""Part of the picture that it has at least."""


def crescents(black: Mask, levels: Sequence[NDArray[np.uint8]], dark: int) -> Mask:
    """Pixels (H, W) that some frame shows as a narrow continuation of the `black` (H, W) around all frames' views.

    `levels` (H, W) are each frame's brightest channel, below `dark` where it is black.
    """
    found = np.zeros(black.shape, bool)
    away = cv2.distanceTransform((~black).view(np.uint8), cv2.DIST_L2, 3)
    edge = np.ones((9, 9), np.uint8)
    for level in levels:
        unlit = (level < dark) & ~black
        count, labels, stats, _ = cv2.connectedComponentsWithStats(unlit.view(np.uint8), connectivity=4)
        for label in range(1, count):
            if stats[label, cv2.CC_STAT_AREA] < LEAST * black.size:
                continue
            patch = labels == label
            if not 0 < away[patch].min() < 2 or away[patch].max() > WIDEST * black.shape[1]:
                continue
            inside = cv2.dilate(patch.view(np.uint8), edge).view(bool) & ~unlit & ~black
            if inside.any() and np.median(level[inside]) - np.median(level[patch]) > CONTRAST:
                found |= patch
    return found
