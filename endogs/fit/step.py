"""One render-compare-differentiate step: fused in the compiled kernels where they are, through autograd elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
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
from endogs.fit.normal_loss import normal_loss
from endogs.fit.scales import LossScales, has_depth
from endogs.fit.views import View
from endogs.priors.depth import DepthPrediction, to_depth
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
    auxiliary: Tensor | None = None
    """(N, 14) gradient of all but the colour loss, where it is kept apart and there is any; `grad` is then colour's."""
    screen_gradients: Tensor | None = None
    """(N,) L2 norm of the sum over pixels of |dL/dmean2d|, loss per pixel, where it was asked for; with the auxiliary
    gradient apart, the colour loss's alone."""

    @property
    def color(self) -> Tensor:
        """(H, W, 3) sRGB."""
        return self.planes[:3].permute(1, 2, 0)

    @property
    def depth(self) -> Tensor:
        """(H, W) z-depth, 0 where nothing was drawn."""
        return self.planes[3] / self.planes[4].clamp_min(1e-6)


@contextmanager
def fixed_order(wanted: bool) -> Iterator[None]:
    """Inside, where `wanted`, sums on a GPU are taken in an order that repeats."""
    before = torch.are_deterministic_algorithms_enabled()
    only_warn = torch.is_deterministic_algorithms_warn_only_enabled()
    if wanted:
        torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        if wanted:
            torch.use_deterministic_algorithms(before, warn_only=only_warn)


