"""The native rasterizer against the float64 reference, for values and every gradient.

What float32 may cost, and nothing more, is allowed:

- A pixel where a decision (alpha against 1/255 or 0.999, who is in front) is closer to tipping than twice its estimated
  rounding error is left out: it gets no upstream gradient and its value is not compared.
- Values: first-order propagation of the rounding of each alpha (`rounding_margin`), and 1e-4 of the value range where
  the reference's transmittance ends below 1e-4, because a block of pixels may stop there.
- Gradients: a float32 run of the reference shows how much the same formulas lose to rounding on the same scene; eight
  times that, and of the attribute's largest gradient 2e-4 for the exponential's polynomial and another order of
  summation, or 4e-3 if a pixel may stop early: opacities near 1 and the pose have small gradients that are sums of
  large ones. The loss weights depth by alpha, as a fit does: dividing by an alpha of 1/255 would measure nothing but
  the rounding of alpha.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import pytest
import torch
from gaussian_scenes import KINDS, GaussianScene, gaussian_scenes, make_scene
from hypothesis import HealthCheck, given, settings
from torch import Tensor

from endogs import native
from endogs.gaussians import COLORS, LOG_SCALES, MEANS, OPACITY, QUATS
from endogs.render import choose_backend, rasterize_packed
from endogs.render.normals import gaussian_normals
from endogs.render.projection import project
from endogs.render.reference import rasterize_reference, rounding_margin
from endogs.render.rendering import Rendering

pytestmark = pytest.mark.skipif(not native.available(), reason="endogs was installed without its compiled part")

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


def check_every_instruction_set(scene: GaussianScene) -> None:
    for name in native.instruction_sets():
        native.use_instruction_set(name)
        try:
            check(scene, rasterize_native)
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from error


@pytest.fixture(autouse=True)
def _defaults() -> Iterator[None]:
    """Whatever a test chooses, the next one starts from the machine's best instruction set and one thread."""
    native.set_threads(1)
    yield
    native.use_instruction_set(native.instruction_sets()[0])
    native.set_threads(1)


@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(scene=gaussian_scenes())
def test_any_scene_equals_the_reference(scene: GaussianScene) -> None:
    check_every_instruction_set(scene)


@pytest.mark.parametrize("channels", [0, 3])
@pytest.mark.parametrize("antialiased", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_scene_equals_the_reference(kind: str, antialiased: bool, channels: int) -> None:
    check_every_instruction_set(make_scene(kind, 300, (50, 31), seed=8, channels=channels, antialiased=antialiased))


@pytest.mark.parametrize("channels", [0, 2])
@pytest.mark.parametrize("kind", ["ordinary", "ties", "opaque"])
def test_one_and_two_threads_are_bit_identical(kind: str, channels: int) -> None:
    scene = make_scene(kind, 400, (90, 70), seed=2, channels=channels).to(torch.float32)
    upstream = upstream_gradients(scene, torch.ones(70, 90, dtype=torch.bool), torch.ones(70, 90))
    outcomes = []
    for threads in (1, 2, 2):
        native.set_threads(threads)
        outcomes.append(run(scene, rasterize_native, upstream))
    for other in outcomes[1:]:
        for name in upstream:
            assert torch.equal(getattr(outcomes[0].rendering, name), getattr(other.rendering, name)), name
        for name, value in outcomes[0].gradients.items():
            assert torch.equal(value, other.gradients[name]), name


def test_equal_depths_are_drawn_in_the_order_of_their_indices() -> None:
    scene = make_scene("ties", 300, (50, 31), seed=6).to(torch.float32)
    backwards = replace(scene, packed=scene.packed.flip(0))
    for each in (scene, backwards):
        truth = rasterize_reference(each.packed.double(), each.camera.to(dtype=torch.float64))
        margin = rounding_margin(each.packed.double(), each.camera)
        off = (rasterize_native(each.packed, each.camera).color - truth.color).abs().amax(-1)
        assert off[margin.decisions > 2].max() < 3e-4
    assert (
        rasterize_native(scene.packed, scene.camera).color != rasterize_native(backwards.packed, scene.camera).color
    ).any()


def test_gradients_flow_only_to_what_asks_for_them() -> None:
    scene = make_scene("ordinary", 20, (20, 10), seed=0, channels=2).to(torch.float32)
    background = torch.full((3,), 0.5, requires_grad=True)
    rendering = rasterize_native(scene.packed, scene.camera, background=background, features=scene.features)
    (rendering.color.sum() + rendering.features.sum()).backward()
    torch.testing.assert_close(background.grad, (1 - rendering.alpha).sum().expand(3))
    assert not rasterize_native(scene.packed, scene.camera).color.requires_grad


@pytest.mark.parametrize("name", ["means", "quats", "log_scales", "opacity_logits", "colors", "features", "background"])
def test_an_input_that_is_not_finite_is_named(name: str) -> None:
    scene = make_scene("ordinary", 5, (8, 8), seed=0, channels=2).to(torch.float32)
    target = scene.packed[:, ATTRIBUTES[name]] if name in ATTRIBUTES else getattr(scene, name)
    target[0] = torch.nan
    with pytest.raises(ValueError, match=f"^{name} is not finite"):
        rasterize_native(scene.packed, scene.camera, features=scene.features, background=scene.background)


def test_the_torch_operator_is_well_formed() -> None:
    """Its schema, its gradient's registration and its fake implementation, by torch's own check."""
    scene = make_scene("ordinary", 8, (20, 10), seed=0, channels=2).to(torch.float32)
    packed, pose = scene.packed.requires_grad_(), scene.camera.world_to_camera.requires_grad_()
    arguments = (packed, pose, scene.camera.K, scene.features.requires_grad_(), None, 20, 10, 0.1, False)
    tests = ("test_schema", "test_autograd_registration", "test_faketensor")
    torch.library.opcheck(torch.ops.endogs.render.default, arguments, test_utils=tests)


def test_a_backend_that_cannot_run_where_the_gaussians_are_says_why() -> None:
    with pytest.raises(RuntimeError, match="NVIDIA GPUs only, not on cpu"):
        choose_backend("gsplat", "cpu")
    with pytest.raises(RuntimeError, match="native backend cannot run on meta"):
        choose_backend("native", "meta")
    assert choose_backend("auto", "meta") == "reference"
