"""New Gaussians, moved along their rays until they draw the depth that they were given.

Where a surface slants, the nearer of the Gaussians at a pixel hide part of the farther ones: Gaussians that lie on it
are drawn in front of it, by a fifth of their spacing. A fit pulls that out slowly, and less where tissue is hidden.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from endogs.fit.views import TrainingViews
from endogs.gaussians import MEANS
from endogs.render import rasterize_packed
from endogs.scene import SplineDeformation
from endogs.scene.initialization import checked_frames
from endogs.scene.observations import on_tissue, pixel_index

AT_SURFACE = 0.02
"""Depths that differ by more than this part are those of different things."""


@torch.no_grad()
def settled(base: Tensor, motion: SplineDeformation | None, views: TrainingViews) -> Tensor:
    """Canonical Gaussians (N, 14) on the CPU, shifted by a mean over the looked-at frames of what their depth lacks.

    At every frame a Gaussian on visible tissue is moved along its ray by the ratio of the prior's depth to the drawn
    one at its pixel. Without `motion` only the first frame to be filled is looked at. Depth must be metric.
    """
    observations = views.observations
    total, count = torch.zeros(len(base), 3), torch.zeros(len(base), 1)
    frames = checked_frames(observations)
    for k in frames if motion is not None else frames[:1]:
        camera = views.real[k].camera.to("cpu")
        packed = base if motion is None else motion.packed_at(base, float(observations.times[k]))
        drawn = rasterize_packed(packed, camera)
        prior = observations.depth(k)
        depth = drawn.depth.numpy()
        told = same_surface(prior, depth) & (drawn.alpha.numpy() > 0.5)
        lack = np.log(np.where(told, prior, 1) / np.where(told, depth, 1)).astype(np.float32)
        rotation, translation = camera.world_to_camera[:3, :3], camera.world_to_camera[:3, 3]
        seen = packed[:, MEANS] @ rotation.T + translation
        z = seen[:, 2:].clamp_min(1e-6)
        projected = seen / z @ camera.K.to(seen).T
        pixels = projected[:, :2].numpy()
        at = pixel_index(pixels, observations.size)
        counts = same_surface(prior[at], z[:, 0].numpy()) & on_tissue(observations.masks[k], pixels)
        counts &= seen[:, 2].numpy() > 0
        total += torch.from_numpy(np.where(counts, lack[at], 0)[:, None]) * seen @ rotation
        count += torch.from_numpy(counts[:, None])
    shifted = base.clone()
    shifted[:, MEANS] += total / count.clamp_min(1)
    return shifted


def same_surface(prior: NDArray[np.float32], depth: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Where z-depths of one shape are both known (not 0) and of one surface."""
    return (prior > 0) & (depth > 0) & (np.abs(depth - prior) < AT_SURFACE * prior)
