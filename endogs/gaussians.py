"""A set of 3D Gaussians, and its packed form, one row of 14 numbers each."""

import math
from dataclasses import dataclass, fields

import torch
from torch import Tensor

MEANS, QUATS, LOG_SCALES, OPACITY, COLORS = slice(0, 3), slice(3, 7), slice(7, 10), 10, slice(11, 14)
ATTRIBUTES: dict[str, slice | int] = {
    "means": MEANS,
    "quats": QUATS,
    "log_scales": LOG_SCALES,
    "opacity_logits": OPACITY,
    "colors": COLORS,
}
"""Columns of the packed form by attribute."""
CHANNELS = 14
"""Columns of the packed form: 3 mean, 4 quat (wxyz), 3 log-scale, 1 opacity logit, 3 colour."""


@dataclass(frozen=True)
class Gaussians:
    """N 3D Gaussians."""

    means: Tensor
    """(N, 3) centres, world units."""
    quats: Tensor
    """(N, 4) orientations, wxyz, any non-zero length."""
    log_scales: Tensor
    """(N, 3) natural logarithm of the standard deviations, world units."""
    opacity_logits: Tensor
    """(N,) opacity before the sigmoid."""
    colors: Tensor
    """(N, 3) sRGB, nominally in [0, 1], not clamped."""

    def __len__(self) -> int:
        return self.means.shape[0]

    def packed(self) -> Tensor:
        """The packed form (N, 14); gradients flow back to every attribute."""
        return torch.cat([self.means, self.quats, self.log_scales, self.opacity_logits[:, None], self.colors], dim=1)

    @staticmethod
    def from_packed(packed: Tensor) -> "Gaussians":
        """Views into a packed tensor (N, 14)."""
        return Gaussians(
            packed[:, MEANS], packed[:, QUATS], packed[:, LOG_SCALES], packed[:, OPACITY], packed[:, COLORS]
        )

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "Gaussians":
        """The same Gaussians on another device or in another precision."""
        return Gaussians(**{f.name: getattr(self, f.name).to(device, dtype) for f in fields(self)})


def all_finite(value: Tensor) -> bool:
    """Whether no entry is NaN or infinite; one pass, and no other tensor of its size."""
    if not value.is_floating_point() or value.numel() == 0:
        return True
    value = value.detach()
    if math.isfinite(float(value.sum())):  # a NaN or an infinity would be in it
        return True
    low, high = value.aminmax()  # large numbers may add up to infinity; NaN goes through both
    return math.isfinite(low) and math.isfinite(high)
