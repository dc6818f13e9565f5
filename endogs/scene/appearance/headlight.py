"""Colours under the light that an endoscope carries: dimmer with the distance and away from the middle of its beam.

A Gaussian of colour c at (x, y, z) in the camera's axes, d away from it, shows, in sRGB,

    (c + 0.055) exp(g) - 0.055
    g = b0 - b1 log(d / d0) + b2 u + b3 v + b4 u^2 + b5 v^2 + b6 u v         u = x / (z rx),  v = y / (z ry)

with rx, ry the tangents from the optical axis to the sides of the picture. Above its toe sRGB plus 0.055 is a power of
linear light (IEC 61966-2-1), so that factors of light are factors of it: of the inverse square, b1 is 2 / 2.4. The
quadratic in the picture stands for the beam's profile, where the lamps sit beside the lens, and the lens's vignetting
together; nothing that a clip shows tells them apart. Lamp at the lens and inverse square are those of LightNeuS (Batlle
et al. 2023), light bound to the camera in the loss that of NFL-BA (Beltran et al. 2024). Geometry gets no gradient from
light: it would bend to explain it.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from endogs.camera import Camera
from endogs.gaussians import COLORS, MEANS
from endogs.scene.appearance.color_model import ColorModel
from endogs.scene.deformation.settings import usable_number

OFFSET = 0.055
"""Of sRGB from a power of linear light."""
TERMS = 7
"""Numbers of a beam."""
OUTERMOST = 1.2
"""|u| and |v| are cut off there: nothing was ever seen beyond the picture."""
NEAREST, FARTHEST = 0.05, 20.0
"""Distances are cut off at these multiples of d0."""


@dataclass(frozen=True)
class HeadlightColors(ColorModel):
    """The light is the whole clip's; the Gaussians' colour columns are what they show at d0 on the optical axis where
    b0 is 0."""

    kind: ClassVar[str] = "headlight"
    trained: ClassVar[tuple[str, ...]] = ("beam",)
    per_gaussian: ClassVar[tuple[str, ...]] = ()
    seeds_unlit: ClassVar[bool] = True
    beam: Tensor
    """(7,) b0 to b6."""
    distance: float
    """d0 > 0, world units."""
    reach: tuple[float, float]
    """rx, ry > 0."""

    @staticmethod
    def even(distance: float, camera: Camera) -> "HeadlightColors":
        """Light that is the same everywhere, before anything is known of it."""
        K = camera.K.double().cpu()
        rx = max(float(K[0, 2]), camera.width - float(K[0, 2])) / float(K[0, 0])
        ry = max(float(K[1, 2]), camera.height - float(K[1, 2])) / float(K[1, 1])
        return HeadlightColors(torch.zeros(TERMS, device=camera.K.device), distance, (rx, ry))

    def features(self, points: Tensor) -> Tensor:
        """What g is linear in, (..., 7), at points (..., 3) in the camera's axes."""
        z = points[..., 2].clamp_min(1e-6 * self.distance)
        u = (points[..., 0] / (z * self.reach[0])).clamp(-OUTERMOST, OUTERMOST)
        v = (points[..., 1] / (z * self.reach[1])).clamp(-OUTERMOST, OUTERMOST)
        nearness = -(points.norm(dim=-1) / self.distance).clamp(NEAREST, FARTHEST).log()
        return torch.stack([torch.ones_like(u), nearness, u, v, u * u, v * v, u * v], -1)

    def gain(self, packed: Tensor, camera: Camera) -> Tensor:
        """(N, 1) exp(g) of packed Gaussians (N, 14) for a camera; its gradient reaches the beam alone."""
        pose = camera.world_to_camera.to(packed)
        points = packed.detach()[:, MEANS] @ pose[:3, :3].T + pose[:3, 3]
        return (self.features(points) @ self.beam.to(packed)).exp()[:, None]

    def colors(self, packed: Tensor, camera: Camera) -> Tensor:
        """(N, 3) sRGB in this light."""
        return (packed[:, COLORS] + OFFSET) * self.gain(packed, camera) - OFFSET

    @torch.no_grad()
    def encode(self, base: Tensor, camera: Camera) -> Tensor:
        """The Gaussians that this light shows to `camera` in the colours that `base` has."""
        base = base.clone()
        base[:, COLORS] = (base[:, COLORS] + OFFSET) / self.gain(base, camera) - OFFSET
        return base

    def extend(self, base: Tensor) -> "HeadlightColors":
        """The same light."""
        return self

    def select(self, keep: Tensor) -> "HeadlightColors":
        """The same light."""
        return self

    def tensors(self) -> dict[str, Tensor]:
        """The beam."""
        return {"beam": self.beam}

    def settings(self) -> dict[str, Any]:
        """What u, v and d are measured by."""
        return {"distance": self.distance, "reach": list(self.reach)}

    @classmethod
    def from_parts(cls, tensors: dict[str, Tensor], settings: dict[str, Any]) -> "HeadlightColors":
        """Raises ValueError for a beam not of seven numbers, and a distance or reach that is not positive."""
        beam, distance = tensors["beam"], usable_number(settings["distance"], "distance")
        rx, ry = (usable_number(value, "reach") for value in settings["reach"])
        if tuple(beam.shape) != (TERMS,) or not min(distance, rx, ry) > 0:
            raise ValueError(f"its headlight is not ({TERMS},), a positive distance and two positive reaches")
        return cls(beam, distance, (rx, ry))

    def check(self, count: int) -> None:
        """It goes with any number of Gaussians."""
        return
