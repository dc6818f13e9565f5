"""How far a depth map is from a given one: the field's measures, after a named alignment.

D. Eigen, C. Puhrsch, R. Fergus, "Depth map prediction from a single image using a multi-scale deep network", 2014.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from endogs.evaluate.metrics.metrics import Mask

Alignment = Literal["none", "median scale"]
MOST_RANKED = 20_000
"""Pixels whose ranks are compared: more make no difference in the third digit."""


@dataclass(frozen=True)
class DepthErrors:
    """Errors over the pixels of one frame that are known in both maps; NaN when there are none."""

    depth: NDArray[np.float32]
    """(n,) the aligned depth of the judged pixels."""
    given: NDArray[np.float32]
    """(n,) the given depth of the same pixels."""

    @property
    def median_abs(self) -> float:
        """Median of |depth - given|, in the given depth's units."""
        return float(np.median(np.abs(self.depth - self.given))) if self.given.size else float("nan")

    @property
    def abs_rel(self) -> float:
        """Mean of |depth - given| / given."""
        return float(np.mean(np.abs(self.depth / self.given - 1))) if self.given.size else float("nan")

    @property
    def rmse(self) -> float:
        """Root of the mean squared difference, in the given depth's units."""
        difference = np.subtract(self.depth, self.given, dtype=np.float64)
        return float(np.sqrt(np.mean(difference**2))) if self.given.size else float("nan")

    @property
    def within_125(self) -> float:
        """Share of the pixels with max(depth / given, given / depth) < 1.25."""
        if not self.given.size:
            return float("nan")
        return float(np.mean(np.maximum(self.depth / self.given, self.given / self.depth) < 1.25))

    def spearman(self) -> float:
        """Rank correlation, -1 to 1, over at most MOST_RANKED evenly spread pixels; no alignment changes it."""
        from scipy.stats import rankdata

        step = max(1, -(-self.given.size // MOST_RANKED))
        a, b = (rankdata(values[::step]) for values in (self.depth, self.given))
        if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
            return float("nan")
        return float(np.corrcoef(a, b)[0, 1])


def depth_errors(depth: NDArray[np.floating], given: NDArray[np.floating], mask: Mask) -> DepthErrors:
    """Compare z-depth maps (H, W), 0 = unknown, over the mask where both are known."""
    known = _known(depth, given, mask)
    return DepthErrors(np.asarray(depth[known], np.float32), np.asarray(given[known], np.float32))


def aligned_depth(
    depth: NDArray[np.floating], given: NDArray[np.floating], mask: Mask, alignment: Alignment = "none"
) -> NDArray[np.float32]:
    """`depth` (H, W) as it is, or for `median scale` times the ratio of the medians over pixels known in both."""
    depth = np.asarray(depth, np.float32)
    known = _known(depth, given, mask)
    if alignment == "none" or not known.any():
        return depth
    return depth * np.float32(np.median(given[known]) / np.median(depth[known]))


def _known(depth: NDArray[np.floating], given: NDArray[np.floating], mask: Mask) -> Mask:
    return np.asarray(mask & (given > 0) & (depth > 0) & np.isfinite(given) & np.isfinite(depth))
