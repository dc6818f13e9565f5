"""Colours from light: an albedo, a specular lobe, and the lamp at the endoscope's tip that lights them.

Linear light that a Gaussian at x with normal n sends to the camera at o, per channel:

    E = I cos^mu(psi) (d0 / d)^2                          d to the lamp, psi off its axis (that of the camera)
    L = E [ rho (a + (1 - a) (n.l)+) + pi F D(n.h) V(n.l, n.v) (n.l)+ ]

with l, v the directions to lamp and camera and h between them; with the lamp at the lens, as while fitting, l = v = h.
The near-field inverse-square lamp is that of LightNeuS (Batlle et al. 2023) and PPSNet (Paruchuri et al. 2024); D and
V are GGX with height-correlated Smith masking (Walter et al. 2007; Heitz 2014), F is Schlick's with F0 per Gaussian,
the terms of PR-ENDO (Kaleta et al. 2024) and EndoPBR (arXiv 2502.20669), here per Gaussian and before rasterization.
`a` is light that reaches a point from other tissue. Vignetting moves with the lens as the lamp does and is part of
cos^mu.

The picture is sRGB of L; the albedo rho is kept as sRGB in the Gaussians' colour columns. Geometry gets no gradient
from shading: it would bend to explain the albedo.
"""

import math
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from endogs.camera import Camera
from endogs.gaussians import COLORS, MEANS
from endogs.scene.appearance.color_model import ColorModel
from endogs.scene.appearance.color_space import linear_to_srgb, srgb_to_linear
from endogs.scene.appearance.spherical_harmonics import camera_center
from endogs.scene.appearance.surface_normals import TangentFrames
from endogs.scene.deformation.settings import usable_number

START_REFLECTANCE, START_ROUGHNESS = 0.02, 0.3
"""F0 of wet tissue, and the roughness (GGX's alpha) of its film, before training."""
SMOOTHEST = 0.05
"""Smallest roughness: a sharper lobe is smaller than a Gaussian."""
START_SPOT, START_AMBIENT = 0.7, 0.1
"""mu and a before training."""
DARKEST = 0.05
"""Smallest shading that a colour is divided by to guess its albedo."""


@dataclass(frozen=True)
class Light:
    """How a scene is lit when it is shown."""

    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Place of the lamp in camera axes (x right, y down, z forward), world units; it looks where the camera looks."""
    intensity: float = 1.0
    """Multiple of the fitted lamp's, in linear light."""
    ambient_only: bool = False
    """Even light from everywhere, which shows the albedo."""
    specular: bool = True
    """Whether there are highlights."""


LAMP_AT_LENS = Light()


