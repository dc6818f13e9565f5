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
OFF_LOSSY = 0.4
"""The same after compression, which rings along an edge."""
NOISE = 0.1
"""Of the brightest value: what compression adds beside an edge."""
STRAY = 1e-4
"""Part of the pixels looked at from which on a value that no softening explains is asked about."""
LEAST_STRAY = 20
"""Pixels: fewer are the peaks of thin lines in small masks."""
UNEXPLAINED = 0.2
"""Of the pixels between that no softening explains: more is no soft edge."""
DIM = 0.7
"""Of the brightest value: a patch that stays below is not one of its instruments after compression."""
STEP = 5
"""Pixels within which a step of a soft edge has a brighter and a darker neighbour; wider edges have many values."""
LOOKED_AT = 4
"""Masks that are compared, those with the most values between."""

Between = Sequence[tuple[NDArray[np.int32], NDArray[np.bool_]]]


@dataclass(frozen=True)
class Softness:
    """Pixels of several masks that are neither black nor of the brightest value."""

    values: int
    """How many different values they have."""
    share: float
    """Of all pixels."""
    is_soft: bool
    """Whether a softening of two values explains them."""


def softness(levels: Sequence[NDArray[np.int32]], top: int, is_lossy: bool) -> Softness:
    """What lies between 0 and `top` in masks (H, W) of brightness; with `is_lossy` noise around both does not count."""
    margin = max(2.0, NOISE * top) if is_lossy else 0.0
    between = [(one > margin) & (np.abs(one - top) > margin) for one in levels]
    numbers = [int(one.sum()) for one in between]
    share = sum(numbers) / sum(one.size for one in levels)
    if not any(numbers):
        return Softness(0, 0.0, True)
    values = np.unique(np.concatenate([one[at] for one, at in zip(levels, between, strict=True)]))
    fullest = [i for i in sorted(range(len(levels)), key=lambda i: -numbers[i])[:LOOKED_AT] if numbers[i]]
    chosen = [(levels[i], between[i]) for i in fullest]
    unexplained, number = _unexplained(chosen, top, _width(chosen, top), is_lossy)
    # Among the few values of a file as it was written a single one that is no step of an edge is a label.
    least = max(LEAST_STRAY, STRAY * sum(one.size for one, _ in chosen))
    stray = (unexplained > 0.5 * number) & (number >= least)
    is_soft = unexplained.sum() <= UNEXPLAINED * number.sum() and (is_lossy or not stray.any())
    if is_lossy:
        is_soft &= _dim([one for one, _ in chosen], top, margin) <= UNEXPLAINED
    return Softness(len(values), share, bool(is_soft))


def is_noisy(values: NDArray[np.int32], numbers: NDArray[np.int64], top: int) -> bool:
    """Whether the `numbers` of pixels with these few values are those of two values after compression, which leaves
    about as many of the next ones to both."""
    near = NOISE * top
    low = int(numbers[(values > 0) & (values <= near)].sum())
    high = int(numbers[(values < top) & (values >= top - near)].sum())
    rest = int(numbers[(values > near) & (values < top - near)].sum())
    return min(low, high) > 0.2 * max(low, high) and low + high > rest


def _width(masks: Between, top: int) -> float:
    """The softening in pixels that comes nearest to masks (H, W), the smallest of equals."""
    off = [
        sum(float(np.abs(_drawn(mask, top, width) - mask / np.float32(top))[at].sum()) for mask, at in masks)
        for width in WIDTHS
    ]
    return WIDTHS[int(np.argmin(off))]


def _drawn(mask: NDArray[np.int32], top: int, width: float) -> NDArray[np.float32]:
    """The brighter half of a mask (H, W), softened, from 0 to 1."""
    import cv2

    return np.asarray(cv2.GaussianBlur((2 * mask > top).astype(np.float32), (0, 0), width), np.float32)


def _unexplained(masks: Between, top: int, width: float, is_lossy: bool) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """By value the number of pixels between that a softening of `width` pixels does not explain, and of all between."""
    import cv2

    block = np.ones((2 * min(STEP, int(np.ceil(2 * width))) + 1,) * 2, np.uint8)
    length = max(int(mask.max()) for mask, _ in masks) + 1
    off, number = np.zeros(length, np.int64), np.zeros(length, np.int64)
    for mask, between in masks:
        part = mask.astype(np.float32) / np.float32(top)
        wrong = between & (np.abs(part - _drawn(mask, top, width)) > (OFF_LOSSY if is_lossy else OFF))
        if not is_lossy:
            # Thin and lone labels near black or near the top are close to it, but no step on the way to the other.
            wrong |= between & ~((cv2.erode(part, block) < part) & (part < cv2.dilate(part, block)))
        off += np.bincount(mask[wrong], minlength=length)
        number += np.bincount(mask[between], minlength=length)
    return off, number


def _dim(masks: Sequence[NDArray[np.int32]], top: int, margin: float) -> float:
    """Of the area that is not black in masks (H, W) the part in patches that nowhere come near `top`."""
    import cv2

    dim = whole = 0
    for mask in masks:
        count, labels = cv2.connectedComponents((mask > margin).astype(np.uint8))
        brightest = np.zeros(count, np.int32)
        np.maximum.at(brightest, np.asarray(labels, np.intp).ravel(), mask.ravel())
        area = np.bincount(labels.ravel(), minlength=count)[1:]
        dim += int(area[brightest[1:] < DIM * top].sum())
        whole += int(area.sum())
    return dim / max(whole, 1)
