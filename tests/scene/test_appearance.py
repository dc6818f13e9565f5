"""Appearances: harmonics, exposure and light against independent formulas, their gradients, files and exports."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from plyfile import PlyData
from samples.rounding import assert_equal_sums
from samples.stored_scenes import make_scene, rewrite
from scipy.special import sph_harm_y

from endogs.camera import Camera
from endogs.errors import InputError
from endogs.export.moments import shown_from_clip
from endogs.export.spherical_harmonics import SH_C0
from endogs.export.splats import export_splats
from endogs.fit.config import AppearanceConfig
from endogs.fit.optimize.appearance_adam import AppearanceAdam
from endogs.gaussians import COLORS, MEANS
from endogs.phantom.light import ggx
from endogs.render import rasterize_packed
from endogs.scene.appearance import PLAIN, Appearance, Exposure, HarmonicColors, HeadlightColors, Light, LitColors
from endogs.scene.appearance.bake import baked
from endogs.scene.appearance.color_space import linear_to_srgb, srgb_to_linear
from endogs.scene.appearance.lit import START_AMBIENT, START_REFLECTANCE, START_ROUGHNESS, START_SPOT
from endogs.scene.appearance.spherical_harmonics import directional_basis
from endogs.scene.appearance.surface_normals import TangentFrames
from endogs.scene.relight import relit
from endogs.scene.scene_file import load_scene, save_scene
from endogs.seeding.exposure_estimate import without_exposure

CAMERA = Camera.from_numpy(np.array([[60.0, 0, 32], [0, 60, 24], [0, 0, 1]]), np.eye(4), 64, 48)


def directions(count: int) -> torch.Tensor:
    return torch.nn.functional.normalize(
        torch.randn(count, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1)), dim=1
    )


def cap(count: int = 400, radius: float = 30.0) -> torch.Tensor:
    """Points (count, 3) of a sphere's near side around (0, 0, 60), evenly spread."""
    i = np.arange(count) + 0.5
    polar, around = np.arccos(1 - 0.7 * i / count), np.pi * (1 + 5**0.5) * i
    xyz = np.stack([np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), -np.cos(polar)], 1)
    return torch.from_numpy(xyz * radius + np.array([0, 0, 60.0]))


def tissue(count: int = 400) -> torch.Tensor:
    """Packed Gaussians (count, 14) on the cap, float64."""
    generator = torch.Generator().manual_seed(2)
    packed = torch.zeros(count, 14, dtype=torch.float64)
    packed[:, MEANS], packed[:, 3], packed[:, 7:10], packed[:, 10] = cap(count), 1.0, 0.5, 3.0
    packed[:, COLORS] = 0.2 + 0.6 * torch.rand(count, 3, dtype=torch.float64, generator=generator)
    return packed


def looks(base: torch.Tensor) -> dict[str, Appearance]:
    """One trained-looking appearance of each kind for the Gaussians `base` (N, 14)."""
    generator = torch.Generator().manual_seed(3)
    rest = 0.1 * torch.randn(len(base), 15, 3, generator=generator)
    lit = LitColors.start(base.float(), 30.0)
    lit = replace(lit, gloss=lit.gloss + 0.1 * torch.randn(len(base), 2, generator=generator))
    exposure = Exposure(np.array([0.0, 0.05, 0.2]), 0.1 * torch.randn(3, 2, 3, generator=generator))
    return {
        "sh": Appearance(HarmonicColors(rest)),
        "lit": Appearance(lit),
        "exposure": Appearance(None, exposure),
        "lit and exposure": Appearance(lit, exposure),
        "headlight": Appearance(HeadlightColors(0.3 * torch.randn(7, generator=generator), 40.0, (0.6, 0.4)), exposure),
    }


KINDS = ("sh", "lit", "exposure", "lit and exposure", "headlight")


def test_harmonics_are_those_of_the_textbook():
    found = directional_basis(directions(50), 3)
    x, y, z = directions(50).numpy().T
    polar, around = np.arccos(z), np.arctan2(y, x)
    column = 0
    for degree in (1, 2, 3):
        for order in range(-degree, degree + 1):
            value = sph_harm_y(degree, abs(order), polar, around)
            part = value.real if order == 0 else np.sqrt(2) * (value.real if order > 0 else value.imag)
            np.testing.assert_allclose(found[:, column].numpy(), part, atol=1e-12)
            column += 1
    assert column == found.shape[1]
    assert torch.equal(directional_basis(directions(50), 1), found[:, :3])
    with pytest.raises(ValueError, match="degree 4"):
        directional_basis(directions(2), 4)


