"""Gaussians in the form that viser draws in the browser: 32 bytes each."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from endogs.gaussians import COLORS, LOG_SCALES, MEANS, OPACITY, QUATS
from endogs.render.projection import rotation_matrices

LARGEST_HALF = 6e4
"""Covariances are sent as 16-bit floats, whose largest number this is about. Ours are square millimetres, or of the
same size in relative units, where 16 bits keep three digits; in metres they would all be 0."""


@torch.no_grad()
def splat_buffer(packed: Tensor) -> NDArray[np.uint32]:
    """(N, 8) words of viser's splat layout for packed Gaussians (N, 14): x y z as float32, a spare word, the upper
    triangle of the covariance as six float16, and red green blue alpha as bytes.
    """
    packed = packed.float().cpu()
    axes = rotation_matrices(packed[:, QUATS]) * packed[:, LOG_SCALES].exp()[:, None, :]
    covariance = (axes @ axes.transpose(1, 2)).reshape(-1, 9)[:, [0, 1, 2, 4, 5, 8]]
    rgba = torch.cat([packed[:, COLORS], torch.sigmoid(packed[:, OPACITY])[:, None]], 1)
    words = np.zeros((len(packed), 8), np.uint32)
    words[:, :3] = packed[:, MEANS].contiguous().numpy().view(np.uint32)
    words[:, 4:7] = covariance.clamp(-LARGEST_HALF, LARGEST_HALF).numpy().astype(np.float16).view(np.uint32)
    words[:, 7:] = (rgba * 255 + 0.5).clamp(0, 255).byte().contiguous().numpy().view(np.uint32)
    return words
