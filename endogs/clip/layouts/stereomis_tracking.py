"""The views of StereoMIS-Tracking: NNNNNNl.png and NNNNNNr.png in one folder, numbered by their frame in the video."""

from pathlib import Path

import numpy as np

from endogs.clip.config import ClipOptions
from endogs.clip.files.frame_folders import DEFAULT_FPS, ImageFiles
from endogs.clip.files.image_files import check_sizes, image_size, list_images
from endogs.clip.files.selection import Selection
from endogs.clip.files.stacked_video import StackedVideo
from endogs.errors import InputError


def left_frames(folder: Path) -> list[Path]:
    """The left views in `folder`, in order."""
    return [file for file in list_images(folder) if file.stem[-1:] == "l" and file.stem[:-1].isdigit()]


def read_frame_pairs(folder: Path, options: ClipOptions) -> StackedVideo:
    """The chosen pairs of `folder`; their places in the video are the numbers in their names.

    Raises InputError for left views without a right one, and views of several sizes.
    """
    left = left_frames(folder)
    right = [file.with_name(f"{file.stem[:-1]}r{file.suffix}") for file in left]
    lonely = next((file for file, other in zip(left, right, strict=True) if not other.is_file()), None)
    if lonely is not None:
        raise InputError(f"{lonely}: its right view {lonely.stem[:-1]}r{lonely.suffix} is not there: copy it again.")
    width, height = image_size(left[0])
    check_sizes([*left, *right], width, height, left[0])
    times = np.arange(len(left)) / (options.fps or DEFAULT_FPS)
    notes = []
    if options.fps is None:
        notes.append(f"the frame rate is unknown and taken as {DEFAULT_FPS:g} per second; --fps sets it.")
    chosen = Selection(options).indices(times.tolist(), folder)
    return StackedVideo(
        width=width,
        height=height,
        total=len(left),
        kept=[int(left[i].stem[:-1]) for i in chosen],
        times=times[chosen],
        left=ImageFiles([left[i] for i in chosen]),
        right=ImageFiles([right[i] for i in chosen]),
        notes=notes,
    )
