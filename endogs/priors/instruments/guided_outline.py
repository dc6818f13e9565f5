"""Outlines of instruments moved to the edges of the picture, by the guided filter (He, Sun & Tang, ECCV 2010).

Around every place the mask is explained by the colours there, linearly: an instrument that differs from the tissue
beside it in any direction of colour space gets its outline where the colours part, however thin it is.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.priors.instruments.masks import Mask, box_of, grown

REACH = 0.075
"""Half the side of the window in which mask and colours are compared, in image widths."""
NOISE = 10.0
"""Variance of the colours, in grey levels squared, that explains nothing."""
SHARE = 0.42
"""What is explained as instrument to more than this share is one."""
BAND = 1 / 27
"""How far from the mask an outline can be moved, in image widths."""
EXPLAINED = 0.3
"""Where the colours explain less than this share of the mask's variance, the mask stays more and more as it is."""
SURE = 1.5
"""Log odds above which what hangs together with the rest may be thinner than three pixels."""


def follow_edges(image: NDArray[np.uint8], mask: Mask, odds: NDArray[np.float32]) -> Mask:
    """`mask` (H, W) moved to the edges of a uint8 RGB image (H, W, 3); log `odds` (H, W) say what may be thin.

    Patches that do not meet the old mask are dropped.
    """
    if not mask.any():
        return mask.copy()
    width = mask.shape[1]
    near = grown(mask, max(3, round(BAND * width)))
    reach, box = max(4, round(REACH * width)), box_of(near)
    share = guided(np.ascontiguousarray(image[box]), mask[box].astype(np.float32), reach, NOISE)
    moved = np.zeros(mask.shape, np.uint8)
    moved[box] = (share > SHARE) & near[box]
    opened = np.asarray(cv2.morphologyEx(moved, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)), np.uint8)
    count, patches = cv2.connectedComponents(opened | (moved & (mask & (odds > SURE)).view(np.uint8)))
    meets = np.zeros(count, bool)
    meets[np.unique(patches[mask])] = True
    meets[0] = False
    return meets[patches]


def guided(image: NDArray[np.uint8], values: NDArray[np.float32], reach: int, noise: float) -> NDArray[np.float32]:
    """`values` (H, W) filtered with a uint8 RGB image (H, W, 3) as the guide; windows of 2 `reach` + 1 pixels.

    In each window the least-squares plane `values = a . color + b`, with `noise` (grey levels squared) added to the
    variance of each channel; at each pixel the mean of the planes of all windows that hold it, at its own colour. Where
    planes explain next to nothing, as in one colour throughout, `values` come back.
    """
    # Colours relative to their mean keep the variances exact in single precision.
    color = image.astype(np.float32)
    color -= color.mean((0, 1))

    def mean(of: NDArray) -> NDArray[np.float32]:
        return np.asarray(cv2.blur(of, (2 * reach + 1, 2 * reach + 1)), np.float32)

    r, g, b = cv2.split(color)
    mean_r, mean_g, mean_b, mean_v = (mean(plane) for plane in (r, g, b, values))
    rr, gg, bb = (mean(x * x) - m * m + np.float32(noise) for x, m in ((r, mean_r), (g, mean_g), (b, mean_b)))
    rg, rb, gb = mean(r * g) - mean_r * mean_g, mean(r * b) - mean_r * mean_b, mean(g * b) - mean_g * mean_b
    rv, gv, bv = (mean(x * values) - m * mean_v for x, m in ((r, mean_r), (g, mean_g), (b, mean_b)))
    # Cramer's rule for the symmetric matrix of covariances.
    minor_rr, minor_gg, minor_bb = gg * bb - gb * gb, rr * bb - rb * rb, rr * gg - rg * rg
    minor_rg, minor_rb, minor_gb = rb * gb - rg * bb, rg * gb - rb * gg, rg * rb - rr * gb
    scale = 1 / (rr * minor_rr + rg * minor_rg + rb * minor_rb)
    a_r = (minor_rr * rv + minor_rg * gv + minor_rb * bv) * scale
    a_g = (minor_rg * rv + minor_gg * gv + minor_gb * bv) * scale
    a_b = (minor_rb * rv + minor_gb * gv + minor_bb * bv) * scale
    offset = mean_v - a_r * mean_r - a_g * mean_g - a_b * mean_b
    found = mean(a_r) * r + mean(a_g) * g + mean(a_b) * b + mean(offset)
    variance = mean(values * values) - mean_v * mean_v
    explained = mean(np.clip((a_r * rv + a_g * gv + a_b * bv) / (variance + np.float32(1e-3)), 0, 1))
    return found + np.clip(1 - explained / np.float32(EXPLAINED), 0, 1) * (values - found)
