"""A stereo video whose frames hold the left view on top of the right one, in the layouts that know where it is."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from endogs.clip.cameras.guessed_camera import camera_found
from endogs.clip.cameras.rectification import Rectification, RectifiedImages
from endogs.clip.config import ClipOptions
from endogs.clip.files.chosen_frames import ChosenFrames
from endogs.clip.files.packed_views import PackedViews
from endogs.clip.files.selection import Selection
from endogs.clip.layouts import video
from endogs.clip.recording import FrameReader, Recording
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
    """Indices of the chosen frames from the video's first, to which masks and poses refer."""
    times: NDArray[np.float64]
    """(F,) seconds since the video's first frame."""
    left: FrameReader
    """The upper half, uint8 (height, width, 3) RGB."""
    right: FrameReader
    """The lower half."""
    notes: list[str]
    """Sentences a user should read."""

    def chosen(self, indices: NDArray[np.intp]) -> "StackedVideo":
        """Only the frames at `indices` (F,) among those chosen so far."""
        return replace(
            self,
            kept=[self.kept[i] for i in indices],
            times=self.times[indices],
            left=ChosenFrames(self.left, indices),
            right=ChosenFrames(self.right, indices),
        )

    def recording(
        self, source: Path, kind: str, turned: Rectification, world_to_camera: NDArray[np.float64]
    ) -> Recording:
        """Both views rectified, in millimetres; `world_to_camera` (F, 4, 4) is the rectified left camera's."""
        return Recording(
            source=source,
            kind=kind,
            width=self.width,
            height=self.height,
            times=self.times,
            K=turned.K[None].repeat(len(self.kept), 0),
            world_to_camera=world_to_camera,
            images=RectifiedImages(self.left, turned.left),
            units="mm",
            right_images=RectifiedImages(self.right, turned.right),
            baseline=turned.baseline,
            turn=turned.turn,
        )


def read_stacked_video(path: Path, options: ClipOptions, limit: int | None = None) -> StackedVideo:
    """The views of the video at `path`, of whose frames at most the first `limit` are used.

    Raises InputError for a video that cannot be decoded or has an odd height, and as `Selection` does.
    """
    # The place of a frame in the file needs all frames before it.
    whole = video.read(
        path, replace(options, start=None, stride=1, crop=None, max_size=None), keep_bytes=0, square=False
    )
    if whole.height % 2:
        raise InputError(f"{path}: frames of {whole.height} rows are not two views above each other: check the file.")
    times = whole.times if limit is None else whole.times[:limit]
    kept = Selection(options).indices(times.tolist(), path)
    height = whole.height // 2
    views = PackedViews(ChosenFrames(whole.images, np.array(kept)), whole.width, height)
    return StackedVideo(
        width=whole.width,
        height=height,
        total=len(whole.times),
        kept=kept,
        times=times[kept],
        left=views.view(0, 0),
        right=views.view(height, 0),
        notes=[note for note in camera_found(whole.notes) if "--stereo" not in note],
    )
