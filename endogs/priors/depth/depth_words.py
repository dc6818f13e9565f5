"""What another frame says about depth, as the kernels of depth from parallax hear it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class DepthWord:
    """What another frame says about its own depth, and where it is."""

    inverse: NDArray[np.float32]
    """(h, w) 1/z; 0 is unknown."""
    relative: NDArray[np.float32]
    """(h, w) its relative standard deviation."""
    epipolar: NDArray[np.float64]
    """(3, 4) from samples (u, v, 1, w) of the frame in question to samples of this one, centres at +0.5."""


@dataclass(frozen=True)
class WordRule:
    """When words of other frames are heard, and estimates agree."""

    inside: float
    """Share of the samples around a place that must be known."""
    firmest: float
    """Relative standard deviation that a word has at least."""
    apart: float
    """Standard deviations beyond which estimates do not agree."""
