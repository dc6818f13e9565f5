"""A trajectory of the EndoSLAM data set: Frames/, Poses/ and, in its synthetic part, Pixelwise Depths/.

Ozyoruk and others 2021, "EndoSLAM dataset and an unsupervised monocular visual odometry and depth estimation approach
for endoscopic videos", Medical Image Analysis 71:102058; github.com/CapsuleEndoscope/EndoSLAM. As published:
- UnityCam/ORGAN/: Frames/image_N.png, Pixelwise Depths/aov_image_N.png (8 bits, all channels alike),
  Poses/ORGAN_position_rotation.csv with tX, tY, tZ, rX, rY, rZ, rW, a row per frame in Unity's left-handed axes; the
  last row may be cut short, and the last frames have none. UnityCam/Calibration/cam.txt holds K, row by row.
- Cameras/CAMERA/ORGAN/TRAJECTORY/: Frames/frame_N.jpg, Poses/*.xlsx with ImageFrame = N, trans_x to trans_z in metres
  and quot_x to quot_w (HighCam, LowCam); or Poses/*.txt with "t;px;py;pz;qx;qy;qz;qw" at 1000 rows a second (MiroCam).
  Cameras/CAMERA/Calibration/cam.txt.
"""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from endogs.bounded_files import is_file
from endogs.clip.cameras.focal_lengths import set_focal_length
from endogs.clip.cameras.lenses import Brown
from endogs.clip.cameras.pose_conventions import world_to_camera
from endogs.clip.cameras.undistortion import undistort
from endogs.clip.config import ClipOptions
from endogs.clip.files.frame_folders import read_frame_files
from endogs.clip.files.image_files import list_images
from endogs.clip.files.number_files import finite_numbers, read_text
from endogs.clip.files.spreadsheet import read_columns
from endogs.clip.recording import Recording
from endogs.errors import InputError
from endogs.geometry import rigid, rotation_from_quaternion

KIND = "endoslam"
LANDMARKS: tuple[str, ...] = ("Poses", "Pixelwise Depths")
POSES = ("*.csv", "*.xlsx", "*.txt")
RATES = {"HighCam": 20.0, "LowCam": 20.0, "MiroCam": 3.0, "UnityCam": 30.0}
"""Frames per second, from the table in the data set's readme."""
UNITY_DEPTH = 0.01
"""Unity's lengths per step of the 8-bit depth; the data set does not say, but this fits its poses."""


def why_not(path: Path, options: ClipOptions) -> str | None:
    """Why `path` has not this layout, None when it has."""
    if not path.is_dir():
        return "not a folder"
    if not list_images(path / "Frames"):
        return "Frames/ holds no images"
    return None if _poses_file(path) else "Poses/ holds no .csv, .xlsx or .txt"


def read(path: Path, options: ClipOptions) -> Recording:
    """The frames that have a pose, with the camera of Calibration/cam.txt above the folder, undistorted.

    Poses are taken for camera-to-world: with OpenCV's axes and in metres, which become millimetres, or, in the
    synthetic part, with Unity's axes and without a known unit. Raises InputError for calibrations and poses that are
    missing or not readable.
    """
    images = list_images(path / "Frames")
    file = _poses_file(path)
    assert file is not None
    synthetic = file.suffix.lower() == ".csv"
    table, notes = _table(file, images)
    usable: NDArray[np.bool_] = np.isfinite(table.sum(1))
    if not usable.any():
        raise InputError(f"{file}: no pose belongs to a frame of Frames/: are they of one trajectory?")
    rate = next((RATES[part] for part in reversed(path.resolve().parts) if part in RATES), None)
    depths = list_images(path / "Pixelwise Depths")
    depths = depths if len(depths) == len(images) else []
    frames = read_frame_files(path, images, options, rate, depths=depths, usable=usable)
    if not usable.all():
        notes.append(f"{(~usable).sum()} of {len(images)} frames have no pose and are left out.")
    if (unused := list_images(path / "Pixelwise Depths")) and not depths:
        notes.append(f"Pixelwise Depths/ is not used: it has {len(unused)} files and Frames/ {len(images)}.")

    chosen = table[frames.kept]
    places = chosen[:, :3] * (1 if synthetic else 1000)
    matrices = rigid(rotation_from_quaternion(chosen[:, [6, 3, 4, 5]]), places)
    convention = "camera-to-world-unity" if synthetic else "camera-to-world-opencv"
    unit = options.depth_unit_mm
    if frames.depths is not None and unit is None:
        unit = UNITY_DEPTH
        notes.append(f"depth: its unit is not documented and taken for {UNITY_DEPTH:g} of the poses' unit.")
    K, bent = _camera(path)
    recording = replace(
        frames.recording(path, KIND, K, world_to_camera(matrices, convention)),
        depth_unit=unit or 1.0,
        units="relative" if synthetic else "mm",
        file_poses=matrices,
        file_pose_convention=convention,
        notes=[*frames.notes, *notes],
    )
    if any(bent):
        return undistort(recording, Brown(K, bent), options)
    set_focal_length(recording.K, options.focal)
    return recording


