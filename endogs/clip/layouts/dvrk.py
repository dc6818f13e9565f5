"""A recording of a da Vinci Research Kit: left and right videos with the endoscope arm's kinematics, as in CRCD.

Oh and others 2024, "Comprehensive Robotic Cholecystectomy Dataset (CRCD)", ISMR, and its tutorials
(github.com/sitleng/CRCD, notebooks): left/left.mp4 and right/right.mp4, with the ROS time printed in a strip below the
picture, and the topics of dvrk_kinematics.bag, of which bagpy makes a CSV each, slashes replaced by dashes:
ECM-custom-setpoint_cp.csv or ECM-measured_cp.csv, the pose of the endoscope's tip in metres and quaternions xyzw
(geometry_msgs/TransformStamped or PoseStamped), about 100 a second. The tutorials' merged table, whose columns begin
with ECM_, is read too. Calibrations are ROS's left.yaml and right.yaml, as the dVRK's camera calibration leaves them;
CRCD's own is a pickle, which could run code and is not opened.
"""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from endogs.bounded_files import is_file, listed
from endogs.clip.cameras.calibration_json import calibrate, load_calibration
from endogs.clip.cameras.calibration_names import OWN, not_understood
from endogs.clip.cameras.focal_lengths import set_focal_length
from endogs.clip.cameras.guessed_camera import camera_found
from endogs.clip.cameras.pose_conventions import world_to_camera
from endogs.clip.cameras.rectification import numbers, rectified
from endogs.clip.cameras.ros_camera import read_ros_camera, ros_rectification
from endogs.clip.config import ClipOptions
from endogs.clip.files.number_files import LARGEST, check_rigid
from endogs.clip.files.spreadsheet import header_of, read_columns
from endogs.clip.layouts.stereo_video import pair, view_files
from endogs.clip.recording import FrameReader, Recording
from endogs.errors import InputError
from endogs.geometry import rigid, rotation_from_quaternion

KIND = "dvrk"
LANDMARKS: tuple[str, ...] = ()
COLUMNS = (
    ("{}transform.translation.", "{}transform.rotation."),
    ("{}pose.position.", "{}pose.orientation."),
)
"""What the columns of a position and of a rotation begin with."""
PREFIXES = ("", "ECM_")


def why_not(path: Path, options: ClipOptions) -> str | None:
    """Why `path` has not this layout, None when it has."""
    if not path.is_dir():
        return "not a folder"
    if not view_files(path):
        return "no pair of videos called left and right"
    return None if _kinematics(path) else "no CSV with the ECM's pose"


def read(path: Path, options: ClipOptions) -> Recording:
    """Both views, rectified, with the endoscope's poses at the frames' times, interpolated, in millimetres.

    The cameras are those of left.yaml and right.yaml (ROS) or of calibration.json; a strip below the picture that they
    were calibrated for is cut off. calibration.json may hold `first_frame_time`, the ROS time of the first frame (by
    default that of the first pose, with a note), and `camera_in_ecm`, a 4 x 4 matrix (mm) from the left camera's axes
    to the tip's (by default they are one, with a note). Raises InputError for calibrations that are missing, and for
    frames from times without poses.
    """
    files, table = view_files(path), _kinematics(path)
    assert files is not None
    assert table is not None
    recording = replace(pair(*files, options), source=path, kind=KIND, units="mm")
    facts_file = path / "calibration.json"
    facts = load_calibration(facts_file) if facts_file.is_file() else {}
    notes = camera_found(recording.notes)

    times, matrices = _poses(table)
    first = facts.get("first_frame_time")
    if first is None:
        first = times[0]
        notes.append(
            f"kinematics: the first frame is taken to be from the time of the first pose ({times[0]:.3f} s); "
            "first_frame_time in calibration.json sets the ROS time that is printed in it."
        )
    if not isinstance(first, int | float) or isinstance(first, bool) or not abs(first) <= LARGEST:
        raise InputError(f"{facts_file}: first_frame_time is {first!r} but must be seconds of ROS time: correct it.")
    matrices = _interpolated(times, matrices, recording.times + float(first), table)
    if "camera_in_ecm" in facts:
        camera_in_ecm = numbers(facts, "camera_in_ecm", (4, 4), facts_file)
        check_rigid(camera_in_ecm[None], facts_file, "camera_in_ecm")
        matrices = matrices @ camera_in_ecm
    else:
        notes.append(
            "kinematics: the camera is taken for the ECM's tip; camera_in_ecm in calibration.json corrects it."
        )
    recording = replace(
        recording,
        world_to_camera=world_to_camera(matrices, "camera-to-world-opencv"),
        file_poses=matrices,
        file_pose_convention="camera-to-world-opencv",
        K_is_guess=False,
        notes=notes,
    )
    cameras = [file for name in ("left.yaml", "right.yaml") if (file := _find(path, name)) is not None]
    if len(cameras) == 2:
        recording = replace(recording, notes=[*notes, *not_understood(facts, OWN, facts_file.name)])
        return _rectified(recording, cameras[0], cameras[1], options.focal)
    if "fx" not in facts:
        raise InputError(f"{path}: no left.yaml and right.yaml, nor fx in calibration.json: add the calibration.")
    height = facts.get("height")
    recording = _without_strip(recording, int(height)) if isinstance(height, int) else recording
    return calibrate(recording, facts, facts_file, options)


