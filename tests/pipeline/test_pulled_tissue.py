"""Tissue that is pulled before a camera at rest is not taken for a camera that moves."""

import json

import cv2
import numpy as np
import pytest
from samples.ball_clip import HEIGHT, WIDTH, K, shown

from endogs.clip import load_clip
from endogs.clip.config import ClipOptions
from endogs.pipeline.tissue_path import path_doubt, path_left
from endogs.tracking.camera_motion import CameraMotion, camera_motion
from endogs.tracking.trajectory import Landmarks, State, TrackedFrame, Trajectory

FPS = 60.0


@pytest.fixture(scope="module")
def pulled(tmp_path_factory):
    """A folder of pictures in which tissue is pulled to and fro in two places, by up to a tenth of the width."""
    folder = tmp_path_factory.mktemp("pulled")
    (folder / "images").mkdir()
    image, _ = shown(np.eye(4))
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    left = np.exp(-((x - 60) ** 2 + (y - 80) ** 2) / (2 * 40**2))
    right = np.exp(-((x - 150) ** 2 + (y - 70) ** 2) / (2 * 35**2))
    for k in range(30):
        a, b = 20 * np.sin(k / 5), 16 * np.sin(k / 4 + 1)
        at = x - a * left + 0.3 * b * right, y - 0.4 * a * left - b * right
        moved = cv2.remap(
            image, *(side.astype(np.float32) for side in at), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
        )
        cv2.imwrite(str(folder / "images" / f"{k:04d}.png"), moved[..., ::-1])
    about = {"fx": K[0, 0], "fy": K[1, 1], "cx": K[0, 2], "cy": K[1, 2], "width": WIDTH, "height": HEIGHT, "fps": FPS}
    (folder / "calibration.json").write_text(json.dumps(about))
    return folder


@pytest.mark.parametrize("stride", [1, 2])
def test_fast_motion_that_no_rigid_world_explains_is_not_a_moving_camera(pulled, stride):
    motion = camera_motion(load_clip(pulled, ClipOptions(stride=stride)))
    assert motion.speed > 0.035
    assert motion.may_be_tissue
    assert motion.verdict == "unclear"


def test_a_path_made_of_tissue_motion_must_be_wider_to_be_believed():
    rigid = CameraMotion("unclear", 9, 0.03, 0.05, 0.3)
    pulling = CameraMotion("unclear", 8, 0.03, 0.14, 0.7)
    assert path_doubt(rigid, 0.05, 2.0) is not None
    assert path_doubt(rigid, 0.13, 2.0) is None
    assert "wide and turns by 15.5 degrees" in (path_doubt(pulling, 0.22, 15.5) or "")
    assert path_doubt(pulling, 0.60, 0.1) is None


def test_a_path_that_explains_nearly_all_motion_is_no_tissues():
    """Straight ahead points grow so fast that two pictures alone leave more of their motion than a whole path does."""
    ahead = CameraMotion("unclear", 8, 0.06, 0.09, 1.0)
    assert path_doubt(ahead, 0.24, 0.1, 0.007) is None
    assert path_doubt(ahead, 0.24, 0.1, 0.05) is not None
    assert path_doubt(ahead, 0.05, 0.1, 0.007) is not None


def test_what_a_path_leaves_is_told_by_how_far_its_points_moved():
    frames = tuple(TrackedFrame(k, k / 30, np.eye(4), State.TRACKED, "", 40, 0.2) for k in range(3))
    rows = np.arange(40)
    seen_by, point = np.repeat([2, 0, 1], 40), np.tile(rows, 3)
    pixels = np.concatenate([np.stack([rows + way, rows], 1) for way in (10.0, 0.0, 4.0)])
    landmarks = Landmarks(np.ones((40, 3)), np.ones(40), seen_by, point, pixels)
    assert path_left(Trajectory(frames, frames, "relative", (), {}, landmarks)) == pytest.approx(0.02)
    assert path_left(Trajectory(frames, frames, "relative", ())) == np.inf
