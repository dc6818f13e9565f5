"""The render operator on an NVIDIA GPU: what `endogs.render.native` registers for CUDA tensors.

Memory belongs to torch; the compiled module gets pointers and the current stream. Between projection and rasterization
the host waits once, to learn how many (Gaussian, tile) entries there are; training (`endogs.fit.cuda_steps`) does not.
"""

import torch
from torch import Tensor

from endogs import native
from endogs.render.rendering import PLANES

GROUP = 4
"""Extra channels that are rasterized together."""
SUMS = 12
"""Numbers per Gaussian that the backward pass adds up over pixels."""
ROWS = 128
"""Gaussians per part of the pose gradient."""


def _stream(tensor: Tensor) -> int:
    return int(torch.cuda.current_stream(tensor.device).cuda_stream)


def _bytes(count: int, like: Tensor) -> Tensor:
    return torch.empty(count, dtype=torch.uint8, device=like.device)


def _groups(features: Tensor | None) -> Tensor | None:
    """Features (N, C) as groups of four channels (G, N, 4), padded with zeros."""
    if features is None or features.shape[1] == 0:
        return None
    count, channels = features.shape
    groups = -(-channels // GROUP)
    padded = torch.nn.functional.pad(features, (0, groups * GROUP - channels))
    return padded.view(count, groups, GROUP).permute(1, 0, 2).contiguous()


def _with_whole_groups(image: Tensor, groups: Tensor | None) -> Tensor:
    """The image (5 + C, H, W) with its channels padded to whole groups (5 + 4 G, H, W)."""
    missing = 0 if groups is None else PLANES + GROUP * groups.shape[0] - image.shape[0]
    return image if missing == 0 else torch.cat([image, image.new_zeros((missing, *image.shape[1:]))])


def render(
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
    """Image (5 + C, H, W), and what the backward pass needs: two blocks of memory, and on the CPU (2,) the number of
    entries and whether sums are taken in a fixed order.
    """
    kernels = native.module().cuda
    deterministic = torch.are_deterministic_algorithms_enabled()
    with torch.cuda.device(packed.device):
        packed, stream = packed.contiguous(), _stream(packed)
        count = packed.shape[0]
        state = _bytes(kernels.state_bytes(count, width, height), packed)
        entries = kernels.project(
            packed,
            world_to_camera.cpu().contiguous(),
            K.cpu().contiguous(),
            width,
            height,
            near,
            antialiased,
            state,
            stream,
        )
        bins = _bytes(kernels.bins_bytes(entries, count, deterministic), packed)
        groups = _groups(features)
        planes = PLANES if groups is None else PLANES + GROUP * groups.shape[0]
        image = packed.new_empty((planes, height, width))
        kernels.rasterize(state, bins, count, entries, groups, image, deterministic, stream)
        channels = 0 if features is None else features.shape[1]
        return image[: PLANES + channels].contiguous(), state, bins, torch.tensor([entries, int(deterministic)])


def render_backward(
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
    """Gradients by the packed Gaussians (N, 14), the pose (4, 4) and the features (N, C).

    The camera is the one that the forward pass left in `splats`.
    """
    kernels = native.module().cuda
    count, height, width = packed.shape[0], image.shape[1], image.shape[2]
    entry_count, deterministic = int(entries[0]), bool(entries[1])
    absolute = screen_gradients is not None
    with torch.cuda.device(packed.device):
        packed, stream = packed.contiguous(), _stream(packed)
        groups = _groups(features)
        image, image_grad = (_with_whole_groups(t, groups).contiguous() for t in (image, image_grad))

        def sums_of(group: int) -> Tensor:
            sums = packed.new_zeros((count, SUMS))
            kernels.rasterize_backward(
                splats,
                bins,
                count,
                entry_count,
                groups,
                group,
                image,
                image_grad,
                sums,
                absolute,
                deterministic,
                stream,
            )
            return sums

        sums = sums_of(-1)
        features_grad = packed.new_empty((0, 0))
        if features is not None:
            parts = []
            for group in range(0 if groups is None else groups.shape[0]):
                more = sums_of(group)
                parts.append(more[:, 6:10].clone())
                more[:, 6:10] = 0
                sums += more
            features_grad = torch.cat([*parts, packed.new_empty((count, 0))], 1)[:, : features.shape[1]].contiguous()
        packed_grad = torch.empty_like(packed)
        pose_parts = packed.new_zeros((-(-count // ROWS), 12), dtype=torch.float64) if with_pose else None
        kernels.project_backward(splats, packed, sums, packed_grad, pose_parts, screen_gradients, width, height, stream)
        pose_grad = torch.zeros_like(world_to_camera)
        if pose_parts is not None:
            pose_grad[:3] = pose_parts.sum(0).view(3, 4)
        return packed_grad, pose_grad, features_grad
