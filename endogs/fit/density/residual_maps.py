"""What each training frame's last rendering got wrong, and cells drawn in proportion to it."""

from dataclasses import dataclass

import torch
from torch import Tensor

STRIDE = 2
"""Residuals are kept at every second pixel of every second row."""


@dataclass
class ResidualMaps:
    """What each training frame's last rendering got wrong."""

    residual: Tensor
    """(F, H/2, W/2) mean absolute colour difference times the colour weight."""
    depth: Tensor
    """(F, H/2, W/2) rendered z-depth, 0 where nothing was drawn."""

    @staticmethod
    def empty(frames: int, height: int, width: int, device: torch.device | str = "cpu") -> "ResidualMaps":
        """No frame has been rendered yet."""
        shape = (frames, -(-height // STRIDE), -(-width // STRIDE))
        return ResidualMaps(torch.zeros(shape, device=device), torch.zeros(shape, device=device))

    def enter(self) -> None:
        """A row for one more frame, which has not been rendered yet."""
        self.residual, self.depth = (torch.cat([m, torch.zeros_like(m[:1])]) for m in (self.residual, self.depth))

    def leave(self) -> None:
        """Forget the first frame."""
        self.residual, self.depth = self.residual[1:].clone(), self.depth[1:].clone()

    @torch.no_grad()
    def record(self, frame: int, color: Tensor, depth: Tensor, image: Tensor, weight: Tensor) -> None:
        """Keep a frame's residual and depth; color (H, W, 3), depth (H, W), image (H, W, 3) and weight (H, W) uint8."""
        difference = color[::STRIDE, ::STRIDE] - image[::STRIDE, ::STRIDE] / 255
        self.residual[frame] = difference.abs().mean(-1) * (weight[::STRIDE, ::STRIDE] / 255)
        self.depth[frame] = depth[::STRIDE, ::STRIDE]

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Frame, row, column (P,) of `count` cells drawn with probability proportional to the residual, and z-depth,
        all on the CPU.

        Systematic sampling: evenly spaced quantiles with one random offset each, which covers better than independent
        draws. Fewer come back when cells without depth were drawn, none when there is no residual.
        """
        depth = self.depth.cpu()
        weight = self.residual.cpu() * (depth > 0)
        total = weight.flatten().double().cumsum(0)
        if not total[-1] > 0:
            return (*torch.zeros(3, 0, dtype=torch.long), torch.zeros(0))
        quantile = (torch.arange(count) + torch.rand(count, generator=generator)).double() / count
        flat = torch.searchsorted(total, quantile * total[-1]).clamp_max(total.numel() - 1)
        flat = flat[weight.flatten()[flat] > 0]
        _, rows, columns = weight.shape
        frame, cell = flat // (rows * columns), flat % (rows * columns)
        return frame, cell // columns, cell % columns, depth.flatten()[flat]
