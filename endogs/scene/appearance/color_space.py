"""sRGB and linear light (IEC 61966-2-1), continued below 0 by the straight piece and above 1 by the curve."""

import torch
from torch import Tensor

_TOE_LINEAR, _TOE_SRGB, _SLOPE = 0.0031308, 0.04045, 12.92


def srgb_to_linear(srgb: Tensor) -> Tensor:
    """Linear light of sRGB values, any shape; differentiable everywhere."""
    # The inner clamp keeps the power's slope finite where the other branch is taken.
    curve = ((srgb.clamp_min(_TOE_SRGB) + 0.055) / 1.055) ** 2.4
    return torch.where(srgb <= _TOE_SRGB, srgb / _SLOPE, curve)


def linear_to_srgb(linear: Tensor) -> Tensor:
    """sRGB values of linear light, any shape; differentiable everywhere, the inverse of `srgb_to_linear`."""
    curve = 1.055 * linear.clamp_min(_TOE_LINEAR) ** (1 / 2.4) - 0.055
    return torch.where(linear <= _TOE_LINEAR, linear * _SLOPE, curve)
