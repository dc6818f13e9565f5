"""What a rendering should match: colours on tissue, depth by its kind, and smoothness where nothing is seen."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from endogs.fit.config import FitConfig
from endogs.render import Rendering

SSIM_C1, SSIM_C2 = 0.01**2, 0.03**2


@dataclass(frozen=True)
class DepthAnchor:
    """Where a relative depth prior put the scene; held so that a scale-free depth loss cannot let it drift."""

    log_mean: float
    """Mean of log z-depth."""
    log_std: float
    """Standard deviation of log z-depth."""


def photometric_loss(
    rendering: Rendering,
    target: Tensor,
    color_weight: Tensor,
    config: FitConfig,
) -> tuple[Tensor, dict[str, float]]:
    """Colour loss of one view, and its terms as numbers: weighted L1, a mean over the weights, and D-SSIM.

    target (H, W, 3) uint8 sRGB; color_weight (H, W) >= 0.
    """
    truth = target.to(torch.float32) / 255
    total_weight = color_weight.sum().clamp_min(1e-6)
    l1 = ((rendering.color - truth).abs().sum(-1) * color_weight).sum() / (3 * total_weight)
    loss = l1
    terms = {"l1": float(l1.detach())}
    if config.ssim_weight > 0:
        dssim = weighted_dssim(rendering.color, truth, color_weight)
        loss = (1 - config.ssim_weight) * l1 + config.ssim_weight * dssim
        terms["dssim"] = float(dssim.detach())
    return loss, terms


def depth_loss(
    rendering: Rendering,
    target: Tensor,
    weight: Tensor,
    kind: str,
    config: FitConfig,
    anchor: DepthAnchor | None = None,
) -> Tensor:
    """Weighted depth loss of one view, over pixels that the scene covers (alpha > 0.5).

    target (H, W): z-depth for the kinds "metric" and "depth", disparity for "disparity", log z up to an affine map for
    "logdepth"; weight (H, W) >= 0.
    "metric": mean w |1/Z - 1/Z*| * median(Z*). The relative kinds: 1 - weighted Pearson correlation of log Z and the
    prior's log z ("logdepth", "depth") or of 1/Z and the disparity, plus the anchor on mean and spread of log Z.
    """
    usable = (weight > 0) & (rendering.alpha.detach() > 0.5) & (rendering.depth.detach() > 0)
    w = weight[usable]
    z, t = rendering.depth[usable], target[usable]
    if kind == "metric":
        scale = target[weight > 0].median() / weight.sum() if bool((weight > 0).any()) else 0.0
        return config.depth_weight * ((1 / z - 1 / t).abs() * w).sum() * scale
    if w.numel() < 16:
        return rendering.depth.sum() * 0
    log_z = z.log()
    if kind == "disparity":
        correlation = pearson(1 / z, t, w)
    else:
        correlation = pearson(log_z, t.log() if kind == "depth" else t, w)
    loss = config.relative_depth_weight * (1 - correlation)
    if anchor is not None and config.depth_anchor > 0:
        mean, std = weighted_moments(log_z, w)
        loss = loss + config.depth_anchor * ((mean - anchor.log_mean) ** 2 + (std - anchor.log_std) ** 2)
    return loss


def weighted_moments(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Weighted mean and standard deviation of x (P,)."""
    total = weight.sum()
    mean = (x * weight).sum() / total
    return mean, (((x - mean) ** 2 * weight).sum() / total + 1e-12).sqrt()


def pearson(x: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    """Weighted Pearson correlation of x and y (P,): 1 for any increasing affine relation, 0 when one is constant."""
    mean_x, std_x = weighted_moments(x, weight)
    mean_y, std_y = weighted_moments(y, weight)
    return ((x - mean_x) * (y - mean_y) * weight).sum() / weight.sum() / (std_x * std_y)


def weighted_dssim(image: Tensor, truth: Tensor, weight: Tensor, window: int = 11, sigma: float = 1.5) -> Tensor:
    """1 - structural similarity of image and truth, each (H, W, 3) in [0, 1], as a mean over the weights (H, W).

    Pixels without weight are black in both. Z. Wang et al., "Image quality assessment: from error visibility to
    structural similarity", 2004, with its Gaussian window; borders are zero-padded as in the 3DGS family.
    """
    mask = (weight > 0).to(image.dtype)[..., None]
    offsets = torch.arange(window, dtype=image.dtype, device=image.device) - (window - 1) / 2
    kernel = torch.exp(-(offsets**2) / (2 * sigma**2))
    kernel = kernel / kernel.sum()

    def blur(x: Tensor) -> Tensor:
        x = conv2d(x, kernel.view(1, 1, 1, -1), padding=(0, window // 2))
        return conv2d(x, kernel.view(1, 1, -1, 1), padding=(window // 2, 0))

    x = (image * mask).movedim(-1, 0)[:, None]
    y = (truth * mask).movedim(-1, 0)[:, None]
    mean_x, mean_y, xx, yy, xy = blur(torch.cat([x, y, x * x, y * y, x * y])).split(x.shape[0])
    variance_x, variance_y = xx - mean_x**2, yy - mean_y**2
    covariance = xy - mean_x * mean_y
    ssim = ((2 * mean_x * mean_y + SSIM_C1) * (2 * covariance + SSIM_C2)) / (
        (mean_x**2 + mean_y**2 + SSIM_C1) * (variance_x + variance_y + SSIM_C2)
    )
    return ((1 - ssim[:, 0].mean(0)) * weight).sum() / weight.sum().clamp_min(1e-6)


@dataclass(frozen=True)
class UnseenPairs:
    """Neighbouring pixel pairs of which at least one is never seen as tissue by any training frame."""

    first: Tensor
    """(P,) int64 indices into the flattened image."""
    second: Tensor
    """(P,) int64."""

    @staticmethod
    def of(unseen: Tensor) -> "UnseenPairs":
        """Right and down neighbour pairs that touch the mask (H, W) bool."""
        height, width = unseen.shape
        index = torch.arange(height * width, device=unseen.device).view(height, width)
        right = unseen[:, 1:] | unseen[:, :-1]
        down = unseen[1:] | unseen[:-1]
        return UnseenPairs(
            torch.cat([index[:, :-1][right], index[:-1][down]]), torch.cat([index[:, 1:][right], index[1:][down]])
        )


def unseen_smoothness(rendering: Rendering, pairs: UnseenPairs) -> Tensor:
    """Mean squared difference of log depth and of colour between the pairs, where both pixels are covered.

    Squared, so that what was never seen becomes a membrane between what was: absolute differences leave one flat patch
    with a hard edge.
    """
    depth, alpha = rendering.depth.reshape(-1), rendering.alpha.detach().reshape(-1)
    covered = (alpha[pairs.first] > 0.5) & (alpha[pairs.second] > 0.5)
    first, second = pairs.first[covered], pairs.second[covered]
    if first.numel() == 0:
        return rendering.depth.sum() * 0
    color = rendering.color.reshape(-1, 3)
    return (depth[first].log() - depth[second].log()).square().mean() + (color[first] - color[second]).square().mean()