def _poses_file(path: Path) -> Path | None:
    folder = path / "Poses"
    if not folder.is_dir():
        return None
    return next((file for pattern in POSES for file in sorted(folder.glob(pattern)) if is_file(file)), None)


def _table(file: Path, images: list[Path]) -> tuple[NDArray[np.float64], list[str]]:
    """Position and quaternion xyzw (F, 7) for each image, NaN where there is none; notes."""
    found = np.full((len(images), 7), np.nan)
    notes: list[str] = []
    if file.suffix.lower() == ".csv":
        rows = read_columns(file, ("tX", "tY", "tZ", "rX", "rY", "rZ", "rW"))[: len(images)]
        found[: len(rows)] = rows
    elif file.suffix.lower() == ".xlsx":
        names = ("ImageFrame", "trans_x", "trans_y", "trans_z", "quot_x", "quot_y", "quot_z", "quot_w")
        of_frame = {int(row[0]): row[1:] for row in read_columns(file, names)}
        for i, image in enumerate(images):
            numbers = re.findall(r"\d+", image.stem)
            if numbers and int(numbers[-1]) in of_frame:
                found[i] = of_frame[int(numbers[-1])]
    else:
        rows = read_columns(file, ("t", "px", "py", "pz", "qx", "qy", "qz", "qw"))
        at = np.linspace(rows[0, 0], rows[-1, 0], len(images))
        found = rows[np.searchsorted(rows[:, 0], at).clip(0, len(rows) - 1), 1:]
        notes = [f"the clocks of {file.name} and of the frames are not matched: frames are spread evenly over it."]
    bad = np.isfinite(found).all(1) & (np.abs(np.linalg.norm(found[:, 3:], axis=1) - 1) > 0.05)
    if bad.any():
        raise InputError(f"{file}: the quaternion of {images[int(np.argmax(bad))].name} has not length 1: correct it.")
    return found, notes


def _camera(path: Path) -> tuple[NDArray[np.float64], tuple[float, ...]]:
    """K (3, 3) and OpenCV's distortion from cam.txt: nine numbers of K, or lines such as "fx: 156.0"."""
    folders = [
        path / "Calibration",
        path.resolve().parent / "Calibration",
        path.resolve().parent.parent / "Calibration",
    ]
    places = [folder / name for folder in folders for name in ("cam.txt", "cam.txt.txt")]
    file = next((place for place in places if place.is_file()), None)
    if file is None:
        raise InputError(f"{path}: no Calibration/cam.txt beside or above the trajectory: copy it from the data set.")
    text = read_text(file)
    named = dict(re.findall(r"\b([A-Za-z]\w*)\s*[:=]\s*(\S+)", text))
    bent: tuple[float, ...] = ()
    if named:
        words = [named.get(name, "") for name in ("fx", "fy", "cx", "cy")]
        words += [named.get(name, "0") for name in ("k1", "k2", "p1", "p2", "k3")]
        values = finite_numbers("".join(words), words)
        (fx, fy, cx, cy), bent = values[:4] or [np.nan] * 4, tuple(values[4:])
    else:
        inside = text.strip(" ,;\n\t[]")
        values = finite_numbers(inside, re.split(r"[,;\s\[\]]+", inside))
        fx, _, cx, _, fy, cy, *_ = values if len(values) == 9 else [np.nan] * 9
    if np.isnan(fx):
        raise InputError(f"{file}: holds neither K nor fx, fy, cx and cy as finite numbers: copy it again.")
    if min(fx, fy) <= 0:
        raise InputError(f"{file}: focal lengths must be positive: copy it again.")
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]), bent
