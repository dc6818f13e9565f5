"""A stereo video whose frames hold the left view on top of the right one, as da Vinci recordings are kept."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from endogs.clip import video
from endogs.clip.config import ClipOptions
from endogs.clip.recording import FrameReader
from endogs.clip.selection import Selection
from endogs.errors import InputError


@dataclass(frozen=True)
class StackedVideo:
    """The chosen frames of a stacked video, each view by itself."""

    width: int
    """Of one view, pixels."""
    height: int
    """Of one view, pixels."""
    total: int
    """Frames up to --end."""
    kept: list[int]
    """Indices of the chosen frames from the video's first."""
    times: NDArray[np.float64]
    """(F,) seconds since the video's first frame."""
    left: FrameReader
    """The upper half, uint8 (height, width, 3) RGB."""
    right: FrameReader
    """The lower half."""
    notes: list[str]
    """Sentences a user should read."""


def read_stacked_video(path: Path, options: ClipOptions, limit: int | None = None) -> StackedVideo:
    """The views of the video at `path`, of whose frames at most the first `limit` are used.

    Raises InputError for a video that cannot be decoded or has an odd height, and as `Selection` does.
    """
    # The place of a frame in the file, which masks and poses refer to, needs all frames before it.
    whole = video.read(path, replace(options, start=None, stride=1, crop=None, max_size=None), keep_bytes=0)
    if whole.height % 2:
        raise InputError(f"{path}: frames of {whole.height} rows are not two views above each other: check the file.")
    times = whole.times if limit is None else whole.times[:limit]
    kept = Selection(options).indices(times.tolist(), path)
    halves = _Halves(whole.images, kept, whole.height // 2)
    return StackedVideo(
        width=whole.width,
        height=whole.height // 2,
        total=len(whole.times),
        kept=kept,
        times=times[kept],
        left=_Half(halves, 0),
        right=_Half(halves, 1),
        notes=[note for note in whole.notes if "camera is unknown" not in note and "principal point" not in note],
    )


class _Halves:
    """Both views of chosen frames; the last one is kept, as left and right are asked for one after the other."""

    def __init__(self, frames: FrameReader, kept: list[int], height: int) -> None:
        self.frames, self.kept, self.height = frames, kept, height
        self._last: tuple[int, NDArray[Any]] | None = None

    def read(self, index: int, half: int) -> NDArray[np.uint8]:
        """uint8 (H, W, 3) of view 0 (upper) or 1 (lower)."""
        if self._last is None or self._last[0] != index:
            self._last = (index, self.frames.read(self.kept[index]))
        return np.ascontiguousarray(self._last[1][half * self.height : (half + 1) * self.height])


class _Half:
    """One of the two views."""

    def __init__(self, halves: _Halves, half: int) -> None:
        self.halves, self.half = halves, half

    def read(self, index: int) -> NDArray[np.uint8]:
        """uint8 (H, W, 3) RGB."""
        return self.halves.read(index, self.half)
