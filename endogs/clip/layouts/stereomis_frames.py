"""Clips of StereoMIS as they are converted for splatting: the EndoNeRF layout, with other meanings in it.

images/frame-000000.color.png, depth/frame-000000.depth.png, masks/frame-000000.mask.png and poses_bounds.npy, as
https://github.com/jinlab-imvr/Deform3DGS writes and several papers after it use (rectified left views at 640 x 512).
They differ from EndoNeRF's files in three ways:

- poses_bounds.npy holds [R | t | (cy, cx, focal)]: the principal point, with pixel centres at integers, where LLFF has
  the image's height and width. Taken for those, the focal length would double. Poses are identities.
- masks are 255 where tissue is seen.
- depth is stereo depth in mm, in 8 bits, at most 250 and 0 = unknown.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from endogs.bounded_arrays import read_npy
from endogs.clip.cameras.guessed_camera import still_poses
from endogs.clip.cameras.lenses import HALF_PIXEL
from endogs.clip.config import ClipOptions
from endogs.clip.files.depth_files import DEPTH_SUFFIXES
from endogs.clip.files.frame_folders import read_frame_files
from endogs.clip.files.image_files import image_size, list_images
from endogs.clip.recording import Recording
from endogs.errors import InputError

KIND = "stereomis-frames"
LANDMARKS: tuple[str, ...] = ()

MIDDLE = (0.3, 0.7)
"""Shares of the width and height between which a principal point lies, and a size in pixels does not."""


def why_not(path: Path, options: ClipOptions) -> str | None:
    """Why `path` has not this layout, None when it has."""
    if not path.is_dir():
        return "not a folder"
    images = list_images(path / "images")
    if not images or not images[0].name.endswith(".color.png"):
        return "no images/frame-000000.color.png"
    table = _table(path / "poses_bounds.npy")
    if table is None:
        return "no readable poses_bounds.npy"
    if not _holds_centres(table, *image_size(images[0])):
        return "poses_bounds.npy holds image sizes, not principal points"
    return None


def read(path: Path, options: ClipOptions) -> Recording:
    """The frames, with a still camera; mm."""
    images = list_images(path / "images")
    frames = read_frame_files(
        path,
        images,
        options,
        fps=None,
        masks=list_images(path / "masks"),
        depths=list_images(path / "depth", DEPTH_SUFFIXES),
        instrument_value=0,
    )
    table = _table(path / "poses_bounds.npy")
    if table is None or len(table) != frames.total:
        count = 0 if table is None else len(table)
        raise InputError(
            f"{path / 'poses_bounds.npy'}: {count} poses for {frames.total} images: one row is needed per image."
        )
    matrices = table[frames.kept, :15].reshape(-1, 3, 5)
    if np.abs(matrices[:, :, :4] - np.eye(3, 4)).max() > 1e-6:
        raise InputError(
            f"{path / 'poses_bounds.npy'}: holds principal points in the place of sizes, as clips converted from "
            "StereoMIS do, but poses that are not identities, which no such clip has: convert it again."
        )
    K = np.zeros((len(matrices), 3, 3))
    K[:, 0, 0] = K[:, 1, 1] = matrices[:, 2, 4] if options.focal is None else options.focal
    K[:, 0, 2], K[:, 1, 2], K[:, 2, 2] = matrices[:, 1, 4], matrices[:, 0, 4], 1
    return replace(
        frames.recording(path, KIND, K + HALF_PIXEL, still_poses(len(frames.kept))),
        poses_are_given=False,
        masks=frames.masks,
        mask_instrument_value=frames.mask_instrument_value,
        depth_unit=options.depth_unit_mm or 1.0,
        units="mm",
        notes=[
            *frames.notes,
            "poses_bounds.npy holds the principal point where EndoNeRF has the image's size, and masks are 255 on "
            "tissue: read as a clip converted from StereoMIS.",
        ],
    )


def _table(path: Path) -> NDArray[np.float64] | None:
    """The rows (N, 17) of poses_bounds.npy; None when it is not one."""
    try:
        table = read_npy(path).astype(np.float64)
    except InputError:
        return None
    good = table.ndim == 2 and table.shape[1] == 17 and len(table) > 0 and np.isfinite(table[:, :15]).all()
    return table if good else None


def _holds_centres(table: NDArray[np.float64], width: int, height: int) -> bool:
    """Whether the fifth column holds (cy, cx, focal): near the middle, and not a size in whole pixels."""
    cy, cx = table[:, 4], table[:, 9]
    near = (MIDDLE[0] < cy / height) & (cy / height < MIDDLE[1]) & (MIDDLE[0] < cx / width) & (cx / width < MIDDLE[1])
    return bool(near.all() and (np.rint(table[:, [4, 9]]) != table[:, [4, 9]]).any())
