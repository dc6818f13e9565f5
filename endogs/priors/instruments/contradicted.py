"""How much each patch that colour takes for an instrument counts, by what the network says of the patch as a whole."""

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.priors.instruments.masks import Mask
from endogs.priors.instruments.propagation import LogOdds

CONTRADICTED = (-3.5, -2.5)
"""Mean log odds of the network over a patch up to which it counts for nothing, and from which it counts fully."""
FARTHEST = 6.0
"""The network's log odds count up to this on both sides, so that no small part of a patch speaks for it."""


def uncontradicted(patches: Mask, odds: LogOdds) -> NDArray[np.float32]:
    """Weights (h, w), 0 to 1, of the pixels of `patches` (h, w); `odds` (h, w) are the network's. 0 outside patches.

    Colour alone takes pale bowel, drapes and shaded corners for steel. Of such patches the network is sure, whereas of
    a shaft that it misses, because its tint is odd, it is not.
    """
    count, labels = cv2.connectedComponents(patches.view(np.uint8), connectivity=8)
    inside = labels.ravel()
    area = np.bincount(inside, minlength=count)
    sums = np.bincount(inside, weights=np.clip(odds, -FARTHEST, FARTHEST).ravel(), minlength=count)
    low, high = CONTRADICTED
    weight = np.clip((sums / np.maximum(area, 1) - low) / (high - low), 0, 1).astype(np.float32)
    weight[0] = 0
    return weight[labels]
