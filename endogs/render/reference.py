"""The rasterizer in plain torch: any dtype, any device, differentiated by autograd; slow and obviously right.

It is the truth that the other backends are tested against, and what serves where no compiler was found. A pixel's
colour is sum_i c_i alpha_i T_i + T_end background over the Gaussians sorted stably by (z, index), with
alpha_i = min(0.999, o_i exp(-0.5 d^T conic d)), 0 below 1/255, and T_i = prod_{j<i} (1 - alpha_j); nothing stops early.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from endogs.camera import Camera
from endogs.gaussians import COLORS
from endogs.render.inputs import check_inputs
from endogs.render.normals import gaussian_normals, unit_normals
from endogs.render.projection import ALPHA_MAX, ALPHA_MIN, Projection, project
from endogs.render.rendering import DRAWN, Rendering

_TILE = 16
_SMALL = 2**18
"""Up to this many (pixel, Gaussian) pairs the image is one tile, and no tile's forward pass is recomputed."""


def rasterize_reference(
    packed: Tensor,
    camera: Camera,
    *,
    features: Tensor | None = None,
    background: Tensor | None = None,
    antialiased: bool = False,
    normals: bool = False,
    screen_gradients: Tensor | None = None,
) -> Rendering:
    """Renders packed Gaussians (N, 14), in their own dtype and on their own device.

    features (N, C) are composited over zero; background (3,) defaults to black. `screen_gradients` (N,) is overwritten
    by the backward pass: per Gaussian the L2 norm over x and y of the sum over pixels of |dL/dmean2d|, in units of loss
    per pixel (the "absgrad" of AbsGS); a second backward pass through the same rendering adds to the first.

    Raises ValueError naming the attribute when an input has a wrong shape or is not finite.
    """
    check_inputs(packed, camera, features, background)
    camera = camera.to(packed.device, packed.dtype)
    order, projection = drawable(packed, camera, antialiased)
    # Alpha is summed like a channel: 1 - T_end would lose the digits that dividing a depth by a small alpha needs.
    values = [packed[:, COLORS][order], projection.depths[:, None], torch.ones_like(projection.depths)[:, None]]
    if normals:
        values.append(gaussian_normals(packed, camera.world_to_camera)[order])
    if features is not None:
        values.append(features.to(packed)[order])
    channels = torch.cat(values, 1)
    record = None if screen_gradients is None else _screen_gradient_recorder(screen_gradients, order)

    def composite(box: "Box", inside: Tensor) -> Tensor:
        """The tile's channels and its transmittance (pixels, C + 1)."""
        offsets = box.centres(packed)[:, None] - projection.means2d[inside]  # (pixels, Gaussians, 2)
        if record is not None and offsets.requires_grad:
            offsets.register_hook(record(inside))
        alpha = alpha_at(offsets, projection.conics[inside], projection.opacities[inside])
        through = torch.cumprod(1 - alpha, 1)
        before = torch.cat([torch.ones_like(through[:, :1]), through[:, :-1]], 1)
        return torch.cat([(alpha * before) @ channels[inside], through[:, -1:]], 1)

    accumulated = over_tiles(camera, projection, composite, empty=[0.0] * channels.shape[1] + [1.0], like=packed)
    accumulated = accumulated + channels[:0].sum()  # an empty image stays differentiable, with zero gradients
    color, depth, alpha = accumulated[..., :3], accumulated[..., 3], accumulated[..., 4]
    rest, transmittance = accumulated[..., 5:-1], accumulated[..., -1]
    if background is not None:
        color = color + transmittance[..., None] * background.to(packed)
    drawn = alpha >= DRAWN
    depth = torch.where(drawn, depth / torch.where(drawn, alpha, torch.ones_like(alpha)), torch.zeros_like(depth))
    normal = unit_normals(rest[..., :3]) if normals else None
    return Rendering(color, depth, alpha, normal, None if features is None else rest[..., 3 if normals else 0 :])


def drawable(packed: Tensor, camera: Camera, antialiased: bool) -> tuple[Tensor, Projection]:
    """Indices of the drawable Gaussians, nearest first, and their projection in that order.

    Projected twice: Gaussians at or behind the camera divide by zero, and must not reach the graph at all, because a
    zero gradient times an infinite slope is a NaN.
    """
    view = (camera.world_to_camera, camera.K, camera.width, camera.height, camera.near, antialiased)
    with torch.no_grad():
        everything = project(packed, *view)
        index = everything.visible.nonzero()[:, 0]
        order = index[torch.sort(everything.depths[index], stable=True).indices]
    return order, project(packed[order], *view)


