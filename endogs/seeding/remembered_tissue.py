"""What other frames show of the tissue at pixels that may be an instrument's, and whether a frame agrees with them.

Going through the frames, the colours that each surely shows of the tissue are kept, and carried along the tissue's
motion (`carried_motion`) while something hides it: a memory of what lies there. One comes from before a frame and one
from after it. Tissue that a halo holds by mistake agrees with them; what moves with an instrument agrees with neither.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.seeding.carried_motion import Grid, dense_motion

Mask = NDArray[np.bool_]
Signs = NDArray[np.int8]
AGREES, DIFFERS = 10, 28
"""Grey levels outside of what is remembered within a pixel, up to which it agrees, and from which on it does not."""
REACH = 0.08
"""How far from a mask or its halo a part of an instrument may have been missed, in image widths."""


class CarriedFrames(Protocol):
    """Frames whose tissue is carried from one to the next, as of `Observations`."""

    @property
    def images(self) -> Sequence[NDArray[np.uint8]]:
        """uint8 RGB (H, W, 3) of each."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""

    def __len__(self) -> int: ...

    def carried(self, start: int, end: int) -> Grid:
        """Motion (h, w, 3) of the tissue between two neighbours, as of `carried_motion`."""

    def carry_all(self) -> None:
        """Make all of these motions now."""


class Memory:
    """The tissue as it was last surely seen, carried along its motion since."""

    def __init__(self, height: int, width: int) -> None:
        """Of nothing."""
        self._kept = np.zeros((height, width, 4), np.uint8)
        """(H, W, 4): RGB times how much of it is known, and that, 255 = all."""

    @property
    def known(self) -> Mask:
        """(H, W) where something is remembered."""
        return self._kept[..., 3] > 127  # type: ignore[no-any-return]

    @property
    def colors(self) -> NDArray[np.uint8]:
        """(H, W, 3) RGB, black where nothing is remembered."""
        colors, part = cv2.cvtColor(self._kept, cv2.COLOR_RGBA2RGB), self._kept[..., 3]
        edge = np.nonzero((part > 127) & (part < 255))
        colors[edge] = np.minimum(colors[edge] * (np.float32(255) / part[edge])[:, None], 255)
        colors[np.nonzero((part <= 127) & (part > 0))] = 0
        return np.asarray(colors, np.uint8)

    def see(self, image: NDArray[np.uint8], shown: Mask) -> None:
        """Remember what a uint8 RGB image (H, W, 3) shows at `shown` (H, W)."""
        opaque = cv2.cvtColor(image, cv2.COLOR_RGB2RGBA)
        self._kept = np.asarray(cv2.copyTo(opaque, shown.view(np.uint8), self._kept), np.uint8)

    def carry_on(self, motion: Grid) -> None:
        """Go on to another frame; `motion` (h, w, 3) of `carried_motion` leads from that one back to this one."""
        height, width = self._kept.shape[:2]
        move = dense_motion(motion, (height, width))
        x = np.arange(width, dtype=np.float32) + move[..., 0]
        y = np.arange(height, dtype=np.float32)[:, None] + move[..., 1]
        kept = cv2.remap(self._kept, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(0, 0, 0, 0))
        self._kept = np.asarray(kept, np.uint8)

    def signs(self, image: NDArray[np.uint8]) -> Signs:
        """(H, W): 1 where a uint8 RGB image (H, W, 3) agrees with what is remembered, -1 where it does not, else 0."""
        off = outside_of(image, self.colors)
        return ((off < AGREES).view(np.int8) - (off > DIFFERS).view(np.int8)) * self.known.view(np.int8)


def outside_of(image: NDArray[np.uint8], kept: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Grey levels (H, W) by which an image (H, W, 3) is outside of what another one has within a pixel, both smoothed.

    So neither noise nor motion that is off by a pixel counts.
    """
    seen, kept = (np.asarray(cv2.GaussianBlur(of, (5, 5), 1.0), np.uint8) for of in (image, kept))
    around = np.ones((3, 3), np.uint8)
    # cv2.subtract ends at 0.
    below, above = cv2.subtract(cv2.erode(kept, around), seen), cv2.subtract(seen, cv2.dilate(kept, around))
    return np.maximum.reduce(cv2.split(cv2.max(below, above)))  # type: ignore[no-any-return]


def hanging_together(with_: Mask, suspect: Mask, reach: int) -> Mask:
    """The pixels (H, W) of `suspect` that hang together with some of `with_`, no farther than `reach` from it."""
    if not (suspect & ~with_).any():
        return np.zeros(suspect.shape, bool)
    distance = cv2.distanceTransform((~with_).view(np.uint8), cv2.DIST_L2, 3)
    near = with_ | (suspect & (distance <= reach))
    count, labels = cv2.connectedComponents(near.view(np.uint8), connectivity=4)
    meets = np.bincount(labels[with_], minlength=count) > 0
    meets[0] = False
    return meets[labels] & ~with_


def signs_along(observations: CarriedFrames, order: Sequence[int], sure: Sequence[Mask]) -> Iterator[Signs]:
    """Whether each frame of `order` agrees with what those before it in `order` surely showed, as of `Memory.signs`.

    Neighbours follow each other in `order`; `sure` (H, W) of each training frame is True where it surely shows tissue.
    What is taken for tissue, hangs together with what is not and contradicts the memory changes no memory.
    """
    memory, last = Memory(*observations.size), None
    reach = round(REACH * observations.size[1])
    for frame in order:
        if last is not None:
            memory.carry_on(observations.carried(frame, last))
        signs = memory.signs(observations.images[frame])
        shown = sure[frame] & ~hanging_together(~sure[frame], signs < 0, reach)
        yield np.where(shown, np.int8(1), signs)
        memory.see(observations.images[frame], shown)
        last = frame


@dataclass(frozen=True)
class Verdict:
    """What all other frames say of the pixels (H, W) of one; True in neither where they do not know, or not agree."""

    tissue: Mask
    """Agrees with what lay there before or lies there after, and contradicts neither."""
    other: Mask
    """Contradicts both what lay there before and what lies there after: one alone may be carried wrongly."""


def verdicts(observations: CarriedFrames, sure: Sequence[Mask]) -> Iterator[Verdict]:
    """Of every training frame, in order; `sure` (H, W) of each is True where it surely shows tissue.

    Pixels that a frame surely shows, and that do not hang together with others, are tissue.
    """
    frames = range(len(observations))
    observations.carry_all()
    after = list(signs_along(observations, frames[::-1], sure))
    for before in signs_along(observations, frames, sure):
        most, least = np.maximum(before, after[-1]), np.minimum(before, after.pop())
        yield Verdict((most > 0) & (least >= 0), most < 0)
