"""EndoSLAM's folders with the corner in them: the synthetic part, HighCam with a workbook, MiroCam with a tracker."""

from pathlib import Path

import cv2
import numpy as np
import openpyxl
from layouts import corner
from layouts.colmap import rays
from scipy.spatial.transform import Rotation

UNITY_UNIT = 25.0
"""mm per length unit of the made Unity world."""


def _row(pose: np.ndarray, left_handed: bool) -> list[float]:
    """Position (mm) and quaternion xyzw of the camera in the world."""
    camera_to_world = np.linalg.inv(pose)
    if left_handed:
        flip = np.diag([1.0, -1, 1, 1])
        camera_to_world = flip @ camera_to_world @ flip
    return [*camera_to_world[:3, 3], *Rotation.from_matrix(camera_to_world[:3, :3]).as_quat()]


def write_unity(root: Path, count: int = 5) -> tuple[Path, np.ndarray]:
    """UnityCam/Colon; the last frame has no pose, as in the data set. Depth counts in 1/100 of the poses' unit."""
    folder = root / "UnityCam" / "Colon"
    for name in ("Frames", "Poses", "Pixelwise Depths"):
        (folder / name).mkdir(parents=True)
    K = corner.K
    (root / "UnityCam" / "Calibration").mkdir()
    (root / "UnityCam" / "Calibration" / "cam.txt").write_text(",".join(f"{value:.6f}" for value in K.ravel()))
    poses = corner.world_to_camera(count)
    lines = ["tX,tY,tZ,rX,rY,rZ,rW,time(s)"]
    for i, pose in enumerate(poses):
        view = corner.see(pose)
        cv2.imwrite(str(folder / "Frames" / f"image_{i:04d}.png"), view.image[..., ::-1])
        depth = np.rint(view.depth / UNITY_UNIT * 100).clip(0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / "Pixelwise Depths" / f"aov_image_{i:04d}.png"), np.dstack([depth] * 4))
        row = _row(pose, left_handed=True)
        row[:3] = np.array(row[:3]) / UNITY_UNIT
        lines.append(",".join(f"{value:.8f}" for value in (*row, i / 30)))
    lines[-1] = lines[-1][: len(lines[-1]) // 3]
    (folder / "Poses" / "colon_position_rotation.csv").write_text("\n".join(lines))
    return folder, poses


def write_high_camera(root: Path, count: int = 5, first: int = 60, skip: int = 3) -> tuple[Path, np.ndarray]:
    """HighCam: frames from a number on, poses in metres in a workbook whose rows begin elsewhere; one has no frame."""
    folder = root / "Cameras" / "HighCam" / "Colon-IV" / "TumorfreeTrajectory_1"
    (folder / "Frames").mkdir(parents=True)
    (folder / "Poses").mkdir()
    calibration = root / "Cameras" / "HighCam" / "Calibration"
    calibration.mkdir()
    K = corner.K
    (calibration / "cam.txt").write_text(
        f"fx: {K[0, 0]}\nfy: {K[1, 1]}\ncx: {K[0, 2]}\ncy: {K[1, 2]}\nk1: -0.21\nk2: 0.06\n"
    )
    poses, along = corner.world_to_camera(count), rays("RADIAL_TWO_FOCAL")
    rows: list[list] = [
        ["", "ImageFrame", "Pose_Index", *(f"trans_{a}" for a in "xyz"), *(f"quot_{a}" for a in "xyzw")]
    ]
    for i, pose in enumerate(poses):
        number = first + 2 * i
        if i != skip:
            cv2.imwrite(str(folder / "Frames" / f"frame_{number:06d}.jpg"), corner.see(pose, along).image[..., ::-1])
        row = _row(pose, left_handed=False)
        rows.insert(1, [i, number, 7 * i, *(value / 1000 for value in row[:3]), *row[3:]])
    write_workbook(folder / "Poses" / "low_high_pose_colon_test_1_high_images.xlsx", rows)
    return folder, np.delete(poses, skip, 0)


def write_tracker(root: Path, count: int = 4) -> tuple[Path, np.ndarray]:
    """MiroCam: a tracker's table with many rows, of which every tenth belongs to a frame."""
    folder = root / "Cameras" / "MiroCam" / "Colon-III(L-shaped)" / "TumorfreeTrajectory_1"
    (folder / "Frames").mkdir(parents=True)
    (folder / "Poses").mkdir()
    calibration = root / "Cameras" / "MiroCam" / "Calibration"
    calibration.mkdir()
    (calibration / "cam.txt").write_text(" ".join(map(str, corner.K.ravel())))
    poses = corner.world_to_camera(count)
    lines = ["t;px;py;pz;qx;qy;qz;qw", "s;m;m;m;;;;"]
    for i, pose in enumerate(poses):
        cv2.imwrite(str(folder / "Frames" / f"{i + 1:04d}.png"), corner.see(pose).image[..., ::-1])
        row = _row(pose, left_handed=False)
        for k in range(1 if i == count - 1 else 10):
            values = (10 * i + k, *(value / 1000 for value in row[:3]), *row[3:])
            lines.append(";".join(f"{value:.8f}" for value in values))
    (folder / "Poses" / "teste1.txt").write_text("\n".join(lines) + "\n")
    return folder, poses


def write_workbook(file: Path, rows: list[list]) -> None:
    """An .xlsx as spreadsheets write it; empty texts are left out."""
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append([None if cell == "" else cell if isinstance(cell, str) else float(cell) for cell in row])
    book.save(file)
