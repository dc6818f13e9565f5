"""C3VD, colonoscopy phantoms with registered depth and poses, both versions of the data set.

The first has NNNN_color.png, NNNN_depth.tiff and pose.txt in one folder (Bobrow et al. 2023,
https://doi.org/10.1016/j.media.2023.102956, https://durrlab.github.io/C3VD/), the second rgb/NNNN.png,
depth/NNNN_depth.tiff and pose.txt (Golhar et al. 2025, https://arxiv.org/abs/2506.24074,
https://durrlab.github.io/C3VDv2/). Facts from these pages and from python/exampleDataLoader.py of
https://github.com/DurrLab/C3VD:

- Depth is along the camera's axis, 0 to 100 mm over the 16 bits; 0 and 65535 are unknown.
- A line of pose.txt holds 16 numbers between commas, the camera-to-world pose in mm; axes are right, down, forward.
  The example multiplies rows by it, so that it stands there transposed, with the translation in the last row. A file
  with the translation in the last column, as the second version's page describes it, is read too: 0 0 0 1 tells.
- The colonoscope CF-HQ190L is an omnidirectional camera of Scaramuzza's model; a pinhole view is made of it here. The
  calibration is that of the example, for 1350 x 1080 pixels, unless the folder or the one above holds
  camera_intrinsics.txt with width, height, cx, cy (pixel centres at integers), a0 ... a4 and c, d, e, each with its
  number on a line.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from endogs.clip.config import ClipOptions
from endogs.clip.frame_folders import read_frame_files
from endogs.clip.image_files import list_images
from endogs.clip.lenses import Scaramuzza
from endogs.clip.number_files import check_rigid, finite_numbers, read_table, read_text
from endogs.clip.recording import FrameReader, Recording
from endogs.clip.undistortion import undistort
from endogs.errors import InputError
from endogs.geometry import invert_rigid

KIND = "c3vd"

DEPTH_UNIT_MM = 100 / 65535
CLIPPED = 65535
"""Depth of 100 mm or more."""
INTRINSICS = "camera_intrinsics.txt"
CF_HQ190L = {
    "width": 1350,
    "height": 1080,
    "cx": 678.544839263292,
    "cy": 542.975887548343,
    "a0": 769.243600037458,
    "a1": 0.0,
    "a2": -0.000812770624150226,
    "a3": 6.25674244578925e-07,
    "a4": -1.19662182144280e-09,
    "c": 0.999986882249990,
    "d": 0.00288273829525059,
    "e": -0.00296316513429569,
}
"""The calibration that the data set's example uses."""


def why_not(path: Path) -> str | None:
    """Why `path` has not this layout, None when it has."""
    if not path.is_dir():
        return "not a folder"
    if not (path / "pose.txt").is_file():
        return "no pose.txt"
    return None if _images(path) else "no NNNN_color.png, and no images in rgb/"


def read(path: Path, options: ClipOptions) -> Recording:
    """The pinhole view of the colonoscope, with depth where it is there and moving cameras; mm."""
    images = _images(path)
    flat = list_images(path, (".tiff", ".tif", ".png"))
    inside = list_images(path / "depth", (".tiff", ".tif", ".png"))
    depths = [file for file in [*flat, *inside] if re.search(r"_depth\.\w+$", file.name)]
    frames = read_frame_files(path, images, options, fps=None, depths=depths)
    world_to_camera = read_poses(path / "pose.txt")
    if len(world_to_camera) != frames.total:
        raise InputError(
            f"{path / 'pose.txt'}: {len(world_to_camera)} poses for {frames.total} images: one line is needed for each."
        )
    lens, notes = _lens(path, frames.width, frames.height)
    depth_reader: FrameReader | None = None if frames.depths is None else ClippedDepths(frames.depths)
    recording = Recording(
        source=path,
        kind=KIND,
        width=frames.width,
        height=frames.height,
        times=frames.times,
        K=np.eye(3)[None].repeat(len(frames.kept), 0),  # undistort knows it
        world_to_camera=world_to_camera[frames.kept],
        images=frames.images,
        depths=depth_reader,
        depth_unit=options.depth_unit_mm or DEPTH_UNIT_MM,
        units="mm",
        depth_is_quantized=frames.depth_is_quantized,
        notes=[*frames.notes, *notes],
    )
    return undistort(recording, lens, options)


class ClippedDepths:
    """Depth maps whose largest value means "this or more", which is no depth."""

    def __init__(self, depths: FrameReader) -> None:
        self.depths = depths

    def read(self, index: int) -> NDArray[Any]:
        """(H, W) in the files' type, 0 = unknown."""
        raw = self.depths.read(index)
        return np.where(raw == CLIPPED, np.zeros((), raw.dtype), raw)


def read_poses(path: Path) -> NDArray[np.float64]:
    """`world_to_camera` (N, 4, 4), mm, of pose.txt, which may hold the poses transposed or not.

    Raises InputError for lines that are not 16 numbers and matrices that are no rigid motions either way.
    """
    matrices = read_table(path, 16).reshape(-1, 4, 4)
    last = np.array([0, 0, 0, 1])
    if np.abs(matrices[:, :, 3] - last).max() < 1e-6:
        matrices = matrices.swapaxes(1, 2)
    check_rigid(matrices, path, "pose")
    return invert_rigid(matrices)


def _images(path: Path) -> list[Path]:
    flat = [file for file in list_images(path, (".png",)) if file.name.endswith("_color.png")]
    return flat or list_images(path / "rgb")


def _lens(path: Path, width: int, height: int) -> tuple[Scaramuzza, list[str]]:
    """The lens of images of this size, from a file or the published one, and notes."""
    files = [file for file in (path / INTRINSICS, path.resolve().parent / INTRINSICS) if file.is_file()]
    numbers = read_intrinsics(files[0]) if files else dict(CF_HQ190L)
    source = str(files[0]) if files else "the published calibration of CF-HQ190L"
    if (numbers["width"], numbers["height"]) != (width, height):
        raise InputError(
            f"{path}: the images are {width} x {height} but {source} is for {numbers['width']:g} x "
            f"{numbers['height']:g}: write the calibration of these images into {path / INTRINSICS}."
        )
    polynomial = tuple(numbers[f"a{power}"] for power in range(5))
    stretch = ((numbers["c"], numbers["d"]), (numbers["e"], 1.0))
    lens = Scaramuzza(polynomial, (numbers["cx"] + 0.5, numbers["cy"] + 0.5), stretch, float(width + height))
    return lens, [] if files else [f"the lens is that of {source}; {INTRINSICS} replaces it."]


def read_intrinsics(path: Path) -> dict[str, float]:
    """The numbers of camera_intrinsics.txt by name; InputError naming those that are missing."""
    found = {"a1": 0.0}
    for name, value in re.findall(r"(?m)^[ \t]*[\"']?(\w+)[\"']?[ \t]*[=:, \t][ \t]*([-+\d.eE]+)", read_text(path)):
        for number in finite_numbers(value, [value]):
            found[name] = number
    missing = [name for name in CF_HQ190L if name not in found]
    if missing:
        raise InputError(
            f"{path}: has no number for {', '.join(missing)}: one name and its number are needed per line."
        )
    return found
