"""Which frames of the clip show each Gaussian, and in which an instrument stands before it.

A Gaussian is *drawn* in a frame when its blending weights there sum to at least `DRAWN` pixels of the clip: not when it
lies outside the image or behind other tissue. It is *seen* when at least half of that falls on pixels where the clip
shows tissue. A Gaussian that no training frame shows is *filled in*: what the fit put there rests on neighbours alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from endogs.memory_budget import require_memory
from endogs.render.blending import blending_weights

if TYPE_CHECKING:
    from endogs.scene.scene import Scene

DRAWN = 0.1
"""Pixels of the clip that a Gaussian must fill, all its blending weights together, to be drawn in a frame."""
SHARE = 0.5
"""Share of its light that must fall on tissue for the frame to show it."""
LARGEST = 400
"""Longest side in pixels of the images in which this is looked up; coarser ones are four times as fast."""

MASK_BYTES = 6
"""Of a pixel of the clip, while its mask is made smaller: a bool, and a float32."""


@dataclass(frozen=True)
class Visibility:
    """One bit per Gaussian and frame of the clip: frame f is bit f % 8 (least significant first) of byte f // 8."""

    drawn: Tensor
    """(N, ceil(F / 8)) uint8."""
    seen: Tensor
    """(N, ceil(F / 8)) uint8; a subset of `drawn`."""

    def kept(self, keep: Tensor) -> "Visibility":
        """That of the Gaussians selected by `keep`: a (N,) mask, or row indices."""
        keep = keep.to(self.seen.device)
        return Visibility(self.drawn[keep], self.seen[keep])

    def frames_drawn(self, frames: int) -> NDArray[np.bool_]:
        """(N, `frames`) whether each frame draws it."""
        return _bits(self.drawn, frames)

    def frames_seen(self, frames: int) -> NDArray[np.bool_]:
        """(N, `frames`) whether each frame shows it."""
        return _bits(self.seen, frames)


@torch.no_grad()
def find_visibility(scene: "Scene", tissue_mask: Callable[[int], NDArray[np.bool_]]) -> Visibility:
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
    return Visibility(_packed(drawn), _packed(seen))


def _packed(bits: NDArray[np.bool_]) -> Tensor:
    return torch.from_numpy(np.packbits(bits, axis=1, bitorder="little"))


def _bits(packed: Tensor, frames: int) -> NDArray[np.bool_]:
    require_memory(3 * len(packed) * frames, f"{frames} frames of {len(packed)} Gaussians", "use a machine with more")
    return np.unpackbits(packed.cpu().numpy(), axis=1, count=frames, bitorder="little").astype(bool)
