"""A tiny C3VD sequence, as the first and the second version of the data set keep it."""

from pathlib import Path

import cv2
import numpy as np
from layouts.asymmetric_scene import SIZE, poses, see

LENS = {
    "width": SIZE[0],
    "height": SIZE[1],
    "cx": 40.6,
    "cy": 21.3,
    "a0": 47.0,
    "a1": 0.0,
    "a2": -0.0049,
    "a3": 2.1e-5,
    "a4": -3.0e-7,
    "c": 0.985,
    "d": 0.021,
    "e": -0.013,
}
"""Scaramuzza's model with pixel centres at integers; wider than a pinhole camera would be."""


def lens_rays() -> np.ndarray:
    """Directions (H, W, 3), z = 1, by the data set's own recipe: from pixels to rays."""
    x, y = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]))
    stretch = np.array([[LENS["c"], LENS["d"]], [LENS["e"], 1.0]])
    flat = np.stack([x - LENS["cx"], y - LENS["cy"]], -1) @ np.linalg.inv(stretch).T
    rho = np.linalg.norm(flat, axis=-1)
    z = sum(LENS[f"a{power}"] * rho**power for power in range(5))
    return np.concatenate([flat / z[..., None], np.ones((*z.shape, 1))], -1)


def write_c3vd(root: Path, count: int = 4, second_version: bool = False) -> Path:
    """Colour, 16-bit depth of 0 to 100 mm and pose.txt: transposed in the first version, not in the second."""
    rays = lens_rays()
    (root / "rgb").mkdir(parents=True)
    (root / "depth").mkdir()
    rows = []
    for i, pose in enumerate(poses(count)):
        image, depth = see(pose, rays)
        raw = np.rint(depth.clip(0, 100) / 100 * 65535).astype(np.uint16)
        color_file = f"rgb/{i:04d}.png" if second_version else f"{i}_color.png"
        depth_file = f"depth/{i:04d}_depth.tiff" if second_version else f"{i:04d}_depth.tiff"
        cv2.imwrite(str(root / color_file), image[..., ::-1])
        cv2.imwrite(str(root / depth_file), raw)
        camera_to_world = np.linalg.inv(pose)
        rows.append(camera_to_world.ravel() if second_version else camera_to_world.T.ravel())
    if not second_version:
        for i in range(count):  # what lies beside them
            cv2.imwrite(str(root / f"{i:04d}_normals.tiff"), np.zeros((SIZE[1], SIZE[0], 3), np.uint16))
            cv2.imwrite(str(root / f"{i:04d}_occlusion.png"), np.zeros((SIZE[1], SIZE[0]), np.uint8))
        (root / "rgb").rmdir()
        (root / "depth").rmdir()
    (root / "pose.txt").write_text("\n".join(",".join(map(str, row)) for row in rows) + "\n")
    (root / "camera_intrinsics.txt").write_text("\n".join(f"{name} = {value}" for name, value in LENS.items()))
    return root