def exponent_at(offsets: Tensor, conics: Tensor) -> Tensor:
    """0.5 d^T conic d for offsets (pixels, N, 2) and conics (N, 3): (pixels, N)."""
    dx, dy = offsets.unbind(-1)
    return 0.5 * (conics[:, 0] * dx * dx + conics[:, 2] * dy * dy) + conics[:, 1] * dx * dy


def alpha_at(offsets: Tensor, conics: Tensor, opacities: Tensor) -> Tensor:
    """Alpha (pixels, N) with both thresholds applied."""
    alpha = opacities * torch.exp(-exponent_at(offsets, conics))
    return torch.where(alpha >= ALPHA_MIN, alpha.clamp(max=ALPHA_MAX), torch.zeros_like(alpha))


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels."""

    left: int
    top: int
    right: int
    bottom: int

    def centres(self, like: Tensor) -> Tensor:
        """Pixel centres (pixels, 2), row by row."""
        x = torch.arange(self.left, self.right, dtype=like.dtype, device=like.device) + 0.5
        y = torch.arange(self.top, self.bottom, dtype=like.dtype, device=like.device) + 0.5
        return torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).reshape(-1, 2)

    def touched(self, projection: Projection) -> Tensor:
        """Indices of the Gaussians that may reach a pixel centre, widened by 0.1 % against rounding: lossless."""
        mean, extent = projection.means2d.detach(), 1.001 * projection.extents + 1e-3
        low, high = mean - extent, mean + extent
        inside = (high[:, 0] >= self.left + 0.5) & (low[:, 0] <= self.right - 0.5)
        inside &= (high[:, 1] >= self.top + 0.5) & (low[:, 1] <= self.bottom - 0.5)
        return inside.nonzero()[:, 0]


def _tile_rows(camera: Camera, tile: int) -> Iterator[list[Box]]:
    """The image's tiles, one list per row of tiles."""
    for top in range(0, camera.height, tile):
        bottom = min(top + tile, camera.height)
        yield [Box(left, top, min(left + tile, camera.width), bottom) for left in range(0, camera.width, tile)]


def over_tiles(
    camera: Camera,
    projection: Projection,
    compute: Callable[[Box, Tensor], Tensor],
    empty: list[float],
    like: Tensor,
) -> Tensor:
    """The image (H, W, C) of a per-tile computation (pixels, C); pixels no Gaussian reaches are `empty` (C,)."""
    small = camera.width * camera.height * len(projection.depths) <= _SMALL
    nothing = torch.tensor(empty, dtype=like.dtype, device=like.device)
    rows = []
    for boxes in _tile_rows(camera, max(camera.width, camera.height) if small else _TILE):
        row = []
        for box in boxes:
            width, height = box.right - box.left, box.bottom - box.top
            inside = box.touched(projection)
            if len(inside) == 0:
                row.append(nothing.expand(height, width, -1))
                continue
            # Recomputing a tile in the backward pass keeps memory at one tile's pairs instead of the image's.
            if small or not torch.is_grad_enabled():
                pixels = compute(box, inside)
            else:
                pixels = checkpoint(compute, box, inside, use_reentrant=False, preserve_rng_state=False)
            row.append(pixels.reshape(height, width, -1))
        rows.append(torch.cat(row, 1))
    return torch.cat(rows, 0)


def _screen_gradient_recorder(target: Tensor, order: Tensor) -> Callable[[Tensor], Callable[[Tensor], None]]:
    """Hooks for the offsets' gradients that keep `target` (N,) equal to the norm of their summed magnitudes."""
    magnitudes = torch.zeros(len(target), 2, dtype=target.dtype, device=target.device)
    target.zero_()

    def record(inside: Tensor) -> Callable[[Tensor], None]:
        def hook(gradient: Tensor) -> None:
            magnitudes.index_add_(0, order[inside], gradient.detach().abs().sum(0).to(target.dtype))
            target.copy_(magnitudes.norm(dim=1))

        return hook

    return record
