"""How far instruments reach beyond the outlines that were found for them, told by frames that show what is there."""

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.priors.instruments.halo import rim_of
from endogs.seeding.remembered_tissue import Verdict

Mask = NDArray[np.bool_]
Rings = NDArray[np.uint8]
CONTRADICTED = 0.1
"""Share of the decided pixels of a ring that are not tissue, from which on the others count as instrument too.

Given masks made 1 to 3 pixels too narrow (a phantom, and the first half of d4d_bowel_lift, 320 pixels wide) say so:
rings of tissue had at most .065, rings of the instrument .097 to .33. It is far below one half because a pixel that is
not tissue is seldom decided: the memory must know it from both sides. It grows with the size of the images.
"""
FEWEST = 300
"""Decided pixels that a ring must have over all frames to say anything."""


def rings_around(instrument: Mask, doubtful: Mask) -> Rings:
    """How many pixels, rounded up, each of `doubtful` (H, W) lies from `instrument` (H, W); 0 elsewhere.

    0 also where it is farther than the rim of a halo is wide: there lies what is doubtful for other reasons.
    """
    if not instrument.any() or not doubtful.any():
        return np.zeros(instrument.shape, np.uint8)
    distance = np.ceil(cv2.distanceTransform((~instrument).view(np.uint8), cv2.DIST_L2, 5))
    return np.where(doubtful & (distance <= rim_of(instrument.shape[1])), distance, 0).astype(np.uint8)


def missed_rim(told: Iterable[tuple[Rings, Verdict]]) -> int:
    """By how many pixels the outlines of a clip are too narrow, from `rings_around` and the verdict of each frame.

    Outlines are found in the same way everywhere, so what is known of one place holds for others, where an instrument
    rests and no frame shows what is beside it. Rings count from the outline on, up to the first that is tissue.
    """
    tissue, other = np.zeros(256, np.int64), np.zeros(256, np.int64)
    for rings, verdict in told:
        tissue += np.bincount(rings[verdict.tissue], minlength=256)
        other += np.bincount(rings[verdict.other], minlength=256)
    known = tissue + other
    missed = (known >= FEWEST) & (other >= CONTRADICTED * known)
    return int(np.argmin(missed[1:]))
