"""A rendering and its gradients by a backend, compared with the float64 reference."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from samples.gaussian_scenes import GaussianScene
from samples.rounding_margin import rounding_margin
from torch import Tensor

from endogs.gaussians import COLORS, LOG_SCALES, MEANS, OPACITY, QUATS
from endogs.render import rasterize_packed
from endogs.render.normals import gaussian_normals
from endogs.render.projection import project
from endogs.render.reference import rasterize_reference
from endogs.render.rendering import Rendering

ATTRIBUTES = {"means": MEANS, "quats": QUATS, "log_scales": LOG_SCALES, "opacity_logits": OPACITY, "colors": COLORS}
rasterize_native = partial(rasterize_packed, backend="native")


@dataclass(frozen=True)
class Outcome:
    """A rendering and what its backward pass gave, all in float64."""

    rendering: Rendering
    gradients: dict[str, Tensor]


def run(scene: GaussianScene, rasterize: Callable[..., Rendering], upstream: dict[str, Tensor]) -> Outcome:
    """Renders the scene in its own dtype and sends the upstream gradients back."""
    packed = scene.packed.clone().requires_grad_()
    pose = scene.camera.world_to_camera.clone().requires_grad_()
    features = None if scene.features is None else scene.features.clone().requires_grad_()
    background = None if scene.background is None else scene.background.clone().requires_grad_()
    # Extra channels are rendered in passes of their own, whose screen gradients would be summed by magnitude.
    extra = scene.features is not None
    screen = None if extra else torch.full((len(packed),), 9.0, dtype=packed.dtype)
    rendering = rasterize(
        packed,
        replace(scene.camera, world_to_camera=pose),
        features=features,
        background=background,
        antialiased=scene.antialiased,
        normals=extra,
        screen_gradients=screen,
    )
    sum((getattr(rendering, name) * weight.to(packed.dtype)).sum() for name, weight in upstream.items()).backward()
    gradients = {name: packed.grad[:, columns] for name, columns in ATTRIBUTES.items()}
    gradients["world_to_camera"] = pose.grad
    if screen is not None:
        gradients["screen_gradients"] = screen
    if features is not None:
        gradients["features"] = features.grad
    if background is not None:
        gradients["background"] = background.grad
    planes = {name: getattr(rendering, name).detach().double() for name in upstream}
    return Outcome(Rendering(**planes), {name: value.double() for name, value in gradients.items()})


def upstream_gradients(scene: GaussianScene, compared: Tensor, directed: Tensor) -> dict[str, Tensor]:
    """Random gradients of a loss, zero at the pixels (H, W) that are not compared."""
    alpha = rasterize_reference(scene.packed, scene.camera, antialiased=scene.antialiased).alpha
    generator = torch.Generator().manual_seed(1)
    height, width = compared.shape

    def noise(channels: int) -> Tensor:
        return torch.randn(height, width, channels, generator=generator, dtype=torch.float64) * compared[..., None]

    upstream = {"color": noise(3), "depth": 0.3 * alpha * noise(1)[..., 0], "alpha": noise(1)[..., 0]}
    if scene.features is not None:
        upstream["normal"] = 0.3 * noise(3) * directed[..., None]
        upstream["features"] = noise(scene.features.shape[1])
    return upstream


def check(scene: GaussianScene, rasterize: Callable[..., Rendering], noise_factor: float = 8.0) -> None:
    """Asserts that a float32 rasterizer gives the reference's values and gradients."""
    margin = rounding_margin(scene.packed, scene.camera, antialiased=scene.antialiased)
    compared = margin.decisions > 2
    # A direction is well defined only where the composited normals do not cancel.
    as_features = gaussian_normals(scene.packed, scene.camera.world_to_camera)
    length = rasterize_reference(
        scene.packed, scene.camera, features=as_features, antialiased=scene.antialiased
    ).features.norm(dim=-1)
    directed = compared & (length > 0.1)
    upstream = upstream_gradients(scene, compared, directed)
    exact = run(scene, rasterize_reference, upstream)
    rounded = run(scene.to(torch.float32), rasterize_reference, upstream)
    found = run(scene.to(torch.float32), rasterize, upstream)

    alpha = exact.rendering.alpha
    stops = 1 - alpha < 1.1e-4
    error = 1e-5 + 2 * margin.alpha_error + 1e-4 * stops
    near_zero = alpha < 1e-5
    projection = project(
        scene.packed, *(getattr(scene.camera, name) for name in ("world_to_camera", "K", "width", "height", "near"))
    )
    farthest = max([0.0, *projection.depths[projection.visible].tolist()])
    allowed = {
        "color": error * 2 * _largest(scene.packed[:, COLORS], scene.background),
        "alpha": error,
        "depth": error * farthest / alpha.clamp(min=1e-6),
        "normal": torch.where(directed, 2 * error / length.clamp(min=1e-6), torch.inf),
        "features": error * 2 * _largest(scene.features),
    }
    for name, weight in upstream.items():
        value, truth = getattr(found.rendering, name), getattr(exact.rendering, name)
        assert value.shape == truth.shape == weight.shape
        assert torch.isfinite(value).all(), f"{name} is not finite"
        tolerance = allowed[name] if truth.ndim == 2 else allowed[name][..., None]
        excess = ((value - truth).abs() - tolerance)[compared & ~near_zero]
        assert excess.numel() == 0 or excess.max() <= 0, f"{name} is off by {float(excess.max()):.3g} more than allowed"

    for name, truth in exact.gradients.items():
        value, noise = found.gradients[name], (rounded.gradients[name] - truth).abs()
        assert torch.isfinite(value).all(), f"the gradient of {name} is not finite"
        assert value.shape == truth.shape
        if truth.numel() == 0:
            continue
        size = truth.abs().max()
        if name == "quats":  # differences of terms of the size of the scales' gradients: zero for a ball
            size = torch.maximum(size, exact.gradients["log_scales"].abs().max())
        if name == "background":  # nothing smooths what is behind a pixel that stopped
            noise = noise + 1e-4 * (upstream["color"].abs() * stops[..., None]).sum((0, 1))
        allowance = (4e-3 if stops.any() else 2e-4) * size + noise_factor * noise.max() + 1e-6
        off = (value - truth).abs().max()
        assert off <= allowance, f"the gradient of {name} is off by {float(off):.3g}, allowed {float(allowance):.3g}"


def _largest(*values: Tensor | None) -> float:
    present = [float(value.abs().max()) for value in values if value is not None and value.numel()]
    return max([1.0, *present])
