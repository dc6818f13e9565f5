"""StereoMIS: a stereo video with calibration, poses from the robot's kinematics and instrument masks.

A sequence holds one .mp4 with the left view above the right one, StereoCalibration.ini, groundtruth.txt and masks/
(Hayoz et al. 2023, https://doi.org/10.1007/s11548-023-02919-w; data https://doi.org/10.5281/zenodo.7727691). The facts
below are those of its tools, https://github.com/aimi-lab/robust-pose-estimator:

- StereoCalibration.ini: sections StereoLeft and StereoRight with res_x, res_y, fc_x, fc_y, cc_x, cc_y (pixel centres at
  integers), kc_0 ... (OpenCV's order) and, for the right camera, R_0 ... R_8 in row order and T_0 ... T_2 in mm with
  x_right = R x_left + T. The views are rectified here.
- groundtruth.txt: rows `frame tx ty tz qx qy qz qw` that place the left camera in the world, metres, frames from 0.
- StereoMIS-Tracking (https://doi.org/10.5281/zenodo.10867949) has video_frames/NNNNNNl.png and NNNNNNr.png in place of
  the video, numbered as the poses are.
- test_split.csv and sequences.txt say which frames are evaluated (`endogs.clip.layouts.stereomis_split`).
- masks/NNNNNNl.png: above 0 where tissue is seen, which is the other way round than elsewhere. Not every frame has one.
"""

import configparser
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from endogs.clip.cameras.guessed_camera import still_poses
from endogs.clip.cameras.rectification import RectifiedMasks, rectification
from endogs.clip.config import ClipOptions
from endogs.clip.files.image_files import list_images
from endogs.clip.files.mask_files import MaskFiles, mask_files
from endogs.clip.files.number_files import finite_numbers, read_table, read_text
from endogs.clip.files.stacked_video import StackedVideo, read_stacked_video
from endogs.clip.layouts.stereomis_split import split_notes
from endogs.clip.layouts.stereomis_tracking import left_frames, read_frame_pairs
from endogs.clip.recording import Recording
from endogs.errors import InputError
from endogs.geometry import invert_rigid, rigid, rotation_from_quaternion

KIND = "stereomis"

CALIBRATION = "StereoCalibration.ini"
LANDMARKS: tuple[str, ...] = (CALIBRATION,)
FRAMES = "video_frames"
METRE = 1000.0
"""Millimetres."""


def why_not(path: Path, options: ClipOptions) -> str | None:
    """Why `path` has not this layout, None when it has."""
    if not path.is_dir():
        return "not a folder"
    if not (path / CALIBRATION).is_file():
        return f"no {CALIBRATION}"
    videos = list_images(path, (".mp4",))
    if len(videos) == 1 or left_frames(path / FRAMES):
        return None
    return f"{len(videos)} .mp4 files beside {CALIBRATION} instead of one, and no {FRAMES}/NNNNNNl.png"


def read(path: Path, options: ClipOptions) -> Recording:
    """The rectified views, with poses and masks where they are there; mm."""
    videos = list_images(path, (".mp4",))
    views = read_stacked_video(videos[0], options) if len(videos) == 1 else read_frame_pairs(path / FRAMES, options)
    calibration, K = read_stereo_calibration(path / CALIBRATION, (views.width, views.height))
    turned = rectification(calibration, K, (views.width, views.height), path / CALIBRATION)
    if options.focal is not None:
        turned.K[[0, 1], [0, 1]] = options.focal
    notes = [
        *views.notes,
        "stereo: the views are rectified as the calibration says; rows and --crop count in the result.",
        *turned.notes,
        *split_notes(path, views, options),
    ]
    value = 0 if options.mask_instrument_value is None else options.mask_instrument_value
    if (path / "groundtruth.txt").is_file():
        views, world_to_camera = with_poses(views, path / "groundtruth.txt", notes)
        world_to_camera[:, :3] = turned.rotation @ world_to_camera[:, :3]
    else:
        world_to_camera = still_poses(len(views.kept))
        notes.append("groundtruth.txt is not there, so the camera is taken to stand still.")
    masks = _masks(path / "masks", views, value, notes, options.mask_values)
    return replace(
        views.recording(path, KIND, turned, world_to_camera),
        poses_are_given=(path / "groundtruth.txt").is_file(),
        masks=None if masks is None else RectifiedMasks(masks, turned.left),
        mask_instrument_value=value,
        poses_are_quaternions=True,
        pose_unit_mm=METRE,
        notes=notes,
    )


