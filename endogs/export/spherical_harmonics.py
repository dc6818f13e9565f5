"""Colours as the spherical harmonics that splat files store."""

import numpy as np
from numpy.typing import NDArray

from endogs.scene import Scene

SH_C0 = 0.28209479177387814
"""The constant spherical harmonic, 1 / (2 sqrt(pi)); a viewer shows 0.5 + SH_C0 * f_dc."""
VIEW_DEPENDENT = 45
"""Coefficients of degrees 1 to 3: 15 of red, then of green, then of blue."""


def constant_coefficients(colors: NDArray[np.float32]) -> NDArray[np.float32]:
    """f_dc (N, 3) of sRGB colours (N, 3)."""
    most = np.finfo(np.float32).max * np.float32(SH_C0) / 2  # beyond, the quotient would be infinite
    return (np.clip(colors, -most, most) - np.float32(0.5)) / np.float32(SH_C0)


def view_dependent_coefficients(scene: Scene, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """f_rest (N, 45) of the Gaussians `rows` (N,); zero above the degree of the scene's harmonics."""
    found = np.zeros((len(rows), 3, VIEW_DEPENDENT // 3), np.float32)
    colors = scene.appearance.harmonics
    if colors is not None:
        found[:, :, : colors.rest.shape[1]] = colors.rest.detach().float().cpu().numpy()[rows].transpose(0, 2, 1)
    return found.reshape(len(rows), VIEW_DEPENDENT)
