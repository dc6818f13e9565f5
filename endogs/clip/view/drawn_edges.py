"""Straight edges along rows and columns that stand in the same place in every frame: borders of windows on a screen.

Across such an edge two pictures meet, or a line is drawn, so that neighbouring pixels differ there more than beside it,
all along it. The edge of an instrument or a fold is neither that straight nor that much along a row of pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]

STEP = 4.0
"""Least difference across an edge, mean over the frames, on 0..255: blocks of strong compression differ by less."""
ABOVE = 1.4
"""Times the difference beside the edge."""
BESIDE = (4, 10)
"""Pixels from the edge within which it is beside it: blocks of 8 pixels repeat there."""
ALONG = 0.02
"""Of the longer side: differences are averaged so far along an edge."""
SHORTEST = 0.08
"""Of the side: a shorter edge is no border of a window."""


@dataclass(frozen=True)
class DrawnEdges:
    """Where pixels belong to a drawn edge."""

    upright: Mask
    """(H, W) True beside a vertical edge."""
    level: Mask
    """(H, W) True beside a horizontal edge."""

    def columns(self) -> list[int]:
        """Places of vertical edges with the longest first, some columns apart."""
        return _places(self.upright, 0)

    def rows(self) -> list[int]:
        """Places of horizontal edges with the longest first, some rows apart."""
        return _places(self.level, 1)


def find_drawn_edges(greys: Sequence[NDArray[np.uint8]]) -> DrawnEdges:
    """The drawn edges of uint8 grey frames (H, W)."""
    import cv2

    across = np.zeros(greys[0].shape, np.float32)
    down = np.zeros(greys[0].shape, np.float32)
    for grey in greys:
        across[:, 1:-1] += cv2.absdiff(grey[:, 2:], grey[:, :-2])
        down[1:-1] += cv2.absdiff(grey[2:], grey[:-2])
    upright = _stands_out(across / np.float32(len(greys)))
    level = _stands_out(np.ascontiguousarray(down.T) / np.float32(len(greys))).T
    return DrawnEdges(upright, np.ascontiguousarray(level))


def _stands_out(difference: NDArray[np.floating]) -> Mask:
    """Where the differences (H, W) across columns are larger than beside, averaged along the column."""
    import cv2

    height, width = difference.shape
    along = max(5, round(ALONG * max(height, width))) | 1
    smooth = cv2.blur(difference, (1, along))
    near, far = BESIDE
    size = far - near + 1
    largest = cv2.dilate(smooth, np.ones((1, size), np.uint8), anchor=(0, 0))
    beside = np.zeros_like(smooth)
    # The window of `largest` begins at its pixel.
    beside[:, : width - near] = largest[:, near:]
    beside[:, far:] = np.maximum(beside[:, far:], largest[:, : width - far])
    stands = (smooth > STEP) & (smooth > ABOVE * beside)
    stands[:, :near] = stands[:, width - near :] = False
    # A border need not hit the same pixel in both neighbours.
    return cv2.dilate(stands.view(np.uint8), np.ones((1, 3), np.uint8)).view(bool)


def _places(edges: Mask, axis: int, most: int = 14) -> list[int]:
    """Columns (axis 0) or rows (axis 1) where edges (H, W) run on for long."""
    import cv2

    lines = edges if axis == 0 else edges.T
    side = lines.shape[0]
    length = max(20, round(SHORTEST * side))
    gap = max(3, length // 5)
    closed = cv2.morphologyEx(np.ascontiguousarray(lines).view(np.uint8), cv2.MORPH_CLOSE, np.ones((gap, 1), np.uint8))
    total = cv2.morphologyEx(closed, cv2.MORPH_OPEN, np.ones((length, 1), np.uint8)).sum(0, dtype=np.int64)
    found: list[int] = []
    while len(found) < most and total.max() > 0:
        best = int(total.argmax())
        best += int(total[best : best + 3].sum() == 3 * total[best])  # the middle of three
        found.append(best)
        total[max(0, best - 4) : best + 5] = 0
    return found
