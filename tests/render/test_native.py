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

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from samples.gaussian_scenes import KINDS, GaussianScene, gaussian_scenes, make_scene
from samples.native_comparison import ATTRIBUTES, check, rasterize_native, run, upstream_gradients
from samples.rounding_margin import rounding_margin

from endogs import native
from endogs.render import choose_backend
from endogs.render.reference import rasterize_reference

pytestmark = pytest.mark.skipif(not native.available(), reason="endogs was installed without its compiled part")


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
