"""Masks that hold the outlines of instruments and not their insides, as annotation programs draw them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

HOLLOW = 3.0
"""Times what they hide that masks would hide with their insides, from which they are outlines."""
MOST = 0.6
"""Share of the picture that the insides may have: what surrounds the view is hollow too, and larger."""


def outline_note(folder: str, tissue: Sequence[NDArray[np.bool_]]) -> list[str]:
    """A sentence when the masks of `folder`, True (H, W) where tissue is seen, hide closed lines only."""
    import cv2

    hidden = filled = pixels = 0
    for mask in tissue:
        instrument = (~mask).astype(np.uint8)
        outlines, _ = cv2.findContours(instrument, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        whole = np.zeros_like(instrument)
        cv2.drawContours(whole, outlines, -1, 1, cv2.FILLED)
        hidden, filled, pixels = hidden + int(instrument.sum()), filled + int(whole.sum()), pixels + mask.size
    if hidden == 0 or filled < HOLLOW * hidden or filled > MOST * pixels:
        return []
    return [
        f"{folder}/ seems to hold outlines: they hide {100 * hidden / pixels:.2g} % of the clip, and with their "
        f"insides would hide {100 * filled / pixels:.2g} %: fill them if instruments are meant."
    ]
