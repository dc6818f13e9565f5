"""Which frames of the clip show each Gaussian, and in which an instrument stands before it.

A Gaussian is *drawn* in a frame when its blending weights there sum to at least `DRAWN` pixels of the clip: not when it
lies outside the image or behind other tissue. It is *seen* when at least half of that falls on pixels where the clip
shows tissue. A Gaussian that no training frame shows is *filled in*: what the fit put there rests on neighbours alone.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from endogs.memory_budget import require_memory

DRAWN = 0.1
"""Pixels of the clip that a Gaussian must fill, all its blending weights together, to be drawn in a frame."""
SHARE = 0.5
"""Share of its light that must fall on tissue for the frame to show it."""


@dataclass(frozen=True)
class Visibility:
    """One bit per Gaussian and frame of the clip: frame f is bit f % 8 (least significant first) of byte f // 8."""

    drawn: Tensor
    """(N, ceil(F / 8)) uint8."""
    seen: Tensor
    """(N, ceil(F / 8)) uint8; a subset of `drawn`."""

    @staticmethod
    def of(drawn: NDArray[np.bool_], seen: NDArray[np.bool_]) -> "Visibility":
        """Packed from two arrays (N, F)."""
        packed = (np.packbits(bits, axis=1, bitorder="little") for bits in (drawn, seen))
        return Visibility(*(torch.from_numpy(bits) for bits in packed))

    def select(self, keep: Tensor) -> "Visibility":
        """That of the Gaussians selected by `keep`: a (N,) mask, or row indices."""
        keep = keep.to(self.seen.device)
        return Visibility(self.drawn[keep], self.seen[keep])

    def frames_drawn(self, frames: int) -> NDArray[np.bool_]:
        """(N, `frames`) whether each frame draws it."""
        return _bits(self.drawn, frames)

    def frames_seen(self, frames: int) -> NDArray[np.bool_]:
        """(N, `frames`) whether each frame shows it."""
        return _bits(self.seen, frames)


def _bits(packed: Tensor, frames: int) -> NDArray[np.bool_]:
    require_memory(3 * len(packed) * frames, f"{frames} frames of {len(packed)} Gaussians", "use a machine with more")
    return np.unpackbits(packed.cpu().numpy(), axis=1, count=frames, bitorder="little").astype(bool)