def test_harmonics_look_from_the_camera_to_the_mean_in_world_axes():
    pose = torch.eye(4, dtype=torch.float64)
    pose[:3, :3] = torch.tensor([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]])
    pose[:3, 3] = -pose[:3, :3] @ torch.tensor([5.0, 0, 0], dtype=torch.float64)  # its centre is (5, 0, 0)
    packed = torch.zeros(1, 14, dtype=torch.float64)
    packed[0, :3], packed[0, COLORS] = torch.tensor([5.0, 0, 2]), 0.5  # straight along z from there
    rest = torch.zeros(1, 3, 3)
    rest[0, 1, 0] = 1.0  # Y_1^0 is sqrt(3 / 4 pi) z
    colors = HarmonicColors(rest).colors(packed, replace(CAMERA, world_to_camera=pose))
    assert colors[0].tolist() == pytest.approx([0.5 + np.sqrt(3 / (4 * np.pi)), 0.5, 0.5])


TRAINED = ("colors.rest", "colors.gloss", "colors.lamp", "colors.beam", "exposure")


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_finite_differences(kind):
    base = tissue(12)
    appearance = looks(base)[kind]
    tensors = {name: t.double() if t.is_floating_point() else t for name, t in appearance.tensors().items()}
    free = ["packed", *(name for name in tensors if name in TRAINED)]
    camera = CAMERA.to(dtype=torch.float64)
    moved = {"packed": base[:, :]} | tensors

    def shown(*values: torch.Tensor) -> torch.Tensor:
        now = moved | dict(zip(free, values, strict=True))
        # Light gives the geometry no gradient, by design; harmonics do.
        packed = now.pop("packed")
        if "lit" in kind or kind == "headlight":
            packed = torch.cat([base[:, : COLORS.start], packed[:, COLORS]], 1)
        return appearance.with_tensors(now).shown(packed, camera, 0.02)

    assert torch.autograd.gradcheck(shown, [moved[name].clone().requires_grad_() for name in free], atol=1e-6)


def test_srgb_and_linear_light_are_inverse_also_outside_the_unit_range():
    values = torch.linspace(-0.2, 1.6, 200, dtype=torch.float64)
    assert torch.allclose(linear_to_srgb(srgb_to_linear(values)), values, atol=1e-6)
    assert float(srgb_to_linear(torch.tensor(0.5))) == pytest.approx(0.21404, abs=1e-5)


def test_normals_are_those_of_the_surface_and_follow_it():
    points = cap(2000).float()
    outward = torch.nn.functional.normalize(points - torch.tensor([0, 0, 60.0]), dim=1)
    frames, eye = TangentFrames.of(points), torch.zeros(3)
    middle = outward[:, 2] < -0.6
    assert float((frames.normals(points, eye) * outward).sum(1)[middle].min()) > np.cos(np.radians(5))
    # Squeezed along x: normals stretch along x instead.
    squeeze = torch.tensor([0.6, 1.0, 1.0])
    expected = torch.nn.functional.normalize(outward / squeeze, dim=1)
    found = frames.normals(points * squeeze, eye)
    assert float((found * expected).sum(1)[middle].min()) > np.cos(np.radians(8))
    # Half of the points are enough.
    some = torch.arange(len(points)) % 2 == 0
    fewer = frames.select(some).normals(points[some], eye)
    assert float((fewer * outward[some]).sum(1)[middle[some]].min()) > np.cos(np.radians(12))
    # Where there is no surface, they face the camera.
    two = points[:2]
    assert torch.allclose(TangentFrames.of(two).normals(two, eye), -two / two.norm(dim=1, keepdim=True))


