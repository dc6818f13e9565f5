"""A folder with calibration.json: images/, and optionally images_right/, masks/, depth/, poses.tum.

Other programs' folders are of this kind too: OneSLAM's (github.com/arcadelab/OneSLAM, its readme and
datasets/dataset.py: calibration.json with `intrinsics`, poses_gt.txt with camera-to-world poses in metres whose times
are the frames' numbers, depths/ in millimetres, mask.bmp with 255 where there is a picture), and NR-SLAM's
(settings.yaml beside images/).
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from endogs.bounded_files import read_text
from endogs.clip.cameras.calibration_json import calibrate, load_calibration, positive
from endogs.clip.cameras.guessed_camera import still_poses
from endogs.clip.cameras.trajectory_files import (
    are_poses_searched_for,
    in_seconds,
    read_trajectory,
    rows_of_frames,
)
from endogs.clip.config import ClipOptions
from endogs.clip.files.frame_folders import read_frame_folders
from endogs.clip.files.image_files import check_sizes, list_images, read_gray
from endogs.clip.recording import Recording
from endogs.errors import InputError

KIND = "calibrated-folder"


LANDMARKS = ("calibration.json", "endoscope_calibration.yaml", "settings.yaml", "poses.tum", "poses_gt.txt")
CALIBRATIONS = (
    "calibration.json",
    "calibration.yaml",
    "calibration.yml",
    "endoscope_calibration.yaml",
    "camera_calibration.yaml",
    "settings.yaml",
)
"""Files that say what the camera is; the first that is there is read."""
POSES = ("poses.tum", "poses_gt.txt")
"""Files with poses; the first that is there is read."""
MASK = "mask.bmp"
"""255 where the frames show something."""
METRE = 1000.0
"""Millimetres."""


def why_not(path: Path, options: ClipOptions) -> str | None:
    """Why `path` has not this layout, None when it has."""
    if not path.is_dir():
        return "not a folder"
    if _calibration(path) is None:
        return "no calibration.json"
    return None if list_images(path / "images") else "images/ holds no images"


def read(path: Path, options: ClipOptions) -> Recording:
    """The frames with the camera of calibration.json and the poses of poses.tum.

    calibration.json says what `endogs.clip.cameras.calibration_json` reads, and may hold `fps` and `depth_unit_mm`.
    poses.tum is in the TUM format: time (s), position and quaternion xyzw of the camera in the world, for each image or
    for some of them (`endogs.clip.cameras.trajectory_files`), where others are left out unless poses are searched for;
    without it the camera stands still."""
    file = _calibration(path)
    assert file is not None
    calibration = load_calibration(file)
    fps = positive(calibration, "fps", file, required=False)
    images = list_images(path / "images")
    poses_file = next((path / name for name in POSES if (path / name).is_file()), None)
    is_oneslam = poses_file is not None and poses_file.name == "poses_gt.txt"
    trajectory = None if poses_file is None else read_trajectory(poses_file)
    notes: list[str] = []
    if trajectory is not None and are_poses_searched_for() and len(trajectory) != len(images):
        notes.append(
            f"poses: {trajectory.file.name} has {len(trajectory)} rows for {len(images)} images, and is not looked at."
        )
        trajectory = None
    rows = np.arange(len(images))
    times = None
    if trajectory is not None:
        notes += trajectory.notes
        rows = rows_of_frames(len(trajectory), trajectory.times, images, options.fps or fps, trajectory.file, notes)
        if fps is None and not is_oneslam and len(trajectory) == len(images):
            times = None if trajectory.times is None else in_seconds(trajectory.times, trajectory.file, notes)
    usable = None if (rows >= 0).all() else rows >= 0
    frames = read_frame_folders(path, path / "images", options, fps, times, usable=usable)
    still = still_poses(frames.total)
    world_to_camera = still if trajectory is None else trajectory.world_to_camera[rows.clip(0)]
    notes = [*frames.notes, *notes]
    unit = options.depth_unit_mm if frames.depths is not None else None
    unit = unit or positive(calibration, "depth_unit_mm", file, required=False)
    if frames.depths is not None and unit is None and is_oneslam:
        unit = 1.0
        notes.append("depth: taken for millimetres and poses_gt.txt for metres, as OneSLAM does.")
    if is_oneslam and frames.depths is not None:
        world_to_camera = world_to_camera.copy()
        world_to_camera[:, :3, 3] *= METRE
    if frames.depths is not None and unit is None:
        if "baseline_mm" in calibration or "translation_mm" in calibration:
            raise InputError(
                f"{file}: the baseline is in millimetres but depth_unit_mm, which says what the files in depth/ count "
                "in, is missing: add it or use --depth-unit-mm."
            )
        notes.append("depth: the unit is unknown, so lengths are relative; --depth-unit-mm sets it.")
    recording = replace(
        frames.recording(path, KIND, np.eye(3), world_to_camera[frames.kept]),
        poses_are_given=trajectory is not None,
        masks=frames.masks,
        mask_instrument_value=frames.mask_instrument_value,
        depth_unit=unit or 1.0,
        right_images=frames.right_images,
        units="mm" if unit is not None else "relative",
        poses_are_quaternions=True,
        pose_unit_mm=None if unit is None else METRE if is_oneslam else 1.0,
        outside=_outside(path / MASK, frames.width, frames.height, notes),
        notes=notes,
    )
    return calibrate(recording, calibration, file, options)


def _calibration(path: Path) -> Path | None:
    """The file that says what the camera is, None when there is none."""
    files = [path / name for name in CALIBRATIONS if (path / name).is_file()]
    return next((file for file in files if file.name != "settings.yaml" or "Camera" in read_text(file)), None)


def _outside(file: Path, width: int, height: int, notes: list[str]) -> NDArray[np.bool_] | None:
    """(height, width) True where a mask for all frames says that they show nothing; None when there is no mask."""
    if not file.is_file():
        return None
    check_sizes([file], width, height, file.parent / "images")
    seen = read_gray(file) == 255
    notes.append(f"{file.name}: {100 * (~seen).mean():.1f} % of every frame is left out, where it is not 255.")
    return ~seen
