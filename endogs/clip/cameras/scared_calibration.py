"""What SCARED says of each frame: the stereo calibration and the pose in data/frame_data/*.json.

A file holds `camera-calibration` with KL, KR (3 x 3), DL, DR (OpenCV's distortion k1 k2 p1 p2 k3), R (3 x 3), T (mm),
x_right = R x_left + T, and `camera-pose` (4 x 4): Allan et al. 2021, https://arxiv.org/abs/2101.01133, and the tools
https://github.com/EikoLoki/MICCAI_challenge_preprocess and https://github.com/dimitrisPs/scared_toolkit. The pose takes
the world's points, those of the first frame's left camera, to the frame's left camera: EndoSurf's preparation
(https://github.com/Ruyi-Zha/endosurf, data/scared2019/preprocess.py) inverts it to place the camera, and the pose
errors of the depth literature chain it as pose_1 pose_0^-1. All lengths are millimetres.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from endogs.clip.cameras.calibration_json import load_calibration
from endogs.clip.cameras.lenses import HALF_PIXEL
from endogs.clip.cameras.rectification import stereo_rectify
from endogs.clip.files.number_files import check_rigid, entry, read_json
from endogs.errors import InputError

Array = NDArray[np.float64]

KEYFRAME_CALIBRATION = "endoscope_calibration.yaml"
"""The pair's calibration in a keyframe's folder, by OpenCV."""
SAME_CAMERA = 0.02
"""Relative difference of two focal lengths, and share of the width between two principal points, still called equal."""


@dataclass(frozen=True)
class FrameData:
    """One file of frame_data/."""

    path: Path
    """Where it was read from."""
    calibration: dict[str, Any]
    """`camera-calibration`, as it stands in the file."""
    world_to_camera: Array
    """(4, 4) of the left camera as it took the frame, before rectification."""

    def number(self, name: str, shape: tuple[int, ...] | None) -> Array:
        """The calibration's entry `name`; InputError when it is missing or has another shape."""
        return entry(self.calibration, name, shape, self.path)

    def stereo_calibration(self) -> tuple[dict[str, Any], Array]:
        """What `endogs.clip.cameras.rectification.rectification` takes: its dictionary, and the left K with centres at
        +0.5."""
        right = self.number("KR", (3, 3)) + HALF_PIXEL
        calibration = {
            "distortion": self.number("DL", None).tolist(),
            "rotation": self.number("R", (3, 3)).tolist(),
            "translation_mm": self.number("T", (3,)).tolist(),
            "right": {
                "fx": right[0, 0],
                "fy": right[1, 1],
                "cx": right[0, 2],
                "cy": right[1, 2],
                "distortion": self.number("DR", None).tolist(),
            },
        }
        return calibration, self.number("KL", (3, 3)) + HALF_PIXEL


def read_frame_data(path: Path) -> FrameData:
    """One file of frame_data/; InputError when something is missing in it.

    A file without camera-calibration, as robust-pose-estimator writes it, takes that of the keyframe's
    endoscope_calibration.yaml.
    """
    found = read_json(path)
    calibration = found.get("camera-calibration")
    if not isinstance(calibration, dict):
        calibration = _of_keyframe(path)
    pose = entry(found, "camera-pose", (4, 4), path)
    check_rigid(pose[None], path, "camera-pose")
    return FrameData(path, calibration, pose)


def _of_keyframe(path: Path) -> dict[str, Any]:
    """camera-calibration as endoscope_calibration.yaml says it, for a file of frame_data/ that lacks it."""
    places = [folder / KEYFRAME_CALIBRATION for folder in path.parents[:3]]
    file = next((place for place in places if place.is_file()), None)
    if file is None:
        raise InputError(
            f"{path}: has no camera-calibration, and the keyframe no {KEYFRAME_CALIBRATION}: copy that file beside "
            "data/, or this one again."
        )
    found = load_calibration(file)
    if "translation_mm" not in found or "right" not in found:
        raise InputError(f"{file}: is not the calibration of a pair with K1, D1, K2, D2, R and T: copy it again.")
    left, right = found, found["right"]
    matrices = {
        name: (np.array([[one["fx"], 0, one["cx"]], [0, one["fy"], one["cy"]], [0, 0, 1]]) - HALF_PIXEL).tolist()
        for name, one in (("KL", left), ("KR", right))
    }
    return {
        **matrices,
        "DL": left.get("distortion", [0.0] * 5),
        "DR": right.get("distortion", [0.0] * 5),
        "R": found["rotation"],
        "T": found["translation_mm"],
    }


def rectifying_rotation(frame: FrameData, Q: Array, size: tuple[int, int]) -> Array | None:
    """Rotation (3, 3) from the left camera's axes to those of the rectified left view of `size` (width, height).

    It is computed again as the preparing tool did (cv2.stereoRectify with its defaults); None when the calibration is
    not complete or leads to another camera than the (4, 4) reprojection matrix `Q` describes. InputError for one that
    describes no pair of cameras.
    """
    names = {"KL": (3, 3), "DL": None, "KR": (3, 3), "DR": None, "R": (3, 3), "T": (3, 1)}
    if not set(names) <= set(frame.calibration):
        return None
    KL, DL, KR, DR, R, T = (frame.number(name, shape) for name, shape in names.items())
    R1, _, P1, _ = stereo_rectify((KL, DL), (KR, DR), size, R, T, frame.path)
    same_focal = abs(P1[0, 0] / Q[2, 3] - 1) < SAME_CAMERA
    same_centre = np.abs(P1[:2, 2] + Q[:2, 3]).max() < SAME_CAMERA * size[0]
    return R1 if same_focal and same_centre else None
