"""What a camera with automatic exposure did: a gain and a bias per channel and frame.

shown = exp(log_gain) color + bias, in sRGB, the affine model of Rematas et al., "Urban radiance fields", 2022. Light
that changes by a factor k changes sRGB above its toe by exactly such a map: with s = 1.055 L^(1/2.4) - 0.055, s' =
k^(1/2.4) (s + 0.055) - 0.055 (IEC 61966-2-1). Since blending weights add up to alpha, mapping the Gaussians' colours
maps the image, where it is opaque.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from endogs.scene.deformation.settings import usable_number


@dataclass(frozen=True)
class Exposure:
    """Gain and bias at the times of the training frames, constant outside them.

    Between them cubic in time (Catmull and Rom 1974, with the frames' own spacing): control loops are smooth.
    """

    times: np.ndarray
    """(T,) float64 seconds, ascending, T >= 1."""
    values: Tensor
    """(T, 2, 3): logarithm of the gain and bias, per colour channel."""

    @staticmethod
    def neutral(times: np.ndarray, device: torch.device | str = "cpu") -> "Exposure":
        """Gain 1 and bias 0 at all times."""
        return Exposure(np.asarray(times, np.float64), torch.zeros(len(times), 2, 3, device=device))

    def at(self, time: float) -> tuple[Tensor, Tensor]:
        """Gain (3,) and bias (3,) at `time`, seconds, differentiable."""
        rows, weights = self._weights(time)
        value = torch.einsum("k,kic->ic", self.values.new_tensor(weights), self.values[rows])
        return value[0].exp(), value[1]

    def _weights(self, time: float) -> tuple[list[int], list[float]]:
        """Rows and their weights at `time`. At a frame's own time it is its row alone: a step on it moves no other."""
        times, last = self.times, len(self.times) - 1
        b = int(np.searchsorted(times, time))
        if b > last or b == 0 or times[b] == time:
            return [min(b, last)], [1.0]
        a = b - 1
        before, after = max(a - 1, 0), min(b + 1, last)
        step = times[b] - times[a]
        f = float((time - times[a]) / step)
        g = 1 - f
        # Hermite's cubic; slopes are those of the chord over the neighbouring frames.
        start = f * g * g * step / (times[b] - times[before])
        end = -f * f * g * step / (times[after] - times[a])
        return [before, a, b, after], [-start, g * g * (1 + 2 * f) - end, f * f * (3 - 2 * f) + start, end]

    def shown(self, colors: Tensor, time: float) -> Tensor:
        """Colours (N, 3) as the camera recorded them at `time`."""
        gain, bias = self.at(time)
        return colors * gain.to(colors) + bias.to(colors)

    def to(self, device: torch.device | str) -> "Exposure":
        """The same exposure on another device."""
        return Exposure(self.times, self.values.to(device))

    def settings(self) -> dict[str, Any]:
        """The times."""
        return {"times": self.times.tolist()}

    @staticmethod
    def from_parts(values: Tensor, settings: dict[str, Any]) -> "Exposure":
        """Rebuild from a scene file; raises ValueError when shapes do not fit or times do not ascend."""
        times = np.array([usable_number(time, "times") for time in settings["times"]], np.float64)
        if times.ndim != 1 or not len(times) or tuple(values.shape) != (len(times), 2, 3):
            raise ValueError(f"exposures {tuple(values.shape)} do not fit {times.shape} times")
        if not np.isfinite(times).all() or np.any(np.diff(times) <= 0):
            raise ValueError("the times of the exposures do not ascend")
        return Exposure(times, values)
