""".splat files: 32 bytes per Gaussian, the format of antimatter15's viewer (https://github.com/antimatter15/splat)."""

from pathlib import Path

import numpy as np
import torch

from endogs.gaussians import Gaussians

ROW = np.dtype([("position", "<f4", 3), ("scale", "<f4", 3), ("color", "u1", 4), ("quat", "u1", 4)])
"""Standard deviations, not their logarithms; sRGB and opacity; wxyz as 128 q + 128."""


def write_splat(path: Path, gaussians: Gaussians) -> None:
    """Writes Gaussians with unit quaternions, the largest and most opaque first, so that a viewer can show a part.

    The order is that of opacity times the product of the scales. 8 bits hold colours, opacity and orientation: colours
    outside [0, 1] are clipped, and an orientation is good to about a degree.
    """
    opacity = torch.sigmoid(gaussians.opacity_logits).double()
    order = torch.argsort(-(opacity * gaussians.log_scales.double().sum(1).exp()), stable=True)
    rows = np.zeros(len(gaussians), ROW)
    rows["position"] = gaussians.means[order].numpy()
    rows["scale"] = gaussians.log_scales[order].exp().numpy()
    rgba = torch.cat([gaussians.colors.double(), opacity[:, None]], 1)[order].clamp(0, 1).numpy()
    rows["color"] = np.round(rgba * 255).astype(np.uint8)
    rows["quat"] = np.clip(np.round(gaussians.quats[order].double().numpy() * 128 + 128), 0, 255).astype(np.uint8)
    with open(path, "wb") as file:
        file.write(rows.tobytes())
