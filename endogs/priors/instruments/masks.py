"""Instrument masks of a whole clip, kept as bits."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


class InstrumentMasks:
    """Where instruments are in each frame of a clip, and where they may be.

    Kept at the size they were found at and enlarged when read. Serves a `Clip` as its reader of tissue masks.
    """

    def __init__(self, instruments: Sequence[Mask], halos: Sequence[Mask], width: int, height: int) -> None:
        """Masks (h, w) per frame, True = instrument, and the surroundings that may be instrument; the clip's size.

        Frames may be appended one by one, so that they are never all in memory but as bits.
        """
        self.width, self.height = width, height
        self._shape: tuple[int, ...] = (height, width)
        self._instruments: list[NDArray[np.uint8]] = []
        self._halos: list[NDArray[np.uint8]] = []
        for instrument, halo in zip(instruments, halos, strict=True):
            self.append(instrument, halo)

    def __len__(self) -> int:
        return len(self._instruments)

    def append(self, instrument: Mask, halo: Mask) -> None:
        """One more frame: masks (h, w) of one size for all frames, as of the constructor."""
        self._shape = instrument.shape
        self._instruments.append(np.packbits(instrument))
        self._halos.append(np.packbits(halo))

    def instrument(self, index: int) -> Mask:
        """bool (H, W), True = instrument."""
        return self._enlarged(self._instruments[index])

    def halo(self, index: int) -> Mask:
        """bool (H, W), True = neither surely instrument nor surely tissue."""
        return self._enlarged(self._halos[index]) & ~self.instrument(index)

    def read(self, index: int) -> Mask:
        """bool (H, W), True = tissue: neither instrument nor halo."""
        return ~(self._enlarged(self._instruments[index]) | self._enlarged(self._halos[index]))

    @property
    def any(self) -> bool:
        """True when some frame shows an instrument."""
        return any(bits.any() for bits in self._instruments)

    def _enlarged(self, bits: NDArray[np.uint8]) -> Mask:
        return enlarged(unpacked(bits, self._shape), self.width, self.height)


def unpacked(bits: NDArray[np.uint8], shape: tuple[int, ...]) -> Mask:
    """The mask (h, w) of this shape that `np.packbits` packed."""
    return np.unpackbits(bits, count=int(np.prod(shape))).reshape(shape).view(np.bool_)


def enlarged(mask: Mask, width: int, height: int) -> Mask:
    """`mask` (h, w) at another size (height, width), by lines between its pixels: edges are slanted and not stairs."""
    if mask.shape == (height, width):
        return mask
    return cv2.resize(mask.view(np.uint8) * np.uint8(255), (width, height), interpolation=cv2.INTER_LINEAR) > 127


def box_of(mask: Mask) -> tuple[slice, slice]:
    """Rows and columns of the smallest box around a `mask` (H, W) that is not empty."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def disc(pixels: int) -> NDArray[np.uint8]:
    """A round structuring element that reaches `pixels` from its centre."""
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * pixels + 1, 2 * pixels + 1)), np.uint8)


def grown(mask: Mask, pixels: int) -> Mask:
    """`mask` (H, W) and all that lies within `pixels` of it."""
    if pixels < 1:
        return mask.copy()
    return cv2.dilate(np.ascontiguousarray(mask).view(np.uint8), disc(pixels)).view(bool)


def shrunk(mask: Mask, pixels: int) -> Mask:
    """`mask` (H, W) without what lies within `pixels` of its outside; the image border is no outside."""
    return cv2.erode(np.ascontiguousarray(mask).view(np.uint8), disc(pixels), borderValue=1).view(bool)
