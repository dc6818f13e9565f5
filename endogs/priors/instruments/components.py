"""Which patches of instrument-like colour are instruments: long grey things come in from the edge of the view."""

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.priors.instruments.evidence import Evidence
from endogs.priors.instruments.masks import Mask, disc, grown
from endogs.priors.instruments.tissue_colors import Chroma, TissueColors

STRONG = 1.5
"""Log odds of a pixel that is hardly tissue."""
STRONG_SHARE = 0.4
"""An instrument has at least this share of strong pixels; pale tissue has few."""
LEVELS = (0.0, 1.5, 3.0)
"""Log odds above which patches are formed, one after the other."""
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
    average: an organ that is merely paler than the rest is not. What fails as a whole, because yellow fat lies beside
    the instrument, is tried again without its weaker pixels. Detached patches of the same colour nearby belong to it.
    """
    height, width = odds.shape
    mask = np.zeros(odds.shape, bool)
    for level in LEVELS:
        patches = _Patches((odds > level) & ~mask, evidence, odds)
        grey = patches.grey(tissue)
        rooted = grey & (patches.count_of(edge) > 0.01 * width) & (patches.area > SMALLEST * height * width)
        found = patches.all_of(rooted)
        # Pixels this level gave up around what it found.
        mask |= found if level == LEVELS[0] else grown_into(found, odds, level / 2, 4)
    if not mask.any():
        return mask
    patches = _Patches((odds > 0) & ~mask, evidence, odds)
    near = patches.count_of(grown(mask, round(REACH * width))) > 0
    attached = patches.grey(tissue) & near & (patches.area > SMALLEST_ATTACHED * height * width)
    attached &= patches.strong > 0.5
    if attached.any():
        mask |= patches.all_of(attached)
        closed = cv2.morphologyEx(mask.view(np.uint8), cv2.MORPH_CLOSE, disc(round(REACH * width / 2))).view(bool)
        mask |= closed & (odds > -2.5)
    return mask


class _Patches:
    """Connected patches of a mask (H, W), and what is known of each."""

    def __init__(self, mask: Mask, evidence: Evidence, odds: Chroma) -> None:
        opened = cv2.morphologyEx(mask.view(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
        # Two pixels of gap, as a highlight or a joint makes, do not cut an instrument in two.
        self._count, labels = cv2.connectedComponents(cv2.dilate(opened, disc(2)), connectivity=8)
        self._labels = labels * opened
        self._inside = np.flatnonzero(self._labels)
        self._their = self._labels.ravel()[self._inside]
        known = (~evidence.clipped).astype(np.float64)
        self.area = self.count_of(np.ones(mask.shape))
        known_area = np.maximum(self.count_of(known), 1)
        self.strong = self.count_of((odds > STRONG) * known) / known_area
        """Share of strong pixels of each patch."""
        self._redness = self.count_of(evidence.redness * known) / known_area

    def count_of(self, weight: NDArray) -> NDArray[np.float64]:
        """Sum of `weight` (H, W) over each patch; 0 for what is none."""
        inside = weight.ravel()[self._inside]
        return np.bincount(self._their, weights=inside, minlength=self._count).astype(np.float64)

    def grey(self, tissue: TissueColors) -> NDArray[np.bool_]:
        """Which patches are grey and strong enough to be instruments."""
        grey = (self._redness < max(0.14, 0.25 * tissue.redness)) & (self.strong > STRONG_SHARE)
        grey[0] = False
        return grey

    def all_of(self, chosen: NDArray[np.bool_]) -> Mask:
        """The pixels (H, W) of the chosen patches."""
        return chosen[self._labels]


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


def without_slits(mask: Mask, half_width: int) -> Mask:
    """`mask` (H, W) with enclosed holes filled that are nowhere farther than `half_width` pixels from their rim."""
    # The frame around the picture joins all that reaches its border: that is no hole.
    outside = np.pad(~mask, 1, constant_values=True).view(np.uint8)
    count, labels = cv2.connectedComponents(outside, connectivity=4)
    far = cv2.distanceTransform(outside, cv2.DIST_L2, 3) > half_width
    slit = np.ones(count, bool)
    slit[np.unique(labels[far])] = False
    slit[[0, labels[0, 0]]] = False
    return mask | slit[labels[1:-1, 1:-1]]
