"""The points that a tracker followed in each frame, small enough to lie beside a result: where, and which agreed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from endogs.bounded_arrays import read_npz
from endogs.errors import InputError
from endogs.output import new_file
from endogs.tracking.trajectory import TrackedFrame

FILE_NAME = "trajectory-points.npz"
"""Beside a scene."""
FINE = 8
"""Steps of a pixel in which places are kept."""
MOST_OF_FRAME, MOST = 300, 1_500_000
"""Points that are kept of a frame and of a clip, evenly taken: a file of 8 MB at most, before it is packed."""
LARGEST = 64 * 2**20
"""Bytes of a file that is read."""
NAMES = ("first", "pixels", "agree", "keyframe")


@dataclass(frozen=True)
class TrackedPoints:
    """Points of every frame of a clip."""

    first: NDArray[np.int64]
    """(F + 1,) where the points of a frame begin, and those of the last one end."""
    pixels: NDArray[np.uint16]
    """(N, 2) in eighths of the clip's pixels."""
    agree: NDArray[np.bool_]
    """(N,) whether they agreed with the frame's pose."""
    keyframe: NDArray[np.bool_]
    """(F,) whether the map was built on the frame."""

    def __len__(self) -> int:
        return len(self.keyframe)

    def of_frame(self, frame: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Pixels (n, 2) of the clip's frame, centres at +0.5, and which agreed (n,)."""
        mine = slice(int(self.first[frame]), int(self.first[frame + 1]))
        return self.pixels[mine].astype(np.float64) / FINE, self.agree[mine]

    @staticmethod
    def of(frames: Sequence[TrackedFrame]) -> "TrackedPoints | None":
        """The points of a path; None where it has neither points nor keyframes."""
        keyframe = np.array([one.keyframe for one in frames], bool)
        if not keyframe.any():
            return None
        most = min(MOST_OF_FRAME, MOST // max(1, len(frames)))
        pixels, agree = [np.zeros((0, 2), np.uint16)], [np.zeros(0, bool)]
        for one in frames:
            count = 0 if one.pixels is None or one.agree is None else len(one.pixels)
            chosen = np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.intp))
            if count and one.pixels is not None and one.agree is not None:
                largest = np.iinfo(np.uint16).max
                pixels.append(np.clip(np.rint(one.pixels[chosen] * FINE), 0, largest).astype(np.uint16))
                agree.append(one.agree[chosen])
            else:
                pixels.append(pixels[0])
                agree.append(agree[0])
        first = np.cumsum([len(part) for part in agree])
        return TrackedPoints(first.astype(np.int64), np.concatenate(pixels), np.concatenate(agree), keyframe)


def write_points(points: TrackedPoints, path: Path) -> None:
    """Write an .npz file."""
    with new_file(path) as unfinished, unfinished.open("wb") as file:
        np.savez_compressed(file, **{name: getattr(points, name) for name in NAMES})


def read_points(path: Path, frames: int) -> TrackedPoints:
    """The points of a clip of so many frames. Raises InputError for a file that does not hold them."""
    found = read_npz(path, NAMES, LARGEST)
    try:
        first, pixels, agree, keyframe = (found[name] for name in NAMES)
        right = first.shape == (frames + 1,) and keyframe.shape == (frames,) and keyframe.dtype == np.bool_
        right &= first.dtype == np.int64 and pixels.dtype == np.uint16 and agree.dtype == np.bool_
        right &= pixels.shape == (len(agree), 2) and agree.ndim == 1
        right = bool(right and first[0] == 0 and first[-1] == len(agree) and (np.diff(first) >= 0).all())
    except (KeyError, TypeError, IndexError):
        right = False
    if not right:
        raise InputError(
            f"{path}: not the tracked points of a clip of {frames} frames; remove it, or reconstruct the clip again."
        )
    return TrackedPoints(first, pixels, agree, keyframe)
