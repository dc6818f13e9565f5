"""A textured slanted plane seen by two cameras, with the exact depth, for the tests of stereo."""

import json
from pathlib import Path

import cv2
import numpy as np

WIDTH, HEIGHT, BASELINE = 200, 150, 6.0
K = np.array([[220.0, 0, 101], [0, 220, 74], [0, 0, 1]])
PLANE = np.array([0.25, -0.15, 1.0]), 70.0
"""Normal n and offset d of the points with n . x = d, mm."""


AHEAD, HERE = np.eye(3), np.zeros(3)


def see(K=K, rotation=AHEAD, translation=HERE, distortion=None, plane=PLANE):
    """Image (H, W, 3) and z-depth (H, W) of a camera with x_camera = R x + T; pixel centres at +0.5."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float64)
    camera = K - np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
    pixels = np.stack([x, y], -1).reshape(-1, 1, 2)
    flat = cv2.undistortPoints(pixels, camera, np.zeros(5) if distortion is None else distortion).reshape(-1, 2)
    rays = np.concatenate([flat, np.ones((len(flat), 1))], 1)
    normal, offset = plane
    world_rays, centre = rays @ rotation, -translation @ rotation
    z = (offset - centre @ normal) / (world_rays @ normal)
    points = centre + z[:, None] * world_rays
    # Smooth noise at 6 samples a millimetre: about two pixels a sample, so that matching is well posed.
    noise = np.random.default_rng(1).integers(0, 256, (1400, 1400, 3), np.uint8)
    noise = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 1.5), None, 30, 170, cv2.NORM_MINMAX)
    where = (points[:, :2] * 6 + 700).astype(np.float32).reshape(HEIGHT, WIDTH, 2)
    image = cv2.remap(noise, where[..., 0], where[..., 1], cv2.INTER_LINEAR)
    return image, z.reshape(HEIGHT, WIDTH)


def write_pair(root: Path, seen_from: dict | None = None, frames: int = 2, **calibration) -> np.ndarray:
    """A calibrated folder of `frames` equal pairs, `seen_from`: the right camera for `see`; returns the left depth."""
    left, z = see(distortion=np.asarray(calibration.get("distortion", np.zeros(5))))
    other, _ = see(**(seen_from or {"translation": np.array([-BASELINE, 0, 0])}))
    for name, image in (("images", left), ("images_right", other)):
        (root / name).mkdir(parents=True)
        for i in range(frames):
            cv2.imwrite(str(root / name / f"{i:03d}.png"), image[..., ::-1])
    facts = {"fx": K[0, 0], "fy": K[1, 1], "cx": K[0, 2], "cy": K[1, 2], "fps": 30, **calibration}
    (root / "calibration.json").write_text(json.dumps(facts))
    return z
