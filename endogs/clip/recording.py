"""What a reader found: the chosen frames of a clip in their original geometry."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray


class FrameReader(Protocol):
    """Random access to frames that are decoded when asked for."""

    def read(self, index: int) -> NDArray[Any]:
        """Frame `index` in the original size; what its values mean is said where the reader is used."""
        ...


@dataclass(frozen=True)
class Recording:
    """The chosen frames of a clip, before cropping and resizing."""

    source: Path
    """The file or folder."""
    kind: str
    """The layout's name, such as "video"."""
    width: int
    """Width of the original in pixels."""
    height: int
    """Height of the original in pixels."""
    times: NDArray[np.float64]
    """(F,) seconds since the first frame of the input, strictly increasing."""
    K: NDArray[np.float64]
    """(F, 3, 3) intrinsics in original pixels, centres at +0.5."""
    world_to_camera: NDArray[np.float64]
    """(F, 4, 4) OpenCV axes."""
    images: FrameReader
    """uint8 (height, width, 3) RGB."""
    poses_are_given: bool = True
    """False when nothing said where the camera is, and it is only taken to stand still."""
    K_is_guess: bool = False
    """True when nothing said what the focal length is."""
    masks: FrameReader | None = None
    """bool (height, width), True = tissue seen."""
    mask_instrument_value: int = 255
    """The value that meant instrument in the mask files."""
    depths: FrameReader | None = None
    """Raw depth (height, width) in the file's own integer or float type."""
    depth_unit: float = 1.0
    """World units per unit of raw depth."""
    right_images: FrameReader | None = None
    """uint8 (height, width, 3) RGB, rectified with `images`."""
    packed: FrameReader | None = None
    """uint8 RGB of whole frames that hold both views, where --stereo says how."""
    units: Literal["mm", "relative"] = "relative"
    """World units."""
    baseline: float | None = None
    """Distance of the right camera along the left camera's x axis, world units."""
    depth_is_quantized: bool = False
    """True when depth comes in 8 bits."""
    notes: list[str] = field(default_factory=list)
    """Sentences a user should read."""
    file_poses: NDArray[np.float64] | None = None
    """(F, 4, 4) pose matrices as the files hold them, when `world_to_camera` is more than their inverse."""
    file_pose_convention: str = "camera-to-world-opencv"
    """What they were taken for: one of `endogs.clip.cameras.pose_conventions.CONVENTIONS`."""
    poses_are_quaternions: bool = False
    """True when the rotations of those poses stand in the files as quaternions, w last."""
    pose_unit_mm: float | None = None
    """Millimetres per unit of the files' poses, None when nothing says what they count in."""
    turn: NDArray[np.float64] | None = None
    """(4, 4), or one for each frame, from the camera that the file's poses are of to the frames' own, as after
    rectification; None = same."""
    outside: NDArray[np.bool_] | None = None
    """(height, width) True where frames show nothing, as around an undistorted view; None when they are full."""
    framed: dict[int, NDArray[np.uint8]] = field(default_factory=dict)
    """Images already decoded while reading, cropped and resized."""
