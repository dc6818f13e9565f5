"""Glare: light of an overexposed wall that spills over the edge of a round view into the black around it.

In a frame or two it is brighter than black, so that the brightest of each pixel's values takes it for a part of the
view, where all other frames show nothing.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]

SPILLED = 0.4
"""Glare never reaches this part of what is brightest nearby in the same frame: it comes from there, and fades."""
NEARBY = 0.03
"""Of the longer side: how near that is."""
THICKNESS = 5
"""Pixels; what is thinner is the blur of the edge."""


def glare_beside(black: Mask, brightness: Sequence[NDArray[np.uint8]], darkest: int) -> Mask:
    """Pixels (H, W) of glare that go on from the `black` (H, W) around a view; False everywhere without.

    `brightness` holds the frames' largest channels (H, W), and at `darkest` or more a pixel is not black. Glare is
    black in the median, dim beside its source in every frame, and outside the convex hull of the rest of the view: dark
    folds and lumens that reach the view's edge cut into it.
    """
    import cv2

    none = np.zeros_like(black)
    if not black.any() or black.all():
        return none
    reach = max(3, round(NEARBY * max(black.shape)))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    dim = ~black & (np.median(brightness, axis=0) < darkest)
    for level in brightness:
        if not dim.any():
            return none
        dim &= level < np.maximum(SPILLED * cv2.dilate(level, disc).astype(np.float32), darkest)
    core = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (THICKNESS, THICKNESS))
    rest = cv2.morphologyEx((~black & ~dim).view(np.uint8), cv2.MORPH_OPEN, core)
    points = cv2.findNonZero(rest)
    if points is None:
        return none
    hull = cv2.fillConvexPoly(np.zeros(black.shape, np.uint8), cv2.convexHull(points), 1) > 0
    beyond = (~black & ~hull).view(np.uint8)
    count, labels = cv2.connectedComponents(beyond, connectivity=8)
    thick = np.unique(labels[cv2.morphologyEx(beyond, cv2.MORPH_OPEN, core) > 0])
    return np.isin(labels, thick) & (labels > 0) if count > 1 else none
