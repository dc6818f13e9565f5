"""A tiny SimCol3D sequence: pictures, depth and poses in Unity's axes."""

from pathlib import Path

import cv2
import numpy as np
from layouts.asymmetric_scene import K, pinhole_rays, poses, see
from scipy.spatial.transform import Rotation


def write_simcol(root: Path, count: int = 4) -> Path:
    """Frames_S1/ with its tables in `root`; positions in cm, depth of which 255 x 256 are 20 cm."""
    frames = root / "Frames_S1"
    frames.mkdir(parents=True)
    up = np.diag([1.0, -1.0, 1.0])
    places, turns = [], []
    for i, pose in enumerate(poses(count)):
        image, depth = see(pose, pinhole_rays())
        cv2.imwrite(str(frames / f"FrameBuffer_{i:04d}.png"), image[..., ::-1])
        cv2.imwrite(str(frames / f"Depth_{i:04d}.png"), np.rint(depth / 200 * 255 * 256).astype(np.uint16))
        camera_to_world = np.linalg.inv(pose)
        # y points up in Unity, of the camera and of the world.
        places.append(up @ camera_to_world[:3, 3] / 10)
        turns.append(Rotation.from_matrix(up @ camera_to_world[:3, :3] @ up).as_quat())
    np.savetxt(root / "SavedPosition_S1.txt", places, fmt="%.9f")
    np.savetxt(root / "SavedRotationQuaternion_S1.txt", turns, fmt="%.9f")
    np.savetxt(root / "cam.txt", K, fmt="%.6f")
    return root
