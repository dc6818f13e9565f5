"""Which patches of instrument-like colour are instruments: long grey things come in from the edge of the view."""

import cv2
import numpy as np

from endogs.priors.instruments.evidence import Evidence
from endogs.priors.instruments.masks import Mask, disc, grown
from endogs.priors.instruments.tissue_colors import Chroma, TissueColors

STRONG = 1.5
"""Log odds of a pixel that is hardly tissue."""
STRONG_SHARE = 0.4
"""An instrument has at least this share of strong pixels; pale tissue has few."""
SMALLEST = 0.003
"""Part of the image that a patch at the edge must cover."""
SMALLEST_ATTACHED = 0.0012
"""Part of the image that a detached patch (jaws beyond a mirroring wrist) must cover."""
REACH = 0.07
"""How far such a patch may lie from an instrument, in image widths."""


def edge_of_view(view: Mask) -> Mask:
    """Pixels (H, W) of the view within two pixels of the image border, or of what lies between border and view."""
    outside = np.pad(~view, 1, constant_values=True)
    _, labels = cv2.connectedComponents(outside.view(np.uint8), connectivity=4)
    # A caption in the middle of the picture is no edge: only what hangs together with the border is.
    return grown(labels == labels[0, 0], 2)[1:-1, 1:-1] & view


def instrument_patches(evidence: Evidence, odds: Chroma, tissue: TissueColors, edge: Mask) -> Mask:
    """The patches (H, W) of positive log odds `odds` (H, W) that are instruments; `edge` from `edge_of_view`.

    A patch must reach the edge over 1 % of the width, be large, mostly far from the colour of tissue, and grey on
    average: an organ that is merely paler than the rest is not. Detached patches of the same colour nearby belong to
    it.
    """
    height, width = odds.shape
    patches = cv2.morphologyEx((odds > 0).astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    # Two pixels of gap, as a highlight or a joint makes, do not cut an instrument in two.
    count, labels = cv2.connectedComponents(cv2.dilate(patches, disc(2)), connectivity=8)
    flat = (labels * patches).ravel()
    known = (~evidence.clipped).ravel().astype(np.float64)
    area = np.bincount(flat, minlength=count)
    known_area = np.maximum(np.bincount(flat, weights=known, minlength=count), 1)
    strong = np.bincount(flat, weights=(odds > STRONG).ravel() * known, minlength=count) / known_area
    redness = np.bincount(flat, weights=evidence.redness.ravel() * known, minlength=count) / known_area
    at_edge = np.bincount(flat, weights=edge.ravel(), minlength=count)
    grey = (redness < max(0.14, 0.25 * tissue.redness)) & (strong > STRONG_SHARE)
    grey[0] = False
    rooted = grey & (at_edge > 0.01 * width) & (area > SMALLEST * height * width)
    labels = flat.reshape(height, width)
    mask = rooted[labels]
    if not mask.any():
        return mask
    near = np.bincount(flat, weights=grown(mask, round(REACH * width)).ravel(), minlength=count) > 0
    attached = grey & near & ~rooted & (area > SMALLEST_ATTACHED * height * width) & (strong > 0.5)
    if attached.any():
        mask = (rooted | attached)[labels]
        closed = cv2.morphologyEx(mask.view(np.uint8), cv2.MORPH_CLOSE, disc(round(REACH * width / 2))).view(bool)
        mask |= closed & (odds > -2.5)
    return mask


def grown_into(mask: Mask, odds: Chroma, lowest: float = -0.5, pixels: int = 20) -> Mask:
    """`mask` (H, W) spread by up to `pixels` through pixels whose log odds are above `lowest`."""
    allowed = (mask | (odds > lowest)).view(np.uint8)
    reached, cross = mask.view(np.uint8), np.ones((3, 3), np.uint8)
    for _ in range(pixels):
        further = np.asarray(cv2.dilate(reached, cross), np.uint8) & allowed
        if np.array_equal(further, reached):
            break
        reached = further
    return reached.view(bool)


def without_holes(mask: Mask, largest: float = 0.004) -> Mask:
    """`mask` (H, W) with enclosed holes below `largest` of the image filled: screws, highlights, a grasper's window."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats((~mask).view(np.uint8), connectivity=4)
    height, width = mask.shape
    left, top = stats[:, cv2.CC_STAT_LEFT], stats[:, cv2.CC_STAT_TOP]
    right, bottom = left + stats[:, cv2.CC_STAT_WIDTH], top + stats[:, cv2.CC_STAT_HEIGHT]
    hole = (stats[:, cv2.CC_STAT_AREA] < largest * mask.size) & (left > 0) & (top > 0)
    hole &= (right < width) & (bottom < height)
    hole[0] = False
    return mask | hole[labels]
