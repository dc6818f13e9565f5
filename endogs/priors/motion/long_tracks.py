"""Corners of the tissue, followed from frame to frame for as long as they are seen.

Pyramidal Lucas and Kanade (J. Bouguet, "Pyramidal implementation of the Lucas Kanade feature tracker", 2000) on corners
of J. Shi, C. Tomasi, "Good features to track", 1994. Dense flow is as good between neighbours, but hours of frames
cannot be held; a few hundred corners can, over a whole breath.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

CORNERS = 250
"""Corners that are followed at a time, at most."""
RENEWED = 4
"""Frames after which corners are added where there are none."""
LONGEST = 200
"""Frames after which a corner counts as another one: its patch has drifted, and the adjustment stays sparse."""
FEWEST_FRAMES = 4
"""Frames that must show a corner."""
PATCH = 15
"""Pixels of the square that is compared."""
COMES_BACK = 0.7
"""Pixels by which a corner that is followed there and back may miss itself."""
FOLLOW: dict[str, Any] = {"winSize": (PATCH, PATCH), "maxLevel": 3}


@dataclass(frozen=True)
class CornerTracks:
    """Corners as some frames see them, a row each."""

    frame: NDArray[np.intp]
    """(M,) places in the list of frames."""
    point: NDArray[np.intp]
    """(M,) which corner, 0 to `count` - 1."""
    pixels: NDArray[np.float64]
    """(M, 2) centres at +0.5."""
    count: int


def followed_corners(
    image: Callable[[int], NDArray[np.uint8]], tissue: Callable[[int], NDArray[np.bool_]], frames: Sequence[int]
) -> CornerTracks:
    """Corners on `tissue` (H, W), followed from frame to frame.

    `image` is sRGB (H, W, 3); both are asked for the numbers in `frames`, in that order.
    """
    even = cv2.createCLAHE(2.0, (8, 8))
    at, name, born = np.zeros((0, 2), np.float32), np.zeros(0, np.intp), np.zeros(0, np.intp)
    found: list[tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]] = []
    before: NDArray[np.uint8] | None = None
    count = 0
    for k, number in enumerate(frames):
        grey = np.asarray(even.apply(cv2.cvtColor(image(number), cv2.COLOR_RGB2GRAY)), np.uint8)
        mask = tissue(number)
        if before is not None and len(at):
            at, kept = _followed(before, grey, at, mask)
            at, name, born = at[kept], name[kept], born[kept]
            old = k - born >= LONGEST
            name[old], born[old] = np.arange(count, count + np.count_nonzero(old)), k
            count += int(np.count_nonzero(old))
        if k % RENEWED == 0:
            new = _new_corners(grey, mask, at)
            at, name = np.concatenate([at, new]), np.concatenate([name, np.arange(count, count + len(new))])
            born = np.concatenate([born, np.full(len(new), k, np.intp)])
            count += len(new)
        found.append((np.full(len(at), k, np.intp), name, at + np.float32(0.5)))
        before = grey
    frame, point, pixels = (np.concatenate(part) for part in zip(*found, strict=True))
    seen = np.bincount(point, minlength=count) >= FEWEST_FRAMES
    renamed = np.cumsum(seen) - 1
    kept = seen[point]
    return CornerTracks(frame[kept], renamed[point[kept]], pixels[kept].astype(np.float64), int(seen.sum()))


def _followed(
    before: NDArray[np.uint8], after: NDArray[np.uint8], at: NDArray[np.float32], mask: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Where corners (P, 2) went, and which of them (P,) came back and are on tissue."""
    height, width = mask.shape
    there, ok, _ = cv2.calcOpticalFlowPyrLK(before, after, at, None, **FOLLOW)  # type: ignore[call-overload]
    back, ok_back, _ = cv2.calcOpticalFlowPyrLK(after, before, there, None, **FOLLOW)  # type: ignore[call-overload]
    inside = (there >= 0).all(1) & (there[:, 0] < width - 0.5) & (there[:, 1] < height - 0.5)
    column, row = np.where(inside[:, None], there, 0).round().astype(np.intp).T
    kept = inside & (ok[:, 0] > 0) & (ok_back[:, 0] > 0) & mask[row.clip(0, height - 1), column.clip(0, width - 1)]
    return there, kept & (np.square(back - at).sum(1) < COMES_BACK**2)


def _new_corners(grey: NDArray[np.uint8], mask: NDArray[np.bool_], at: NDArray[np.float32]) -> NDArray[np.float32]:
    """Corners (N, 2) away from those there are (P, 2)."""
    free, apart = mask.astype(np.uint8), max(4, round(0.6 * float(np.sqrt(mask.size / CORNERS))))
    for x, y in at.round().astype(int).tolist():
        cv2.circle(free, (x, y), apart, 0, -1)
    most = CORNERS - len(at)
    new = None if most <= 0 else cv2.goodFeaturesToTrack(grey, most, 0.01, apart, mask=free)
    return np.zeros((0, 2), np.float32) if new is None else new.reshape(-1, 2).astype(np.float32)
