"""The lens of a phantom: which ray falls on which pixel, and the other way round."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from endogs.clip.cameras.lenses import KannalaBrandt
from endogs.geometry import pixel_rays
from endogs.phantom.config import FISHEYE, Phantom

Array = NDArray[np.float64]
LARGEST_ANGLE = np.radians(82)
"""Off the axis; a fisheye shows nothing beyond it, nor outside the circle that touches the picture's longer side by
1.12."""
CIRCLE = 1.12


@dataclass(frozen=True)
class Optics:
    """The camera's lens."""

    width: int
    height: int
    K: Array
    """(3, 3), pixel centres at +0.5."""
    bent: KannalaBrandt | None
    """None for a pinhole."""

    @cached_property
    def rays(self) -> Array:
        """(H, W, 3) camera-space directions with z = 1 through the pixels' centres; (0, 0, 1) where `outside`."""
        if self.bent is None or self.outside is None:
            return pixel_rays(self.K, self.width, self.height)
        rays = fisheye_rays(self.bent, self.width, self.height, (0.0, 0.0))
        rays[self.outside] = 0, 0, 1
        return rays

    @cached_property
    def outside(self) -> NDArray[np.bool_] | None:
        """(H, W) True where a fisheye shows nothing; None for a pinhole, which shows something everywhere."""
        if self.bent is None:
            return None
        x, y = np.meshgrid(np.arange(self.width) + 0.5 - self.K[0, 2], np.arange(self.height) + 0.5 - self.K[1, 2])
        rays = fisheye_rays(self.bent, self.width, self.height, (0.0, 0.0))
        steep = np.arctan(np.hypot(rays[..., 0], rays[..., 1])) >= LARGEST_ANGLE - 1e-9
        return np.asarray((np.hypot(x, y) > CIRCLE * max(self.width, self.height) / 2) | steep)

    def shifted(self, x: float, y: float) -> Array:
        """Rays (H, W, 3) through points `x`, `y` pixels from the pixels' centres."""
        if self.bent is None:
            return self.rays + np.array([x / self.K[0, 0], y / self.K[0, 0], 0.0])
        return fisheye_rays(self.bent, self.width, self.height, (x, y))

    def project(self, points: Array) -> Array:
        """Pixels (P, 2) of points (P, 3) in the camera's axes; far outside the picture where the lens sees nothing."""
        if self.bent is None:
            with np.errstate(divide="ignore", invalid="ignore"):
                return points[:, :2] / points[:, 2:] * self.K[0, 0] + self.K[:2, 2]
        pixels = self.bent.project(points)
        lost = np.isnan(pixels).any(-1) | (np.arctan2(np.hypot(*points[:, :2].T), points[:, 2]) > LARGEST_ANGLE)
        pixels[lost] = -1e6
        return pixels

    def in_view(self, pixels: Array) -> NDArray[np.bool_]:
        """Which pixels (P, 2) the picture shows."""
        inside = np.asarray(((pixels >= 0) & (pixels < (self.width, self.height))).all(-1))
        if self.outside is not None:
            x, y = np.where(inside[:, None], pixels, 0).astype(int).T
            inside = inside & ~self.outside[y, x]
        return inside

    def calibration(self) -> dict[str, Any]:
        """Entries of a calibration.json."""
        entries: dict[str, Any] = {"fx": self.K[0, 0], "fy": self.K[1, 1], "cx": self.K[0, 2], "cy": self.K[1, 2]}
        if self.bent is not None:
            entries |= {"width": self.width, "height": self.height, "model": "fisheye", "distortion": list(self.bent.k)}
            entries["depth_along"] = "z"
        return entries


def make_optics(config: Phantom) -> Optics:
    """The lens that the options ask for."""
    width, height, focal = config.width, config.height, config.focal
    K = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1.0]], np.float64)
    return Optics(width, height, K, None if config.lens == "pinhole" else KannalaBrandt(K, FISHEYE))


def fisheye_rays(bent: KannalaBrandt, width: int, height: int, shift: tuple[float, float]) -> Array:
    """Directions (height, width, 3) with z = 1 through pixels moved by `shift`; at LARGEST_ANGLE beyond it.

    The polynomial of the angle is inverted by Newton's steps.
    """
    x = (np.arange(width) + 0.5 + shift[0] - bent.K[0, 2]) / bent.K[0, 0]
    y = (np.arange(height) + 0.5 + shift[1] - bent.K[1, 2]) / bent.K[1, 1]
    x, y = np.meshgrid(x, y)
    radius = np.hypot(x, y)
    k1, k2, k3, k4 = bent.k
    angle = radius.copy()
    for _ in range(12):
        square = angle * angle
        value = angle * (1 + square * (k1 + square * (k2 + square * (k3 + square * k4))))
        slope = 1 + square * (3 * k1 + square * (5 * k2 + square * (7 * k3 + square * 9 * k4)))
        angle = np.clip(angle - (value - radius) / slope, 0, LARGEST_ANGLE)
    stretch = np.tan(angle) / np.maximum(radius, 1e-12)
    return np.stack([x * stretch, y * stretch, np.ones_like(x)], -1)
