"""What a rasterizer returns."""

from dataclasses import dataclass

from torch import Tensor

PLANES = 5
"""Planes of the kernels' images before their features: red, green, blue, accumulated z, alpha."""
DRAWN = 1e-6
"""Alpha from which a pixel has a depth."""


@dataclass(frozen=True)
class Rendering:
    """One rendered view, H rows by W columns; every field carries gradients."""

    color: Tensor
    """(H, W, 3) sRGB over the background, nominally in [0, 1], not clamped."""
    depth: Tensor
    """(H, W) z-depth along the optical axis divided by alpha, world units; 0 where alpha is below 1e-6."""
    alpha: Tensor
    """(H, W) in [0, 1]: the share of light that the Gaussians stop."""
    normal: Tensor | None = None
    """(H, W, 3) unit normals in camera axes, facing the camera; 0 where nothing is drawn."""
    features: Tensor | None = None
    """(H, W, C) composited like colours, over zero."""
