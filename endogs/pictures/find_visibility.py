"""Looking up which frames of a clip show each Gaussian of a scene: its blending weights are drawn, frame by frame."""

from collections.abc import Callable

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from endogs.memory_budget import require_memory
from endogs.render.blending import blending_weights
from endogs.scene.scene import Scene
from endogs.scene.visibility import DRAWN, SHARE, Visibility

LARGEST = 400
"""Longest side in pixels of the images in which this is looked up; coarser ones are four times as fast."""
MASK_BYTES = 6
"""Of a pixel of the clip, while its mask is made smaller: a bool, and a float32."""


@torch.no_grad()
def find_visibility(scene: Scene, tissue_mask: Callable[[int], NDArray[np.bool_]]) -> Visibility:
    """The visibility of a scene's Gaussians; `tissue_mask(i)` (H, W) is True where frame i of the clip shows tissue."""
    require_memory(
        MASK_BYTES * scene.width * scene.height + 3 * len(scene) * len(scene.times),
        f"which of {len(scene.times)} frames of {scene.width} x {scene.height} show which of {len(scene)} Gaussians",
        "use a machine with more memory",
    )
    drawn = np.zeros((len(scene), len(scene.times)), bool)
    seen = np.zeros_like(drawn)
    for frame, time in enumerate(scene.times):
        camera = scene.camera(frame)
        factor = min(1.0, LARGEST / max(camera.width, camera.height))
        camera = camera.scaled(factor) if factor < 1 else camera
        mask = tissue_mask(frame).astype(np.float32)
        mask = np.asarray(cv2.resize(mask, (camera.width, camera.height), interpolation=cv2.INTER_AREA))
        where = torch.from_numpy(mask).to(scene.base.device)
        weights = blending_weights(scene.packed_at(float(time)), camera, where).cpu().numpy()
        pixels = scene.width * scene.height / (camera.width * camera.height)
        drawn[:, frame] = weights[:, 1] * pixels >= DRAWN
        seen[:, frame] = drawn[:, frame] & (weights[:, 0] >= SHARE * weights[:, 1])
    return Visibility.of(drawn, seen)
