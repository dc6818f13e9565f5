"""A COLMAP model of the corner, in text or in binary, written from COLMAP's documentation, and its images."""

import struct
from pathlib import Path

import cv2
import numpy as np
from layouts import corner
from scipy.spatial.transform import Rotation

NUMBERS = {"SIMPLE_PINHOLE": 0, "PINHOLE": 1, "SIMPLE_RADIAL": 2, "RADIAL": 3, "OPENCV": 4, "OPENCV_FISHEYE": 5}
DISTORTIONS = {
    "SIMPLE_PINHOLE": (),
    "PINHOLE": (),
    "SIMPLE_RADIAL": (-0.21,),
    "RADIAL": (-0.21, 0.06),
    "RADIAL_TWO_FOCAL": (-0.21, 0.06),
    "OPENCV": (-0.21, 0.06, 0.011, -0.007),
    "OPENCV_FISHEYE": (-0.05, 0.02, -0.004, 0.001),
}
MODELS = tuple(NUMBERS)
ONE_FOCAL = ("SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL")


def intrinsics(model: str) -> np.ndarray:
    """K of the model's camera, (3, 3)."""
    K = corner.K.copy()
    if model in ONE_FOCAL:
        K[1, 1] = K[0, 0]
    return K


def rays(model: str) -> np.ndarray:
    """(H, W, 3) directions through the pixels of the distorted images, by OpenCV."""
    y, x = np.mgrid[: corner.HEIGHT, : corner.WIDTH].astype(np.float64)
    K = intrinsics(model) - np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
    pixels = np.stack([x, y], -1).reshape(-1, 1, 2)
    bent = DISTORTIONS[model]
    if model == "OPENCV_FISHEYE":
        flat = cv2.fisheye.undistortPoints(pixels, K, np.array(bent))
    else:
        exact = (cv2.TERM_CRITERIA_MAX_ITER | cv2.TERM_CRITERIA_EPS, 200, 1e-12)
        every = np.array((*bent, 0.0, 0.0, 0.0, 0.0)[:4])
        flat = cv2.undistortPoints(pixels, K, every, criteria=exact)
    return np.concatenate([flat.reshape(*x.shape, 2), np.ones((*x.shape, 1))], -1)


def write_colmap(
    root: Path, model: str = "PINHOLE", binary: bool = True, count: int = 5, unregistered: tuple[int, ...] = ()
) -> np.ndarray:
    """Images shot_8.png, shot_9.png, ... of the corner and the model of them; returns world_to_camera (F, 4, 4)."""
    (root / "images").mkdir(parents=True)
    (root / "sparse" / "0").mkdir(parents=True)
    poses = corner.world_to_camera(count)
    seen_along = rays(model)
    for i, pose in enumerate(poses):
        cv2.imwrite(str(root / "images" / f"shot_{i + 8}.png"), corner.see(pose, seen_along).image[..., ::-1])
    K = intrinsics(model)
    focal = (K[0, 0],) if model in ONE_FOCAL else (K[0, 0], K[1, 1])
    parameters = (*focal, K[0, 2], K[1, 2], *DISTORTIONS[model])
    # Identifiers and their order have nothing to do with time.
    images = [(90 - i, poses[i], f"shot_{i + 8}.png") for i in reversed(range(count)) if i not in unregistered]
    folder = root / "sparse" / "0"
    if binary:
        cameras = struct.pack("<QIiQQ", 1, 7, NUMBERS[model], corner.WIDTH, corner.HEIGHT)
        (folder / "cameras.bin").write_bytes(cameras + struct.pack(f"<{len(parameters)}d", *parameters))
        data = struct.pack("<Q", len(images))
        for identifier, pose, name in images:
            x, y, z, w = Rotation.from_matrix(pose[:3, :3]).as_quat()
            data += struct.pack("<I7dI", identifier, w, x, y, z, *pose[:3, 3], 7) + name.encode() + b"\0"
            points = identifier % 3
            data += struct.pack("<Q", points) + struct.pack("<ddq", 1.5, 2.5, -1) * points
        (folder / "images.bin").write_bytes(data)
    else:
        numbers = " ".join(map(repr, map(float, parameters)))
        (folder / "cameras.txt").write_text(f"# a comment\n7 {model} {corner.WIDTH} {corner.HEIGHT} {numbers}\n")
        lines = ["# Image list with two lines of data per image:"]
        for identifier, pose, name in images:
            x, y, z, w = Rotation.from_matrix(pose[:3, :3]).as_quat()
            values = " ".join(map(repr, map(float, (w, x, y, z, *pose[:3, 3]))))
            lines += [f"{identifier} {values} 7 {name}", "" if identifier % 2 else "1.5 2.5 -1 3 4 88"]
        (folder / "images.txt").write_text("\n".join(lines) + "\n")
    return poses
