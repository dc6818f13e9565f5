"""A tiny sequence in the layout of the TUM RGB-D benchmark."""

import json
from pathlib import Path

import cv2
import numpy as np
from layouts.asymmetric_scene import SIZE, K, bent_rays, poses, see
from scipy.spatial.transform import Rotation

BEGIN = 1305031102.0


def write_tum(
    root: Path,
    count: int = 4,
    camera: np.ndarray | None = K,
    distortion: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0, 0.0),
    size: tuple[int, int] = SIZE,
) -> Path:
    """rgb/ and depth/ with their lists, groundtruth.txt at 100 Hz in metres, calibration.json unless `camera` is None.

    Colour comes every 40 ms, depth 7 ms later, poses 1 ms later and, elsewhere, 10 ms before and after that. A last
    image, alone in time, has neither.
    """
    for name in ("rgb", "depth"):
        (root / name).mkdir(parents=True)
    rays = bent_rays(K if camera is None else camera, np.array(distortion), size)
    lists: dict[str, list[str]] = {"rgb": ["# color images"], "depth": ["# depth maps"]}
    track = ["# timestamp tx ty tz qx qy qz qw"]
    for i, pose in enumerate(poses(count)):
        time = BEGIN + 0.04 * i
        image, depth = see(pose, rays)
        raw = np.rint(5 * depth).astype(np.uint16)  # 5000 per metre
        raw[:2, :3] = 0
        for name, at, pixels in (("rgb", time, image[..., ::-1]), ("depth", time + 0.007, raw)):
            cv2.imwrite(str(root / name / f"{at:.6f}.png"), pixels)
            lists[name].append(f"{at:.6f} {name}/{at:.6f}.png")
        centre = -pose[:3, :3].T @ pose[:3, 3] / 1000
        quaternion = Rotation.from_matrix(pose[:3, :3].T).as_quat()
        for step in (-0.01, 0.001, 0.011):  # the middle one is the image's
            shift = 0 if step == 0.001 else 3.0
            row = [BEGIN + 0.04 * i + step, *(centre + shift), *quaternion]
            track.append(" ".join(f"{value:.6f}" if j == 0 else str(value) for j, value in enumerate(row)))
    alone = BEGIN + 1
    cv2.imwrite(str(root / "rgb" / f"{alone:.6f}.png"), np.zeros((size[1], size[0], 3), np.uint8))
    lists["rgb"].append(f"{alone:.6f} rgb/{alone:.6f}.png")  # without depth and pose
    for name, lines in lists.items():
        (root / f"{name}.txt").write_text("\n".join(lines) + "\n")
    (root / "groundtruth.txt").write_text("\n".join(track) + "\n")
    if camera is not None:
        numbers = {"fx": camera[0, 0], "fy": camera[1, 1], "cx": camera[0, 2], "cy": camera[1, 2]}
        (root / "calibration.json").write_text(json.dumps(numbers))
    return root
