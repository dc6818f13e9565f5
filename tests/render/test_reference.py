"""The reference rasterizer against finite differences, gsplat's torch projection, and images worked out by hand."""

import math
from dataclasses import replace

import pytest
import torch
from samples.gaussian_scenes import KINDS, GaussianScene, make_scene
from samples.rounding_margin import rounding_margin
from torch import Tensor

from endogs.camera import Camera
from endogs.gaussians import COLORS, LOG_SCALES, MEANS, OPACITY, QUATS
from endogs.render import reference
from endogs.render.projection import project, rotation_matrices
from endogs.render.reference import rasterize_reference
from endogs.render.rendering import Rendering

ATTRIBUTES = {"means": MEANS, "quats": QUATS, "log_scales": LOG_SCALES, "opacity_logits": OPACITY, "colors": COLORS}


def render(scene: GaussianScene, **options: object) -> Rendering:
    return rasterize_reference(
        scene.packed,
        scene.camera,
        features=scene.features,
        background=scene.background,
        antialiased=scene.antialiased,
        **options,
    )


def fields(rendering: Rendering) -> Tensor:
    """All fields side by side (H, W, channels)."""
    planes = [rendering.color, rendering.depth[..., None], rendering.alpha[..., None]]
    planes += [plane for plane in (rendering.normal, rendering.features) if plane is not None]
    return torch.cat(planes, -1)


def one_gaussian(x: float, y: float, z: float, sigma: float, opacity: float, color: float) -> list[float]:
    """A ball at the camera of `unit_camera`, packed, with the opacity's logit."""
    return [x, y, z, 1, 0, 0, 0, *[math.log(sigma)] * 3, math.log(opacity / (1 - opacity)), color, color, color]


def unit_camera(width: int = 8, height: int = 6) -> Camera:
    K = torch.tensor([[10.0, 0, width / 2], [0, 10.0, height / 2], [0, 0, 1]], dtype=torch.float64)
    return Camera(K, torch.eye(4, dtype=torch.float64), width, height, near=0.1)


