"""The rasterizer on an NVIDIA GPU: equal to the float64 reference and to the CPU's kernels, values and gradients.

The tolerances are those of test_render_native.py. Between GPU and CPU, 2e-4 of the largest value: both stop a block of
pixels that lets less than 1e-4 through, but not the same blocks.
"""

from dataclasses import replace
from functools import partial

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from samples.gaussian_scenes import KINDS, GaussianScene, gaussian_scenes, make_scene
from samples.native_comparison import check, rasterize_native, run, upstream_gradients

from endogs import native
from endogs.render import Rendering, rasterize_packed
from endogs.scene.deformation.spline import spline_evaluate

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(bool(native.cuda_problem()), reason=f"no GPU can be used: {native.cuda_problem()}"),
    pytest.mark.skipif(not torch.cuda.is_available(), reason="this torch has no CUDA"),
]


def on_gpu(packed, camera, *, features=None, background=None, screen_gradients=None, backend="native", **options):
    """Renders on the GPU what is on the CPU; results and gradients come back."""
    moved = packed.to("cuda")
    screen = None if screen_gradients is None else torch.zeros_like(screen_gradients, device="cuda")
    if screen is not None and moved.requires_grad:

        def bring_back(_: torch.Tensor) -> None:
            screen_gradients.copy_(screen)

        moved.register_hook(bring_back)
    rendering = rasterize_packed(
        moved,
        camera,
        features=None if features is None else features.to("cuda"),
        background=None if background is None else background.to("cuda"),
        screen_gradients=screen,
        backend=backend,
        **options,
    )
    fields = {name: getattr(rendering, name) for name in ("color", "depth", "alpha", "normal", "features")}
    return Rendering(**{name: None if value is None else value.cpu() for name, value in fields.items()})


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(scene=gaussian_scenes())
def test_any_scene_equals_the_reference(scene: GaussianScene) -> None:
    check(scene, on_gpu)


@pytest.mark.parametrize("channels", [0, 3])
@pytest.mark.parametrize("antialiased", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_scene_equals_the_reference(kind: str, antialiased: bool, channels: int) -> None:
    check(make_scene(kind, 300, (50, 31), seed=8, channels=channels, antialiased=antialiased), on_gpu)


@pytest.fixture
def _deterministic():
    torch.use_deterministic_algorithms(True, warn_only=True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.usefixtures("_deterministic")
@pytest.mark.parametrize("kind", KINDS)
def test_sums_in_a_fixed_order_equal_the_reference(kind: str) -> None:
    check(make_scene(kind, 300, (50, 31), seed=8, channels=3), on_gpu)


@pytest.mark.usefixtures("_deterministic")
@pytest.mark.parametrize("channels", [0, 5])
def test_sums_in_a_fixed_order_repeat_exactly(channels: int) -> None:
    scene = make_scene("ordinary", 4000, (160, 120), seed=2, channels=channels).to(torch.float32)
    upstream = upstream_gradients(scene, torch.ones(120, 160, dtype=torch.bool), torch.ones(120, 160))
    first, second = (run(scene, on_gpu, upstream) for _ in range(2))
    for name, value in first.gradients.items():
        assert torch.equal(value, second.gradients[name]), name


@pytest.mark.parametrize("kind", ["ordinary", "needles", "ties", "border"])
def test_the_gpu_equals_the_cpu_on_many_tiles(kind: str) -> None:
    """Enough Gaussians for every stage of the sorts, and footprints from one tile to most of the image."""
    scene = make_scene(kind, 20_000, (333, 257), seed=4).to(torch.float32)
    upstream = upstream_gradients(
        replace(scene, packed=scene.packed[:50]), torch.ones(257, 333, dtype=torch.bool), torch.ones(257, 333)
    )
    upstream["depth"] = 0 * upstream["depth"]
    mine, other = (run(scene, rasterize, upstream) for rasterize in (on_gpu, rasterize_native))
    for name in ("color", "alpha"):
        off = (getattr(mine.rendering, name) - getattr(other.rendering, name)).abs()
        # Where two Gaussians are equally deep up to rounding, another one may be in front here than there.
        assert (off > 2e-4).double().mean() < 1e-4
    del other.gradients["background"]  # what is behind a pixel that stopped, here or there
    for name, value in other.gradients.items():
        off = (mine.gradients[name] - value).norm() / value.norm()
        assert off < 5e-3, f"{name}: {float(off):.2g}"


def test_the_spline_is_evaluated_as_on_the_cpu() -> None:
    base, control = torch.randn(1001, 14), torch.randn(4, 1001, 14)
    weights = (0.1, 0.5, 0.3, 0.1)
    there = spline_evaluate(base.cuda(), control.cuda(), weights).cpu()
    torch.testing.assert_close(there, spline_evaluate(base, control, weights), rtol=1e-6, atol=1e-6)


def test_nothing_to_draw_and_numbers_that_are_not_finite() -> None:
    scene = make_scene("ordinary", 40, (50, 31), seed=1).to(torch.float32)
    assert float(on_gpu(scene.packed[:0], scene.camera).alpha.abs().max()) == 0
    scene.packed[7, 8] = torch.nan
    with pytest.raises(ValueError, match=r"^log_scales is not finite"):
        on_gpu(scene.packed, scene.camera)


def test_the_torch_operator_is_well_formed_on_the_gpu() -> None:
    scene = make_scene("ordinary", 8, (20, 10), seed=0, channels=2).to(torch.float32)
    packed, features = (t.cuda().requires_grad_() for t in (scene.packed, scene.features))
    pose = scene.camera.world_to_camera.requires_grad_()
    arguments = (packed, pose, scene.camera.K, features, None, 20, 10, 0.1, False)
    tests = ("test_schema", "test_autograd_registration", "test_faketensor")
    torch.library.opcheck(torch.ops.endogs.render.default, arguments, test_utils=tests)


@pytest.mark.parametrize("kind", ["ordinary", "needles", "opaque"])
def test_the_gsplat_backend_draws_the_same(kind: str) -> None:
    """Up to its other rule of when a pixel is finished, and its approximate exponentials."""
    pytest.importorskip("gsplat")
    scene = make_scene(kind, 300, (50, 31), seed=8, channels=3).to(torch.float32)
    render = partial(on_gpu, features=scene.features, background=scene.background, normals=True)
    ours, theirs = (render(scene.packed, scene.camera, backend=backend) for backend in ("native", "gsplat"))
    for name in ("color", "alpha", "features", "depth"):
        off = (getattr(ours, name) - getattr(theirs, name)).abs()
        assert off.median() < 1e-3, name
        assert (off > 1e-2).float().mean() < 0.01, name
