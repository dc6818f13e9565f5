"""Whether masks of more than two values are one mask with soft edges, or something that only looks like one.

A softened mask is, to a good part, the blur of its own two halves: drawn at half its brightness and smoothed, it comes
out again. Labels that are scattered, thin or many do not.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WIDTHS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
"""Standard deviations in pixels of the softening that is tried."""
OFF = 0.25
"""Of the brightest value: by so much a softened mask may differ from the blur of its halves."""
NOISE = 0.1
"""Of the brightest value: what compression adds beside an edge."""
LOOKED_AT = 4
"""Masks that are compared, those with the most values between."""


@dataclass(frozen=True)
class Softness:
    """Pixels of several masks that are neither black nor of the brightest value."""

    values: int
    """How many different values they have."""
    share: float
    """Of all pixels."""
    unexplained: float
    """Of all pixels: those that no softening of two values explains."""


def softness(levels: Sequence[NDArray[np.int32]], top: int, is_lossy: bool) -> Softness:
    """What lies between 0 and `top` in masks (H, W) of brightness; with `is_lossy` noise around both does not count."""
    margin = NOISE * top if is_lossy else 0.0
    between = [(one > margin) & ((one < top - margin) | ((one > top) & (not is_lossy))) for one in levels]
    numbers = [int(one.sum()) for one in between]
    total = sum(one.size for one in levels)
    if not any(numbers):
        return Softness(0, 0.0, 0.0)
    values = np.unique(np.concatenate([one[at] for one, at in zip(levels, between, strict=True)]))
    fullest = sorted(range(len(levels)), key=lambda i: -numbers[i])[:LOOKED_AT]
    chosen = [(levels[i].astype(np.float32) / np.float32(top), between[i]) for i in fullest if numbers[i]]
    unexplained = min(_unexplained(chosen, width) for width in WIDTHS)
    share = sum(numbers) / total
    return Softness(len(values), share, share * unexplained)


def _unexplained(masks: Sequence[tuple[NDArray[np.float32], NDArray[np.bool_]]], width: float) -> float:
    """Share of the pixels between that a softening of `width` pixels does not explain, in masks (H, W) from 0 to 1."""
    import cv2

    block = np.ones((2 * int(np.ceil(width)) + 1,) * 2, np.uint8)
    off = number = 0
    for mask, between in masks:
        drawn = cv2.GaussianBlur((mask > 0.5).astype(np.float32), (0, 0), width)
        # Thin and lone labels near black or near the top are close to it, but no step on the way to the other.
        step = (cv2.erode(mask, block) < mask) & (mask < cv2.dilate(mask, block))
        off += int((between & ((np.abs(mask - drawn) > OFF) | ~step)).sum())
        number += int(between.sum())
    return off / number