@pytest.mark.parametrize("antialiased", [False, True])
@pytest.mark.parametrize("kind", ["ordinary", "needles", "border", "opacities"])
def test_every_gradient_equals_finite_differences(kind: str, antialiased: bool) -> None:
    scene = make_scene(kind, 6, (6, 5), seed=3, channels=2, antialiased=antialiased)
    assert rounding_margin(scene.packed, scene.camera, antialiased=antialiased).decisions.min() > 100

    def image(packed: Tensor, pose: Tensor, background: Tensor, features: Tensor) -> Tensor:
        camera = replace(scene.camera, world_to_camera=pose)
        return fields(
            rasterize_reference(
                packed, camera, features=features, background=background, antialiased=antialiased, normals=True
            )
        )

    inputs = (scene.packed, scene.camera.world_to_camera, scene.background, scene.features)
    assert torch.autograd.gradcheck(image, [value.clone().requires_grad_() for value in inputs], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_projection_equals_gsplat(kind: str) -> None:
    torch_impl = pytest.importorskip("gsplat.cuda._torch_impl", reason="gsplat is not installed")
    scene = make_scene(kind, 200, (50, 31), seed=5)
    packed, camera = scene.packed, scene.camera
    covariances, _ = torch_impl._quat_scale_to_covar_preci(packed[:, QUATS], packed[:, LOG_SCALES].exp())
    radii, means2d, depths, conics, compensations = torch_impl._fully_fused_projection(
        packed[:, MEANS],
        covariances,
        camera.world_to_camera[None],
        camera.K[None],
        camera.width,
        camera.height,
        near_plane=camera.near,
        calc_compensations=True,
    )
    ours = project(packed, camera.world_to_camera, camera.K, camera.width, camera.height, camera.near)
    compensated = project(packed, camera.world_to_camera, camera.K, camera.width, camera.height, camera.near, True)
    front = depths[0] >= camera.near
    assert not ours.visible[~front].any()
    torch.testing.assert_close(ours.means2d[front], means2d[0][front])
    torch.testing.assert_close(ours.depths, depths[0])
    # gsplat's determinant cancels for needles (1e4 * 1e4 - 1e4^2 in float64 leaves about 1e-8).
    torch.testing.assert_close(ours.conics[front], conics[0][front], rtol=1e-6, atol=1e-9)
    ratio = (compensated.opacities / ours.opacities)[front]
    torch.testing.assert_close(ratio, compensations[0][front], rtol=1e-6, atol=1e-4 if kind == "degenerate" else 1e-7)
    if kind == "border":  # the clamped Jacobian was exercised on both axes
        outside = (means2d[0] < -0.15 * 50) | (means2d[0] > 1.15 * 50)
        assert outside[front].any(0).all()
        assert (radii[0][front] == 0).any()


def test_rotation_matrices_are_rotations_of_any_quaternion() -> None:
    quats = torch.randn(50, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 7
    matrices = rotation_matrices(quats)
    torch.testing.assert_close(matrices @ matrices.mT, torch.eye(3, dtype=torch.float64).expand(50, 3, 3))
    assert (torch.linalg.det(matrices) > 0).all()
    torch.testing.assert_close(rotation_matrices(torch.zeros(1, 4))[0], torch.eye(3))


def test_two_gaussians_worked_out_by_hand() -> None:
    near, far = one_gaussian(0, 0, 2, 0.2, 0.7, 0.9), one_gaussian(0.1, -0.2, 4, 0.8, 0.6, 0.3)
    packed = torch.tensor([far, near], dtype=torch.float64)  # the nearer one comes second
    background = torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64)
    rendering = rasterize_reference(packed, unit_camera(), background=background)
    for row, column in ((3, 4), (2, 6), (0, 0)):
        alphas = []
        for x, y, z, sigma, opacity in ((0, 0, 2, 0.2, 0.7), (0.1, -0.2, 4, 0.8, 0.6)):
            jacobian = torch.tensor([[10 / z, 0, -10 * x / z**2], [0, 10 / z, -10 * y / z**2]], dtype=torch.float64)
            covariance = sigma**2 * jacobian @ jacobian.T + 0.3 * torch.eye(2, dtype=torch.float64)
            offset = torch.tensor([column + 0.5 - (10 * x / z + 4), row + 0.5 - (10 * y / z + 3)], dtype=torch.float64)
            alpha = opacity * math.exp(-0.5 * float(offset @ torch.linalg.inv(covariance) @ offset))
            alphas.append(alpha if alpha >= 1 / 255 else 0.0)
        front, back = alphas[0], alphas[1] * (1 - alphas[0])
        alpha = front + back
        expected = 0.9 * front + 0.3 * back + (1 - alpha) * background
        torch.testing.assert_close(rendering.color[row, column], expected)
        assert float(rendering.alpha[row, column]) == pytest.approx(alpha)
        assert float(rendering.depth[row, column]) == pytest.approx((2 * front + 4 * back) / alpha)


def test_depth_is_divided_by_alpha_and_zero_where_nothing_is_drawn() -> None:
    packed = torch.tensor([one_gaussian(-0.3, 0, 3, 0.05, 0.2, 0.5)], dtype=torch.float64)
    rendering = rasterize_reference(packed, unit_camera(40, 6), background=torch.ones(3, dtype=torch.float64))
    seen = rendering.alpha > 0
    assert seen.any()
    assert (~seen).any()
    torch.testing.assert_close(rendering.depth[seen], torch.full_like(rendering.depth[seen], 3.0))
    assert (rendering.depth[~seen] == 0).all()
    assert (rendering.color[~seen] == 1).all()


def test_equal_depths_are_drawn_in_the_order_of_their_indices() -> None:
    first, second = one_gaussian(0, 0, 2, 0.5, 0.8, 1.0), one_gaussian(0, 0, 2, 0.5, 0.8, 0.0)
    bright = rasterize_reference(torch.tensor([first, second], dtype=torch.float64), unit_camera())
    dark = rasterize_reference(torch.tensor([second, first], dtype=torch.float64), unit_camera())
    alpha = bright.alpha[3, 4].clone()
    assert bright.color[3, 4, 0] > 0.75 * alpha
    assert dark.color[3, 4, 0] < 0.25 * alpha
    # Among many: an unstable sort would mix them up.
    many = make_scene("ties", 300, (16, 16), seed=1)
    reversed_order = torch.arange(299, -1, -1)
    assert (render(many).color - render(replace(many, packed=many.packed[reversed_order])).color).abs().max() > 1e-3


def test_opacity_zero_draws_nothing_and_one_stops_at_0_999() -> None:
    packed = torch.tensor([one_gaussian(0, 0, 2, 50.0, 0.5, 1.0)], dtype=torch.float64)
    for logit, alpha in ((-800.0, 0.0), (800.0, 0.999)):
        packed[0, OPACITY] = logit
        leaf = packed.clone().requires_grad_()
        rendering = rasterize_reference(leaf, unit_camera())
        torch.testing.assert_close(rendering.alpha, torch.full((6, 8), alpha, dtype=torch.float64))
        fields(rendering).sum().backward()
        assert torch.isfinite(leaf.grad).all()
        assert leaf.grad[0, OPACITY] == 0


def test_gaussians_behind_or_too_near_are_not_drawn_and_get_no_gradient() -> None:
    rows = [one_gaussian(0, 0, z, 0.5, 0.8, 1.0) for z in (-2.0, 0.0, 0.0999, 0.1, 2.0)]
    leaf = torch.tensor(rows, dtype=torch.float64).requires_grad_()
    assert project(leaf, *_view(unit_camera())).visible.tolist() == [False, False, False, True, True]
    fields(rasterize_reference(leaf, unit_camera(), normals=True)).sum().backward()
    assert torch.isfinite(leaf.grad).all()
    assert (leaf.grad[:3] == 0).all()
    assert (leaf.grad[3, COLORS] != 0).all()


def _view(camera: Camera) -> tuple[Tensor, Tensor, int, int, float]:
    return camera.world_to_camera, camera.K, camera.width, camera.height, camera.near


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_no_gaussians_give_the_background_and_zero_gradients(dtype: torch.dtype) -> None:
    packed = torch.zeros(0, 14, dtype=dtype, requires_grad=True)
    camera = unit_camera().to(dtype=dtype)
    camera = replace(camera, world_to_camera=camera.world_to_camera.clone().requires_grad_())
    background = torch.tensor([0.2, 0.4, 0.6], dtype=dtype, requires_grad=True)
    rendering = rasterize_reference(
        packed, camera, background=background, features=torch.zeros(0, 3, dtype=dtype), normals=True
    )
    assert rendering.color.dtype == dtype
    assert rendering.features.shape == (6, 8, 3)
    torch.testing.assert_close(rendering.color, background.expand(6, 8, 3))
    assert not fields(replace(rendering, color=0 * rendering.color)).any()
    fields(rendering).sum().backward()
    assert packed.grad.shape == (0, 14)
    assert not camera.world_to_camera.grad.any()
    torch.testing.assert_close(background.grad, torch.full((3,), 48.0, dtype=dtype))


@pytest.mark.parametrize("kind", KINDS)
def test_tiles_lose_nothing(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In tiles, with only the Gaussians whose box touches them and recomputed in the backward pass, or all at once."""
    scene = make_scene(kind, 150, (50, 31), seed=11, channels=1)
    results = []
    for small in (2**62, 0):
        monkeypatch.setattr(reference, "_SMALL", small)
        leaf = scene.packed.clone().requires_grad_()
        screen = torch.full((150,), 7.0, dtype=torch.float64)
        image = fields(render(replace(scene, packed=leaf), normals=True, screen_gradients=screen))
        (image * torch.linspace(-1, 1, image.numel(), dtype=torch.float64).view_as(image)).sum().backward()
        results.append((image.detach(), leaf.grad, screen))
    for whole, tiled in zip(*results, strict=True):
        assert torch.isfinite(whole).all()
        torch.testing.assert_close(tiled, whole, rtol=1e-9, atol=1e-9 * float(whole.abs().max()))


def test_screen_gradients_sum_magnitudes_over_pixels() -> None:
    """For one Gaussian its centre moves exactly as the principal point does, so K's gradient is each pixel's part."""
    packed = torch.tensor([one_gaussian(0.1, 0.05, 2, 0.3, 0.7, 0.8)], dtype=torch.float64)
    weights = torch.randn(6, 8, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    camera = unit_camera()
    camera = replace(camera, K=camera.K.clone().requires_grad_())
    image = rasterize_reference(packed, camera).color
    magnitudes = torch.zeros(2, dtype=torch.float64)
    for row in range(6):
        for column in range(8):
            loss = (weights * image)[row, column].sum()
            magnitudes += torch.autograd.grad(loss, camera.K, retain_graph=True)[0][:2, 2].abs()
    screen = torch.zeros(1, dtype=torch.float64)
    leaf = packed.clone().requires_grad_()
    (weights * rasterize_reference(leaf, unit_camera(), screen_gradients=screen).color).sum().backward()
    assert float(screen) == pytest.approx(float(magnitudes.norm()), rel=1e-9)
    assert float(screen) > 0.1


def test_normal_is_the_shortest_axis_facing_the_camera() -> None:
    flat = one_gaussian(0, 0, 2, 1.0, 0.8, 0.5)
    flat[9] = math.log(0.01)  # flat along its z axis
    angle = 0.6
    tilted = [*flat[:3], math.cos(angle / 2), math.sin(angle / 2), 0, 0, *flat[7:]]  # turned about x
    upside_down = [*flat[:3], 0, 1, 0, 0, *flat[7:]]
    tilted_normal = [0.0, math.sin(angle), -math.cos(angle)]
    for gaussian, expected in ((flat, [0.0, 0, -1]), (upside_down, [0.0, 0, -1]), (tilted, tilted_normal)):
        rendering = rasterize_reference(torch.tensor([gaussian], dtype=torch.float64), unit_camera(), normals=True)
        torch.testing.assert_close(rendering.normal[3, 4], torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("name", ATTRIBUTES)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_gaussian_that_is_not_finite_is_named(name: str, value: float) -> None:
    scene = make_scene("ordinary", 5, (8, 8), seed=0)
    scene.packed[3, ATTRIBUTES[name]] = value
    with pytest.raises(ValueError, match=f"^{name} is not finite"):
        render(scene)


@pytest.mark.parametrize("name", ["features", "background", "world_to_camera", "K"])
def test_any_other_input_that_is_not_finite_is_named(name: str) -> None:
    scene = make_scene("ordinary", 5, (8, 8), seed=0, channels=2)
    holder = scene if hasattr(scene, name) else scene.camera
    getattr(holder, name).view(-1)[0] = math.nan
    with pytest.raises(ValueError, match=f"^{name} is not finite"):
        render(scene)


def test_wrong_shapes_are_named() -> None:
    scene = make_scene("ordinary", 5, (8, 8), seed=0, channels=2)
    with pytest.raises(ValueError, match=r"packed Gaussians have shape \(5, 13\)"):
        render(replace(scene, packed=scene.packed[:, :13]))
    with pytest.raises(ValueError, match=r"features have shape \(4, 2\)"):
        render(replace(scene, features=scene.features[:4]))
    with pytest.raises(ValueError, match=r"background has shape \(1,\)"):
        render(replace(scene, background=torch.zeros(1)))


def test_overflowing_scales_are_not_drawn() -> None:
    rows = [one_gaussian(0, 0, 2, 0.5, 0.8, 1.0), one_gaussian(0, 0, 1, 0.5, 0.8, 0.0)]
    rows[1][7:10] = [500.0] * 3
    leaf = torch.tensor(rows, dtype=torch.float32).requires_grad_()
    rendering = rasterize_reference(leaf, unit_camera().to(dtype=torch.float32), normals=True)
    alone = rasterize_reference(leaf[:1], unit_camera().to(dtype=torch.float32), normals=True)
    torch.testing.assert_close(fields(rendering), fields(alone))
    fields(rendering).sum().backward()
    assert torch.isfinite(leaf.grad).all()


@pytest.mark.parametrize("antialiased", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_float32_stays_within_the_rounding_margin(kind: str, antialiased: bool) -> None:
    """The margin excuses few pixels, and bounds what float32 does to all others."""
    scene = make_scene(kind, 300, (50, 31), seed=9, antialiased=antialiased)
    margin = rounding_margin(scene.packed, scene.camera, antialiased=antialiased)
    certain = margin.decisions > 2
    assert certain.double().mean() > 0.95
    exact, rounded = render(scene), render(scene.to(torch.float32))
    assert rounded.color.dtype == torch.float32
    off = (rounded.color.double() - exact.color).abs().amax(-1)
    assert (off <= 2e-6 + margin.alpha_error)[certain].all()
    assert margin.alpha_error.max() < 1e-3


def test_a_decision_on_the_edge_has_no_margin() -> None:
    """Alpha just at 1/255 at one pixel, two depths one rounding error apart at another, and neither elsewhere."""
    camera = unit_camera()
    edge = one_gaussian(0.05 * 2, 0.05 * 2, 2, 1e-6, 0.5, 1.0)  # centred on the pixel centre (4.5, 3.5)
    edge[OPACITY] = math.log(1 / 254) + 1e-9
    decisions = rounding_margin(torch.tensor([edge], dtype=torch.float64), camera).decisions
    assert decisions[3, 4] < 0.1
    assert decisions[0, 0] > 1000
    for gap, certain in ((1e-7, False), (0.0, True), (0.1, True)):
        pair = [one_gaussian(0, 0, z, 0.3, 0.8, 0.5) for z in (2.0, 2.0 * (1 + gap))]
        decisions = rounding_margin(torch.tensor(pair, dtype=torch.float64), camera).decisions
        assert bool(decisions[3, 4] > 2) is certain
