"""The gsplat library as a backend, for those who prefer it and as the yardstick of our own (Ye et al. 2024).

Its rule for when a pixel is finished differs: it leaves out the Gaussian that would let less than 1e-4 through.
"""

import torch
from torch import Tensor

from endogs.camera import Camera
from endogs.gaussians import COLORS, LOG_SCALES, MEANS, OPACITY, QUATS
from endogs.render.inputs import check_inputs
from endogs.render.normals import gaussian_normals, unit_normals
from endogs.render.rendering import DRAWN, Rendering


def rasterize_gsplat(
    packed: Tensor,
    camera: Camera,
    *,
    features: Tensor | None = None,
    background: Tensor | None = None,
    antialiased: bool = False,
    normals: bool = False,
    screen_gradients: Tensor | None = None,
) -> Rendering:
    """Renders packed Gaussians (N, 14) on an NVIDIA GPU with gsplat's kernels; arguments and results as everywhere.

    Raises ValueError for `screen_gradients`, which gsplat keeps to itself, and for what `check_inputs` refuses.
    """
    from gsplat import rasterization

    if screen_gradients is not None:
        raise ValueError("the gsplat backend gives no screen gradients; use the native one for density control")
    dtype, packed = packed.dtype, packed.to(torch.float32)
    camera = camera.to(packed.device, torch.float32)
    features = None if features is None else features.to(packed)
    background = None if background is None else background.to(packed)
    check_inputs(packed, camera, features, background)
    extra = [gaussian_normals(packed, camera.world_to_camera)] if normals else []
    extra += [] if features is None else [features]
    planes, alphas, _ = rasterization(
        packed[:, MEANS],
        packed[:, QUATS],
        packed[:, LOG_SCALES].exp(),
        packed[:, OPACITY].sigmoid(),
        torch.cat([packed[:, COLORS], *extra], 1),
        camera.world_to_camera[None],
        camera.K[None],
        camera.width,
        camera.height,
        near_plane=camera.near,
        render_mode="RGB+D",
        rasterize_mode="antialiased" if antialiased else "classic",
        packed=False,
    )
    image, alpha = planes[0].to(dtype), alphas[0, ..., 0].to(dtype)
    color, rest, accumulated = image[..., :3], image[..., 3:-1], image[..., -1]
    if background is not None:
        color = color + (1 - alpha)[..., None] * background
    drawn = alpha >= DRAWN
    depth = torch.where(drawn, accumulated / torch.where(drawn, alpha, torch.ones_like(alpha)), 0.0)
    normal = unit_normals(rest[..., :3]) if normals else None
    return Rendering(color, depth, alpha, normal, None if features is None else rest[..., 3 if normals else 0 :])
