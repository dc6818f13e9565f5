"""Interlaced frames: found from their pixels, and made whole from one of their two fields."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

LOOKS = 32
"""Frames that are looked at, at most."""
EVERY = 6
"""One of so many frames is looked at, after the first few."""
STEP = 12
"""Grey levels between neighbouring rows from which they may be teeth of a comb."""
COMBED = 0.001
"""Share of a frame's pixels inside combs from which it counts as combed."""
ANISOTROPY = 4
"""Combs alternate from row to row; noise and texture alternate from column to column as much."""
THINNED = 4
"""One of so many columns (or rows, across) is looked at."""
SHARE = 0.1
"""Share of the frames looked at that must be combed: where nothing moves there are no combs."""


class CombSearch:
    """Looks at frames in order and says whether they are interlaced, whatever the file's flags say."""

    def __init__(self) -> None:
        self.looked = 0
        """Frames looked at."""
        self.combed = 0
        """Of them, those with combs."""
        self._seen = 0

    def look(self, frame: Any) -> None:
        """Take notice of the next `av.VideoFrame`; most are skipped."""
        self._seen += 1
        if self.looked >= LOOKS or (self._seen > EVERY and self._seen % EVERY) or frame.height < 16:
            return
        self.looked += 1
        self.combed += is_combed(frame.to_ndarray(format="gray"))

    @property
    def found(self) -> bool:
        """Whether the frames are interlaced."""
        return self.combed > SHARE * self.looked


def is_combed(gray: NDArray[np.uint8]) -> bool:
    """Whether a picture (H, W) shows the combs of two fields of different moments."""
    rows = _alternating(gray[:, ::THINNED])
    return rows > COMBED and rows > ANISOTROPY * _alternating(gray[::THINNED].T)


def _alternating(gray: NDArray[np.uint8]) -> float:
    """Share of the pixels where five rows in a row alternate by STEP while every second one is alike."""
    values = np.ascontiguousarray(gray).astype(np.int16)
    steps = np.diff(values, axis=0)
    far = np.abs(values[2:] - values[:-2]) < STEP
    up, down = steps > STEP, steps < -STEP
    turns = ((up[:-1] & down[1:]) | (down[:-1] & up[1:])) & far
    return float((turns[:-2] & turns[1:-1] & turns[2:]).mean()) if len(turns) > 2 else 0.0


def from_upper_field(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The image (H, W, 3) of the moment of its even rows: odd ones are interpolated between them.

    Cubic midpoints, weights -1 9 9 -1 over 16 (Catmull-Rom at one half).
    """
    field = image[::2].astype(np.int16)
    padded = np.pad(field, ((1, 2), (0, 0), (0, 0)), mode="edge")
    middle = (9 * (padded[1:-2] + padded[2:-1]) - padded[:-3] - padded[3:] + 8) >> 4
    whole = image.copy()
    whole[1::2] = np.clip(middle, 0, 255).astype(np.uint8)[: len(whole[1::2])]
    return whole
