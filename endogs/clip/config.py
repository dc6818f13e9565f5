"""Settings of the clip readers; importing this file imports neither torch nor numpy."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import UseAppendAction, arg

from endogs.options import Options, Range

_LONG_CONVENTIONS = tuple(
    f"{direction}-{axes}{variant}"
    for variant in ("", "-transposed", "-wxyz", "-transposed-negated")
    for axes in ("opencv", "opengl", "llff", "unity", "ros", "ned", "pytorch3d")
    for direction in ("camera-to-world", "world-to-camera")
)
if TYPE_CHECKING:
    PoseConvention = str
else:
    PoseConvention = Literal[("auto", "opengl", "llff", "opencv", *_LONG_CONVENTIONS)]
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
    mask_folder: Path | None = None
    """A folder of instrument masks for the frames that are read, as endogs inspect --masks-out writes it, or one mask
    image for each of these frames in order; used instead of masks beside the frames."""
    depth_is: Literal["depth", "inverse"] = "depth"
    """What depth files hold: distances along the optical axis (depth), or their inverse up to scale and offset, near =
    large, as networks such as MiDaS and Depth Anything write (inverse)."""
    ignore_box: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="X0,Y0,X1,Y1")] = ()
    """Columns X0 to X1 of rows Y0 to Y1 of the original, X1 and Y1 excluded, without tissue, such as a second picture;
    beside what is found."""
