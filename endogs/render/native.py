"""The compiled rasterizer as a torch operator, for the CPU and for NVIDIA GPUs.

`render` is a custom operator with a registered gradient and a fake implementation, so that autograd, torch.compile and
`torch.library.opcheck` know it; the compiled module itself sees only DLPack arrays. The GPU's side of it is in
`endogs.render.cuda`.
"""

from typing import Any

import torch
from torch import Tensor

from endogs import native
from endogs.camera import Camera
from endogs.gaussians import CHANNELS
from endogs.render import cuda
from endogs.render.inputs import check_inputs
from endogs.render.normals import gaussian_normals, unit_normals
from endogs.render.rendering import DRAWN, PLANES, Rendering


def _render_on_cpu(
    packed: Tensor,
    world_to_camera: Tensor,
    K: Tensor,
    features: Tensor | None,
    screen_gradients: Tensor | None,
    width: int,
    height: int,
    near: float,
    antialiased: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    extra = 0 if features is None else features.shape[1]
    image = torch.empty((PLANES + extra, height, width), dtype=torch.float32)
    rows = None if features is None else features.contiguous()
    splats, bins, entries = native.module().render_forward(
        packed.contiguous(), world_to_camera.contiguous(), K.contiguous(), near, antialiased, rows, image
    )
    return image, torch.from_dlpack(splats), torch.from_dlpack(bins), torch.tensor([entries, 1])


_render = torch.library.custom_op("endogs::render", _render_on_cpu, mutates_args=(), device_types="cpu")
_DIRECT = {"cpu": _render_on_cpu, "cuda": cuda.render}


@_render.register_fake
def _(
    packed: Tensor,
    world_to_camera: Tensor,
    K: Tensor,
    features: Tensor | None,
    screen_gradients: Tensor | None,
    width: int,
    height: int,
    near: float,
    antialiased: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    extra = 0 if features is None else features.shape[1]
    context = torch.library.get_ctx()
    splats, bins = (torch.empty(context.new_dynamic_size(), dtype=torch.uint8, device=packed.device) for _ in range(2))
    return packed.new_empty((PLANES + extra, height, width)), splats, bins, torch.empty(2, dtype=torch.int64)


@torch.library.custom_op("endogs::render_backward", mutates_args=("screen_gradients",), device_types="cpu")
def _render_backward(
    image_grad: Tensor,
    packed: Tensor,
    world_to_camera: Tensor,
    K: Tensor,
    features: Tensor | None,
    image: Tensor,
    splats: Tensor,
    bins: Tensor,
    entries: Tensor,
    screen_gradients: Tensor | None,
    near: float,
    antialiased: bool,
    with_pose: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    packed_grad = torch.empty_like(packed, memory_format=torch.contiguous_format)
    pose_grad = torch.zeros((4, 4), dtype=torch.float64)
    rows = None if features is None else features.contiguous()
    features_grad = torch.empty((0, 0)) if rows is None else torch.zeros_like(rows)
    native.module().render_backward(
        packed.contiguous(),
        world_to_camera.contiguous(),
        K.contiguous(),
        near,
        antialiased,
        rows,
        image,
        splats,
        bins,
        image_grad.contiguous(),
        packed_grad,
        pose_grad if with_pose else None,
        None if rows is None else features_grad,
        screen_gradients,
    )
    return packed_grad, pose_grad.to(world_to_camera.dtype), features_grad


@_render_backward.register_fake
def _(
    image_grad: Tensor,
    packed: Tensor,
    world_to_camera: Tensor,
    K: Tensor,
    features: Tensor | None,
    image: Tensor,
    splats: Tensor,
    bins: Tensor,
    entries: Tensor,
    screen_gradients: Tensor | None,
    near: float,
    antialiased: bool,
    with_pose: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    features_grad = packed.new_empty((0, 0)) if features is None else torch.empty_like(features)
    return torch.empty_like(packed), torch.empty_like(world_to_camera), features_grad


_render.register_kernel("cuda")(cuda.render)
_render_backward.register_kernel("cuda")(cuda.render_backward)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    packed, world_to_camera, K, features, screen_gradients, _, _, near, antialiased = inputs
    image, splats, bins, entries = output
    ctx.save_for_backward(packed, world_to_camera, K, features, image, splats, bins, entries)
    ctx.screen_gradients = screen_gradients  # written by the backward pass, so not saved as an input of it
    ctx.near, ctx.antialiased = near, antialiased
    ctx.mark_non_differentiable(splats, bins, entries)
    ctx.set_materialize_grads(False)


def _backward(ctx: Any, image_grad: Tensor | None, *_: Any) -> tuple[Tensor | None, ...]:
    packed, world_to_camera, K, features, image, splats, bins, entries = ctx.saved_tensors
    if image_grad is None:
        return (None,) * 9
    packed_grad, pose_grad, features_grad = _render_backward(
        image_grad,
        packed,
        world_to_camera,
        K,
        features,
        image,
        splats,
        bins,
        entries,
        ctx.screen_gradients,
        ctx.near,
        ctx.antialiased,
        ctx.needs_input_grad[1],
    )
    return (
        packed_grad,
        pose_grad if ctx.needs_input_grad[1] else None,
        None,
        None if features is None else features_grad,
        None,
        None,
        None,
        None,
        None,
    )


_render.register_autograd(_backward, setup_context=_setup_context)


def render_planes(
    packed: Tensor,
    camera: Camera,
    *,
    features: Tensor | None = None,
    antialiased: bool = False,
    screen_gradients: Tensor | None = None,
) -> Tensor:
    """Planes (5 + C, H, W) float32: colour over black, accumulated z, alpha, and C features; the kernel's own layout.

    packed (N, 14) and features (N, C) float32 on the CPU or on an NVIDIA GPU; the camera may stay on the CPU. The
    backward pass overwrites `screen_gradients` (N,) float32. Gradients reach packed, features and the camera's pose,
    not K. Raises ValueError naming the attribute when an input has a wrong shape or is not finite.
    """
    if packed.ndim != 2 or packed.shape[1] != CHANNELS or features is not None:
        check_inputs(packed, camera, features)
    inputs = (packed, camera.world_to_camera, features)
    tracked = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in inputs)
    # The operator's first call imports a good part of torch, which takes seconds; only autograd and tracing need it.
    traced = type(packed) is not Tensor or torch.compiler.is_compiling()
    render = _render if tracked or traced else _DIRECT[packed.device.type]
    try:
        return render(
            packed,
            camera.world_to_camera,
            camera.K,
            features,
            screen_gradients,
            camera.width,
            camera.height,
            camera.near,
            antialiased,
        )[0]
    except (ValueError, RuntimeError):
        check_inputs(packed, camera, features)  # finds the attribute; only looked for when something is wrong
        raise


def rasterize_native(
    packed: Tensor,
    camera: Camera,
    *,
    features: Tensor | None = None,
    background: Tensor | None = None,
    antialiased: bool = False,
    normals: bool = False,
    screen_gradients: Tensor | None = None,
) -> Rendering:
    """Renders packed Gaussians (N, 14) with the compiled kernels, in float32, where the Gaussians are.

    Arguments, results and errors are those of `rasterize_reference`, except that `screen_gradients` sums the absolute
    values of colour, depth and alpha together but those of every four further channels apart. A block of 4 x 4 pixels
    (8 x 4 on a GPU, fewer where vectors are narrower) is finished when all of them let through less than 1e-4.
    On a GPU, gradients add up in no fixed order, unless torch.use_deterministic_algorithms(True) asks for one.
    """
    camera = camera.to("cpu", torch.float32)  # a few numbers, which the kernels take from the host
    check_inputs(packed[:0] if packed.ndim == 2 else packed, camera, None, background)  # the kernel looks at the rest
    dtype, device = packed.dtype, packed.device
    packed = packed.to(torch.float32)
    extra = None if features is None else features.to(device, torch.float32)
    if normals:
        turned = gaussian_normals(packed, camera.world_to_camera.to(device))
        extra = turned if extra is None else torch.cat([turned, extra], 1)
    planes = render_planes(
        packed, camera, features=extra, antialiased=antialiased, screen_gradients=screen_gradients
    ).to(dtype)
    color, alpha = planes[:3].permute(1, 2, 0), planes[4]
    if background is not None:
        color = color + (1 - alpha)[..., None] * background.to(planes)
    drawn = alpha >= DRAWN
    depth = torch.where(drawn, planes[3] / torch.where(drawn, alpha, torch.ones_like(alpha)), torch.zeros_like(alpha))
    rest = planes[PLANES:].permute(1, 2, 0)
    normal = unit_normals(rest[..., :3]) if normals else None
    return Rendering(color, depth, alpha, normal, None if features is None else rest[..., 3 if normals else 0 :])
