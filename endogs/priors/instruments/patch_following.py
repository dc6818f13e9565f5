"""A patch of one frame carried through the clip, along optical flow, for as long as it can be believed.

In each frame the patch that the flow brings is compared with what was carried: pixels must come back by the flow in the
other direction, and look as they did. Its border is then moved to the edges of the frame it came to. When too little
is left of it, as behind another instrument, at the edge of the view, or after a motion that flow cannot follow, it ends
there. Nothing is carried past a click that says the contrary.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.priors.instruments.masks import Mask, grown, shrunk
from endogs.priors.instruments.patch_matching import matched_patch
from endogs.priors.motion.flow import Flow, warp

SAME = 14.0
"""Mean grey levels of red, green and blue by which a carried pixel may change from one frame to the next."""
BELIEVED = 0.5
"""Part of the patch that must come back and look the same in the next frame."""
LEAST = 0.35
"""A patch that has shrunk to this part of the clicked one has left, or is hidden."""
BAND = 0.006
"""Widths of the frame by which the border may move in a frame."""
BINS = 12
"""Cells of a channel in the tables of colours inside and outside the patch."""


@dataclass(frozen=True)
class Carriers:
    """What a clip offers to carry a patch from frame to frame."""

    image: Callable[[int], NDArray[np.uint8]]
    """(h, w, 3) RGB of a frame."""
    flow: Callable[[int, int], tuple[Flow, Mask]]
    """The flow (h, w, 2) from one frame to another, and where it comes back (h, w)."""
    count: int
    """Frames."""


def carried(
    carriers: Carriers,
    frame: int,
    patch: Mask,
    step: int,
    stops: Callable[[int, Mask], bool] = lambda index, mask: False,
) -> Iterator[tuple[int, Mask]]:
    """(frame, patch (h, w)) for the frames after `frame`, in steps of `step` (1 or -1), until it is lost.

    It also ends before a frame for whose patch `stops(frame, patch)` is true.
    """
    image, now, whole = carriers.image(frame), patch, int(patch.sum())
    colors = _Colors(image, patch)
    for index in range(frame + step, carriers.count if step > 0 else -1, step):
        flow, returns = carriers.flow(index, index - step)
        other = carriers.image(index)
        there = warp(now.view(np.uint8) * np.uint8(255), flow) > 127
        change = cv2.blur(np.abs(warp(image, flow).astype(np.float32) - other).mean(2), (3, 3))
        believed = _share(there, returns & (change < SAME))
        matched = matched_patch(image, now, other)
        if matched is not None and (alike := _share(matched, colors.inside(other))) > max(believed, BELIEVED):
            there, believed = matched, alike
        if believed < BELIEVED:
            return
        now, image = colors.outlined(other, there), other
        if now.sum() < LEAST * whole or stops(index, now):
            return
        yield index, now


def _share(patch: Mask, good: Mask) -> float:
    """Part of the patch (h, w) that is good (h, w); 0 for an empty one."""
    return float((patch & good).sum() / max(int(patch.sum()), 1))


class _Colors:
    """Colours of a clicked patch and of what is around it, which tell its border in other frames."""

    def __init__(self, image: NDArray[np.uint8], patch: Mask) -> None:
        band = max(1, round(BAND * patch.shape[1]))
        around = grown(patch, 6 * band) & ~grown(patch, band)
        self._inside = _table(image, patch)
        self._outside = _table(image, around)

    def inside(self, image: NDArray[np.uint8]) -> Mask:
        """Pixels (h, w) that look rather like the clicked patch than like what was around it."""
        return self._ratio(image) > 0

    def _ratio(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        cells = _cells(image)
        ratios = np.log((self._inside[cells] + 1e-5) / (self._outside[cells] + 1e-5)).astype(np.float32)
        return np.asarray(cv2.GaussianBlur(ratios, (0, 0), 1.0), np.float32)

    def outlined(self, image: NDArray[np.uint8], patch: Mask) -> Mask:
        """`patch` (h, w) with the pixels near its border that look rather like inside, and not those like outside."""
        band = max(1, round(BAND * patch.shape[1]))
        ratio = self._ratio(image)
        # What the flow says counts as well: to leave the patch, or to join it, takes more than a doubt.
        depth = cv2.distanceTransform(patch.view(np.uint8), cv2.DIST_L2, 3)
        beyond = cv2.distanceTransform((~patch).view(np.uint8), cv2.DIST_L2, 3)
        signed = np.clip((depth - beyond) / band, -1.5, 1.5)
        found = (signed + 0.5 * np.clip(ratio, -2, 2)) > 0
        found = (found & grown(patch, band)) | shrunk(patch, band)
        return found if 0.75 < found.sum() / patch.sum() < 1.33 else patch


def _cells(image: NDArray[np.uint8]) -> NDArray[np.int32]:
    lab = cv2.cvtColor(cv2.GaussianBlur(image, (0, 0), 1.0), cv2.COLOR_RGB2LAB).astype(np.int32)
    light = lab[..., 0] * BINS // 256
    a, b = (np.clip((lab[..., k] - 128) * BINS // 96 + BINS // 2, 0, BINS - 1) for k in (1, 2))
    return (light * BINS + a) * BINS + b


def _table(image: NDArray[np.uint8], mask: Mask) -> NDArray[np.float64]:
    from scipy.ndimage import gaussian_filter

    counts = np.bincount(_cells(image)[mask], minlength=BINS**3).reshape(BINS, BINS, BINS).astype(np.float64)
    return (gaussian_filter(counts, 0.7) / max(int(mask.sum()), 1)).ravel()
