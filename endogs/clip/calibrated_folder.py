"""A folder with calibration.json: images/, and optionally images_right/, masks/, depth/, poses.tum."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from endogs.clip.calibration_json import calibrate, load_calibration, positive
from endogs.clip.config import ClipOptions
from endogs.clip.frame_folders import read_frame_folders
from endogs.clip.guessed_camera import still_poses
from endogs.clip.image_files import list_images
from endogs.clip.number_files import finite_numbers, read_text
from endogs.clip.recording import Recording
from endogs.errors import InputError
from endogs.geometry import invert_rigid, rotation_from_quaternion

KIND = "calibrated-folder"


def why_not(path: Path) -> str | None:
    """Why `path` has not this layout, None when it has."""
    if not path.is_dir():
        return "not a folder"
    if not (path / "calibration.json").is_file():
        return "no calibration.json"
    return None if list_images(path / "images") else "images/ holds no images"


def read(path: Path, options: ClipOptions) -> Recording:
    """The frames with the camera of calibration.json and the poses of poses.tum.

    calibration.json says what `endogs.clip.calibration_json` reads, and may hold `fps` and `depth_unit_mm`. poses.tum
    is in the TUM format, one row per image: time (s), position and quaternion xyzw of the camera in the world; without
    it the camera stands still.
    """
    file = path / "calibration.json"
    calibration = load_calibration(file)
    fps = positive(calibration, "fps", file, required=False)
    poses_file = path / "poses.tum"
    pose_times, world_to_camera = read_trajectory(poses_file) if poses_file.is_file() else (None, None)
    frames = read_frame_folders(path, path / "images", options, fps, None if fps is not None else pose_times)
    if world_to_camera is not None and len(world_to_camera) != frames.total:
        raise InputError(
            f"{poses_file}: {len(world_to_camera)} poses for {frames.total} images: one row is needed per image."
        )
    if world_to_camera is None:
        world_to_camera = still_poses(frames.total)
    notes = list(frames.notes)
    unit = options.depth_unit_mm if frames.depths is not None else None
    unit = unit or positive(calibration, "depth_unit_mm", file, required=False)
    if frames.depths is not None and unit is None:
        if "baseline_mm" in calibration or "translation_mm" in calibration:
            raise InputError(
                f"{file}: the baseline is in millimetres but depth_unit_mm, which says what the files in depth/ count "
                "in, is missing: add it or use --depth-unit-mm."
            )
        notes.append("depth: the unit is unknown, so lengths are relative; --depth-unit-mm sets it.")
    count = len(frames.kept)
    recording = Recording(
        source=path,
        kind=KIND,
        width=frames.width,
        height=frames.height,
        times=frames.times,
        K=np.eye(3)[None].repeat(count, 0),
        world_to_camera=world_to_camera[frames.kept],
        images=frames.images,
        masks=frames.masks,
        mask_instrument_value=frames.mask_instrument_value,
        depths=frames.depths,
        depth_unit=unit or 1.0,
        right_images=frames.right_images,
        units="mm" if unit is not None else "relative",
        depth_is_quantized=frames.depth_is_quantized,
        notes=notes,
    )
    return calibrate(recording, calibration, file, options)


def read_trajectory(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Times (F,) and `world_to_camera` (F, 4, 4) of a TUM trajectory, whose rows place the camera in the world.

    Raises InputError for rows that are not eight finite numbers, zero quaternions and times that do not increase.
    """
    rows = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        text = line.split("#")[0]
        if not text.strip():
            continue
        row = finite_numbers(text, text.split())
        if len(row) != 8 or not any(row[4:]):
            raise InputError(f"{path}: line {number} is not t x y z qx qy qz qw with finite numbers: correct it.")
        rows.append(row)
    table = np.array(rows, np.float64).reshape(-1, 8)
    if not len(table):
        raise InputError(f"{path}: holds no poses: remove it if the camera stands still.")
    if (np.diff(table[:, 0]) <= 0).any():
        raise InputError(f"{path}: times must increase: row {int(np.argmax(np.diff(table[:, 0]) <= 0)) + 1} does not.")
    camera_to_world = np.eye(4)[None].repeat(len(table), 0)
    camera_to_world[:, :3, :3] = rotation_from_quaternion(table[:, [7, 4, 5, 6]])
    camera_to_world[:, :3, 3] = table[:, 1:4]
    return table[:, 0], invert_rigid(camera_to_world)
