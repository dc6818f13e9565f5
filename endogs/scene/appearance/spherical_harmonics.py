"""Colours that depend on the direction of view: real spherical harmonics per Gaussian.

Kerbl et al., "3D Gaussian splatting for real-time radiance field rendering", 2023, in whose order, signs and factors
(real harmonics with the Condon-Shortley phase) the coefficients stand, so that they are the f_rest of its files.
"""

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from endogs.camera import Camera
from endogs.gaussians import COLORS, MEANS
from endogs.scene.appearance.color_model import ColorModel

DEGREES = (1, 2, 3)
_C1 = math.sqrt(3 / (4 * math.pi))
_C2 = math.sqrt(15 / (4 * math.pi)), math.sqrt(5 / (16 * math.pi)), math.sqrt(15 / (16 * math.pi))
_C3 = (
    math.sqrt(35 / (32 * math.pi)),
    math.sqrt(105 / (4 * math.pi)),
    math.sqrt(21 / (32 * math.pi)),
    math.sqrt(7 / (16 * math.pi)),
    math.sqrt(105 / (16 * math.pi)),
)


def directional_basis(directions: Tensor, degree: int) -> Tensor:
    """Harmonics of degree 1 to `degree` (N, (degree + 1)^2 - 1) in unit directions (N, 3); m runs from -l to l.

    Raises ValueError for a degree outside 1..3.
    """
    if degree not in DEGREES:
        raise ValueError(f"spherical harmonics of degree {degree} are not among {DEGREES}")
    x, y, z = directions.unbind(-1)
    basis = [-_C1 * y, _C1 * z, -_C1 * x]
    if degree >= 2:
        xx, yy, zz = x * x, y * y, z * z
        basis += [
            _C2[0] * x * y,
            -_C2[0] * y * z,
            _C2[1] * (2 * zz - xx - yy),
            -_C2[0] * x * z,
            _C2[2] * (xx - yy),
        ]
    if degree >= 3:
        basis += [
            -_C3[0] * y * (3 * xx - yy),
            _C3[1] * x * y * z,
            -_C3[2] * y * (4 * zz - xx - yy),
            _C3[3] * z * (2 * zz - 3 * xx - 3 * yy),
            -_C3[2] * x * (4 * zz - xx - yy),
            _C3[4] * z * (xx - yy),
            -_C3[0] * x * (xx - 3 * yy),
        ]
    return torch.stack(basis, -1)


def camera_center(camera: Camera, like: Tensor) -> Tensor:
    """(3,) world position of the camera, with `like`'s device and precision."""
    pose = camera.world_to_camera.to(like)
    return -pose[:3, :3].T @ pose[:3, 3]


@dataclass(frozen=True)
class HarmonicColors(ColorModel):
    """Colour = packed colour (the harmonic of degree 0) + sum_k Y_k(direction) rest_k.

    The direction runs from the camera to the mean, in world axes: coefficients do not turn with the tissue.
    """

    kind: ClassVar[str] = "sh"
    trained: ClassVar[tuple[str, ...]] = ("rest",)
    per_gaussian: ClassVar[tuple[str, ...]] = ("rest",)
    rest: Tensor
    """(N, (degree + 1)^2 - 1, 3) coefficients of degree 1 and more."""

    @staticmethod
    def at_rest(count: int, degree: int, device: torch.device | str = "cpu") -> "HarmonicColors":
        """`count` Gaussians whose colour does not depend on the view yet."""
        return HarmonicColors(torch.zeros(count, (degree + 1) ** 2 - 1, 3, device=device))

    @property
    def degree(self) -> int:
        """1, 2 or 3."""
        return math.isqrt(self.rest.shape[1] + 1) - 1

    def colors(self, packed: Tensor, camera: Camera) -> Tensor:
        """(N, 3) sRGB; gradients also reach the means."""
        directions = torch.nn.functional.normalize(packed[:, MEANS] - camera_center(camera, packed), dim=1)
        basis = directional_basis(directions, self.degree)
        return packed[:, COLORS] + (basis[:, None, :] @ self.rest.to(packed.dtype))[:, 0]

    def encode(self, base: Tensor, camera: Camera) -> Tensor:
        """`base`: new Gaussians look the same from everywhere."""
        return base

    def extend(self, base: Tensor) -> "HarmonicColors":
        """New Gaussians look the same from everywhere."""
        new = self.rest.new_zeros(len(base) - len(self.rest), *self.rest.shape[1:])
        return HarmonicColors(torch.cat([self.rest, new]))

    def select(self, keep: Tensor) -> "HarmonicColors":
        """The coefficients of the selected Gaussians."""
        return replace(self, rest=self.rest[keep])

    def tensors(self) -> dict[str, Tensor]:
        """The coefficients."""
        return {"rest": self.rest}

    def settings(self) -> dict[str, Any]:
        """Nothing: the degree shows in the shape."""
        return {}

    @classmethod
    def from_parts(cls, tensors: dict[str, Tensor], settings: dict[str, Any]) -> "HarmonicColors":
        """Raises ValueError for a number of coefficients that no degree has."""
        rest = tensors["rest"]
        if rest.ndim != 3 or rest.shape[2] != 3 or rest.shape[1] not in [(d + 1) ** 2 - 1 for d in DEGREES]:
            raise ValueError(f"harmonics {tuple(rest.shape)} are not (N, 3, 8 or 15, 3)")
        return cls(rest)

    def check(self, count: int) -> None:
        """One row of coefficients for each Gaussian."""
        if len(self.rest) != count:
            raise ValueError(f"{len(self.rest)} rows of harmonics for {count} Gaussians")