@dataclass
class Objective:
    """What does not change between steps, and image buffers that do: fresh pages would cost a fifth of a step."""

    config: FitConfig
    depth_kind: str
    anchor: DepthAnchor | None
    unseen: UnseenPairs | None
    watch_screen: bool = False
    """Whether the results hold screen gradients."""
    _buffers: tuple[Tensor, Tensor] | None = field(default=None, init=False, repr=False)

    @property
    def apart(self) -> bool:
        """Whether the auxiliary gradient is kept apart, which takes a second backward pass."""
        return self.config.balance == "bloop"

    def evaluate(self, packed: Tensor, view: View, smoothness: float = 1.0) -> StepResult:
        """Loss and gradient of packed Gaussians (N, 14) on one view. Raises ValueError when they are not finite.

        `smoothness` multiplies the weight of the never-seen pixels; 0 leaves them out, which saves a fifth of a step.
        """
        if packed.device.type == "cpu" and native.available():
            return self._fused(packed.detach(), view, smoothness)
        return self._autograd(packed.detach().requires_grad_(), view, smoothness)

    def _autograd(self, packed: Tensor, view: View, smoothness: float = 1.0) -> StepResult:
        config, normals = self.config, self._normals_now(view, smoothness)
        factor, smoothness = smoothness, self._unseen_weight(smoothness)
        screen = packed.new_empty(len(packed)) if self.watch_screen else None
        rendering = rasterize_packed(packed, view.camera, screen_gradients=screen)
        weight = view.weight.to(torch.float32) / 255
        loss, terms = photometric_loss(rendering, view.image, weight, config)
        extra: list[Tensor] = []
        if view.depth is not None and view.depth_weight is not None:
            trust = view.depth_weight.to(torch.float32) / 255
            extra.append(depth_loss(rendering, view.depth.float(), trust, self.depth_kind, config, self.anchor))
            terms["depth"] = float(extra[-1].detach())
        if self.unseen is not None and smoothness > 0:
            extra.append(smoothness * unseen_smoothness(rendering, self.unseen))
        if normals:
            extra.append(config.normal_weight * factor * self._normal_term(rendering, view, terms))
        if config.tv_weight > 0:
            extra.append(config.tv_weight * total_variation(rendering))
        if view.hidden is not None and config.hidden_weight > 0:
            gap = ((1 - rendering.alpha) * view.hidden).sum() / view.hidden.numel()
            terms["hidden"] = float(gap.detach())
            extra.append(config.hidden_weight * gap)
        auxiliary = None
        if self.apart:
            (grad,) = torch.autograd.grad(loss, packed, retain_graph=bool(extra))
            screen = None if screen is None else screen.clone()  # the second pass overwrites it
            if extra:
                (auxiliary,) = torch.autograd.grad(torch.stack(extra).sum(), packed)
            loss = torch.stack([loss, *extra]).sum()
        else:
            loss = torch.stack([loss, *extra]).sum()
            (grad,) = torch.autograd.grad(loss, packed)
        color, alpha = rendering.color.detach(), rendering.alpha.detach()
        squared = ((color - view.image / 255).square().mean(-1) * weight).sum() / weight.sum().clamp_min(1e-6)
        planes = torch.cat([color.permute(2, 0, 1), (rendering.depth.detach() * alpha)[None], alpha[None]])
        return StepResult(float(loss.detach()), terms, grad, float(squared), planes, auxiliary, screen)

    def _fused(self, packed: Tensor, view: View, smoothness: float = 1.0) -> StepResult:
        """Image, loss, image gradient and Gaussian gradient in four calls, with no graph in between."""
        normals = self.config.normal_weight * smoothness if self._normals_now(view, smoothness) else 0.0
        smoothness = self._unseen_weight(smoothness)
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
        colour_grad = None
        if self.apart:
            # Colour's gradient is in the first three planes and that of metric depth in the others.
            colour_grad = torch.zeros_like(planes_grad)
            colour_grad[:3] = planes_grad[:3]
            planes_grad[:3] = 0
        relative = view.depth is not None and not metric
        if relative or smoothness > 0 or normals > 0 or config.tv_weight > 0:
            loss += self._auxiliary(planes, planes_grad, view, relative, smoothness, normals, terms)
        if view.hidden is not None and config.hidden_weight > 0:
            hidden = view.hidden.to(torch.float32)
            through = view.hidden_pixels - float(torch.dot(planes[4].reshape(-1), hidden.reshape(-1)))
            terms["hidden"] = through / hidden.numel()
            loss += scales.hidden * through
            planes_grad[4].add_(hidden, alpha=-scales.hidden)
        screen = packed.new_empty(len(packed)) if self.watch_screen else None

        def backward(image_grad: Tensor, screen: Tensor | None) -> Tensor:
            grad = torch.empty_like(packed)
            kernels.render_backward(
                packed, camera.world_to_camera, camera.K, camera.near, False, None, planes, splats, bins, image_grad,
                grad, None, None, screen,
            )  # fmt: skip
            return grad

        mean_squared = squared / (3 * scales.pixels)
        if colour_grad is None:
            return StepResult(loss, terms, backward(planes_grad, screen), mean_squared, planes, None, screen)
        grad = backward(colour_grad, screen)
        auxiliary = backward(planes_grad, None) if bool(planes_grad.any()) else None
        return StepResult(loss, terms, grad, mean_squared, planes, auxiliary, screen)

    def _unseen_weight(self, smoothness: float) -> float:
        return smoothness * self.config.unseen_weight if self.unseen is not None else 0.0

    def _normals_now(self, view: View, smoothness: float) -> bool:
        """Normals take as long as smoothness, and come with it: every few steps, with as many times the weight."""
        return self.config.normal_weight > 0 and smoothness > 0 and has_depth(view)

    def _normal_term(self, rendering: Rendering, view: View, terms: dict[str, float]) -> Tensor:
        assert view.depth is not None
        assert view.depth_weight is not None
        weight = view.depth_weight.to(torch.float32) / 255
        term = normal_loss(rendering, self._prior_depth(view), weight, view.camera.K)
        terms["normals"] = float(term.detach())
        return term

    def _prior_depth(self, view: View) -> Tensor:
        """The prior's z-depth (H, W), up to a scale unless it is metric."""
        assert view.depth is not None
        assert view.depth_weight is not None
        if self.depth_kind in ("metric", "depth"):
            return view.depth.float()
        if self.depth_kind == "logdepth":
            return view.depth.float().exp()
        value = view.depth.float().cpu().numpy()
        trust = np.asarray(view.depth_weight.cpu().numpy() / 255, np.float32)
        return torch.from_numpy(to_depth(DepthPrediction(value, "disparity", trust))).to(view.depth.device)

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
        normals: float,
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
        if normals > 0:
            loss = loss + normals * self._normal_term(rendering, view, terms)
        if self.config.tv_weight > 0:
            loss = loss + self.config.tv_weight * total_variation(rendering)
        loss.backward()
        assert leaf.grad is not None
        planes_grad += leaf.grad
        return float(loss.detach())
