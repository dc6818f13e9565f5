"""One file of several pictures: a multi-page TIFF, an animated PNG or WebP, given itself or alone in a folder."""

from pathlib import Path

import numpy as np

from endogs.clip.config import ClipOptions
from endogs.clip.files.chosen_frames import chosen_frames
from endogs.clip.files.frame_folders import DEFAULT_FPS
from endogs.clip.files.image_files import IMAGE_SUFFIXES, list_images
from endogs.clip.files.mask_files import sampled
from endogs.clip.files.selection import Selection
from endogs.clip.files.stacks import AnimationFrames, TiffPages, page_count
from endogs.clip.files.value_range import white_value
from endogs.clip.recording import Recording

KIND = "image-stack"
LANDMARKS: tuple[str, ...] = ()


def why_not(path: Path, options: ClipOptions) -> str | None:
    """Why `path` is no stack, None when it is one."""
    if stack_file(path) is not None:
        return None
    return "a single picture" if path.is_file() else "no multi-page TIFF, animated PNG or WebP on its own"


def stack_file(path: Path) -> Path | None:
    """The stack that `path` is, or that lies in the folder as its only picture; None when there is none."""
    if path.is_dir():
        images = list_images(path)
        return images[0] if len(images) == 1 and page_count(images[0]) > 1 else None
    is_image = path.is_file() and path.suffix.lower() in IMAGE_SUFFIXES
    return path if is_image and page_count(path) > 1 else None


def read(path: Path, options: ClipOptions) -> Recording:
    """All pages in order, at the times that the file knows (animations, ImageJ's frame interval); pose still.

    Raises InputError as `TiffPages` and `AnimationFrames` do, and for the options of selection.
    """
    file = stack_file(path)
    assert file is not None
    notes: list[str] = []
    frames = TiffPages(file) if file.suffix.lower() in (".tif", ".tiff") else AnimationFrames(file)
    count, known_step = len(frames), frames.step if isinstance(frames, TiffPages) else None
    step = 1 / options.fps if options.fps else known_step or 1 / DEFAULT_FPS
    seconds = np.arange(count, dtype=np.float64) * step
    if options.fps is None and isinstance(frames, AnimationFrames) and min(frames.durations) > 0:
        seconds[1:] = np.cumsum(frames.durations[:-1])
    elif options.fps is None and known_step is None:
        notes.append(f"the frame rate is unknown and taken as {DEFAULT_FPS:g} per second; --fps sets it.")
    kept = Selection(options).indices(seconds.tolist(), path)
    if isinstance(frames, TiffPages):
        samples = [frames.raw(kept[i]) for i in sampled(len(kept))]
        frames.white = white_value(samples, file, notes)
    return chosen_frames(path, KIND, frames, seconds, kept, options, notes)
