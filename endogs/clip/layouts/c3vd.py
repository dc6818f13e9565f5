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
  camera_intrinsics.txt, or the second version's config.ini, with width, height, cx, cy (pixel centres at integers), a0
  ... a4 and c, d, e, each with its number on a line; config.ini names a `mask` too, which is 0 where the frames show
  nothing. The calibration that comes with the first version's download has all names on one line and the numbers on the
  next, with e, f, g for c, d, e and pixels counted from 1.

EndoGSLAM prepares the first version (https://github.com/Loping151/EndoGSLAM, data/preprocess_c3vd): color/ with
undistorted images of half the size and depth/ in 8 bits, of which 255 are 100 mm. Their pinhole camera is not in the
folder; calibration.json must say it.
"""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from endogs.clip.cameras.calibration_json import calibrate, load_calibration
from endogs.clip.cameras.trajectory_files import frame_number, rows_of_frames
from endogs.clip.cameras.undistortion import undistort
from endogs.clip.config import ClipOptions
from endogs.clip.files.depth_files import SaturatedDepths
from endogs.clip.files.frame_folders import read_frame_files
from endogs.clip.files.image_files import list_images
from endogs.clip.files.number_files import check_rigid, read_table
from endogs.clip.layouts.c3vd_lens import lens_of_images
from endogs.clip.recording import FrameReader, Recording
from endogs.errors import InputError
from endogs.geometry import invert_rigid

KIND = "c3vd"
LANDMARKS: tuple[str, ...] = ("pose.txt",)

RANGE_MM = 100.0
"""What the largest value of a depth file stands for."""
CLIPPED = 65535
"""Depth of 100 mm or more."""


def why_not(path: Path, options: ClipOptions) -> str | None:
    """Why `path` has not this layout, None when it has."""
    if not path.is_dir():
        return "not a folder"
    if not (path / "pose.txt").is_file():
        return "no pose.txt"
    return None if _images(path) else "no NNNN_color.png, and no images in rgb/ or color/"


def read(path: Path, options: ClipOptions) -> Recording:
    """The pinhole view of the colonoscope, with depth where it is there and moving cameras; mm.

    Where pose.txt has more or fewer rows than there are images, row N belongs to the image with the number N.
    """
    images = _images(path)
    flat = list_images(path, (".tiff", ".tif", ".png"))
    inside = list_images(path / "depth", (".tiff", ".tif", ".png"))
    depths = [file for file in [*flat, *inside] if re.search(r"_depth\.\w+$", file.name)]
    notes: list[str] = []
    world_to_camera = read_poses(path / "pose.txt", notes)
    rows = rows_of_frames(len(world_to_camera), None, images, None, path / "pose.txt", notes)
    kept_depths = [file for file in depths if frame_number(file) in {frame_number(image) for image in images}]
    usable = None if (rows >= 0).all() else rows >= 0
    frames = read_frame_files(path, images, options, fps=None, depths=kept_depths, usable=usable)
    if len(kept_depths) < len(depths):
        notes.append(f"{len(depths) - len(kept_depths)} of {len(depths)} depth maps belong to no image.")
    steps = 255 if frames.depth_is_quantized else CLIPPED
    if frames.depth_is_quantized:
        notes.append(f"depth: 8 bits are taken for 0 to {RANGE_MM:g} mm.")
    depth_reader: FrameReader | None = None if frames.depths is None else SaturatedDepths(frames.depths, steps)
    recording = replace(  # undistort or calibrate knows the camera
        frames.recording(path, KIND, np.eye(3), world_to_camera[rows[frames.kept]]),
        depths=depth_reader,
        depth_unit=options.depth_unit_mm or RANGE_MM / steps,
        units="mm",
        pose_unit_mm=1.0,
        notes=[*frames.notes, *notes],
    )
    if images[0].parent.name == "color":
        file = path / "calibration.json"
        if not file.is_file():
            raise InputError(
                f"{path}: color/ holds undistorted images, whose camera the folder does not say: write their fx, fy, "
                f"cx, cy into {file} (EndoGSLAM's own for 675 x 540 are 401.16, 400.94, 334.64, 274.37)."
            )
        return calibrate(recording, load_calibration(file), file, options)
    lens, outside, lens_notes = lens_of_images(path, frames.width, frames.height)
    return undistort(replace(recording, outside=outside, notes=[*recording.notes, *lens_notes]), lens, options)


def read_poses(path: Path, notes: list[str]) -> NDArray[np.float64]:
    """`world_to_camera` (N, 4, 4), mm, of pose.txt, which may hold the poses transposed or not, as a note says.

    Raises InputError for lines that are not 16 numbers and matrices that are no rigid motions either way.
    """
    matrices = read_table(path, 16).reshape(-1, 4, 4)
    last = np.array([0, 0, 0, 1])
    is_transposed = bool(np.abs(matrices[:, :, 3] - last).max() < 1e-6)
    told = "told by where 0 0 0 1 stands"
    if is_transposed and np.abs(matrices[:, 3] - last).max() < 1e-6:
        told = "its translations are all 0, so that it could be the other way round"
    if is_transposed:
        matrices = matrices.swapaxes(1, 2)
        what = "column-major: each line ends with the translation, then 1, as C3VD's first version has it"
    else:
        what = "row-major: the translation is every line's 4th, 8th and 12th number, as C3VDv2's page describes it"
    check_rigid(matrices, path, "pose")
    notes.append(f"{path.name} is read as {what} ({told}).")
    return invert_rigid(matrices)


def _images(path: Path) -> list[Path]:
    flat = [file for file in list_images(path, (".png",)) if file.name.endswith("_color.png")]
    return flat or list_images(path / "rgb") or list_images(path / "color")