def _find(path: Path, name: str) -> Path | None:
    return next((file for folder in (path, path / "calibration") if (file := folder / name).is_file()), None)


def _kinematics(path: Path) -> Path | None:
    """The table of the endoscope's poses: a topic of the ECM's, or a merged table; measured before commanded."""
    folders = [path, *sorted(folder for folder in listed(path) if folder.is_dir())]
    tables = [file for folder in folders for file in sorted(folder.glob("*.csv")) if is_file(file)]
    named = [file for file in tables if re.search(r"ECM.*_cp\.csv$", file.name, re.I) and "local" not in file.name]
    named.sort(key=lambda file: "measured" not in file.name)
    merged = [file for file in tables if any(name.startswith("ECM_transform") for name in header_of(file))]
    return next(iter([*named, *merged]), None)


def _poses(file: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """ROS times (N,) and matrices (N, 4, 4) of the ECM's tip in its base, mm."""
    header = header_of(file)
    starts = [
        (place.format(prefix), turn.format(prefix))
        for prefix in PREFIXES
        for place, turn in COLUMNS
        if f"{place.format(prefix)}x" in header
    ]
    if not starts:
        raise InputError(
            f"{file}: has neither transform.translation.x nor pose.position.x: export the ECM's *_cp topic."
        )
    place, turn = starts[0]
    columns = (*(f"{place}{axis}" for axis in "xyz"), *(f"{turn}{axis}" for axis in "wxyz"))
    if "header.stamp.secs" in header:
        rows = read_columns(file, ("header.stamp.secs", "header.stamp.nsecs", *columns))
        times, rows = rows[:, 0] + 1e-9 * rows[:, 1], rows[:, 2:]
    else:
        rows = read_columns(file, ("Time", *columns))
        times, rows = rows[:, 0], rows[:, 1:]
    if len(rows) < 2 or (np.linalg.norm(rows[:, 3:], axis=1) < 0.5).any() or (np.diff(times) < 0).any():
        raise InputError(f"{file}: needs two poses or more, times that rise, and unit quaternions: export it again.")
    return times, rigid(rotation_from_quaternion(rows[:, 3:]), rows[:, :3] * 1000)


def _interpolated(
    times: NDArray[np.float64], matrices: NDArray[np.float64], wanted: NDArray[np.float64], file: Path
) -> NDArray[np.float64]:
    """Poses (F, 4, 4) at the times `wanted`: straight between positions, at even speed between rotations."""
    from scipy.spatial.transform import Rotation, Slerp

    late = float(max(times[0] - wanted.min(), wanted.max() - times[-1]))
    if late > 1:
        raise InputError(
            f"{file}: has poses from {times[0]:.3f} to {times[-1]:.3f} s but the frames are from {wanted.min():.3f} to "
            f"{wanted.max():.3f} s: correct first_frame_time in calibration.json or choose with --start and --end."
        )
    distinct = np.concatenate([[True], np.diff(times) > 0])
    times, matrices, wanted = times[distinct], matrices[distinct], wanted.clip(times[0], times[-1])
    places = np.stack([np.interp(wanted, times, matrices[:, axis, 3]) for axis in range(3)], 1)
    return rigid(Slerp(times, Rotation.from_matrix(matrices[:, :3, :3]))(wanted).as_matrix(), places)


def _rectified(recording: Recording, left_file: Path, right_file: Path, focal: float | None) -> Recording:
    """The recording rectified as ROS's files say; `focal`, if given, is the rectified views' in pixels."""
    left, right = read_ros_camera(left_file), read_ros_camera(right_file)
    turned = ros_rectification(left, right, right_file)
    K = turned.K.copy()
    set_focal_length(K, focal)
    recording = _without_strip(recording, left.size[1])
    if (recording.width, recording.height) != left.size:
        raise InputError(
            f"{left_file}: is for images of {left.size[0]} x {left.size[1]} but the videos are {recording.width} x "
            f"{recording.height}: calibrate for these videos."
        )
    how = f"stereo: the views are rectified as {left_file.name} and {right_file.name} say."
    rectified_K = K[None].repeat(len(recording.times), 0)
    return replace(rectified(recording, turned, how), K=rectified_K, baseline=turned.baseline)


def _without_strip(recording: Recording, height: int) -> Recording:
    """The recording without the rows below `height`, in which CRCD prints the time."""
    if not 0 < height < recording.height:
        return recording
    assert recording.right_images is not None
    note = f"the {recording.height - height} rows below the calibrated picture are cut off."
    return replace(
        recording,
        height=height,
        images=_Top(recording.images, height),
        right_images=_Top(recording.right_images, height),
        notes=[*recording.notes, note],
    )


class _Top:
    """The first rows of every frame."""

    def __init__(self, frames: FrameReader, height: int) -> None:
        self.frames, self.height = frames, height

    def read(self, index: int) -> NDArray[np.uint8]:
        """uint8 (height, W, 3) RGB."""
        return np.ascontiguousarray(self.frames.read(index)[: self.height])
