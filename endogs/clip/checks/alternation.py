"""Whether a clip's frames come from two views by turns, as 3D systems record both eyes in one stream."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

SMOOTH = 3.0
"""Standard deviation in thumbnail pixels of what counts as shading, in which lamps that flicker differ."""
LEAST = 8
"""Frames in a row from which it is told."""
BACK = 0.6
"""A frame's difference to the one before last over that to the last: in one view it grows with time."""
NEARLY_ALL = 0.9
"""Share of the frames that must be like the one before last."""


def alternates(pictures: list[NDArray[np.float32]]) -> bool:
    """Whether of thumbnails (h, w) in a row each is more like the one before last than like the last."""
    if len(pictures) < LEAST:
        return False
    even = [_evened(picture) for picture in pictures]
    last = np.array([np.abs(b - a).mean() for a, b in pairwise(even[1:])])
    before_last = np.array([np.abs(b - a).mean() for a, b in zip(even[:-2], even[2:], strict=True)])
    goes_back = before_last < last
    return bool(goes_back.mean() >= NEARLY_ALL and np.median(before_last) < BACK * np.median(last))


def alternation_note(pictures: list[NDArray[np.float32]], stride: int) -> list[str]:
    """A sentence when `pictures`, thumbnails of neighbouring frames at --stride `stride`, come from two views."""
    if not alternates(pictures):
        return []
    return [
        f"each of {len(pictures)} frames looked at is like the one before last and not like the last, as where two "
        f"eyes or cameras are recorded by turns: --stride {2 * stride} keeps one of them."
    ]


def _evened(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """A thumbnail without shading and with its contrast made 1."""
    import cv2

    fine = picture - np.asarray(cv2.GaussianBlur(picture, (0, 0), SMOOTH), np.float32)
    return np.asarray(fine / (fine.std() + 1.0), np.float32)
