"""What one view says about the Gaussians."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class StepResult:
    """Loss, its terms and its gradient."""

    loss: float
    terms: dict[str, float]
    grad: Tensor
    """(N, 14) gradient of the loss by the packed Gaussians."""
    squared_error: float
    """Weighted mean over pixels and channels, for the running PSNR."""
    planes: Tensor
    """(5, H, W) what was rendered, without a graph: colour, accumulated z, alpha. Good until the next evaluation."""
    auxiliary: Tensor | None = None
    """(N, 14) gradient of all but the colour loss, where it is kept apart and there is any; `grad` is then colour's."""

    @property
    def color(self) -> Tensor:
        """(H, W, 3) sRGB."""
        return self.planes[:3].permute(1, 2, 0)

    @property
    def depth(self) -> Tensor:
        """(H, W) z-depth, 0 where nothing was drawn."""
        return self.planes[3] / self.planes[4].clamp_min(1e-6)
