"""The tissue masks that a scene was fitted with, kept in its file: nobody has to search for instruments again.

Each frame is its bits, row by row, as one deflate stream (zlib, RFC 1950): half a kilobyte to two for the outlines of
instruments. A frame is unpacked when it is asked for, and never to more bytes than its size has.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class StoredMasks:
    """One mask per frame, packed."""

    width: int
    """Pixels."""
    height: int
    """Pixels."""
    packed: NDArray[np.uint8]
    """(B,) the deflate streams of all frames, one after the other."""
    ends: NDArray[np.int64]
    """(F,) where each frame's stream ends in `packed`; ascending, the last one B."""

    def __post_init__(self) -> None:
        """Raises ValueError where the ends do not fit the streams."""
        starts = np.concatenate([[0], self.ends[:-1]])
        if not len(self.ends) or np.any(self.ends <= starts) or int(self.ends[-1]) != len(self.packed):
            raise ValueError(f"its masks' ends do not divide {len(self.packed)} bytes into frames")

    @staticmethod
    def of(tissue_mask: Callable[[int], NDArray[np.bool_]], frames: int, width: int, height: int) -> "StoredMasks":
        """Packs `tissue_mask(i)` (H, W), True = tissue, of `frames` >= 1 frames."""
        streams = [zlib.compress(np.packbits(tissue_mask(frame)).tobytes()) for frame in range(frames)]
        ends = np.cumsum([len(stream) for stream in streams], dtype=np.int64)
        return StoredMasks(width, height, np.frombuffer(b"".join(streams), np.uint8), ends)

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.ends)

    def tissue_mask(self, frame: int) -> NDArray[np.bool_]:
        """bool (H, W) of a frame, True = tissue. Raises ValueError where its stream is not a mask of this size."""
        start = int(self.ends[frame - 1]) if frame else 0
        stream = self.packed[start : int(self.ends[frame])].tobytes()
        pixels = self.width * self.height
        size = -(-pixels // 8)
        unpacker = zlib.decompressobj()
        try:
            bits = unpacker.decompress(stream, size + 1)
        except zlib.error as error:
            raise ValueError(f"mask of frame {frame} is damaged ({error})") from error
        if len(bits) != size:
            raise ValueError(f"mask of frame {frame} is not one of {self.width} x {self.height} pixels")
        found = np.unpackbits(np.frombuffer(bits, np.uint8), count=pixels)
        return found.reshape(self.height, self.width).view(np.bool_)
