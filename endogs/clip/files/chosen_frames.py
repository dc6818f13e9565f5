"""A recording of some frames of one file that says nothing about its camera."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from endogs.clip.cameras.calibration_json import with_calibration_file
from endogs.clip.cameras.guessed_camera import guessed_intrinsics, still_poses
from endogs.clip.config import ClipOptions
from endogs.clip.recording import FrameReader, Recording


def chosen_frames(
    path: Path,
    kind: str,
    frames: FrameReader,
    seconds: NDArray[np.float64],
    kept: list[int],
    options: ClipOptions,
    notes: list[str],
) -> Recording:
    """The frames `kept` of all, which stand at `seconds` (F_total,), by a camera that stands still.

    The camera is that of --calibration, or guessed. Raises InputError as the reader and the calibration do.
    """
    height, width = frames.read(kept[0]).shape[:2]
    K, camera_notes = guessed_intrinsics(width, height, options)
    recording = Recording(
        source=path,
        kind=kind,
        width=width,
        height=height,
        times=seconds[kept],
        K=K[None].repeat(len(kept), 0),
        world_to_camera=still_poses(len(kept)),
        poses_are_given=False,
        images=ChosenFrames(frames, np.array(kept)),
        K_is_guess=options.focal is None,
        notes=[*notes, *camera_notes],
    )
    return with_calibration_file(recording, options)


class ChosenFrames:
    """Some frames of a reader."""

    def __init__(self, frames: FrameReader, indices: NDArray[np.intp]) -> None:
        self.frames, self.indices = frames, indices

    def read(self, index: int) -> NDArray[np.uint8]:
        """uint8 (H, W, 3) RGB."""
        return self.frames.read(int(self.indices[index]))
