"""Two views in each frame of one video."""

import numpy as np
from numpy.typing import NDArray

from endogs.clip.recording import FrameReader


class PackedViews:
    """Views side by side in the frames of one video; the last frame is kept, as both are asked for in turn."""

    def __init__(self, frames: FrameReader, width: int, height: int) -> None:
        """`width` and `height` are those of one view."""
        self.frames, self.width, self.height = frames, width, height
        self._last: tuple[int, NDArray[np.uint8]] | None = None

    def view(self, row: int, column: int) -> FrameReader:
        """The view whose first pixel is at (`row`, `column`)."""
        return _View(self, row, column)

    def read(self, index: int) -> NDArray[np.uint8]:
        """uint8 (H, W, 3) RGB with all views."""
        if self._last is None or self._last[0] != index:
            self._last = (index, self.frames.read(index))
        return self._last[1]


class _View:
    """One of the views."""

    def __init__(self, packed: PackedViews, row: int, column: int) -> None:
        self.packed, self.row, self.column = packed, row, column

    def read(self, index: int) -> NDArray[np.uint8]:
        """uint8 (H, W, 3) RGB."""
        rows = slice(self.row, self.row + self.packed.height)
        columns = slice(self.column, self.column + self.packed.width)
        return np.ascontiguousarray(self.packed.read(index)[rows, columns])
