"""A tiny SCARED keyframe, as downloaded and as its tools prepare it."""

import json
from pathlib import Path

import cv2
import numpy as np
from layouts.asymmetric_scene import SIZE, bent_rays, pinhole_rays, poses, see
from layouts.tiff_float import write_tiff
from layouts.video_file import write_color_video

HALF = np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
KL = np.array([[71.0, 0, 37.25], [0, 68.0, 22.5], [0, 0, 1]])
KR = np.array([[72.0, 0, 38.75], [0, 69.0, 23.25], [0, 0, 1]])
DL = np.array([-0.021, 0.013, 0.0011, -0.0017, 0.0023])
DR = np.array([-0.017, 0.009, -0.0013, 0.0008, 0.0012])
R = cv2.Rodrigues(np.array([0.011, -0.017, 0.009]))[0]
T = np.array([-4.35, 0.06, -0.09])
"""x_right = R x_left + T: the right camera stands 4.35 mm to the right."""


def calibration() -> dict:
    """As in frame_data/, pixel centres at integers."""
    numbers = {"KL": KL - HALF, "KR": KR - HALF, "DL": DL[None], "DR": DR[None], "R": R, "T": T[:, None]}
    return {name: value.tolist() for name, value in numbers.items()}


def _frame_data(data: Path, world_to_camera: np.ndarray) -> None:
    folder = data / "frame_data"
    folder.mkdir(parents=True)
    for i, pose in enumerate(world_to_camera):
        text = json.dumps({"camera-calibration": calibration(), "camera-pose": pose.tolist(), "timestamp": i})
        (folder / f"frame_data{i:06d}.json").write_text(text)


def write_scared(root: Path, count: int = 4) -> Path:
    """data/ with left_finalpass/, right_finalpass/, disparity/, reprojection_data/ and frame_data/."""
    data = root / "data"
    world_to_camera = poses(count)
    _frame_data(data, world_to_camera)
    R1, R2, P1, P2, Q, *_ = cv2.stereoRectify(KL - HALF, DL, KR - HALF, DR, SIZE, R, T[:, None])
    rays = pinhole_rays(P1[:, :3] + HALF)
    for name in ("left_finalpass", "right_finalpass", "disparity", "reprojection_data"):
        (data / name).mkdir()
    for i, pose in enumerate(world_to_camera):
        left, right = pose.copy(), np.eye(4)
        left[:3] = R1 @ pose[:3]
        right[:3, :3], right[:3, 3] = R2 @ R @ pose[:3, :3], R2 @ (R @ pose[:3, 3] + T)
        image, depth = see(left, rays)
        other, _ = see(right, rays)
        name = f"frame_data{i:06d}"
        cv2.imwrite(str(data / "left_finalpass" / f"{name}.png"), image[..., ::-1])
        cv2.imwrite(str(data / "right_finalpass" / f"{name}.png"), other[..., ::-1])
        disparity = -P2[0, 3] / depth
        disparity[3:6, 10:14] = 0  # unknown
        write_tiff(data / "disparity" / f"{name}.tiff", disparity)
        (data / "reprojection_data" / f"{name}.json").write_text(json.dumps({"reprojection-matrix": Q.tolist()}))
    return root


def write_scared_video(root: Path, count: int = 4) -> Path:
    """data/ with rgb.mp4, frame_data/ and scene_points/, nothing rectified."""
    data = root / "data"
    world_to_camera = poses(count)
    _frame_data(data, world_to_camera)
    (data / "scene_points").mkdir()
    left_rays, right_rays = bent_rays(KL, DL), bent_rays(KR, DR)
    stacked = []
    for i, pose in enumerate(world_to_camera):
        right = np.eye(4)
        right[:3, :3], right[:3, 3] = R @ pose[:3, :3], R @ pose[:3, 3] + T
        image, depth = see(pose, left_rays)
        other, other_depth = see(right, right_rays)
        stacked.append(np.concatenate([image, other]))
        points = np.concatenate([left_rays * depth[..., None], right_rays * other_depth[..., None]])
        points[3:6, 10:14] = np.nan  # unknown
        write_tiff(data / "scene_points" / f"scene_points{i:06d}.tiff", points)
    write_color_video(data / "rgb.mp4", stacked)
    return root
