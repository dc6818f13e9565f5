"""How an endoscope's light is reflected: one small lamp beside the lens, no shadows.

Radiance of a surface point, per linear colour channel:

    L = I (d0 / d)^2 [ albedo / pi * wrapped cos + k D(n.h) F(v.h) V(n.l, n.v) n.l + ambient * albedo / pi ]

with d the distance to the lamp, D the GGX distribution, F Schlick's Fresnel term and V Smith's masking in its height
correlated form (Walter et al., "Microfacet Models for Refraction through Rough Surfaces", 2007; Heitz, "Understanding
the Masking-Shadowing Function", 2014). Tissue scatters light below its surface, most in the red, which the wrapped
cosine max(0, (n.l + w) / (1 + w)) imitates.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float32]

TISSUE_WRAP = np.array([0.18, 0.07, 0.06], np.float32)
"""Width of the wrapped cosine per colour channel."""
AMBIENT = 0.07
"""Light that reaches a point from other tissue, as a fraction of the direct light."""
FILM = ((1.5, 0.10), (0.8, 0.34))
"""Lobes of the wet film on tissue: (weight, roughness), a sharp highlight and a sheen."""
WATER_REFLECTANCE = 0.03
"""Specular reflectance of wet tissue at normal incidence."""


@dataclass(frozen=True)
class Lamp:
    """The lamp at the tip of the endoscope."""

    position: NDArray[np.float64]
    """(3,) world, mm."""
    intensity: float
    """Irradiance at the reference distance on a facing surface; 1 white means a pixel value of 1."""
    reference_distance: float
    """d0 of the inverse-square law, mm."""


def unit(vectors: Values) -> Values:
    """Vectors (N, 3) scaled to length 1."""
    return vectors / np.sqrt(np.einsum("ij,ij->i", vectors, vectors))[:, None]


def dot(a: Values, b: Values) -> Values:
    """Row-wise dot products (N,)."""
    return np.einsum("ij,ij->i", a, b)


def ggx(n_l: Values, n_v: Values, n_h: Values, roughness: Values | float) -> Values:
    """D V n.l of the GGX microfacet model, (N,); `roughness` is its alpha."""
    a2 = np.square(np.asarray(roughness, np.float32))
    distribution = a2 / (math.pi * np.square(n_h * n_h * (a2 - 1) + 1))
    masking = n_l * np.sqrt(n_v * n_v * (1 - a2) + a2) + n_v * np.sqrt(n_l * n_l * (1 - a2) + a2)
    return distribution * 0.5 / np.maximum(masking, 1e-4) * n_l


@dataclass(frozen=True)
class Geometry:
    """The angles of reflection at N points; cosines are clamped to [1e-3, 1]."""

    irradiance: Values
    """(N,) I (d0 / d)^2."""
    n_l_signed: Values
    """(N,) cosine towards the lamp, unclamped."""
    n_l: Values
    n_v: Values
    n_h: Values
    fresnel: Values
    """(N,) Schlick's (1 - v.h)^5."""


def reflection_geometry(points: Values, normals: Values, eye: NDArray, lamp: Lamp) -> Geometry:
    """Angles at points (N, 3) with unit normals (N, 3), seen from `eye` (3,), lit by `lamp`."""
    to_lamp: Values = lamp.position.astype(np.float32) - points
    square = dot(to_lamp, to_lamp)
    light = unit(to_lamp)
    view = unit(eye.astype(np.float32) - points)
    half = unit(light + view)
    n_l = dot(normals, light)
    clamp = lambda cosine: np.clip(cosine, 1e-3, 1).astype(np.float32)
    irradiance = np.float32(lamp.intensity * lamp.reference_distance**2) / square
    fresnel = (1 - np.clip(dot(view, half), 0, 1)) ** 5
    return Geometry(irradiance, n_l, clamp(n_l), clamp(dot(normals, view)), clamp(dot(normals, half)), fresnel)


def shade_tissue(albedo: Values, geometry: Geometry, wetness: float) -> Values:
    """Linear radiance (N, 3) of wet tissue of linear `albedo` (N, 3)."""
    wrapped = np.maximum(0, (geometry.n_l_signed[:, None] + TISSUE_WRAP) / (1 + TISSUE_WRAP))
    diffuse = albedo * (wrapped + AMBIENT) / math.pi
    reflectance = WATER_REFLECTANCE + (1 - WATER_REFLECTANCE) * geometry.fresnel
    film = sum(w * ggx(geometry.n_l, geometry.n_v, geometry.n_h, roughness) for w, roughness in FILM)
    specular = np.float32(wetness) * reflectance * film
    return geometry.irradiance[:, None] * (diffuse + specular[:, None])


def shade_metal(material: Values, geometry: Geometry, surroundings: Values) -> Values:
    """Linear radiance (N, 3) of metal of `material` (N, 7), in which the tissue's mean radiance (3,) is mirrored."""
    albedo, base, roughness = material[:, :3], material[:, 3:6], material[:, 6]
    reflectance = base + (1 - base) * geometry.fresnel[:, None]
    highlight = reflectance * ggx(geometry.n_l, geometry.n_v, geometry.n_h, roughness)[:, None]
    direct = geometry.irradiance[:, None] * (albedo * geometry.n_l[:, None] / math.pi + highlight)
    # The mirrored ray leaves at 1 - 2 cos^2 along the view: away from the viewer it meets lit tissue, towards the
    # viewer the dark around the lens. That gives metal its bright line between dark bands and its tinted rims.
    away = np.clip((1 - 2 * geometry.n_v**2 + 0.55) / 1.1, 0, 1)
    mirrored = (away * away * (3 - 2 * away))[:, None]
    return direct + (0.06 + 0.94 * mirrored) * 0.85 * (reflectance + albedo) * surroundings
