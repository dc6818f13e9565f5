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

from endogs.geometry import pixel_rays

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
    usable: NDArray[np.bool_],
    K: tuple[NDArray[np.float64], NDArray[np.float64]],
    a_to_b: NDArray[np.float64],
    step: int = 1,
) -> InverseDepth:
    """Inverse depth of every `step`-th pixel of frame a from its flow (H, W, 2) to frame b, where that is `usable`.

    `K` are the intrinsics (3, 3) of both frames, `a_to_b` (4, 4) maps points from the camera of a to that of b. The
    flow's noise is taken from what it leaves across the epipolar lines, since along them it is no smaller; where
    that is nearly as much as the pixels move, the poses belong to another motion, and nothing is said.
    """
    height, width = flow.shape[:2]
    sampled = (slice(step // 2, None, step), slice(step // 2, None, step))
    rays = pixel_rays(K[0], width, height)[sampled].astype(np.float32)
    rows, columns = np.arange(height, dtype=np.float32)[sampled[0]], np.arange(width, dtype=np.float32)[sampled[1]]
    turned = (K[1] @ a_to_b[:3, :3]).astype(np.float32)
    moved = (K[1] @ a_to_b[:3, 3]).astype(np.float32)
    start = rays @ turned.T
    u = flow[sampled] + np.stack(np.meshgrid(columns + 0.5, rows + 0.5), -1)
    far = start[..., :2] / start[..., 2:]
    along = moved[:2] - far * moved[2]
    strength = np.maximum(np.sqrt(np.einsum("...i,...i", along, along)), 1e-12)
    along /= strength[..., None]
    shift = u - far
    moved_by = np.einsum("...i,...i", shift, along)
    residual = np.abs(shift[..., 0] * along[..., 1] - shift[..., 1] * along[..., 0])
    # p(w) = far + along * w strength / (A_z + w B_z)
    slope = strength - moved_by * moved[2]
    value = moved_by * start[..., 2] / np.where(slope > 0, slope, np.inf)
    ahead = start[..., 2] + value * moved[2]
    good = usable[sampled] & (start[..., 2] > 1e-3) & (value > 0) & (ahead > 1e-3)
    noise = max(LEAST_NOISE, 1.4826 * float(np.median(residual[good]))) if good.any() else np.inf
    lengths = (np.hypot(way[..., 0], way[..., 1])[good] for way in (flow[sampled], shift))
    moved_pixels = min(float(np.median(length)) for length in lengths) if good.any() else 0.0
    good &= (residual < ACROSS * noise) & (noise < ASTRAY * moved_pixels)
    # The derivative of the pixel by w is along * strength A_z / ahead^2.
    deviation = noise * np.square(ahead) / (strength * np.maximum(start[..., 2], 1e-6))
    return InverseDepth(
        np.where(good, value, 0).astype(np.float32), np.where(good, deviation, np.inf).astype(np.float32), noise
    )


def fused(estimates: Sequence[InverseDepth]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Inverse depth (H, W) of what several pairs say about one frame, and its standard deviation (H, W).

    The weighted median decides which estimates agree; these are averaged by their precision. Where those that disagree
    weigh more, and where there is none, the value is 0 and the deviation infinite.
    """
    values = np.stack([one.value for one in estimates])
    weights = 1 / np.square(np.stack([one.deviation for one in estimates]))
    order = np.argsort(np.where(weights > 0, values, np.inf), axis=0)
    ranked, ranked_weights = np.take_along_axis(values, order, 0), np.take_along_axis(weights, order, 0)
    total = ranked_weights.sum(0)
    middle = (np.cumsum(ranked_weights, 0) < total / 2).sum(0)[None].clip(max=len(values) - 1)
    median = np.take_along_axis(ranked, middle, 0)[0]
    agree = weights * (np.square(values - median) * weights < APART**2)
    precision = agree.sum(0)
    known = precision > total / 2
    mean = np.divide((agree * values).sum(0), precision, out=np.zeros_like(median), where=known)
    deviation = np.where(known, 1 / np.sqrt(np.maximum(precision, 1e-30)), np.inf)
    return mean.astype(np.float32), deviation.astype(np.float32)
