"""Camera calibrations as ROS writes them: one YAML file per camera with its rectification."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from endogs.bounded_files import NamedTwice, read_text
from endogs.clip.cameras.baselines import check_baseline
from endogs.clip.cameras.calibration_names import nearest_name, nearly_known
from endogs.clip.cameras.lenses import HALF_PIXEL
from endogs.clip.cameras.plausible_cameras import check_cameras
from endogs.clip.cameras.rectification import Maps, Rectification, odd_cameras
from endogs.clip.files.yaml_text import parse_yaml
from endogs.errors import InputError

Array = NDArray[np.float64]


LONGEST = 2**16
"""Bytes of a calibration, which has about 1 kB."""


NAMES = (
    *("image_width", "image_height", "camera_name", "camera_matrix", "camera_model", "distortion_model"),
    *("distortion_coefficients", "rectification_matrix", "projection_matrix"),
)
"""Entries of such a file; others are not the camera's."""


@dataclass(frozen=True)
class RosCamera:
    """One camera of camera_calibration_parsers (wiki.ros.org/camera_calibration_parsers, sensor_msgs/CameraInfo)."""

    size: tuple[int, int]
    """(width, height)."""
    K: Array
    """(3, 3), pixel centres at integers."""
    distortion: Array
    """plumb_bob k1 k2 p1 p2 k3, or rational_polynomial with three more."""
    R: Array
    """(3, 3) from the camera's axes to the rectified ones."""
    P: Array
    """(3, 4) of the rectified view; P[0, 3] is -fx times the distance from the left camera."""


def read_ros_camera(file: Path) -> RosCamera:
    """The camera in `file`, any YAML that says it; InputError for what is missing in it, and for fisheye models."""
    try:
        found = parse_yaml(read_text(file, LONGEST))
    except NamedTwice as error:
        raise InputError(f"{file}: {error}: leave only the one that is meant.") from error
    except ValueError as error:
        raise InputError(f"{file}: not readable as YAML ({error}): write it with ROS's camera_calibration.") from error
    found = found if isinstance(found, dict) else {}
    width, height = found.get("image_width"), found.get("image_height")
    if not (isinstance(width, int) and isinstance(height, int) and min(width, height) > 0):
        raise InputError(f"{file}: says no image_width and image_height: write it with ROS's camera_calibration.")
    model = found.get("distortion_model", found.get("camera_model"))
    if model is not None and model not in ("plumb_bob", "rational_polynomial"):
        raise InputError(
            f"{file}: distortion_model {str(model)[:40]} is not plumb_bob or rational_polynomial: calibrate with one."
        )
    K = _matrix(found, "camera_matrix", (9,), file).reshape(3, 3)
    P = _matrix(found, "projection_matrix", (12,), file).reshape(3, 4)
    if min(K[0, 0], K[1, 1], P[0, 0], P[1, 1]) <= 0:
        raise InputError(f"{file}: focal lengths in camera_matrix and projection_matrix must be positive: correct it.")
    bent = _matrix(found, "distortion_coefficients", (0, 4, 5, 8), file)
    R = _matrix(found, "rectification_matrix", (9,), file).reshape(3, 3)
    for name in nearly_known(found, NAMES):
        raise InputError(f"{file}: {name[:60]} is not understood: is {nearest_name(name, NAMES)} meant? Correct it.")
    return RosCamera((width, height), K, bent if bent.size else np.zeros(5), R, P)


def ros_rectification(left: RosCamera, right: RosCamera, file: Path) -> Rectification:
    """The rectification that a pair's files describe, lengths turned from metres to millimetres.

    Raises InputError, naming the right camera's `file`, for another size and a right camera that is not on the right.
    """
    import cv2

    if left.size != right.size:
        raise InputError(f"{file}: is for another image size than the left camera's file: calibrate them together.")
    baseline = float(-right.P[0, 3] / right.P[0, 0]) * 1000
    if baseline <= 0:
        raise InputError(f"{file}: projection_matrix puts the right camera on the left: exchange the files.")
    check_baseline(baseline, file)
    K, K_right = left.K + HALF_PIXEL, right.K + HALF_PIXEL
    check_cameras(np.stack([K, K_right]), *left.size, file)
    both = [
        cv2.initUndistortRectifyMap(camera.K, camera.distortion, camera.R, camera.P[:, :3], left.size, cv2.CV_32FC1)
        for camera in (left, right)
    ]
    maps: list[Maps] = [(np.asarray(m[0], np.float32), np.asarray(m[1], np.float32)) for m in both]
    factor = np.ones(left.size[::-1], np.float32)  # a robot's recordings come without depth
    odd = odd_cameras(K, K_right, left.size)
    return Rectification(maps[0], maps[1], left.P[:, :3] + HALF_PIXEL, left.R, baseline, factor, odd)


def _matrix(found: dict[str, Any], name: str, sizes: tuple[int, ...], file: Path) -> Array:
    """The numbers of the matrix `name`, of which there must be one of `sizes`."""
    entry = found.get(name)
    data = entry.get("data") if isinstance(entry, dict) else entry
    if isinstance(data, list) and len(data) == 1 and isinstance(data[0], str):
        data = data[0].split()  # written without commas
    try:
        values = np.asarray(data, np.float64).ravel()
    except (TypeError, ValueError):
        values = np.full(1, np.nan)
    if values.size not in sizes or not np.isfinite(values).all():
        wanted = " or ".join(str(size) for size in sizes if size)
        raise InputError(f"{file}: {name} must hold {wanted} numbers: correct it.")
    return values
