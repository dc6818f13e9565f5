"""A still clip and a scene that is known to be right: one Gaussian per pixel of its picture."""

import cv2
import numpy as np
import torch

from endogs.camera import Camera
from endogs.geometry import unproject
from endogs.scene import Scene, StaticDeformation
from endogs.scene.origin import Origin

HEIGHT, WIDTH, FRAMES, FOCAL, BASELINE, Z = 32, 48, 10, 60.0, 2.0, 50.0
K = np.array([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]])


def smooth_image():
    noise = np.random.default_rng(0).standard_normal((HEIGHT, WIDTH, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 5, borderType=cv2.BORDER_REFLECT)
    return ((smooth - smooth.min()) / np.ptp(smooth) * 150 + 50).astype(np.uint8)


class StillClip:
    """A fronto-parallel picture at depth 50, seen by two cameras; frame 3 has an instrument."""

    name, source, kind, units = "still", "still", "calibrated-folder", "mm"
    width, height, baseline = WIDTH, HEIGHT, BASELINE
    has_masks = has_depth = has_right = True

    def __init__(self):
        self.times = np.arange(FRAMES) / 10
        self.K = np.tile(K, (FRAMES, 1, 1))
        self.world_to_camera = np.tile(np.eye(4), (FRAMES, 1, 1))
        self.ignored = np.zeros((HEIGHT, WIDTH), bool)
        self.picture = smooth_image()

    def __len__(self):
        return FRAMES

    def image(self, i):
        return self.picture.copy()

    def right_image(self, i):
        shift = FOCAL * BASELINE / Z
        matrix = np.float64([[1, 0, -shift], [0, 1, 0]])
        return cv2.warpAffine(self.picture, matrix, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)

    def tissue_mask(self, i):
        mask = np.ones((HEIGHT, WIDTH), bool)
        if i == 1:
            mask[:, :16] = False
        return mask

    def depth(self, i):
        return np.full((HEIGHT, WIDTH), Z, np.float32)

    def camera(self, i):
        return Camera.from_numpy(self.K[i], self.world_to_camera[i], WIDTH, HEIGHT)

    def right_camera(self, i, world_to_camera=None):
        pose = np.eye(4)
        pose[0, 3] = -BASELINE
        return Camera.from_numpy(self.K[i], pose, WIDTH, HEIGHT)


def still_scene(still, z=Z, **origin):
    points = unproject(np.full((HEIGHT, WIDTH), z, np.float32), K, np.eye(4)).reshape(-1, 3)
    base = torch.zeros(len(points), 14)
    base[:, :3] = torch.from_numpy(points)
    base[:, 3] = 1
    base[:, 7:10] = float(np.log(0.5 * z / FOCAL))
    base[:, 10] = 4
    base[:, 11:] = torch.from_numpy(still.picture.reshape(-1, 3) / 255)
    cameras = still.times, still.K, still.world_to_camera, WIDTH, HEIGHT, "mm"
    return Scene(base, StaticDeformation(), *cameras, origin=Origin(**origin))
