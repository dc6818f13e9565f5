"""Things drawn over the view that stand still while it moves: captions, logos, small windows.

They are only spoken of, never excluded: a spot of light that travels with the endoscope may stand still as well. Where
the picture as a whole stands still nothing can be told.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from endogs.clip.view.panels import Box, Mask, box_of

MOVES = 5.0
"""Standard deviation over the frames, on 0..255, of the median pixel from which on a picture moves."""
CONSTANT = 0.4
"""Of that deviation; what changes by less stands still, compression apart."""
MOST_CONSTANT = 4.0
"""The same on 0..255."""
STEP = 16.0
"""Difference across two pixels, mean over the frames: a drawn edge has more."""
STAYS = 0.9
"""Of that difference without its sign: what moves changes sign or place."""
REACH = 0.03
"""Of the longer side: letters and the sides of a small window are no farther apart."""
LARGEST = 0.012
"""Of the frame; more may be an instrument that is held still, and larger windows are told by their borders."""
LARGEST_PATCH = 0.08
"""The same of a compact thing that stands still all over, such as a logo."""
FILLED = 0.6
"""Of its box that stands still."""
LONGEST = 2.6
"""Times as long as wide: longer things may be shafts of instruments."""
DENSE = 0.2
"""Of a box: so many pixels beside edges are letters, whatever its size."""
EDGES = 40
"""Pixels beside edges; fewer are spots."""
SHORTEST = 10
"""Pixels of the longer side; less is a spot."""
AROUND = 0.6
"""Of the median deviation: half of what is around and not of one piece with it moves more than that."""
FRAMES = 4
"""Frames that are needed to say that something never moves."""
RIM = 21
"""Pixels around what is excluded, where its blur stands still."""
MOST = 4
"""Things that are spoken of."""


def find_overlays(greys: Sequence[NDArray[np.uint8]], before: Mask) -> list[Box]:
    """Boxes of what stands still in moving grey frames (H, W), beyond what is excluded `before` (H, W)."""
    import cv2

    if len(greys) < FRAMES or before.all():
        return []
    planes = [grey.astype(np.float32) for grey in greys]
    mean = np.mean(planes, axis=0, dtype=np.float32)
    deviation = np.sqrt(np.mean([np.square(plane - mean) for plane in planes], axis=0, dtype=np.float32))
    moves = float(np.median(deviation[~before]))
    if moves < MOVES:
        return []
    there, stays = np.zeros_like(mean), np.zeros_like(mean)
    for kernel in (np.array([[-1, 0, 1]], np.float32), np.array([[-1], [0], [1]], np.float32)):
        there += np.square(np.mean([np.abs(cv2.filter2D(plane, -1, kernel)) for plane in planes], axis=0))
        stays += np.square(cv2.filter2D(np.asarray(mean), -1, kernel))
    constant = (deviation < min(MOST_CONSTANT, CONSTANT * moves)).view(np.uint8)
    edges = (there > STEP**2) & (stays > STAYS**2 * there) & cv2.dilate(constant, np.ones((3, 3), np.uint8)).view(bool)
    edges &= ~cv2.dilate(before.view(np.uint8), np.ones((RIM, RIM), np.uint8)).view(bool)
    reach = max(3, round(REACH * max(mean.shape))) | 1
    joined = cv2.morphologyEx(edges.view(np.uint8), cv2.MORPH_CLOSE, np.ones((reach, reach), np.uint8))
    _, labels = cv2.connectedComponents(joined, connectivity=8)
    number = np.bincount(labels[edges], minlength=int(labels.max()) + 1)
    found: list[tuple[int, Box]] = []
    for label in np.flatnonzero(number >= EDGES):
        x0, y0, x1, y1 = box_of((labels == label) & edges)
        area = (x1 - x0) * (y1 - y0)
        if not label or max(x1 - x0, y1 - y0) < SHORTEST:
            continue
        is_patch = (
            max(x1 - x0, y1 - y0) <= LONGEST * min(x1 - x0, y1 - y0)
            and area <= LARGEST_PATCH * mean.size
            and constant[y0:y1, x0:x1].mean() > FILLED
        )
        if area > LARGEST * mean.size and number[label] < DENSE * area and not is_patch:
            continue
        # Around a thing that is drawn the view moves as everywhere; around one that stands still in it little does.
        ring = np.zeros_like(before)
        ring[max(0, y0 - reach) : y1 + reach, max(0, x0 - reach) : x1 + reach] = True
        ring[max(0, y0 - 3) : y1 + 3, max(0, x0 - 3) : x1 + 3] = False
        around = deviation[ring & ~before & (constant == 0)]
        if around.size and np.median(around) > AROUND * moves:
            found.append((int(number[label]), (x0, y0, x1, y1)))
    return [box for _, box in sorted(found, reverse=True)[:MOST]]
