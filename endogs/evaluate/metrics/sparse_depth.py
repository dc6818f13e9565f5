"""How far depths are from those of sparse points, with one scale for a whole clip.

Depth from pictures alone has no scale, so one is found for the clip. One for every frame, as the field often takes it,
would hide depth that grows and shrinks over time, which the spread of such scales tells instead. Absolute relative
error: D. Eigen et al., "Depth map prediction from a single image using a multi-scale deep network", 2014.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FEWEST = 8
"""Points of a frame whose own scale is worth something."""


@dataclass(frozen=True)
class SparseDepthErrors:
    """Errors of the depths at sightings of points; NaN for what cannot be measured."""

    sightings: int
    frames: int
    """Frames with any."""
    scale: float
    """By what depths were multiplied: the median of true by drawn depth over all sightings."""
    abs_rel: float
    """Mean of |depth - true| / true, with that scale."""
    median_abs_rel: float
    """Its median."""
    abs_rel_own_scales: float
    """Mean of the same with a scale for each frame, over frames of FEWEST sightings or more."""
    frame_scale_spread: float
    """Standard deviation of these frames' scales, by their mean."""
    frame_scale_range: tuple[float, float]
    """The smallest and the largest of them, by the clip's."""
    abs_rel_unscaled: float
    """Mean of |depth - true| / true without any scale: for depths in the points' units."""
    median_abs_unscaled: float
    """Median of |depth - true| without any scale, in those units."""


def sparse_depth_errors(depth: Array, true: Array, frame: NDArray[np.intp]) -> SparseDepthErrors:
    """Compare depths (s,) with true ones (s,), both positive, of sightings in frames (s,).

    Raises ValueError for none.
    """
    if not len(depth):
        raise ValueError("no sightings of points to compare depths at")
    ratio = true / depth
    scale = float(np.median(ratio))
    relative = np.abs(scale * depth / true - 1)
    own, errors = [], []
    for number in np.unique(frame):
        here = frame == number
        if here.sum() >= FEWEST:
            own.append(float(np.median(ratio[here])))
            errors.append(np.abs(own[-1] * depth[here] / true[here] - 1))
    scales = np.array(own)
    nan = float("nan")
    return SparseDepthErrors(
        len(depth),
        len(np.unique(frame)),
        scale,
        float(relative.mean()),
        float(np.median(relative)),
        float(np.concatenate(errors).mean()) if own else nan,
        float(scales.std() / scales.mean()) if own else nan,
        (float(scales.min() / scale), float(scales.max() / scale)) if own else (nan, nan),
        float(np.abs(depth / true - 1).mean()),
        float(np.median(np.abs(depth - true))),
    )