@dataclass(frozen=True)
class LitColors(ColorModel):
    """Tissue lit by the endoscope's lamp."""

    kind: ClassVar[str] = "lit"
    trained: ClassVar[tuple[str, ...]] = ("gloss", "lamp")
    per_gaussian: ClassVar[tuple[str, ...]] = ("gloss",)
    gloss: Tensor
    """(N, 2): log F0, and the logit of the roughness in [SMOOTHEST, 1]."""
    lamp: Tensor
    """(2,): inverse softplus of mu, logit of a."""
    frames: TangentFrames
    distance: float
    """d0, world units: there, and facing the lamp, a dry surface shows its albedo."""
    light: Light = field(default=LAMP_AT_LENS)
    """How it is lit now; not part of the scene file."""

    @staticmethod
    def start(base: Tensor, distance: float) -> "LitColors":
        """Tissue of canonical Gaussians (N, 14) that shows its albedo at `distance` > 0, world units."""
        device = base.device
        gloss = torch.tensor([math.log(START_REFLECTANCE), _logit((START_ROUGHNESS - SMOOTHEST) / (1 - SMOOTHEST))])
        lamp = torch.tensor([math.log(math.expm1(START_SPOT)), _logit(START_AMBIENT)], device=device)
        return LitColors(gloss.to(device).repeat(len(base), 1), lamp, TangentFrames.of(base[:, MEANS]), distance)

    def colors(self, packed: Tensor, camera: Camera) -> Tensor:
        """(N, 3) sRGB under `light`; gradients reach the albedo, the gloss and the lamp."""
        albedo = srgb_to_linear(packed[:, COLORS])
        if self.light.ambient_only:
            return linear_to_srgb(albedo * self.light.intensity)
        irradiance, diffuse, highlight = self._shading(packed.detach()[:, MEANS], camera)
        light = albedo * diffuse[:, None]
        if self.light.specular:
            light = light + highlight[:, None]
        return linear_to_srgb(light * (irradiance * self.light.intensity)[:, None])

    def _shading(self, means: Tensor, camera: Camera) -> tuple[Tensor, Tensor, Tensor]:
        """(N,) each: E at I = 1, the diffuse factor and the specular term."""
        pose = camera.world_to_camera.to(means)
        eye = camera_center(camera, means)
        lamp = eye + means.new_tensor(self.light.offset) @ pose[:3, :3]
        view = torch.nn.functional.normalize(eye - means, dim=1)
        to_lamp = lamp - means
        distance = to_lamp.norm(dim=1).clamp_min(1e-3 * self.distance)
        light = to_lamp / distance[:, None]
        half = torch.nn.functional.normalize(light + view, dim=1)
        normals = self.frames.normals(means, eye)
        n_l = (normals * light).sum(1).clamp(1e-3, 1)
        n_v = (normals * view).sum(1).clamp(1e-3, 1)
        n_h = (normals * half).sum(1).clamp(1e-3, 1)
        axis = (light @ -pose[2, :3]).clamp(1e-2, 1)

        spot, ambient = torch.nn.functional.softplus(self.lamp[0]), torch.sigmoid(self.lamp[1])
        irradiance = (self.distance / distance) ** 2 * axis ** spot.to(axis)
        # Behind the tangent plane of a lamp that was moved there is no direct light, although n_l was clamped.
        facing = ((normals * light).sum(1) > 0).to(n_l)
        diffuse = ambient + (1 - ambient) * n_l * facing
        reflectance = self.gloss[:, 0].exp()
        fresnel = reflectance + (1 - reflectance) * (1 - (view * half).sum(1).clamp(0, 1)) ** 5
        alpha2 = (SMOOTHEST + (1 - SMOOTHEST) * torch.sigmoid(self.gloss[:, 1])) ** 2
        lobe = alpha2 / (math.pi * (n_h * n_h * (alpha2 - 1) + 1) ** 2)
        masking = n_l * (n_v * n_v * (1 - alpha2) + alpha2).sqrt() + n_v * (n_l * n_l * (1 - alpha2) + alpha2).sqrt()
        return irradiance, diffuse, math.pi * fresnel * lobe * 0.5 / masking * n_l * facing

    @torch.no_grad()
    def encode(self, base: Tensor, camera: Camera) -> Tensor:
        """The Gaussians whose diffuse light towards `camera` is the colour that `base` has."""
        irradiance, diffuse, _ = self._shading(base[:, MEANS], camera)
        base = base.clone()
        shading = (irradiance * diffuse).clamp_min(DARKEST)[:, None]
        base[:, COLORS] = linear_to_srgb(srgb_to_linear(base[:, COLORS]) / shading)
        return base

    def extend(self, base: Tensor) -> "LitColors":
        """New Gaussians are as glossy as the others on average; all get new neighbours."""
        new = self.gloss.mean(0, keepdim=True).expand(len(base) - len(self.gloss), 2)
        return replace(self, gloss=torch.cat([self.gloss, new]), frames=TangentFrames.of(base[:, MEANS]))

    def select(self, keep: Tensor) -> "LitColors":
        """The selected Gaussians."""
        return replace(self, gloss=self.gloss[keep], frames=self.frames.select(keep))

    def relit(self, light: Light) -> "LitColors":
        """The same tissue under another light."""
        return replace(self, light=light)

    def tensors(self) -> dict[str, Tensor]:
        """Gloss, lamp and what the normals come from."""
        return {
            "gloss": self.gloss,
            "lamp": self.lamp,
            "neighbours": self.frames.neighbours,
            "tangents": self.frames.weights,
        }

    def settings(self) -> dict[str, Any]:
        """The reference distance."""
        return {"distance": self.distance}

    @classmethod
    def from_parts(cls, tensors: dict[str, Tensor], settings: dict[str, Any]) -> "LitColors":
        """Raises ValueError where shapes do not fit each other."""
        gloss, lamp, neighbours, tangents = (tensors[name] for name in ("gloss", "lamp", "neighbours", "tangents"))
        distance = usable_number(settings["distance"], "distance")
        count = len(gloss)
        if tuple(gloss.shape) != (count, 2) or tuple(lamp.shape) != (2,) or not distance > 0:
            raise ValueError("its light is not (N, 2), (2,) and a positive distance")
        if neighbours.ndim != 2 or len(neighbours) != count or tuple(tangents.shape) != (*neighbours.shape, 2):
            raise ValueError(f"neighbours {tuple(neighbours.shape)} do not fit tangents {tuple(tangents.shape)}")
        return cls(gloss, lamp, TangentFrames(neighbours, tangents), distance)

    def check(self, count: int) -> None:
        """One row for each Gaussian."""
        if len(self.gloss) != count:
            raise ValueError(f"{len(self.gloss)} rows of light for {count} Gaussians")

    def check_values(self) -> None:
        """Neighbours are rows of the Gaussians."""
        rows = self.frames.neighbours
        if rows.numel() and not (int(rows.min()) >= 0 and int(rows.max()) < len(rows)):
            raise ValueError("a neighbour is outside the Gaussians")


def _logit(probability: float) -> float:
    return math.log(probability / (1 - probability))
