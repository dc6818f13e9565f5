"""Stereo videos: two files of a folder, one for each eye."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from endogs.bounded_files import is_file, listed
from endogs.clip.cameras.calibration_json import calibrate, load_calibration
from endogs.clip.config import ClipOptions
from endogs.clip.files.chosen_frames import ChosenFrames
from endogs.clip.layouts import video
from endogs.clip.recording import Recording
from endogs.errors import InputError

KIND = "stereo-video"
LANDMARKS: tuple[str, ...] = ()
SUFFIXES = (".mp4", ".mkv", ".avi", ".mov", ".mpg", ".mpeg", ".ts", ".webm", ".m4v")
LATE = 0.5
"""Part of a frame interval by which frames of two files may lie apart and still be a pair."""


def why_not(path: Path, options: ClipOptions) -> str | None:
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


def calibrated(recording: Recording, file: Path | None, options: ClipOptions) -> Recording:
    """The stereo recording with the cameras of `file`; without one only the left view is of use."""
    if file is not None:
        return calibrate(recording, load_calibration(file), file, options)
    note = (
        f"the right view of {len(recording.times)} frames is not used: how the cameras stand to each other is unknown; "
        "--calibration says it."
    )
    return replace(recording, right_images=None, notes=[*recording.notes, note])
