"""A tiny StereoMIS sequence as downloaded, and a clip of it as Deform3DGS converts it."""

from pathlib import Path

import cv2
import numpy as np
from layouts.asymmetric_scene import SIZE, K, bent_rays, pinhole_rays, poses, see
from layouts.scared import DL, DR, HALF, KL, KR, R, T
from layouts.video_file import write_color_video
from scipy.spatial.transform import Rotation


def write_stereomis(root: Path, count: int = 6, start: int = 0) -> Path:
    """Stacked video, calibration, groundtruth.txt in metres, and masks of every second frame at half the size.

    Instruments cover columns 0 to 19 of rows 0 to 7 of the left view. Poses begin at frame `start`.
    """
    root.mkdir(parents=True)
    lines = []
    for section, camera, distortion in (("StereoLeft", KL - HALF, DL), ("StereoRight", KR - HALF, DR)):
        lines += [f"[{section}]", f"res_x = {SIZE[0]}", f"res_y = {SIZE[1]}"]
        lines += [
            f"fc_x = {camera[0, 0]}",
            f"fc_y = {camera[1, 1]}",
            f"cc_x = {camera[0, 2]}",
            f"cc_y = {camera[1, 2]}",
        ]
        lines += [f"kc_{i} = {value}" for i, value in enumerate([*distortion, 0.0, 0.0, 0.0])]
        rotation, shift = (R, T) if section == "StereoRight" else (np.eye(3), np.zeros(3))
        lines += [f"R_{i} = {value}" for i, value in enumerate(rotation.ravel())]
        lines += [f"T_{i} = {value}" for i, value in enumerate(shift)]
    (root / "StereoCalibration.ini").write_text("\n".join(lines))

    left_rays, right_rays = bent_rays(KL, DL), bent_rays(KR, DR)
    stacked, rows = [], []
    (root / "masks").mkdir()
    for i, pose in enumerate(poses(count)):
        right = np.eye(4)
        right[:3, :3], right[:3, 3] = R @ pose[:3, :3], R @ pose[:3, 3] + T
        stacked.append(np.concatenate([see(pose, left_rays)[0], see(right, right_rays)[0]]))
        centre = -pose[:3, :3].T @ pose[:3, 3] / 1000  # metres
        quaternion = Rotation.from_matrix(pose[:3, :3].T).as_quat()  # x y z w
        if i >= start:
            rows.append(" ".join(str(value) for value in (i, *centre, *quaternion)))
        if i % 2 == 0:
            mask = np.full((SIZE[1] // 2, SIZE[0] // 2), 255, np.uint8)
            mask[:4, :10] = 0
            cv2.imwrite(str(root / "masks" / f"{i:06d}l.png"), mask)
    (root / "groundtruth.txt").write_text("\n".join(rows) + "\n")
    write_color_video(root / "IFBS_ENDOSCOPE-part0001.mp4", stacked)
    return root


def write_stereomis_frames(root: Path, count: int = 4) -> Path:
    """images/, depth/ in whole mm, masks/ that are 255 on tissue, poses_bounds.npy with (cy, cx, focal)."""
    focal = K[0, 0]
    camera = np.array([[focal, 0, K[0, 2]], [0, focal, K[1, 2]], [0, 0, 1]])
    rays = pinhole_rays(camera)
    for name in ("images", "depth", "masks"):
        (root / name).mkdir(parents=True)
    for i in range(count):
        image, depth = see(np.eye(4), rays)
        mask = np.full(depth.shape, 255, np.uint8)
        mask[:8, :20] = 0
        cv2.imwrite(str(root / "images" / f"frame-{i:06d}.color.png"), image[..., ::-1])
        cv2.imwrite(str(root / "depth" / f"frame-{i:06d}.depth.png"), np.rint(depth).astype(np.uint8))
        cv2.imwrite(str(root / "masks" / f"frame-{i:06d}.mask.png"), mask)
    column = np.array([[camera[1, 2] - 0.5], [camera[0, 2] - 0.5], [focal]])
    row = np.concatenate([np.concatenate([np.eye(3, 4), column], 1).ravel(), [0.03, 250]])
    np.save(root / "poses_bounds.npy", np.stack([row] * count))
    return root
