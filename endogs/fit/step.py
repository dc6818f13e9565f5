"""One render-compare-differentiate step: fused in the compiled kernels where they are, through autograd elsewhere."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from endogs import native
from endogs.fit.config import FitConfig
from endogs.fit.losses import (
    DepthAnchor,
    UnseenPairs,
    depth_loss,
    photometric_loss,
    total_variation,
    unseen_smoothness,
)
from endogs.fit.scales import LossScales, has_depth
from endogs.fit.views import View
from endogs.render import Rendering, rasterize_packed
from endogs.render.rendering import PLANES


@dataclass(frozen=True)
class StepResult:
    """What one view says about the Gaussians."""

    loss: float
    terms: dict[str, float]
    grad: Tensor
    """(N, 14) gradient of the loss by the packed Gaussians."""
    squared_error: float
    """Weighted mean over pixels and channels, for the running PSNR."""
    planes: Tensor
    """(5, H, W) what was rendered, without a graph: colour, accumulated z, alpha. Good until the next evaluation."""

    @property
    def color(self) -> Tensor:
        """(H, W, 3) sRGB."""
        return self.planes[:3].permute(1, 2, 0)

    @property
    def depth(self) -> Tensor:
        """(H, W) z-depth, 0 where nothing was drawn."""
        return self.planes[3] / self.planes[4].clamp_min(1e-6)


@dataclass
class Objective:
    """What does not change between steps, and image buffers that do: fresh pages would cost a fifth of a step."""

    config: FitConfig
    depth_kind: str
    anchor: DepthAnchor | None
    unseen: UnseenPairs | None
    _buffers: tuple[Tensor, Tensor] | None = field(default=None, init=False, repr=False)

    def evaluate(self, packed: Tensor, view: View, smoothness: float = 1.0) -> StepResult:
        """Loss and gradient of packed Gaussians (N, 14) on one view. Raises ValueError when they are not finite.

        `smoothness` multiplies the weight of the never-seen pixels; 0 leaves them out, which saves a fifth of a step.
        """
        if packed.device.type == "cpu" and native.available():
            return self._fused(packed.detach(), view, smoothness)
        return self._autograd(packed.detach().requires_grad_(), view, smoothness)

    def _autograd(self, packed: Tensor, view: View, smoothness: float = 1.0) -> StepResult:
        smoothness *= self.config.unseen_weight if self.unseen is not None else 0
        rendering = rasterize_packed(packed, view.camera)
        weight = view.weight.to(torch.float32) / 255
        depth = None if view.depth is None else view.depth.float()
        depth_weight = None if view.depth_weight is None else view.depth_weight.to(torch.float32) / 255
        loss, terms = photometric_loss(
            rendering, view.image, weight, depth, depth_weight, self.depth_kind, self.config, self.anchor
        )
        if self.unseen is not None and smoothness > 0:
            loss = loss + smoothness * unseen_smoothness(rendering, self.unseen)
        if self.config.tv_weight > 0:
            loss = loss + self.config.tv_weight * total_variation(rendering)
        if view.hidden is not None and self.config.hidden_weight > 0:
            gap = ((1 - rendering.alpha) * view.hidden).sum() / view.hidden.numel()
            terms["hidden"] = float(gap.detach())
            loss = loss + self.config.hidden_weight * gap
        loss.backward()
        assert packed.grad is not None
        color, alpha = rendering.color.detach(), rendering.alpha.detach()
        squared = ((color - view.image / 255).square().mean(-1) * weight).sum() / weight.sum().clamp_min(1e-6)
        planes = torch.cat([color.permute(2, 0, 1), (rendering.depth.detach() * alpha)[None], alpha[None]])
        return StepResult(float(loss.detach()), terms, packed.grad, float(squared), planes)

    def _fused(self, packed: Tensor, view: View, smoothness: float = 1.0) -> StepResult:
        """Image, loss, image gradient and Gaussian gradient in four calls, with no graph in between."""
        smoothness *= self.config.unseen_weight if self.unseen is not None else 0
        camera, config, kernels = view.camera, self.config, native.module()
        planes, planes_grad = self._planes(camera.height, camera.width)
        splats, bins, _ = kernels.render_forward(
            packed, camera.world_to_camera, camera.K, camera.near, False, None, planes
        )
        scales = LossScales.of(view, config, self.depth_kind)
        metric = has_depth(view) and self.depth_kind == "metric"
        absolute, squared, dissimilarity, inverse_depth = kernels.photometric_loss(
            planes,
            view.image,
            view.weight,
            view.depth if metric else None,
            view.depth_weight if metric else None,
            scales.color,
            scales.ssim,
            scales.depth,
            planes_grad,
        )
        terms = {"l1": absolute / (3 * scales.pixels)}
        loss = absolute * scales.color
        if config.ssim_weight > 0:
            terms["dssim"] = dissimilarity / (3 * scales.pixels)
            loss += dissimilarity * scales.ssim
        if metric:
            terms["depth"] = inverse_depth * scales.depth
            loss += terms["depth"]
        relative = view.depth is not None and not metric
        if relative or smoothness > 0 or config.tv_weight > 0:
            extra = self._auxiliary(planes, planes_grad, view, relative, smoothness, terms)
            loss += extra
        if view.hidden is not None and config.hidden_weight > 0:
            hidden = view.hidden.to(torch.float32)
            through = view.hidden_pixels - float(torch.dot(planes[4].reshape(-1), hidden.reshape(-1)))
            terms["hidden"] = through / hidden.numel()
            loss += scales.hidden * through
            planes_grad[4].add_(hidden, alpha=-scales.hidden)
        grad = torch.empty_like(packed)
        kernels.render_backward(
            packed, camera.world_to_camera, camera.K, camera.near, False, None, planes, splats, bins, planes_grad, grad,
            None, None, None,
        )  # fmt: skip
        return StepResult(loss, terms, grad, squared / (3 * scales.pixels), planes)

    def _planes(self, height: int, width: int) -> tuple[Tensor, Tensor]:
        """An image (5, height, width) and its gradient, reused from step to step."""
        if self._buffers is None or self._buffers[0].shape[1:] != (height, width):
            self._buffers = torch.empty((PLANES, height, width)), torch.empty((PLANES, height, width))
        return self._buffers

    def _auxiliary(
        self,
        planes: Tensor,
        planes_grad: Tensor,
        view: View,
        relative: bool,
        smoothness: float,
        terms: dict[str, float],
    ) -> float:
        """The losses that the kernels do not know, through autograd on the image; adds to its gradient in place."""
        leaf = planes.detach().requires_grad_()
        alpha = leaf[4]
        depth = torch.where(alpha > 1e-6, leaf[3] / alpha.clamp_min(1e-6), torch.zeros_like(alpha))
        rendering = Rendering(leaf[:3].permute(1, 2, 0), depth, alpha)
        loss = leaf.new_zeros(())
        if relative:
            assert view.depth is not None
            assert view.depth_weight is not None
            weight = view.depth_weight.to(torch.float32) / 255
            term = depth_loss(rendering, view.depth.float(), weight, self.depth_kind, self.config, self.anchor)
            terms["depth"] = float(term.detach())
            loss = loss + term
        if self.unseen is not None and smoothness > 0:
            loss = loss + smoothness * unseen_smoothness(rendering, self.unseen)
        if self.config.tv_weight > 0:
            loss = loss + self.config.tv_weight * total_variation(rendering)
        loss.backward()
        assert leaf.grad is not None
        planes_grad += leaf.grad
        return float(loss.detach())
