"""How much a pixel looks like an instrument: log odds from its colour, with what light can do to colour taken out."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.priors.instruments.masks import Mask, grown
from endogs.priors.instruments.tissue_colors import Chroma, TissueColors, chroma

LOWEST, HIGHEST = -6.0, 8.0
"""Log odds are clipped to this range."""
MOST_ODD = 2.5
"""Where an odd colour stops counting for more."""
BINS = (28, 28, 10)
"""Cells of the colour table along rg, gb and the logarithm of brightness."""
DOUBTFUL = 2.0
"""What looks like an instrument above these log odds, and was not taken for one, teaches nothing."""
SPECULAR_DROP = 2.5
"""What a highlight takes off the log odds: wet tissue then falls below zero, polished metal (6 and more) does not."""


@dataclass(frozen=True)
class Evidence:
    """What one frame says."""

    log_odds: Chroma
    """(H, W), above 0 = rather instrument."""
    redness: Chroma
    """(H, W) rg, see `tissue_colors`."""
    clipped: Mask
    """(H, W) where the sensor is saturated, so that the colour is not known."""


@dataclass(frozen=True)
class ColorTable:
    """Log odds by colour, learned from the clip's own first guess: gold, blue and black parts become known by it."""

    log_odds: NDArray[np.float32]
    """(cells,)."""


def colors_speak(
    image: NDArray[np.uint8], view: Mask, tissue: TissueColors, table: ColorTable | None = None
) -> Evidence:
    """The evidence of a uint8 RGB image (H, W, 3) whose tissue has the given colours; outside `view` it is the lowest.

    Without a table, `log odds = .8 (threshold - rg) / .06 + .5 (Mahalanobis distance - 2.2) / .5`, the second term only
    on the side of tissue that is less red and up to MOST_ODD, as yellow fat is odd too; in the dark it fades.
    Highlights are mirror images of the light whatever they lie on, so they get no more than the median around them,
    unless they are far too blue for that.
    """
    rg, gb, brightness = chroma(image)
    x, y = rg - tissue.mean[0], gb - tissue.mean[1]
    a, b, c = tissue.precision[0, 0], tissue.precision[0, 1], tissue.precision[1, 1]
    distance = np.sqrt(np.maximum(a * x * x + 2 * b * x * y + c * y * y, 0))
    paler = rg < tissue.mean[0] - 0.5 * tissue.spread
    odd = np.where(paler, np.minimum((distance - 2.2) / 0.5, MOST_ODD), -2)
    plain = 0.8 * (tissue.threshold - rg) / 0.06 + 0.5 * odd
    faded: Chroma = np.asarray(np.clip(plain, LOWEST, HIGHEST) * np.clip(brightness / 30, 0, 1), np.float32)

    # Saturated red makes tissue look pale: such a pixel is nearly undecided, and its neighbours decide.
    clipped = cv2.dilate((image[..., 0] >= 246).view(np.uint8), np.ones((3, 3), np.uint8)).view(bool)
    undecided = np.where(clipped, np.minimum(faded, np.float32(-0.3)), faded)
    glints = _small_highlights(image)
    odds = _subdued(undecided, glints)
    if table is not None:
        learned = _subdued(table.log_odds[_cells(rg, gb, brightness)], glints)
        odds = np.where(clipped, odds, np.float32(0.6) * odds + np.float32(0.7) * learned)
    return Evidence(np.where(view, odds, np.float32(LOWEST)), rg, clipped)


def learn_color_table(
    images: Sequence[NDArray[np.uint8]], evidence: Sequence[Evidence], masks: Sequence[Mask], views: Sequence[Mask]
) -> ColorTable | None:
    """Log odds by colour from first masks (H, W) of a few images: instrument inside them, tissue well outside.

    None when the masks hold too little to learn from.
    """
    inside, outside = [], []
    for image, seen, mask, view in zip(images, evidence, masks, views, strict=True):
        cells = _cells(*chroma(image))
        known = view & ~seen.clipped
        inside.append(cells[mask & known])
        # The rim may be either.
        outside.append(cells[known & ~grown(mask, max(2, image.shape[1] // 16)) & (seen.log_odds < DOUBTFUL)])
    found = np.concatenate(inside)
    if found.size < 200:
        return None
    # The small constant is what a colour needs before it says anything.
    floor = 0.05 / np.prod(BINS)
    odds = np.log((_density(found) + floor) / (_density(np.concatenate(outside)) + floor))
    return ColorTable(np.clip(odds, -4, 4).ravel().astype(np.float32))


def _cells(rg: Chroma, gb: Chroma, brightness: Chroma) -> NDArray[np.int32]:
    first = np.clip((rg + 0.3) * (BINS[0] / 1.5), 0, BINS[0] - 1).astype(np.int32)
    second = np.clip((gb + 0.5) * (BINS[1] / 1.5), 0, BINS[1] - 1).astype(np.int32)
    third = (np.clip(np.log(brightness + 10) - 2.3, 0, 3.3) * ((BINS[2] - 1) / 3.3)).astype(np.int32)
    return (first * BINS[1] + second) * BINS[2] + third


def _density(cells: NDArray[np.int32]) -> NDArray[np.float64]:
    from scipy.ndimage import gaussian_filter

    counts = np.bincount(cells, minlength=int(np.prod(BINS))).reshape(BINS).astype(np.float64)
    return gaussian_filter(counts, (0.8, 0.8, 0.7)) / max(cells.size, 1)


def _small_highlights(image: NDArray[np.uint8]) -> Mask:
    """Pixels (H, W) brighter in their darkest channel than all around, in patches below 1.5 % of the image."""
    low = np.asarray(np.minimum(np.minimum(image[..., 0], image[..., 1]), image[..., 2]), np.uint8)
    around = cv2.medianBlur(low, 15)
    bright = (low > 205) | ((low > 1.35 * around.astype(np.float32) + 10) & (low > 100))
    wide = np.asarray(cv2.dilate(bright.view(np.uint8), np.ones((3, 3), np.uint8)), np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(wide)
    small = stats[:, cv2.CC_STAT_AREA] < 0.015 * wide.size
    small[0] = False
    return small[labels]


def _subdued(odds: Chroma, glints: Mask) -> Chroma:
    """`odds` with those of `glints` lowered by SPECULAR_DROP, but not below the median around them."""
    median = (cv2.medianBlur(np.clip(odds * 12 + 128, 0, 255).astype(np.uint8), 21).astype(np.float32) - 128) / 12
    return np.where(glints, np.minimum(odds, np.maximum(median, odds - SPECULAR_DROP)), odds)