@pytest.mark.parametrize("offset", [(0.0, 0.0, 0.0), (8.0, -3.0, 2.0)])
def test_lit_colours_are_the_equation(offset):
    base = tissue()
    lit = LitColors.start(base.float(), 30.0).relit(Light(offset, 1.5))
    points = base[:, MEANS].float()
    normals = lit.frames.normals(points, torch.zeros(3)).numpy()
    to_lamp = np.array(offset, np.float32) - points.numpy()
    distance = np.linalg.norm(to_lamp, axis=1)
    light = to_lamp / distance[:, None]
    view = -points.numpy() / np.linalg.norm(points.numpy(), axis=1, keepdims=True)
    half = (light + view) / np.linalg.norm(light + view, axis=1, keepdims=True)
    n_l, n_v, n_h = ((normals * other).sum(1) for other in (light, view, half))
    clear = (n_l > 0.05) & (n_v > 0.05)
    irradiance = 1.5 * (30 / distance) ** 2 * np.clip(-light[:, 2], 0, 1) ** START_SPOT
    fresnel = START_REFLECTANCE + (1 - START_REFLECTANCE) * (1 - (half * view).sum(1)) ** 5
    specular = np.pi * fresnel * ggx(n_l, n_v, n_h, START_ROUGHNESS)
    diffuse = START_AMBIENT + (1 - START_AMBIENT) * n_l
    albedo = srgb_to_linear(base[:, COLORS]).numpy()
    expected = irradiance[:, None] * (albedo * diffuse[:, None] + specular[:, None])
    found = srgb_to_linear(lit.colors(base.float(), CAMERA)).numpy()
    np.testing.assert_allclose(found[clear], expected[clear], rtol=2e-4, atol=1e-5)
    assert clear.sum() > 200


def test_a_headlight_is_the_equation_and_is_taken_off_again():
    base, beam = tissue().float(), torch.tensor([0.2, 0.8, 0.1, -0.1, -0.5, -0.4, 0.3])
    appearance = Appearance(HeadlightColors(beam, 50.0, (0.5, 0.4)), looks(tissue())["exposure"].exposure)
    x, y, z = (base[:, k].numpy() for k in range(3))
    u, v = np.clip(x / z / 0.5, -1.2, 1.2), np.clip(y / z / 0.4, -1.2, 1.2)
    terms = [np.ones_like(u), -np.log(np.sqrt(x * x + y * y + z * z) / 50), u, v, u * u, v * v, u * v]
    factor = np.exp(np.stack(terms, 1) @ beam.numpy())[:, None]
    np.testing.assert_allclose(
        appearance.colors.colors(base, CAMERA), (base[:, COLORS] + 0.055) * factor - 0.055, rtol=1e-4
    )
    assert torch.allclose(appearance.unshown(appearance.shown(base, CAMERA, 0.02), CAMERA, 0.02), base, atol=1e-5)


def test_a_surface_behind_the_moved_lamp_gets_ambient_light_only():
    base = tissue().float()
    lit = LitColors.start(base, 30.0).relit(Light((0.0, 0.0, 60.0)))  # in the middle of the sphere
    dark = srgb_to_linear(lit.colors(base, CAMERA))
    full = srgb_to_linear(base[:, COLORS]) * (30 / 30) ** 2
    assert bool((dark <= START_AMBIENT * full + 1e-4).all())


def test_gaussians_adopt_the_colours_they_were_seen_in():
    base = tissue().float()
    lit = LitColors.start(base, 35.0)
    matt = replace(lit, gloss=lit.gloss - torch.tensor([20.0, 0]))
    seen = matt.colors(matt.encode(base, CAMERA), CAMERA)
    bright = matt._shading(base[:, MEANS], CAMERA)[1] > 0.3
    assert torch.allclose(seen[bright], base[bright, COLORS], atol=1e-4)
    ambient = matt.relit(Light(ambient_only=True))
    assert torch.allclose(ambient.colors(base, CAMERA), base[:, COLORS], atol=1e-6)


def test_exposure_is_a_frames_own_at_its_time_and_smooth_between():
    times = np.array([0.0, 1.0, 2.0, 3.5, 4.5])
    exposure = Exposure(times, torch.zeros(5, 2, 3, dtype=torch.float64))
    exposure.values[:, 1] = torch.from_numpy(2 * times + 1)[:, None]
    exposure.values[:, 0, 0] = torch.log(torch.tensor([1.0, 1.1, 0.9, 1.0, 1.2]))
    for time in (0.0, 0.4, 1.0, 2.9, 4.2, 4.5):
        assert float(exposure.at(time)[1][2]) == pytest.approx(2 * time + 1)  # lines stay lines
    assert float(exposure.at(2.0)[0][0]) == pytest.approx(0.9)
    assert float(exposure.at(-1)[1][0]) == 1
    assert float(exposure.at(9)[1][0]) == pytest.approx(10)
    assert Exposure.neutral(np.array([0.3])).at(5.0)[0].tolist() == [1, 1, 1]


