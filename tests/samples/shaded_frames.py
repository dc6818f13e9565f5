"""Frames shaded by a light at the camera, of surfaces that are known."""

import numpy as np

from endogs.geometry import pixel_rays

HEIGHT, WIDTH = 120, 160
K = np.array([[150.0, 0, 80], [0, 150, 60], [0, 0, 1]])


class OneFrame:
    source, baseline, has_inverse_depth, static_camera = "clip", None, False, True

    def __init__(self, image, mask=None, depth=None, units="mm", right=None):
        self._image, self._depth, self._right = image, depth, right
        self.units, self.has_right = units, right is not None
        self._mask = np.ones(image.shape[:2], bool) if mask is None else mask
        self.K = K[None]
        self.has_depth = depth is not None

    def image(self, i):
        return self._image

    def tissue_mask(self, i):
        return self._mask

    def depth(self, i):
        return self._depth

    def doubtful(self, i):
        return None

    def inverse_depth(self, i):
        return None

    def right_image(self, i):
        return self._right


def shaded(depth, albedo=(0.9, 0.45, 0.35)):
    """uint8 sRGB of a Lambertian surface under a light at the camera: I = albedo cos(theta) / distance^2."""
    points = pixel_rays(K, WIDTH, HEIGHT) * depth[..., None]
    normal = np.cross(np.gradient(points, axis=1), np.gradient(points, axis=0))
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    distance = np.linalg.norm(points, axis=-1)
    cosine = np.abs((normal * points).sum(-1)) / distance
    light = cosine / distance**2
    linear = light[..., None] * np.asarray(albedo) / np.percentile(light, 99.5) * 0.8
    return np.round(255 * linear.clip(0, 1) ** (1 / 2.2)).astype(np.uint8)


def bump():
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return 100 - 30 * np.exp(-((x - 70) ** 2 + (y - 65) ** 2) / (2 * 40.0**2))


def slant():
    return np.broadcast_to(np.linspace(60, 140, WIDTH), (HEIGHT, WIDTH)).astype(float)
