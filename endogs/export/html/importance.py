"""How much each Gaussian contributes to what the clip's cameras see, and scenes reduced to those that matter."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from endogs.gaussians import LOG_SCALES
from endogs.render.blending import blending_weights
from endogs.render.projection import ALPHA_MIN
from endogs.scene import Scene

FRAMES = 8
"""Frames looked at, spread over the clip."""
LARGEST_GROWTH = 3.0
"""Kept Gaussians grow by at most this factor to cover for the ones that went."""


def ever_visible(scene: Scene) -> Tensor:
    """(N,) bool: whether a Gaussian's opacity ever reaches 1/255, below which it is never drawn."""
    return torch.sigmoid(scene.deformation.highest_opacity(scene.base)) >= ALPHA_MIN


def contributions(scene: Scene) -> NDArray[np.float32]:
    """(N,) blending weight of each Gaussian summed over an image, in pixels, averaged over frames of the clip."""
    total = torch.zeros(len(scene))
    frames = np.unique(np.linspace(0, len(scene.times) - 1, FRAMES).round().astype(int))
    for frame in frames:
        packed = scene.packed_at(float(scene.times[frame])).cpu()
        total += blending_weights(packed, scene.camera(frame).to("cpu"))[:, 1]
    return (total / len(frames)).numpy()


def decimated(scene: Scene, weights: NDArray[np.float32], keep: int) -> tuple[Scene, NDArray[np.float32]]:
    """The `keep` Gaussians of the largest contribution (N,), with theirs; or the scene itself if it has no more.

    Each Gaussian that goes hands its contribution to the nearest one that stays, which grows so that the area stays
    covered: its standard deviations by the square root of what it stands for now over what it stood for, at most 3.
    """
    if len(scene) <= keep:
        return scene, weights
    kept = np.sort(np.argsort(-weights, kind="stable")[:keep])
    return reduced_to(scene, weights, kept), weights[kept].astype(np.float32)


def reduced_to(scene: Scene, weights: NDArray[np.float32], kept: NDArray[np.int64]) -> Scene:
    """The scene of the Gaussians `kept` (K,), ascending rows, grown as `decimated` says to cover for the others."""
    smaller = scene.select(torch.from_numpy(kept).to(scene.base.device))
    gone = np.setdiff1d(np.arange(len(scene)), kept)
    if not len(kept) or not len(gone):
        return smaller
    means = scene.base[:, :3].double().cpu().numpy()
    nearest = cKDTree(means[kept]).query(means[gone])[1]
    own = np.maximum(weights[kept], 1e-6).astype(np.float64)
    stands_for = own + np.bincount(nearest, weights[gone], minlength=len(kept))
    growth = np.minimum(np.sqrt(stands_for / own), LARGEST_GROWTH)
    smaller.base[:, LOG_SCALES] += torch.from_numpy(np.log(growth)).to(smaller.base)[:, None]
    return smaller
