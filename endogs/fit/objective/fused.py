"""Image, loss, image gradient and Gaussian gradient in four compiled calls, with no graph in between.

Colour, metric depth and the light behind instruments are differentiated by the kernels, the other terms through
autograd on the image alone. `Objective.by_autograd` is the same loss for any device; tests compare the two.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from endogs import native
from endogs.fit.config import FitConfig
from endogs.fit.objective.normalizers import LossNormalizers, has_depth
from endogs.fit.objective.result import StepResult
from endogs.fit.objective.term import Term, Told
from endogs.fit.view import View
from endogs.render import Rendering
from endogs.render.rendering import PLANES


@dataclass
class FusedLoss:
    """What does not change between steps, and image buffers that do: fresh pages would cost a fifth of a step."""

    terms: list[Term]
    config: FitConfig
    depth_kind: str
    apart: bool
    _buffers: tuple[Tensor, Tensor] | None = field(default=None, init=False, repr=False)

    def evaluate(self, packed: Tensor, view: View, step: int) -> StepResult:
        """Loss and gradient of packed Gaussians (N, 14) on the CPU. Raises ValueError when they are not finite."""
        camera, config, kernels = view.camera, self.config, native.module()
        planes, planes_grad = self._planes(camera.height, camera.width)
        splats, bins, _ = kernels.render_forward(
            packed, camera.world_to_camera, camera.K, camera.near, False, None, planes
        )
        scales = LossNormalizers.of(view, config, self.depth_kind)
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
        told = {"l1": absolute / (3 * scales.pixels)}
        loss = absolute * scales.color
        if config.ssim_weight > 0:
            told["dssim"] = dissimilarity / (3 * scales.pixels)
            loss += dissimilarity * scales.ssim
        if metric:
            told["depth"] = inverse_depth * scales.depth
            loss += told["depth"]
        color_grad = None
        if self.apart:
            # Colour's gradient is in the first three planes and that of metric depth in the others.
            color_grad = torch.zeros_like(planes_grad)
            color_grad[:3] = planes_grad[:3]
            planes_grad[:3] = 0
        loss += self._through_the_image(planes, planes_grad, view, step, told)
        closed = view.opaque if config.hidden_weight > 0 else None
        if closed is not None:
            opaque = closed.to(torch.float32)
            through = view.opaque_pixels - float(torch.dot(planes[4].reshape(-1), opaque.reshape(-1)))
            told["hidden"] = through / opaque.numel()
            loss += scales.opaque * through
            planes_grad[4].add_(opaque, alpha=-scales.opaque)

        def backward(image_grad: Tensor) -> Tensor:
            grad = torch.empty_like(packed)
            kernels.render_backward(
                packed, camera.world_to_camera, camera.K, camera.near, False, None, planes, splats, bins, image_grad,
                grad, None, None, None,
            )  # fmt: skip
            return grad

        mean_squared = squared / (3 * scales.pixels)
        if color_grad is None:
            return StepResult(loss, told, backward(planes_grad), mean_squared, planes)
        auxiliary = backward(planes_grad) if bool(planes_grad.any()) else None
        return StepResult(loss, told, backward(color_grad), mean_squared, planes, auxiliary)

    def _planes(self, height: int, width: int) -> tuple[Tensor, Tensor]:
        """An image (5, height, width) and its gradient, reused from step to step."""
        if self._buffers is None or self._buffers[0].shape[1:] != (height, width):
            self._buffers = torch.empty((PLANES, height, width)), torch.empty((PLANES, height, width))
        return self._buffers

    def _through_the_image(self, planes: Tensor, planes_grad: Tensor, view: View, step: int, told: Told) -> float:
        """The terms that the kernels do not know; adds to the image's gradient in place."""
        due = [(term.weight(view, step), term) for term in self.terms if not term.kernels_do(view)]
        due = [(weight, term) for weight, term in due if weight]
        if not due:
            return 0.0
        leaf = planes.detach().requires_grad_()
        alpha = leaf[4]
        depth = torch.where(alpha > 1e-6, leaf[3] / alpha.clamp_min(1e-6), torch.zeros_like(alpha))
        rendering = Rendering(leaf[:3].permute(1, 2, 0), depth, alpha)
        loss = leaf.new_zeros(())
        for weight, term in due:
            loss = loss + weight * term.value(rendering, view, told)
        loss.backward()
        assert leaf.grad is not None
        planes_grad += leaf.grad
        return float(loss.detach())
