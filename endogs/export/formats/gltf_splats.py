"""Gaussians in glTF: the extension KHR_gaussian_splatting, as of its release candidate (Khronos 2026).

POINTS with the attributes ROTATION (unit, xyzw), SCALE (standard deviations: the release candidate stores them as they
are, its review draft stored logarithms), OPACITY (after the sigmoid) and SH_DEGREE_l_COEF_n (RGB; a renderer adds 0.5).
Colours are sRGB as displayed. COLOR_0 is what a viewer without the extension shows.
"""

from pathlib import Path

import numpy as np
import torch

from endogs.export.formats.glb import GlbBuffer, write_glb
from endogs.export.formats.gltf_axes import gltf_about, metres, turned, turned_quats
from endogs.export.moments import Moment
from endogs.export.spherical_harmonics import constant_coefficients
from endogs.scene import Scene

EXTENSION = "KHR_gaussian_splatting"


def write_gltf_splats(path: Path, scene: Scene, at: Moment) -> None:
    """Writes the Gaussians of one moment as a GLB file, +Y up."""
    gaussians, buffer = at.gaussians, GlbBuffer()
    opacity = torch.sigmoid(gaussians.opacity_logits).numpy()
    colors = gaussians.colors.numpy()
    rgba = np.round(np.clip(np.column_stack([colors, opacity]), 0, 1) * 255).astype(np.uint8)
    attributes = {
        "POSITION": buffer.add(turned(gaussians.means.numpy()), bounds=True),
        "COLOR_0": buffer.add(rgba, normalized=True),
        f"{EXTENSION}:ROTATION": buffer.add(turned_quats(gaussians.quats.numpy())),
        f"{EXTENSION}:SCALE": buffer.add(gaussians.log_scales.exp().numpy()),
        f"{EXTENSION}:OPACITY": buffer.add(opacity),
        f"{EXTENSION}:SH_DEGREE_0_COEF_0": buffer.add(constant_coefficients(colors)),
    }
    described = {
        "kernel": "ellipse",
        "colorSpace": "srgb_rec709_display",
        "sortingMethod": "cameraDistance",
        "projection": "perspective",
    }
    primitive = {"attributes": attributes, "mode": 0, "extensions": {EXTENSION: described}}
    root = {"asset": gltf_about(scene, at.time), "extensionsUsed": [EXTENSION]}
    write_glb(path, primitive, buffer, root, metres(scene))
