"""Lenses that bend straight lines: where a ray falls on the image of a fisheye, or of a distorted pinhole camera.

Every lens has `project(rays)`: directions (..., 3) in OpenCV axes, of any length, to pixels (..., 2) with centres at
+0.5, NaN where the lens sees nothing. Calibrations that put pixel centres at integers, as OpenCV and OCamCalib do, are
moved by the reader with `K + HALF_PIXEL`, or by adding 0.5 to the centre.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

HALF_PIXEL = np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
"""What a K with pixel centres at integers lacks."""


class Lens(Protocol):
    """Any of the models below."""

    def project(self, rays: Array) -> Array:
        """Pixels (..., 2), centres at +0.5, of directions (..., 3); NaN where the lens sees nothing."""
        ...


@dataclass(frozen=True)
class KannalaBrandt:
    """A fisheye whose image radius is an odd polynomial of the angle: t + k1 t^3 + k2 t^5 + k3 t^7 + k4 t^9.

    Kannala and Brandt 2006, eq. 6, in the form of cv2.fisheye, of COLMAP's OPENCV_FISHEYE and of Vicalib's kb4.
    """

    K: Array
    """(3, 3), pixel centres at +0.5."""
    k: tuple[float, float, float, float]
    """k1 to k4; the angle is in radians."""

    def project(self, rays: Array) -> Array:
        """Pixels (..., 2) of directions (..., 3); NaN beyond the angle where the polynomial turns back."""
        sideways = np.linalg.norm(rays[..., :2], axis=-1)
        angle = np.arctan2(sideways, rays[..., 2])
        limit = rising_until(self._radius, np.pi)
        radius = np.where(angle < limit, self._radius(angle), np.nan)
        # Along the axis the direction is undefined and the radius zero.
        per_length = np.divide(radius, sideways, out=np.zeros_like(radius), where=sideways > 0)
        flat = rays[..., :2] * np.where(np.isnan(radius), np.nan, per_length)[..., None]
        return flat @ self.K[:2, :2].T + self.K[:2, 2]

    def _radius(self, angle: Array) -> Array:
        square = angle * angle
        k1, k2, k3, k4 = self.k
        return angle * (1 + square * (k1 + square * (k2 + square * (k3 + square * k4))))


@dataclass(frozen=True)
class Mei:
    """A central omnidirectional camera: onto the unit sphere, then seen from xi above its centre, then distorted.

    Mei and Rives 2007, section II, in the form of OpenCV's cv2.omnidir.
    """

    K: Array
    """(3, 3) with skew, pixel centres at +0.5."""
    xi: float
    """Distance from the sphere's centre to the second centre of projection."""
    distortion: tuple[float, ...]
    """k1, k2, p1, p2."""

    def project(self, rays: Array) -> Array:
        """Pixels (..., 2) of directions (..., 3); NaN for what the sphere hides or the distortion folds over."""
        unit = rays / np.linalg.norm(rays, axis=-1, keepdims=True)
        seen = unit[..., 2] > -min(self.xi, 1 / max(self.xi, 1e-12))
        above = np.where(seen, unit[..., 2] + self.xi, np.nan)
        return _distorted(unit[..., :2] / above[..., None], self.distortion) @ self.K[:2, :2].T + self.K[:2, 2]


@dataclass(frozen=True)
class Scaramuzza:
    """An omnidirectional camera whose rays are (x, y, a0 + a1 r + a2 r^2 + ...), r = |(x, y)|, in the lens's plane.

    Scaramuzza, Martinelli and Siegwart 2006, eq. 3 to 5, with the axis forward, a0 > 0, as C3VD's renderer has it; a
    pixel is `stretch` (x, y) + `centre`. OCamCalib itself counts rows first, so that its c, d, e are [[1, e], [d, c]]
    here, and looks backward, so that its coefficients are the negative of these.
    """

    polynomial: tuple[float, ...]
    """a0, a1, a2, ... in pixels; a1 is 0 in a calibration."""
    centre: tuple[float, float]
    """Column and row, pixel centres at +0.5."""
    stretch: tuple[tuple[float, float], tuple[float, float]] = ((1.0, 0.0), (0.0, 1.0))
    """(2, 2) from the lens's plane (x right, y down) to pixels."""
    largest_radius: float = 4000.0
    """Pixels from the centre beyond which nothing is looked for."""

    def project(self, rays: Array) -> Array:
        """Pixels (..., 2) of directions (..., 3); NaN beyond the angle where the polynomial turns back."""
        limit = rising_until(self._angle, self.largest_radius)
        radii = np.linspace(0, limit, 4096)
        angles = self._angle(radii)
        sideways = np.linalg.norm(rays[..., :2], axis=-1)
        angle = np.arctan2(sideways, rays[..., 2])
        radius = np.interp(angle, angles, radii)
        for _ in range(3):  # the table is good to a pixel, Newton's steps to rounding
            step = 1e-3
            slope = (self._angle(radius + step) - self._angle(radius - step)) / (2 * step)
            radius = (radius - (self._angle(radius) - angle) / slope).clip(0, limit)
        radius = np.where(angle < angles[-1], radius, np.nan)
        per_length = np.divide(radius, sideways, out=np.zeros_like(radius), where=sideways > 0)
        flat = rays[..., :2] * np.where(np.isnan(radius), np.nan, per_length)[..., None]
        return flat @ np.asarray(self.stretch).T + np.asarray(self.centre)

    def _angle(self, radius: Array) -> Array:
        return np.arctan2(radius, np.polynomial.polynomial.polyval(radius, self.polynomial))


@dataclass(frozen=True)
class Brown:
    """A pinhole camera with radial and tangential distortion: OpenCV's default model, COLMAP's RADIAL and OPENCV."""

    K: Array
    """(3, 3), pixel centres at +0.5."""
    distortion: tuple[float, ...]
    """k1 k2 p1 p2 [k3 [k4 k5 k6]] as OpenCV orders them."""

    def project(self, rays: Array) -> Array:
        """Pixels (..., 2) of directions (..., 3); NaN behind the camera and where the distortion folds over."""
        ahead = np.where(rays[..., 2] > 0, rays[..., 2], np.nan)
        return _distorted(rays[..., :2] / ahead[..., None], self.distortion) @ self.K[:2, :2].T + self.K[:2, 2]


def rising_until(function: Callable[[Array], Array], limit: float) -> float:
    """How far from 0, `limit` at most, `function` keeps rising, to 1/4096 of the limit."""
    x = np.linspace(0, limit, 4097)
    turned = np.flatnonzero(np.diff(function(x)) <= 0)
    return float(x[turned[0]]) if turned.size else limit


def _distorted(flat: Array, distortion: tuple[float, ...]) -> Array:
    """Image plane points (..., 2) after OpenCV's radial and tangential distortion (its calib3d documentation)."""
    k1, k2, p1, p2, k3, k4, k5, k6 = (*distortion, *[0.0] * 8)[:8]

    def factor(radius: Array) -> Array:
        square = radius * radius
        above = 1 + square * (k1 + square * (k2 + square * k3))
        return np.asarray(above / (1 + square * (k4 + square * (k5 + square * k6))))

    x, y = flat[..., 0], flat[..., 1]
    radius = np.hypot(x, y)
    # 20 is 87 degrees off the axis.
    scale = np.where(radius < rising_until(lambda r: r * factor(r), 20.0), factor(radius), np.nan)
    square = radius * radius
    dx = 2 * p1 * x * y + p2 * (square + 2 * x * x)
    dy = p1 * (square + 2 * y * y) + 2 * p2 * x * y
    return np.stack([x * scale + dx, y * scale + dy], -1)