def read_stereo_calibration(path: Path, size: tuple[int, int]) -> tuple[dict[str, Any], NDArray[np.float64]]:
    """What `endogs.clip.cameras.rectification.rectification` takes: its dictionary, and the left K (3, 3), centres at
    +0.5.

    Raises InputError for missing or unreadable numbers, and when the file is for views of another size than `size`.
    """
    parser = configparser.ConfigParser(interpolation=None)  # which could ask for gigabytes
    try:
        parser.read_string(read_text(path))
    except configparser.Error as error:
        raise InputError(
            f"{path}: not readable as an INI file ({error.message.splitlines()[0]}): copy it again."
        ) from None

    def number(section: str, name: str) -> float:
        text = parser.get(section, name, fallback="")
        found = finite_numbers(text, [text])
        if not found:
            raise InputError(f"{path}: [{section}] has no number under {name}: correct it.")
        return found[0]

    for section in ("StereoLeft", "StereoRight"):
        stated = (number(section, "res_x"), number(section, "res_y"))
        if stated != size:
            raise InputError(
                f"{path}: [{section}] is for views of {stated[0]:g} x {stated[1]:g} but the video's are {size[0]} x "
                f"{size[1]}: take the calibration of this video."
            )
    cameras: dict[str, dict[str, Any]] = {}
    for section in ("StereoLeft", "StereoRight"):
        terms = [name for name in (f"kc_{i}" for i in range(8)) if parser.has_option(section, name)]
        if terms != [f"kc_{i}" for i in range(len(terms))]:
            raise InputError(f"{path}: [{section}] holds {', '.join(terms)}, of which some are missing: add them.")
        distortion = [number(section, name) for name in terms]
        cameras[section] = {
            "fx": number(section, "fc_x"),
            "fy": number(section, "fc_y"),
            "cx": number(section, "cc_x") + 0.5,
            "cy": number(section, "cc_y") + 0.5,
            "distortion": distortion if len(distortion) in (4, 5, 8) else (distortion + [0.0] * 8)[:8],
        }
    left = cameras["StereoLeft"]
    calibration = {
        "distortion": left["distortion"],
        "rotation": [[number("StereoRight", f"R_{3 * row + column}") for column in range(3)] for row in range(3)],
        "translation_mm": [number("StereoRight", f"T_{i}") for i in range(3)],
        "right": cameras["StereoRight"],
    }
    return calibration, np.array([[left["fx"], 0, left["cx"]], [0, left["fy"], left["cy"]], [0, 0, 1]])


def with_poses(views: StackedVideo, path: Path, notes: list[str]) -> tuple[StackedVideo, NDArray[np.float64]]:
    """The views that have a pose in `path`, and `world_to_camera` (F, 4, 4), mm, of these; a note when some have none.

    Raises InputError when none of the chosen frames has one.
    """
    table = read_table(path, 8)
    numbers = table[:, 0].astype(int)
    if (numbers != table[:, 0]).any():
        raise InputError(f"{path}: the first column must hold frame numbers, counted from 0: correct it.")
    rows = {number: row for row, number in enumerate(numbers.tolist())}
    usable = np.array([i for i, frame in enumerate(views.kept) if frame in rows])
    if not usable.size:
        raise InputError(
            f"{path}: has no pose for any of the chosen frames (its poses are of frames {numbers.min()} to "
            f"{numbers.max()} of the video, those chosen are {views.kept[0]} to {views.kept[-1]}): choose others with "
            "--start and --end, in seconds."
        )
    if usable.size < len(views.kept):
        notes.append(
            f"poses: {len(views.kept) - usable.size} of {len(views.kept)} frames have no pose in {path.name} and are "
            "left out."
        )
        views = views.chosen(usable)
    chosen = table[[rows[frame] for frame in views.kept]]
    if not np.abs(chosen[:, 4:]).sum(1).all():
        raise InputError(f"{path}: holds a quaternion of zeros: correct it.")
    camera_to_world = rigid(rotation_from_quaternion(chosen[:, [7, 4, 5, 6]]), METRE * chosen[:, 1:4])
    return views, invert_rigid(camera_to_world)


def _masks(
    folder: Path, views: StackedVideo, instrument_value: int, notes: list[str], named: tuple[str, ...]
) -> MaskFiles | None:
    """The mask of each chosen frame, or of the frame nearest to it that has one."""
    files = {
        int(file.stem[:-1]): file for file in list_images(folder) if file.stem[-1] == "l" and file.stem[:-1].isdecimal()
    }
    if not files:
        notes.append("masks/ holds no NNNNNNl.png, so masks are not given.")
        return None
    numbers = np.array(sorted(files))
    nearest = [int(numbers[np.abs(numbers - frame).argmin()]) for frame in views.kept]
    away = [abs(number - frame) for number, frame in zip(nearest, views.kept, strict=True)]
    if any(away):
        notes.append(
            f"masks: {sum(map(bool, away))} of {len(away)} frames have none of their own and take the nearest, at most "
            f"{max(away)} frames away."
        )
    paths = [files[number] for number in nearest]
    return mask_files(paths, (views.width, views.height), instrument_value, notes, resize=True, named=named)
