"""What a video gives frame by frame: from a file that has ended, or from a camera that has not."""

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from endogs.geometry import interpolate_rigid

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Frame:
    """One moment of a video, with what is known of it before anything is guessed."""

    number: int
    """Counts the source's frames from 0; those that are held out for testing are missing."""
    time: float
    """Seconds since the source's first frame."""
    image: NDArray[np.uint8]
    """(H, W, 3) RGB, contiguous. Whoever holds the frame shares it: nobody may write to it."""
    tissue_mask: Mask
    """(H, W) True where tissue is seen."""
    K: NDArray[np.float64]
    """(3, 3) intrinsics in pixels, centres at +0.5."""
    world_to_camera: NDArray[np.float64]
    """(4, 4) OpenCV axes, world units."""
    doubtful: Mask | None = None
    """(H, W) True where it is open whether it is tissue; None where nothing is."""


class Pause(Enum):
    """Why a source has no frame now."""

    WAIT = "wait"
    """The next one has not arrived."""
    END = "end"
    """There will be no more."""


class FrameSource(Protocol):
    """Frames in the order of time, each once."""

    @property
    def name(self) -> str:
        """The file, folder or device, for messages."""

    @property
    def ignored(self) -> Mask:
        """(H, W) True where no frame ever shows tissue, as outside a round field of view."""

    @property
    def static_camera(self) -> bool:
        """True when every frame has the same pose."""

    def next(self) -> Frame | Pause:
        """The next frame, or why there is none now."""


def camera_between(before: Frame, after: Frame, fraction: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """K (3, 3) and pose (4, 4) at `fraction` in [0, 1] of the way between two frames, moving evenly."""
    K = (1 - fraction) * before.K + fraction * after.K
    return K, interpolate_rigid(before.world_to_camera, after.world_to_camera, fraction)
