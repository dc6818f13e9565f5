"""Frames of a clip as a source: one that has ended."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from endogs.clip.clip import Clip
from endogs.clip.frame_source import Frame, Pause


class ClipFrames:
    """Some frames of a clip, in the order of time."""

    def __init__(self, clip: Clip, numbers: Iterable[int]) -> None:
        """`numbers` are indices of the clip's frames, ascending."""
        self._clip, self._numbers = clip, iter(numbers)

    @property
    def name(self) -> str:
        """The clip's file or folder."""
        return str(self._clip.source)

    @property
    def ignored(self) -> NDArray[np.bool_]:
        """(H, W) True where there is never tissue."""
        return self._clip.ignored

    @property
    def static_camera(self) -> bool:
        """True when every frame of the clip has the same pose."""
        return self._clip.static_camera

    def next(self) -> Frame | Pause:
        """The next frame; a file never keeps anybody waiting."""
        number = next(self._numbers, None)
        return Pause.END if number is None else self._clip.frame(number)
