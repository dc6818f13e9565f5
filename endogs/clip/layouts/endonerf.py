"""The EndoNeRF layout: images/, masks/ or gt_masks/, depth/, poses_bounds.npy."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from endogs.bounded_arrays import read_npy
from endogs.clip.cameras.pose_conventions import AXES, SHORT
from endogs.clip.config import ClipOptions
from endogs.clip.files.frame_folders import read_frame_folders
from endogs.clip.files.image_files import list_images
from endogs.clip.recording import Recording
from endogs.errors import InputError
from endogs.geometry import invert_rigid, rigid

KIND = "endonerf"
LANDMARKS: tuple[str, ...] = ("poses_bounds.npy",)

OPENGL_FROM_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])
"""x right, y up, z backward against x right, y down, z forward; its own inverse."""


def why_not(path: Path, options: ClipOptions) -> str | None:
    """Why `path` has not this layout, None when it has."""
    if not path.is_dir():
        return "not a folder"
    if not (path / "poses_bounds.npy").is_file():
        return "no poses_bounds.npy"
    return None if list_images(path / "images") else "images/ holds no images"


def read(path: Path, options: ClipOptions) -> Recording:
    """The frames with the cameras of poses_bounds.npy, scaled to the images when they have another size."""
    frames = read_frame_folders(path, path / "images", options, fps=None)
    convention = options.pose_convention if options.pose_convention in SHORT else "opengl"
    K, world_to_camera, notes = read_poses_bounds(
        path / "poses_bounds.npy", frames.total, frames.width, frames.height, convention
    )
    if options.focal is not None:
        K[:, 0, 0] = K[:, 1, 1] = options.focal
    world = np.eye(4) if convention == "opencv" else OPENGL_FROM_OPENCV
    file_poses = world @ invert_rigid(world_to_camera) @ np.linalg.inv(AXES[convention])
    if frames.right_images is not None:
        notes.append(
            f"{len(frames.kept)} right views are not used: poses_bounds.npy does not say how far apart the cameras are."
        )
    unit = options.depth_unit_mm
    if frames.depths is not None and unit is None:
        notes.append("depth: the unit is unknown, so lengths are relative; --depth-unit-mm sets it.")
    return replace(
        frames.recording(path, KIND, K[frames.kept], world_to_camera[frames.kept]),
        masks=frames.masks,
        mask_instrument_value=frames.mask_instrument_value,
        depth_unit=unit or 1.0,
        units="mm" if unit is not None and frames.depths is not None else "relative",
        file_poses=file_poses[frames.kept],
        file_pose_convention=convention,
        notes=[*frames.notes, *notes],
    )


def read_poses_bounds(
    path: Path, count: int, width: int, height: int, convention: str = "opengl"
) -> tuple[NDArray[np.float64], NDArray[np.float64], list[str]]:
    """Intrinsics (F, 3, 3) and `world_to_camera` (F, 4, 4), OpenCV axes, of `count` images (height, width); notes.

    A row of the file (LLFF, https://github.com/Fyusion/LLFF#using-your-own-poses-without-running-colmap) holds a 3 x 5
    matrix [R | t | (h, w, focal)] in row order, then two depth bounds, which are not used. [R | t] is
    camera-to-world. The columns of R are the camera's axes in the world: [right, up, backward] in EndoNeRF's files
    (`opengl`: its code skips the swap below for them), [down, right, backward] in files written by LLFF (`llff`),
    [right, down, forward] in `opencv`. The world's axes of the first two are turned to OpenCV's as well, so that an
    identity pose becomes an identity pose. The principal point is the middle, as LLFF has none.

    Raises InputError for another shape or count, non-finite or non-rigid poses and sizes of another aspect.
    """
    table = read_npy(path).astype(np.float64)
    if table.ndim != 2 or table.shape[1] != 17:
        raise InputError(f"{path}: has shape {table.shape}, not (frames, 17) as LLFF writes it.")
    if len(table) != count:
        raise InputError(f"{path}: {len(table)} poses for {count} images: one row is needed per image.")
    bad = np.flatnonzero(~np.isfinite(table[:, :15]).all(1))
    if bad.size:
        raise InputError(f"{path}: row {bad[0]} is not finite (and {bad.size - 1} more rows): correct these poses.")
    matrices = table[:, :15].reshape(count, 3, 5)
    columns, hwf = matrices[:, :, :3], matrices[:, :, 4]
    if convention == "llff":
        columns = np.stack([columns[..., 1], -columns[..., 0], columns[..., 2]], -1)
    _check_rotations(columns, path)

    camera_to_world = rigid(columns, matrices[:, :, 3])
    if convention != "opencv":
        camera_to_world = OPENGL_FROM_OPENCV @ camera_to_world @ OPENGL_FROM_OPENCV
    K, notes = _intrinsics(hwf, width, height, path)
    return K, invert_rigid(camera_to_world), notes


def _check_rotations(rotations: NDArray[np.float64], path: Path) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        error = np.abs(rotations @ rotations.swapaxes(1, 2) - np.eye(3)).max((1, 2))
        bad = np.flatnonzero(~(error <= 1e-2) | ~(np.linalg.det(rotations) > 0))
    if bad.size:
        raise InputError(
            f"{path}: row {bad[0]} holds no rotation (its columns must be orthonormal and right-handed): correct the "
            "file."
        )


def _intrinsics(hwf: NDArray[np.float64], width: int, height: int, path: Path) -> tuple[NDArray[np.float64], list[str]]:
    """Intrinsics (F, 3, 3) in pixels of the images from rows (h, w, focal) in pixels of the file."""
    bad = np.flatnonzero((hwf <= 0).any(1))
    if bad.size:
        raise InputError(
            f"{path}: row {bad[0]} holds height, width, focal {hwf[bad[0]].tolist()}: all must be positive."
        )
    scale_x, scale_y = width / hwf[:, 1], height / hwf[:, 0]
    bad = np.flatnonzero(np.abs(scale_x / scale_y - 1) > 0.01)
    if bad.size:
        h, w = hwf[bad[0], :2]
        raise InputError(
            f"{path}: row {bad[0]} is for images of {w:g} x {h:g} but the images are {width} x {height}, of another "
            "aspect: correct the size in the file."
        )
    K = np.zeros((len(hwf), 3, 3))
    K[:, 0, 0], K[:, 1, 1] = hwf[:, 2] * scale_x, hwf[:, 2] * scale_y
    K[:, 0, 2], K[:, 1, 2], K[:, 2, 2] = width / 2, height / 2, 1
    notes = []
    if (hwf[:, 1] != width).any() or (hwf[:, 0] != height).any():
        notes.append(
            f"poses_bounds.npy is for images of {hwf[0, 1]:g} x {hwf[0, 0]:g}: the focal length is scaled to "
            f"{width} x {height}."
        )
    return K, notes
