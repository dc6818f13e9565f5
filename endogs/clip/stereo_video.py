"""Stereo videos: one file whose frames hold both views, or two files of a folder, one for each eye."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from endogs.bounded_files import is_file, listed
from endogs.clip import video
from endogs.clip.calibration_json import calibrate, load_calibration
from endogs.clip.config import ClipOptions
from endogs.clip.guessed_camera import guessed_intrinsics
from endogs.clip.recording import FrameReader, Recording
from endogs.errors import InputError

KIND = "stereo-video"
LANDMARKS: tuple[str, ...] = ()
SUFFIXES = (".mp4", ".mkv", ".avi", ".mov", ".mpg", ".mpeg", ".ts", ".webm", ".m4v")
LATE = 0.5
"""Part of a frame interval by which frames of two files may lie apart and still be a pair."""


def why_not(path: Path) -> str | None:
    """Why `path` has not this layout, None when it has."""
    if not path.is_dir():
        return "not a folder"
    return None if view_files(path) else "no pair of videos called left and right"


def view_files(path: Path) -> tuple[Path, Path] | None:
    """The left and the right video of a folder, or of its left/ and right/; None when there is no one such pair."""
    found = []
    for side in ("left", "right"):
        places = [path, path / side]
        files = [file for place in places if place.is_dir() for file in listed(place)]
        videos = [file for file in files if file.suffix.lower() in SUFFIXES and is_file(file)]
        named = sorted(file for file in videos if side in file.stem.lower() or file.parent.name == side)
        if len(named) != 1:
            return None
        found.append(named[0])
    return found[0], found[1]


def read(path: Path, options: ClipOptions) -> Recording:
    """Two files, frames paired by their times, with the camera of calibration.json or --calibration.

    Raises InputError for views of other sizes, files whose times have nothing in common, and bad calibrations.
    """
    files = view_files(path)
    assert files is not None
    recording = pair(*files, options)
    beside = path / "calibration.json"
    file = options.calibration or (beside if beside.is_file() else None)
    return calibrated(replace(recording, source=path, kind=KIND), file, options)


def pair(left_file: Path, right_file: Path, options: ClipOptions) -> Recording:
    """The recording of two video files, without a known camera; frames that have no partner in time are left out."""
    plain = replace(options, crop=None, max_size=None, calibration=None, stereo=None)
    left = video.read(left_file, plain, keep_bytes=0, square=False)
    right = video.read(right_file, replace(plain, start=None, end=None, stride=1), keep_bytes=0, square=False)
    if (left.width, left.height) != (right.width, right.height):
        raise InputError(
            f"{right_file}: frames are {right.width} x {right.height} but those of {left_file.name} are {left.width} x "
            f"{left.height}: both views must have one size."
        )
    after = np.searchsorted(right.times, left.times).clip(1, max(1, len(right.times) - 1))
    before_is_nearer = left.times - right.times[after - 1] < right.times[after % len(right.times)] - left.times
    nearest = np.where(before_is_nearer | (len(right.times) == 1), after - 1, after)
    step = np.median(np.diff(right.times)) if len(right.times) > 1 else 1.0
    together = np.abs(right.times[nearest] - left.times) <= LATE * step
    if not together.any():
        raise InputError(f"{right_file}: no frame is from a time of {left_file.name}: are these two views of one clip?")
    kept = np.flatnonzero(together)
    notes = [*left.notes, *(note for note in right.notes if note not in left.notes)]
    if len(kept) < len(together):
        notes.append(f"stereo: {len(together) - len(kept)} frames of {left_file.name} without a partner are left out.")
    return replace(
        left,
        times=left.times[kept],
        K=left.K[kept],
        world_to_camera=left.world_to_camera[kept],
        images=ChosenFrames(left.images, kept),
        right_images=ChosenFrames(right.images, nearest[kept]),
        notes=notes,
    )


def read_packed(path: Path, options: ClipOptions) -> Recording:
    """One file whose frames hold two views as `options.stereo` says, with the camera of --calibration, or guessed."""
    plain = replace(options, crop=None, max_size=None, calibration=None, stereo=None)
    whole = video.read(path, plain, keep_bytes=0, square=False)
    beside = options.stereo == "side-by-side"
    if (whole.width if beside else whole.height) % 2:
        raise InputError(f"{path}: frames of {whole.width} x {whole.height} are not two views {options.stereo}.")
    width, height = (whole.width // 2, whole.height) if beside else (whole.width, whole.height // 2)
    packed = PackedViews(whole.images, width, height)
    K, _ = guessed_intrinsics(width, height, options)
    recording = replace(
        whole,
        kind=KIND,
        width=width,
        height=height,
        K=K[None].repeat(len(whole.times), 0),
        images=packed.view(0, 0),
        right_images=packed.view(0, width) if beside else packed.view(height, 0),
        notes=[note for note in whole.notes if "--stereo" not in note],
    )
    return calibrated(recording, options.calibration, options)


def calibrated(recording: Recording, file: Path | None, options: ClipOptions) -> Recording:
    """The stereo recording with the cameras of `file`; without one only the left view is of use."""
    if file is not None:
        return calibrate(recording, load_calibration(file), file, options)
    note = (
        f"the right view of {len(recording.times)} frames is not used: how the cameras stand to each other is unknown; "
        "--calibration says it."
    )
    return replace(recording, right_images=None, notes=[*recording.notes, note])


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


class ChosenFrames:
    """Some frames of a reader."""

    def __init__(self, frames: FrameReader, indices: NDArray[np.intp]) -> None:
        self.frames, self.indices = frames, indices

    def read(self, index: int) -> NDArray[np.uint8]:
        """uint8 (H, W, 3) RGB."""
        return self.frames.read(int(self.indices[index]))
