"""Depth of every pixel from where optical flow finds it in frames that another pose took: parallax.

For a pixel of frame a with ray r (z = 1), inverse depth w and the motion (R, t) from the camera of a to that of b, the
pixel of b is that of `K_b (R r + w t) = A + w B`, which moves along the epipolar line from the pixel of A as w grows
(Hartley and Zisserman, Multiple View Geometry, 2004, section 9.1). The observed pixel is dropped onto that line, which
gives w in closed form. What is left lies across the line and is noise, motion of the tissue, or a wrong pose; it is
measured in pixels, and so is how far a change of w moves the pixel.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from endogs.priors.depth.depth_words import WordRule
from endogs.priors.depth.parallax_kernels import agree_on_depth, epipolar_matrix, triangulate_flow

LEAST_NOISE = 0.1
"""Pixels that optical flow errs at least, however well it keeps to the epipolar lines."""
ASTRAY = 0.35
"""Noise across the epipolar lines from which on the poses do not explain the motion at all, beside the pixels' motion,
with or without the camera's turning."""
ACROSS = 3.0
"""Standard deviations across the epipolar line beyond which a pixel moves otherwise than a still scene does."""
APART = 3.0
"""Standard deviations between two estimates of one pixel's inverse depth beyond which they do not agree."""


@dataclass(frozen=True)
class InverseDepth:
    """What one pair of frames says about a frame's inverse depth."""

    value: NDArray[np.float32]
    """(H, W) 1/z in the poses' units; 0 where the pair says nothing."""
    deviation: NDArray[np.float32]
    """(H, W) its standard deviation; infinite where the pair says nothing."""
    noise: float
    """Standard deviation of the flow across the epipolar lines, pixels."""


def triangulated(
    flow: NDArray[np.float32],
    back: NDArray[np.float32] | None,
    tissue: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    K: tuple[NDArray[np.float64], NDArray[np.float64]],
    a_to_b: NDArray[np.float64],
    step: int = 1,
    places: NDArray[np.float32] | None = None,
    farthest: float = np.inf,
) -> InverseDepth:
    """Inverse depth of every `step`-th pixel of frame a from its flow (H, W, 2) to frame b, where that can be used.

    It can where it comes `back` by the flow from b to a, if that is known, and both ends show `tissue` (H, W) of their
    frames. `K` are the intrinsics (3, 3) of both, `a_to_b` (4, 4) maps points from the camera of a to that of b. If the
    flow, then no longer than `farthest` pixels, is that to a picture of b warped into a, `places` (H, W, 2) are where
    the pixels of that picture lie in b. The flow's noise is taken from what it leaves across the epipolar lines, since
    along them it is no smaller; where that is nearly as much as the pixels move, the poses belong to another motion,
    and nothing is said.
    """
    epipolar = epipolar_matrix(*K, a_to_b)
    value, deviation, across, *lengths = triangulate_flow(flow, back, tissue, epipolar, step, places, farthest)
    good = value > 0
    noise = max(LEAST_NOISE, 1.4826 * float(np.median(across[good]))) if good.any() else np.inf
    moved_pixels = min(float(np.median(length[good])) for length in lengths) if good.any() else 0.0
    if not noise < ASTRAY * moved_pixels:
        return InverseDepth(np.zeros_like(value), np.full_like(value, np.inf), noise)
    good &= across < ACROSS * noise
    return InverseDepth(np.where(good, value, 0), np.where(good, np.float32(noise) * deviation, np.inf), noise)


def fused(estimates: Sequence[InverseDepth]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Inverse depth (H, W) of what several pairs say about one frame, and its standard deviation (H, W).

    The weighted median decides which estimates agree; these are averaged by their precision. Where those that disagree
    weigh more, and where there is none, the value is 0 and the deviation infinite.
    """
    rule = WordRule(inside=1, firmest=0, apart=APART)
    value, deviation = agree_on_depth([e.value for e in estimates], [e.deviation for e in estimates], [], None, rule)
    return value, np.where(value > 0, deviation, np.float32(np.inf))
