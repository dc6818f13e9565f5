"""Camera calibrations as ROS writes them: one YAML file per camera with its rectification."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from endogs.bounded_files import read_text
from endogs.clip.lenses import HALF_PIXEL
from endogs.clip.number_files import finite_numbers
from endogs.clip.rectification import Maps, Rectification
from endogs.errors import InputError

Array = NDArray[np.float64]

LONGEST = 2**16
"""Bytes of a calibration, which has about 1 kB; searching it takes time with their square."""


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
    """The camera in `file`; InputError for what is missing in it, and for fisheye models."""
    text = read_text(file, LONGEST)
    size = [re.search(rf"^image_{name}:\s*([0-9]{{1,6}})\b", text, re.M) for name in ("width", "height")]
    if not all(size):
        raise InputError(f"{file}: says no image_width and image_height: write it with ROS's camera_calibration.")
    model = re.search(r"^(?:camera|distortion)_model:\s*(\S+)", text, re.M)
    if model is not None and model[1] not in ("plumb_bob", "rational_polynomial"):
        raise InputError(f"{file}: distortion_model {model[1]} is not plumb_bob or rational_polynomial.")
    K = _matrix(text, "camera_matrix", file).reshape(3, 3)
    P = _matrix(text, "projection_matrix", file).reshape(3, 4)
    if min(K[0, 0], K[1, 1], P[0, 0], P[1, 1]) <= 0:
        raise InputError(f"{file}: focal lengths in camera_matrix and projection_matrix must be positive: correct it.")
    return RosCamera(
        (int(size[0][1]), int(size[1][1])),  # type: ignore[index]
        K,
        _matrix(text, "distortion_coefficients", file).ravel(),
        _matrix(text, "rectification_matrix", file).reshape(3, 3),
        P,
    )


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
    both = [
        cv2.initUndistortRectifyMap(camera.K, camera.distortion, camera.R, camera.P[:, :3], left.size, cv2.CV_32FC1)
        for camera in (left, right)
    ]
    maps: list[Maps] = [(np.asarray(m[0], np.float32), np.asarray(m[1], np.float32)) for m in both]
    factor = np.ones(left.size[::-1], np.float32)  # a robot's recordings come without depth
    return Rectification(maps[0], maps[1], left.P[:, :3] + HALF_PIXEL, left.R, baseline, factor)


def _matrix(text: str, name: str, file: Path) -> Array:
    found = re.search(rf"^{name}:.*?^[ \t]+data:\s*\[(.*?)\]", text, re.M | re.S)
    sizes = {"camera_matrix": (9,), "rectification_matrix": (9,), "projection_matrix": (12,)}.get(name, (4, 5, 8))
    inside = found[1].strip(" ,\n") if found else ""
    values = finite_numbers(inside, re.split(r"[,\s]+", inside))
    if len(values) not in sizes:
        raise InputError(f"{file}: {name} must hold {' or '.join(map(str, sizes))} numbers: correct it.")
    return np.array(values)
