"""A tiny rectified Hamlyn sequence."""

from pathlib import Path

import cv2
import numpy as np
from layouts.asymmetric_scene import K, pinhole_rays, see

BASELINE = 5.2864
HALF = np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])


def write_hamlyn(root: Path, count: int = 4) -> Path:
    """image01/, image02/, depth01/, depth02/ (whole mm, 0 unknown, 300 saturated), intrinsics.txt, extrinsics.txt."""
    rays = pinhole_rays()
    for name in ("image01", "image02", "depth01", "depth02"):
        (root / name).mkdir(parents=True)
    right = np.eye(4)
    right[0, 3] = -BASELINE
    for i in range(count):
        for pose, number in ((np.eye(4), "01"), (right, "02")):
            image, depth = see(pose, rays)
            depth = np.rint(depth)
            depth[:2, :3], depth[2:4, :3] = 0, 300
            cv2.imwrite(str(root / f"image{number}" / f"{i:010d}.png"), image[..., ::-1])
            cv2.imwrite(str(root / f"depth{number}" / f"{i:010d}.png"), depth.astype(np.uint16))
    np.savetxt(root / "intrinsics.txt", np.concatenate([K - HALF, np.zeros((3, 1))], 1))
    np.savetxt(root / "extrinsics.txt", np.array([[1, 0, 0, BASELINE], [0, 1, 0, 0.01], [0, 0, 1, 0.02], [0, 0, 0, 1]]))
    return root
