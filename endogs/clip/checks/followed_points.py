"""Points of the tissue followed from frame to frame, at a size of their own that --max-size does not change.

Lucas and Kanade's method, forth and back; points that do not return to where they began are dropped.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from endogs.clip.clip import Clip

Array = NDArray[np.float64]
Grey = NDArray[np.uint8]

STARTS = 5
"""Places in the clip that are looked at."""
HOPS = (1, 1, 2, 4, 8, 16)
"""Frames between the images in which a point is followed on."""
ENOUGH_MOTION = 0.05
"""Median motion, over the image's width, at which following stops."""
LEAST_MOTION = 4.0
"""Pixels of the looking view; less says little about poses."""
LEAST_POINTS = 25
"""Points that a pair of frames must share."""
LONGEST = 640
"""Pixels of the longer side of the looking view, at most."""
RETURNS = 0.7
"""Pixels of that view within which a point must come back to where it began."""
BRIGHTEST = 245
"""Grey levels from which a pixel is a highlight, which travels with the light and not with the tissue."""


@dataclass(frozen=True)
class Pair:
    """Points followed from one frame to another."""

    first: int
    """Index of the frame where they start."""
    second: int
    """Index of the frame where they end."""
    here: Array
    """(N, 2) pixels of the first frame, in the geometry of `LookingView.full`, centres at +0.5."""
    there: Array
    """(N, 2) pixels of the second frame."""


class LookingView:
    """A clip's frames as small grey pictures, made from the originals so that --max-size changes nothing.

    With `original` False they are made from the frames as --crop and --max-size leave them, which costs no decoding
    where a video's frames are kept.
    """

    def __init__(self, clip: Clip, original: bool = True) -> None:
        self.clip, self.is_original = clip, original
        self.full = clip.original_size if original else (clip.width, clip.height)
        """(width, height) in whose pixels points are given."""
        self.scale = min(1.0, LONGEST / max(self.full))
        """Pixels of the small pictures per pixel of `full`."""
        self.size = max(1, round(self.full[0] * self.scale)), max(1, round(self.full[1] * self.scale))
        """(width, height) of the small pictures."""
        self.starts = sorted({round(i) for i in np.linspace(0, len(clip) - 2, STARTS)}) if len(clip) > 1 else [0]
        """Frames from which points are followed."""
        self._grey: dict[tuple[str, int], Grey] = {}

    def grey(self, index: int) -> Grey:
        """(H, W) of frame `index`."""
        if ("left", index) not in self._grey:
            image = self.clip.original(index) if self.is_original else self.clip.image(index)
            self._grey["left", index] = self._small(image)
            if index in self.starts and self.is_original and self.clip.has_right:
                self.right_grey(index)  # decoded at once, as both views are often in one file
        return self._grey["left", index]

    def right_grey(self, index: int) -> Grey | None:
        """(H, W) of the right view of frame `index`, None when there is none."""
        if ("right", index) not in self._grey:
            image = self.clip.original_right(index) if self.is_original else self.clip.right_image(index)
            if image is None:
                return None
            self._grey["right", index] = self._small(image)
        return self._grey["right", index]

    def tissue(self, index: int) -> NDArray[np.uint8]:
        """uint8 (H, W), 1 where frame `index` shows dull tissue inside --crop."""
        import cv2

        crop = self.clip.options.crop if self.is_original else None
        x0, y0, x1, y1 = (round(self.scale * side) for side in crop or (0, 0, *self.full))
        x1, y1 = min(max(x1, x0 + 1), self.size[0]), min(max(y1, y0 + 1), self.size[1])
        allowed = np.zeros(self.size[::-1], np.uint8)
        tissue = self.clip.tissue_mask(index).astype(np.uint8)
        allowed[y0:y1, x0:x1] = cv2.resize(tissue, (x1 - x0, y1 - y0), interpolation=cv2.INTER_NEAREST)
        dull = np.asarray(cv2.dilate(self.grey(index), np.ones((5, 5), np.uint8))) < BRIGHTEST
        return allowed * dull.astype(np.uint8)

    def to_full(self, points: NDArray[np.float32]) -> Array:
        """Pixels (N, 2) of `full`, centres at +0.5, of OpenCV's points in the small pictures, centres at integers."""
        return (np.asarray(points, np.float64) + 0.5) * (np.array(self.full) / self.size)

    def _small(self, image: NDArray[np.uint8]) -> Grey:
        import cv2

        small = cv2.resize(image, self.size, interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)


def followed_pairs(
    view: LookingView,
    starts: Sequence[int] | None = None,
    least_motion: float = LEAST_MOTION,
    hops: Sequence[int] = HOPS,
) -> list[Pair]:
    """Points followed through the clip from a few places, each as far as the motion needs, by optical flow.

    Only tissue inside --crop is looked at. `starts` are frames, by default the view's. Pairs with too few points are
    left out, and so are those that move by less than `least_motion`, pixels of the looking view. `hops` are frames from
    one picture to the next.
    """
    import cv2

    pairs = []
    for start in (view.starts if starts is None else starts) if len(view.clip) > 1 else []:
        image = view.grey(start)
        first = cv2.goodFeaturesToTrack(image, 400, 0.01, 6, mask=view.tissue(start))
        if first is None:
            continue
        here = there = np.asarray(first, np.float32).reshape(-1, 2)
        now, moved = start, 0.0
        for hop in hops:
            if now + hop >= len(view.clip) or len(here) < LEAST_POINTS or moved > ENOUGH_MOTION * view.size[0]:
                break
            following = view.grey(now + hop)
            ahead, found = _flow(image, following, there)
            back, returned = _flow(following, image, ahead)
            kept = found & returned & (np.linalg.norm(back - there, axis=1) < RETURNS)
            here, there, image, now = here[kept], ahead[kept], following, now + hop
            moved = float(np.median(np.linalg.norm(there - here, axis=1))) if len(here) else 0.0
        if len(here) >= LEAST_POINTS and moved >= least_motion and now > start:
            pairs.append(Pair(start, now, view.to_full(here), view.to_full(there)))
    return pairs


def _flow(image: Grey, following: Grey, points: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Where points (N, 2) of a grey image (H, W) are in the one that follows, and whether each was found."""
    import cv2

    to = np.zeros_like(points)
    moved, found, _ = cv2.calcOpticalFlowPyrLK(image, following, points, to, winSize=(17, 17))
    return np.asarray(moved, np.float32).reshape(-1, 2), np.asarray(found).ravel() > 0
