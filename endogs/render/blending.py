"""How much each Gaussian adds to an image."""

import torch
from torch import Tensor

from endogs import native
from endogs.camera import Camera
from endogs.gaussians import CHANNELS, COLORS
from endogs.render.backends import rasterize_packed
from endogs.render.rendering import PLANES
from endogs.render.room import require_room


def blending_weights(packed: Tensor, camera: Camera, mask: Tensor | None = None) -> Tensor:
    """(N, 2) the blending weight alpha T of packed Gaussians (N, 14), summed over the pixels of a mask and over all.

    In pixels of the camera. `mask` (H, W) holds weights in [0, 1]; None is one everywhere. The weight is the derivative
    of the composited colour by the Gaussian's own, so one backward pass has them all; black Gaussians have no others.
    """
    require_room(camera)
    black = packed.detach().to(torch.float32).clone()
    black[:, COLORS] = 0
    where = torch.ones(camera.height, camera.width, device=packed.device) if mask is None else mask.to(black)
    if packed.device.type == "cpu" and native.available():
        return _fused(black, camera, where)
    with torch.enable_grad():
        colors = torch.zeros(len(black), 3, device=black.device, requires_grad=True)
        color = rasterize_packed(torch.cat([black[:, : COLORS.start], colors], 1), camera).color
        ((color[..., 0] * where).sum() + color[..., 1].sum()).backward()
    assert colors.grad is not None
    return colors.grad[:, :2].clone()


def _fused(packed: Tensor, camera: Camera, where: Tensor) -> Tensor:
    """The two kernels themselves: the operator's first call with gradients imports a second's worth of torch."""
    kernels = native.module()
    planes = torch.empty((PLANES, camera.height, camera.width))
    grads = torch.zeros_like(planes)
    grads[0], grads[1] = where, 1.0
    splats, bins, _ = kernels.render_forward(packed, camera.world_to_camera, camera.K, camera.near, False, None, planes)
    grad = torch.empty((len(packed), CHANNELS))
    kernels.render_backward(
        packed, camera.world_to_camera, camera.K, camera.near, False, None, planes, splats, bins, grads, grad,
        None, None, None,
    )  # fmt: skip
    return grad[:, COLORS.start : COLORS.start + 2].clone()
