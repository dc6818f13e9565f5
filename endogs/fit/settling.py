"""The first Gaussians, moved along their rays by what the depth that they draw lacks of the depth that was given.

Where a surface slants, the nearer of the Gaussians at a pixel hide part of the farther ones: Gaussians that lie on it
are drawn in front of it, by a fifth of their spacing. A fit pulls that out slowly, and less where tissue is hidden.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from endogs.fit.window import Window
from endogs.gaussians import MEANS
from endogs.render import rasterize_packed
from endogs.scene import SplineDeformation
from endogs.seeding.initialization import checked_frames
from endogs.seeding.observations import on_tissue, pixel_index

AT_SURFACE = 0.02
"""Depths that differ by more than this part are those of different things."""
ROUNDS = 2
"""Each takes off some four fifths of what is left."""


@torch.no_grad()
def settled(base: Tensor, motion: SplineDeformation | None, window: Window) -> Tensor:
    """Canonical Gaussians (N, 14) on the CPU, shifted so that they draw the prior's metric depth, but for a twentieth.

    At every looked-at frame a Gaussian on visible tissue of trusted depth goes along its ray by the ratio of the
    prior's depth to the drawn one at its pixel; the shifts are averaged over the frames that tell one. Without `motion`
    only the first frame to be filled is looked at.
    """
    frames = checked_frames(window.observations)
    for _ in range(ROUNDS):
        total, count = torch.zeros(len(base), 3), torch.zeros(len(base), 1)
        for k in frames if motion is not None else frames[:1]:
            packed = base if motion is None else motion.packed_at(base, window.real[k].time)
            shift, told = shift_along_rays(packed, window, k)
            total += shift
            count += told[:, None]
        base = base.clone()
        base[:, MEANS] += total / count.clamp_min(1)
    return base


def shift_along_rays(packed: Tensor, window: Window, k: int) -> tuple[Tensor, Tensor]:
    """Shifts (N, 3), world units, of Gaussians (N, 14) at training frame `k`, and for which one is told (N,)."""
    view, observations = window.real[k], window.observations
    prior = np.asarray(observations.depth(k))
    if view.depth_weight is None:
        return torch.zeros(len(packed), 3), torch.zeros(len(packed), dtype=torch.bool)
    drawn = rasterize_packed(packed.to(view.weight.device), view.camera)
    depth, alpha = drawn.depth.cpu().numpy(), drawn.alpha.cpu().numpy()
    tells = same_surface(prior, depth) & (alpha > 0.5) & (view.depth_weight.cpu().numpy() > 0)
    lack = np.log(np.where(tells, prior, 1) / np.where(tells, depth, 1)).astype(np.float32)
    camera = view.camera.to("cpu")
    rotation, translation = camera.world_to_camera[:3, :3], camera.world_to_camera[:3, 3]
    seen = packed[:, MEANS] @ rotation.T + translation
    z = seen[:, 2].numpy()
    projected = seen / seen[:, 2:].clamp_min(1e-6) @ camera.K.to(seen).T
    pixels = projected[:, :2].numpy()
    at = pixel_index(pixels, observations.size)
    counts = (z > 0) & tells[at] & same_surface(prior[at], z) & on_tissue(observations.masks[k], pixels)
    shift = torch.from_numpy(np.where(counts, lack[at], np.float32(0)))[:, None] * seen @ rotation
    return shift, torch.from_numpy(counts)


def same_surface(prior: NDArray[np.float32], depth: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Where z-depths of one shape are both known (not 0) and of one surface."""
    return (prior > 0) & (depth > 0) & (np.abs(depth - prior) < AT_SURFACE * prior)