def test_an_exposed_image_is_the_image_of_exposed_gaussians():
    generator = np.random.default_rng(0)
    packed = torch.zeros(300, 14)
    packed[:, :3] = torch.from_numpy(generator.uniform([-6, -5, 9], [6, 5, 11], (300, 3)))
    packed[:, 3], packed[:, 7:10], packed[:, 10] = 1, 0.5, 8
    packed[:, COLORS] = torch.from_numpy(generator.uniform(0.2, 0.8, (300, 3))).float()
    exposure = Exposure(np.array([0.0]), torch.tensor([[[0.2, -0.1, 0.0], [0.05, 0.0, -0.05]]]))
    plain = rasterize_packed(packed, CAMERA)
    exposed = rasterize_packed(Appearance(None, exposure).shown(packed, CAMERA, 0.0), CAMERA)
    gain, bias = exposure.at(0.0)
    opaque = plain.alpha > 0.999
    assert torch.allclose(exposed.color[opaque], plain.color[opaque] * gain + bias, atol=2e-3)
    assert opaque.float().mean() > 0.9
    levels = np.full((2, 2, 3), 100, np.uint8)
    assert np.array_equal(without_exposure(levels, np.full(3, 2.0), np.zeros(3)), np.full((2, 2, 3), 50))


def test_plain_costs_nothing():
    packed = tissue(5)
    assert PLAIN.shown(packed, CAMERA, 0.0) is packed


@pytest.mark.parametrize("kind", KINDS)
def test_the_scene_file_gives_back_how_a_scene_looks(kind, tmp_path):
    scene = make_scene(moving_camera=True)
    scene = replace(scene, appearance=looks(scene.base)[kind])
    save_scene(scene, tmp_path / "scene.safetensors")
    loaded = load_scene(tmp_path)
    assert loaded.appearance.description() == scene.appearance.description()
    for frame, time in enumerate(scene.times):
        camera = scene.camera(frame)
        ours = scene.shown_at(float(time), camera)
        assert torch.equal(loaded.shown_at(float(time), camera), ours)
        assert torch.equal(loaded.shown_at(float(time)), ours)  # the clip's own camera
        assert not torch.equal(ours, scene.packed_at(float(time)))
    keep = torch.tensor([True, False, True, True, False])
    if "lit" not in kind:  # its normals lose neighbours
        assert_equal_sums(scene.select(keep).shown_at(0.1), scene.shown_at(0.1)[keep], 15)  # harmonics of degree 3
    assert len(scene.select(keep).shown_at(0.1)) == 3


@pytest.mark.parametrize(
    ("kind", "spoil", "match"),
    [
        ("sh", lambda t, m: t.update({"appearance.colors.rest": torch.zeros(5, 4, 3)}), "harmonics"),
        ("sh", lambda t, m: t.update({"appearance.colors.rest": torch.zeros(4, 3, 3)}), "4 rows"),
        ("sh", lambda t, m: m["appearance"]["colors"].update(kind="neon"), "neon"),
        ("sh", lambda t, m: t.update({"appearance.more": torch.zeros(1)}), "unknown tensor 'more'"),
        ("sh", lambda t, m: m.pop("appearance"), "unknown tensor"),
        ("lit", lambda t, m: t["appearance.colors.neighbours"].fill_(9), "outside"),
        ("lit", lambda t, m: t.pop("appearance.colors.lamp"), "lamp"),
        ("headlight", lambda t, m: t.update({"appearance.colors.beam": torch.zeros(6)}), "headlight"),
        ("headlight", lambda t, m: m["appearance"]["colors"]["settings"].update(reach=[0.5, 0.0]), "headlight"),
        ("exposure", lambda t, m: m["appearance"]["exposure"].update(times=[1.0, 0.5, 2.0]), "ascend"),
        ("exposure", lambda t, m: m["appearance"]["exposure"].update(times=[0.5]), "do not fit"),
    ],
)
def test_a_broken_appearance_is_told_in_one_sentence(kind, spoil, match, tmp_path):
    scene = make_scene()
    path = tmp_path / "scene.safetensors"
    save_scene(replace(scene, appearance=looks(scene.base)[kind]), path)
    load_scene(path)
    rewrite(path, spoil)
    with pytest.raises(InputError, match=match) as caught:
        load_scene(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["sh", "lit", "lit and exposure", "headlight"])
@pytest.mark.parametrize(("static", "moving"), [(False, True), (True, False), (True, True)])
def test_baked_colours_are_those_that_the_clip_saw(kind, static, moving):
    scene = make_scene(moving_camera=moving, static=static)
    scene = replace(scene, appearance=looks(scene.base)[kind])
    plain = baked(scene)
    assert plain.appearance.plain
    for frame, time in enumerate(scene.times):
        expected = scene.steady().shown_at(float(time), scene.camera(frame))
        assert torch.allclose(plain.packed_at(float(time)), expected, atol=5e-3)


