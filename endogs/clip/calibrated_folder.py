"""A folder with calibration.json: images/, and optionally images_right/, masks/, depth/, poses.tum."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from endogs.clip.config import ClipOptions
from endogs.clip.frame_folders import read_frame_folders
from endogs.clip.guessed_camera import still_poses
from endogs.clip.image_files import list_images
from endogs.clip.recording import FrameReader, Recording
from endogs.clip.rectification import RectifiedDepths, RectifiedImages, RectifiedMasks, rectification
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

    calibration.json holds `fx`, `fy`, `cx`, `cy` (pixels, centres at +0.5) and may hold `baseline_mm`, `fps`,
    `depth_unit_mm` and the `width` and `height` that it is for. With `translation_mm` the pair is not rectified yet and
    becomes so (`endogs.clip.rectification` says what else may be there); frames, masks and depth are then the rectified
    left view's. poses.tum is in the TUM format, one row per image:
    time (s), position and quaternion xyzw of the camera in the world; without it the camera stands still.
    """
    file = path / "calibration.json"
    calibration = _load(file)
    fps = _positive(calibration, "fps", file, required=False)
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
    baseline = _positive(calibration, "baseline_mm", file, required=False)
    unit = options.depth_unit_mm or _positive(calibration, "depth_unit_mm", file, required=False)
    if frames.depths is not None and unit is None:
        if baseline is not None or "translation_mm" in calibration:
            raise InputError(
                f"{file}: the baseline is in millimetres but depth_unit_mm, which says what the files in depth/ count "
                "in, is missing: add it or use --depth-unit-mm."
            )
        notes.append("depth: the unit is unknown, so lengths are relative; --depth-unit-mm sets it.")
    K = _intrinsics(calibration, file, frames.width, frames.height, options)
    images: FrameReader = frames.images
    masks: FrameReader | None = frames.masks
    depths: FrameReader | None = frames.depths
    right: FrameReader | None = frames.right_images
    if right is not None and "translation_mm" in calibration:
        turned = rectification(calibration, K, (frames.width, frames.height), file)
        K, baseline = turned.K, turned.baseline
        images, right = RectifiedImages(images, turned.left), RectifiedImages(right, turned.right)
        masks = None if masks is None else RectifiedMasks(masks, turned.left)
        depths = None if depths is None else RectifiedDepths(depths, turned.left, turned.depth_factor)
        if poses_file.is_file():
            world_to_camera[:, :3] = turned.rotation @ world_to_camera[:, :3]
        notes.append("stereo: the views are rectified as calibration.json says; rows and --crop count in the result.")
    if right is not None and baseline is None:
        notes.append("right views are not used: calibration.json has no baseline_mm.")
    return Recording(
        source=path,
        kind=KIND,
        width=frames.width,
        height=frames.height,
        times=frames.times,
        K=K[None].repeat(len(frames.kept), 0),
        world_to_camera=world_to_camera[frames.kept],
        images=images,
        masks=masks,
        mask_instrument_value=frames.mask_instrument_value,
        depths=depths,
        depth_unit=unit or 1.0,
        right_images=right if baseline is not None else None,
        units="mm" if unit is not None or baseline is not None else "relative",
        baseline=baseline,
        depth_is_quantized=frames.depth_is_quantized,
        notes=notes,
    )


def read_trajectory(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Times (F,) and `world_to_camera` (F, 4, 4) of a TUM trajectory, whose rows place the camera in the world.

    Raises InputError for rows that are not eight finite numbers, zero quaternions and times that do not increase.
    """
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        text = line.split("#")[0].split()
        if not text:
            continue
        try:
            row = [float(value) for value in text]
        except ValueError:
            row = []
        if len(row) != 8 or not np.isfinite(row).all() or not any(row[4:]):
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


def _intrinsics(
    calibration: dict[str, Any], file: Path, width: int, height: int, options: ClipOptions
) -> NDArray[np.float64]:
    fx, fy, cx, cy = (_positive(calibration, name, file) for name in ("fx", "fy", "cx", "cy"))
    for name, size in (("width", width), ("height", height)):
        stated = _positive(calibration, name, file, required=False)
        if stated is not None and stated != size:
            raise InputError(f"{file}: {name} is {stated:g} but the images have {size}: calibrate for these images.")
    assert fx is not None
    assert fy is not None
    if options.focal is not None:
        fx, fy = options.focal, options.focal * fy / fx
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], np.float64)


def _load(file: Path) -> dict[str, Any]:
    try:
        calibration = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: not readable as JSON ({error}): correct it.") from error
    if not isinstance(calibration, dict):
        raise InputError(f"{file}: must hold one object with fx, fy, cx, cy.")
    return calibration


def _positive(calibration: dict[str, Any], name: str, file: Path, required: bool = True) -> float | None:
    """The positive number under `name`; None when it may be missing and is."""
    value = calibration.get(name)
    if value is None and not required:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise InputError(f"{file}: {name} is {value!r} but must be a positive number: correct it.")
    return float(value)
