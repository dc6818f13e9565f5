"""Settings of the clip readers; importing this file imports neither torch nor numpy."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import UseAppendAction, arg

from endogs.options import Options, Range

PoseConvention = Literal[
    "auto",
    "opengl",
    "llff",
    "opencv",
    "camera-to-world-opencv",
    "world-to-camera-opencv",
    "camera-to-world-opengl",
    "world-to-camera-opengl",
    "camera-to-world-llff",
    "world-to-camera-llff",
    "camera-to-world-unity",
    "world-to-camera-unity",
    "camera-to-world-ros",
    "world-to-camera-ros",
    "camera-to-world-ned",
    "world-to-camera-ned",
    "camera-to-world-pytorch3d",
    "world-to-camera-pytorch3d",
    "camera-to-world-opencv-transposed",
    "world-to-camera-opencv-transposed",
    "camera-to-world-opengl-transposed",
    "world-to-camera-opengl-transposed",
    "camera-to-world-llff-transposed",
    "world-to-camera-llff-transposed",
    "camera-to-world-unity-transposed",
    "world-to-camera-unity-transposed",
    "camera-to-world-ros-transposed",
    "world-to-camera-ros-transposed",
    "camera-to-world-ned-transposed",
    "world-to-camera-ned-transposed",
    "camera-to-world-pytorch3d-transposed",
    "world-to-camera-pytorch3d-transposed",
    "camera-to-world-opencv-wxyz",
    "world-to-camera-opencv-wxyz",
    "camera-to-world-opengl-wxyz",
    "world-to-camera-opengl-wxyz",
    "camera-to-world-llff-wxyz",
    "world-to-camera-llff-wxyz",
    "camera-to-world-unity-wxyz",
    "world-to-camera-unity-wxyz",
    "camera-to-world-ros-wxyz",
    "world-to-camera-ros-wxyz",
    "camera-to-world-ned-wxyz",
    "world-to-camera-ned-wxyz",
    "camera-to-world-pytorch3d-wxyz",
    "world-to-camera-pytorch3d-wxyz",
    "camera-to-world-opencv-transposed-negated",
    "world-to-camera-opencv-transposed-negated",
    "camera-to-world-opengl-transposed-negated",
    "world-to-camera-opengl-transposed-negated",
    "camera-to-world-llff-transposed-negated",
    "world-to-camera-llff-transposed-negated",
    "camera-to-world-unity-transposed-negated",
    "world-to-camera-unity-transposed-negated",
    "camera-to-world-ros-transposed-negated",
    "world-to-camera-ros-transposed-negated",
    "camera-to-world-ned-transposed-negated",
    "world-to-camera-ned-transposed-negated",
    "camera-to-world-pytorch3d-transposed-negated",
    "world-to-camera-pytorch3d-transposed-negated",
]
"""The names of `endogs.clip.cameras.pose_conventions`, which says what they mean."""
POSE_CONVENTIONS = (
    "{auto,opengl,llff,opencv} | {camera-to-world,world-to-camera}-{opencv,opengl,llff,unity,ros,ned,pytorch3d}"
    "[-transposed|-wxyz|-transposed-negated]"
)
"""The same, to be read."""
WIDEST_PINHOLE = 150.0
"""Degrees: a pinhole view sees no more without stretching its edges beyond use."""


@dataclass(frozen=True)
class ClipOptions(Options):
    """Which part of a clip is read, and what its files do not say about themselves.

    Rows, columns and focal lengths are in pixels of the original, before `crop` and `max_size`.
    """

    start: Annotated[float | None, Range(0, 1e9)] = None
    """Read from this time on, in seconds from the first frame of the input."""
    end: Annotated[float | None, Range(0, 1e9)] = None
    """Read up to this time, in seconds from the first frame of the input."""
    stride: Annotated[int, Range(1, 10**9)] = 1
    """Keep every n-th frame of the range, n >= 1."""
    max_size: Annotated[int | None, Range(1, 10**9)] = None
    """Shrink frames so that the longer side has at most this many pixels; never enlarges."""
    crop: Annotated[tuple[int, int, int, int] | None, Range(0, 10**9), arg(metavar="X0 Y0 X1 Y1")] = None
    """Keep only columns X0 to X1 and rows Y0 to Y1, X1 and Y1 excluded."""
    ignore_rows: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="A:B")] = ()
    """Rows A to B of the original, B excluded, without tissue, such as 495:512; replaces what is found."""
    ignore_mask: Path | None = None
    """An image of the original's size; where it is not zero there is never tissue."""
    mask_instrument_value: Annotated[int | None, Range(0, 255)] = None
    """The value that means instrument in mask files, 255 or 0; by default 255, or what the data set is known to use."""
    focal: Annotated[float | None, Range(0, 1e6, above=True)] = None
    """Focal length in pixels, for a clip that comes without one, or instead of its own."""
    fps: Annotated[float | None, Range(1e-3, 1e6)] = None
    """Frames per second, instead of the clip's own timestamps; image folders have none and take 30."""
    depth_unit_mm: Annotated[float | None, Range(1e-9, 1e9)] = None
    """Millimetres per unit of the depth files, instead of the clip's own value."""
    pose_unit_mm: Annotated[float | None, Range(1e-9, 1e9)] = None
    """Millimetres per unit of the positions in the pose files, instead of what the layout says: 1000 for metres."""
    pose_convention: Annotated[PoseConvention, arg(metavar=POSE_CONVENTIONS)] = "auto"
    """What pose matrices in files mean, instead of what the layout says: direction and camera axes (opengl, llff and
    opencv are camera-to-world). poses_bounds.npy is taken for opengl, as EndoNeRF writes it; COLMAP through LLFF writes
    llff. Poses that do not fit the images are found when a clip is read, and the convention that fits is named."""
    borders: Literal["auto", "keep"] = "auto"
    """Leave out what surrounds the view where it is found (auto) or keep it (keep): black, panels of one colour,
    burnt-in strips, blurred pillars and windows with a second picture."""
    undistorted_degrees: Annotated[float | None, Range(1, WIDEST_PINHOLE)] = None
    """Width in degrees of the pinhole view that a fisheye view becomes; by default its middle keeps its resolution."""
    images: Annotated[str | None, arg(metavar="PATTERN")] = None
    """Which pictures of a folder are frames, where it holds other ones: # stands for a number, * for anything, such as
    "frame_#_endo.png"; or, of a COLMAP model of several cameras, which images, such as "cam0/*"."""
    calibration: Path | None = None
    """A calibration.json for a video or a plain folder of images: fx, fy, cx, cy, distortion or lens, second camera."""
    stereo: Literal["side-by-side", "top-bottom"] | None = None
    """The frames of the video hold two views, the left eye's on the left or on top."""
    mask_values: Annotated[tuple[str, ...], arg(metavar="instrument=A,B unknown=C")] = ()
    """What the values in mask files of several classes mean: instrument=, unknown= (left out) and tissue=, with numbers
    or colours such as #ff0000 between commas; values that are not named are tissue."""
    depth_is: Literal["depth", "inverse"] = "depth"
    """What depth files hold: distances along the optical axis (depth), or their inverse up to scale and offset, near =
    large, as networks such as MiDaS and Depth Anything write (inverse)."""
    ignore_box: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="X0,Y0,X1,Y1")] = ()
    """Columns X0 to X1 of rows Y0 to Y1 of the original, X1 and Y1 excluded, without tissue, such as a second picture;
    beside what is found."""
