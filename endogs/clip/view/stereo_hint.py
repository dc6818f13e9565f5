"""Whether a video's frames look like two views packed into one; only ever a hint."""

import numpy as np
from numpy.typing import NDArray

SIZE = 64
"""Pixels to which each half is shrunk."""
ALIKE = 0.6
"""Correlation of two halves from which they may be two views. Of two laparoscopic clips the halves of single views stay
below 0.35, and pairs of views are above 0.7."""


def stereo_hint(image: NDArray[np.uint8]) -> list[str]:
    """A sentence when the halves of a uint8 RGB frame (H, W, 3) show nearly the same, or nothing.

    The halves of an ordinary picture share its brightness falling off towards the rim, but not its details: they are
    compared without what varies slowly, shifted against each other by up to a quarter.
    """
    import cv2

    height, width = image.shape[:2]
    if min(height, width) < SIZE:
        return []
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    found = {
        "side by side": (gray[:, : width // 2], gray[:, width - width // 2 :]),
        "above each other": (gray[: height // 2], gray[height - height // 2 :]),
    }
    for name, halves in found.items():
        one, other = (_details(half) for half in halves)
        if min(one.std(), other.std()) < 1:  # nothing to compare
            continue
        window = one[:, SIZE // 4 : -SIZE // 4].copy()
        if float(cv2.matchTemplate(other, window, cv2.TM_CCOEFF_NORMED).max()) > ALIKE:
            option = "side-by-side" if name == "side by side" else "top-bottom"
            return [f"the frames look like two views {name}: if so, --stereo {option} takes them apart."]
    return []


def _details(half: NDArray[np.float32]) -> NDArray[np.float32]:
    """A half at SIZE x SIZE, without what varies slowly."""
    import cv2

    small = np.asarray(cv2.resize(half, (SIZE, SIZE), interpolation=cv2.INTER_AREA), np.float32)
    return np.asarray(small - cv2.GaussianBlur(small, (0, 0), 6), np.float32)