def test_splats_carry_harmonics_as_the_reference_viewer_reads_them(tmp_path):
    scene = make_scene(moving_camera=True)
    scene = replace(scene, appearance=Appearance(HarmonicColors(looks(scene.base)["sh"].colors.rest[:, :8])))
    path = tmp_path / "splats.ply"
    export_splats(scene, [0.1], path)
    vertex = PlyData.read(path)["vertex"]
    dc = np.stack([vertex[f"f_dc_{i}"] for i in range(3)], 1)
    rest = np.stack([vertex[f"f_rest_{i}"] for i in range(45)], 1).reshape(-1, 3, 15)
    assert not rest[:, :, 8:].any()
    xyz = np.stack([vertex[name] for name in "xyz"], 1)
    eye = np.array([0.6, 0.1, -5.0])  # of frame 2
    towards = (xyz - eye) / np.linalg.norm(xyz - eye, axis=1, keepdims=True)
    basis = directional_basis(torch.from_numpy(towards), 3).numpy()
    color = 0.5 + SH_C0 * dc + np.einsum("nk,nck->nc", basis, rest)
    np.testing.assert_allclose(color, scene.shown_at(0.1, scene.camera(2))[:, COLORS].numpy(), atol=1e-4)


def test_exports_are_evenly_exposed_and_can_show_the_albedo():
    scene = make_scene()
    scene = replace(scene, appearance=looks(scene.base)["lit and exposure"])
    assert torch.equal(shown_from_clip(scene, 0.1), scene.steady().shown_at(0.1))
    albedo = shown_from_clip(relit(scene, Light(ambient_only=True), "scene"), None)
    assert torch.allclose(albedo, scene.base, atol=1e-4)
    with pytest.raises(InputError, match="--colors lit"):
        relit(make_scene(), Light(), "scene")


def test_training_is_adam_and_keeps_its_rows_in_place():
    base = tissue(30).float()
    optimizer = AppearanceAdam(Appearance(HarmonicColors.at_rest(30, 1)), CAMERA, AppearanceConfig("sh", sh_rate=0.01))
    theirs = torch.zeros(30, 3, 3, requires_grad=True)
    torch_adam = torch.optim.Adam([theirs], lr=0.01)
    goal = torch.rand(30, 3)
    for _ in range(4):
        shown = optimizer.show(base, CAMERA, 0.0)
        grad = torch.zeros_like(shown)
        grad[:, COLORS] = 2 * (shown[:, COLORS] - goal)
        through = optimizer.backward(grad)
        assert through[:, MEANS].shape == (30, 3)
        optimizer.step(0.0)
        torch_adam.zero_grad()
        (HarmonicColors(theirs).colors(base, CAMERA) - goal).square().sum().backward()
        torch_adam.step()
    assert torch.allclose(optimizer.appearance.tensors()["colors.rest"], theirs.detach(), atol=1e-5)

    keep = torch.arange(30) % 3 > 0
    optimizer.keep(keep)
    optimizer, new, _ = optimizer.extend(base[keep], base[:4], None)
    assert torch.equal(new, base[:4])
    state = optimizer.state()
    assert torch.allclose(state["appearance.colors.rest"][:20], theirs.detach()[keep], atol=1e-5)
    assert not state["appearance.colors.rest"][20:].any()
    assert len(state["appearance.m.colors.rest"]) == 24
    assert state["appearance.m.colors.rest"][:20].any()
    assert not state["appearance.m.colors.rest"][20:].any()


def test_a_step_moves_only_the_exposure_of_its_frame():
    base = tissue(10).float()
    optimizer = AppearanceAdam(
        Appearance(None, Exposure.neutral(np.array([0.0, 1.0, 2.0, 3.0]))), CAMERA, AppearanceConfig(exposure=True)
    )
    optimizer.show(base, CAMERA, 1.0)
    optimizer.backward(torch.ones(10, 14))
    optimizer.step(0.0)
    values = optimizer.appearance.tensors()["exposure"]
    assert torch.allclose(values.mean(0), torch.zeros(2, 3), atol=1e-7)  # the others share what is taken off
    assert torch.equal(values[0], values[2])
    assert torch.equal(values[0], values[3])
    assert float((values[0] - values[1]).abs().min()) > 1e-3
