"""A dVRK recording of the corner as CRCD has them: two videos with a strip for the clock, a CSV, YAML files."""

from pathlib import Path

import cv2
import numpy as np
from layouts import corner
from layouts.stereo_video import UNRECTIFIED, views, write_video
from scipy.spatial.transform import Rotation

START = 1700682785.25
STRIP = 16
FRAMES = 6
RATE = 25


def poses() -> np.ndarray:
    """world_to_camera (F, 4, 4) of the left camera in mm."""
    return corner.world_to_camera(FRAMES)


def write_dvrk(
    root: Path, camera_in_ecm: np.ndarray | None = None, stamp: str = "header", kind: str = "transform"
) -> Path:
    """The tip's poses at 100 a second, beginning 0.1 s before the first frame, in metres."""
    (root / "left").mkdir(parents=True)
    (root / "right").mkdir()
    strip = np.full((STRIP, corner.WIDTH, 3), 240, np.uint8)
    for side, frames in zip(("left", "right"), views(rectified=False, count=FRAMES), strict=True):
        write_video(root / side / f"{side}.mp4", [np.vstack([frame, strip]) for frame in frames])
    write_yaml(root)
    tip = np.linalg.inv(poses()) @ np.linalg.inv(np.eye(4) if camera_in_ecm is None else camera_in_ecm)
    place, turn = (
        ("transform.translation.", "transform.rotation.")
        if kind == "transform"
        else ("pose.position.", "pose.orientation.")
    )
    prefix = "ECM_" if kind == "merged" else ""
    if kind == "merged":
        place, turn = "transform.translation.", "transform.rotation."
    names = ["Time", "header.seq", "header.stamp.secs", "header.stamp.nsecs", "header.frame_id"]
    names = names if stamp == "header" else ["Time"]
    lines = [",".join([*names, *(f"{prefix}{place}{a}" for a in "xyz"), *(f"{prefix}{turn}{a}" for a in "xyzw")])]
    # Between the frames' poses the arm moves on straight, turning evenly; before the first it stands.
    for k in range(-10, 4 * (FRAMES - 1) + 4):
        at = np.clip(k / 4, 0, FRAMES - 1)
        i = min(int(at), FRAMES - 2)
        first, second = tip[i], tip[i + 1]
        between = Rotation.from_matrix(second[:3, :3] @ first[:3, :3].T).as_rotvec() * (at - i)
        quat = (Rotation.from_rotvec(between) * Rotation.from_matrix(first[:3, :3])).as_quat()
        position = (first[:3, 3] + (second[:3, 3] - first[:3, 3]) * (at - i)) / 1000
        seconds = START + k / 100
        header = [f"{seconds + 0.37:.6f}", k, int(seconds), round(seconds % 1 * 1e9), "base"]
        row = [*(header if stamp == "header" else [f"{seconds:.6f}"]), *position, *quat]
        lines.append(",".join(map(str, row)))
    name = "df_C3.csv" if kind == "merged" else "ECM-custom-setpoint_cp.csv"
    (root / "dvrk_kinematics").mkdir()
    (root / "dvrk_kinematics" / name).write_text("\n".join(lines) + "\n")
    (root / "dvrk_kinematics" / "PSM1-measured_cp.csv").write_text("Time,transform.translation.x\n1,2\n")
    return root


def write_yaml(root: Path) -> None:
    """left.yaml and right.yaml as ROS's calibrator writes them, lengths in metres."""
    half = np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
    K, right = corner.K - half, UNRECTIFIED["right"]
    K_right = np.array([[right["fx"], 0, right["cx"]], [0, right["fy"], right["cy"]], [0, 0, 1]]) - half
    size = (corner.WIDTH, corner.HEIGHT)
    R, T = np.array(UNRECTIFIED["rotation"]), np.array(UNRECTIFIED["translation_mm"]).reshape(3, 1) / 1000
    R1, R2, P1, P2, *_ = cv2.stereoRectify(
        K, np.zeros(5), K_right, np.zeros(5), size, R, T, flags=cv2.CALIB_ZERO_DISPARITY, alpha=0
    )
    for side, camera, rotation, P in (("left", K, R1, P1), ("right", K_right, R2, P2)):
        blocks = ""
        for name, matrix in (
            ("camera_matrix", camera),
            ("distortion_coefficients", np.zeros((1, 5))),
            ("rectification_matrix", rotation),
            ("projection_matrix", P),
        ):
            numbers = ", ".join(repr(float(value)) for value in np.ravel(matrix))
            middle = numbers.index(", ", len(numbers) // 2)
            data = f"{numbers[:middle]},\n    {numbers[middle + 2 :]}"
            blocks += f"{name}:\n  rows: {np.shape(matrix)[0]}\n  cols: {np.shape(matrix)[1]}\n  data: [{data}]\n"
        head = f"image_width: {size[0]}\nimage_height: {size[1]}\ncamera_name: {side}\n"
        (root / f"{side}.yaml").write_text(f"{head}distortion_model: plumb_bob\n{blocks}")
