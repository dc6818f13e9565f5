"""What the kernels' sums over a view's pixels are multiplied by to become a loss, on the CPU and on a GPU."""

from dataclasses import dataclass

from endogs.fit.config import FitConfig
from endogs.fit.view import View


@dataclass(frozen=True)
class LossNormalizers:
    """Factors of the sums that the loss kernels take over one view; all unitless."""

    pixels: float
    """Sum of the colour weights, 1 = one fully weighted pixel; never 0."""
    color: float
    """Of the weighted absolute colour error."""
    ssim: float
    """Of the dissimilarity."""
    depth: float
    """Of the weighted absolute error of inverse depth; 0 unless depth is metric."""
    opaque: float
    """Of the light that passes where none may (`View.opaque`); 0 where all may."""

    @staticmethod
    def of(view: View, config: FitConfig, depth_kind: str) -> "LossNormalizers":
        """The scales of a view whose depth, where it has any, is of `depth_kind`."""
        pixels = max(view.weight_sum, 1e-6)
        metric = has_depth(view) and depth_kind == "metric"
        return LossNormalizers(
            pixels,
            (1 - config.ssim_weight) / (3 * pixels),
            config.ssim_weight / (3 * pixels),
            config.depth_weight * view.median_depth / max(view.depth_weight_sum, 1e-6) if metric else 0.0,
            0.0 if view.opaque is None else config.hidden_weight / view.opaque.numel(),
        )


def has_depth(view: View) -> bool:
    """Whether the loss looks at a view's depth."""
    return view.depth is not None and view.depth_weight is not None
