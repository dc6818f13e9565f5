"""The phantom's parts, each against the formula or the property it promises."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest

from endogs.errors import InputError
from endogs.open3d_library import import_open3d
from endogs.phantom.config import Phantom
from endogs.phantom.instruments import instrument_body, instruments_at
from endogs.phantom.light import Lamp, ggx, reflection_geometry, shade_tissue
from endogs.phantom.motion import camera_at, make_pulls, positions_at
from endogs.phantom.pattern import cells, smooth_noise
from endogs.phantom.sensor import expose, vignette
from endogs.phantom.surface import make_surface
from endogs.phantom.vessels import draw, grow_trees

CONFIG = Phantom(Path("unused"), instruments=2)


@pytest.fixture(scope="module")
def surface():
    return make_surface(CONFIG, np.random.default_rng(0))


def test_light_falls_with_the_square_of_the_distance():
    lamp = Lamp(np.zeros(3), intensity=2.0, reference_distance=50.0)
    normals = np.tile(np.float32([0, 0, -1]), (3, 1))
    points = np.float32([[0, 0, 50], [0, 0, 100], [0, 0, 150]])
    albedo = np.full((3, 3), 0.5, np.float32)
    radiance = shade_tissue(albedo, reflection_geometry(points, normals, np.zeros(3), lamp), wetness=1.0)
    np.testing.assert_allclose(radiance[0] / radiance[1], 4, rtol=1e-5)
    np.testing.assert_allclose(radiance[0] / radiance[2], 9, rtol=1e-5)


def test_dry_facing_tissue_has_the_lambertian_radiance():
    lamp = Lamp(np.zeros(3), intensity=1.0, reference_distance=50.0)
    geometry = reflection_geometry(np.float32([[0, 0, 50]]), np.float32([[0, 0, -1]]), np.zeros(3), lamp)
    radiance = shade_tissue(np.float32([[0.5, 0.2, 0.1]]), geometry, wetness=0.0)
    np.testing.assert_allclose(radiance[0], np.array([0.5, 0.2, 0.1]) * 1.07 / math.pi, rtol=1e-5)


@pytest.mark.parametrize("roughness", [0.1, 0.34, 0.8])
def test_ggx_reflects_no_more_than_it_receives(roughness):
    # View along the normal; integrate BRDF cos over the hemisphere of lamps. Smith's masking loses a little.
    theta = (np.arange(20000) + 0.5) / 20000 * math.pi / 2
    n_l = np.cos(theta).astype(np.float32)
    values = ggx(n_l, np.ones_like(n_l), np.cos(theta / 2).astype(np.float32), roughness)
    reflected = (values * np.sin(theta)).sum() * 2 * math.pi * (math.pi / 2 / 20000)
    assert 0.4 < reflected < 1.0 + 1e-3
    if roughness == 0.1:
        assert reflected == pytest.approx(1, abs=0.02)


def test_grid_coordinates_find_points_between_the_vertices(surface):
    rng = np.random.default_rng(1)
    triangle = rng.integers(0, len(surface.triangles), 500)
    uv = rng.dirichlet([1, 1, 1], 500)
    corners = surface.flat.reshape(-1, 2)[surface.triangles[triangle]]
    expected = np.einsum("nk,nkc->nc", uv, corners)
    grid = surface.grid_coordinates(triangle, uv[:, 1:])
    pitch = surface.flat[1, 1] - surface.flat[0, 0]
    np.testing.assert_allclose(surface.flat[0, 0] + grid * pitch, expected, atol=1e-3)


def test_triangles_all_face_the_camera_side_consistently(surface):
    a, b, c = np.moveaxis(surface.flat.reshape(-1, 2)[surface.triangles], 1, 0)
    area = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]
    assert (area > 0).all()


def test_folds_make_relief_without_cutting_through_the_camera(surface):
    depth = surface.rest[..., 2]
    assert depth.min() > 40
    flat = make_surface(Phantom(Path("unused"), folds=0.0), np.random.default_rng(0)).rest[..., 2]
    relief = depth - flat
    assert 4 < np.percentile(relief, 95) - np.percentile(relief, 5) < 10  # folds of 4 mm
    assert 0.5 < surface.crease.max() <= 1


def test_the_held_point_follows_the_pull_and_far_tissue_does_not(surface):
    calm = Phantom(Path("unused"), instruments=1, breathing=0.0, peristalsis=0.0)
    pulls = make_pulls(calm, surface, np.random.default_rng(2))
    moved = positions_at(calm, surface, pulls, 1.9) - surface.rest
    held = pulls[0].vertex
    np.testing.assert_allclose(moved[held], pulls[0].offset(1.9), atol=1e-9)
    assert np.linalg.norm(moved[held]) > 0.6 * calm.pull
    assert np.linalg.norm(moved[0, 0]) < 0.2
    assert np.abs(np.diff(moved, axis=0)).max() < 0.5, "the displacement tears the tissue"


def test_motion_is_smooth_in_time(surface):
    pulls = make_pulls(CONFIG, surface, np.random.default_rng(2))
    steps = np.array([positions_at(CONFIG, surface, pulls, t)[::20, ::20] for t in np.arange(8) / 30])
    assert np.linalg.norm(np.diff(steps, axis=0), axis=-1).max() < 1.6  # mm per 1/30 s


def test_camera_motion_is_rigid_and_starts_at_the_world():
    moving = Phantom(Path("unused"), camera="moving")
    np.testing.assert_allclose(camera_at(moving, 0.0), np.eye(4), atol=1e-12)
    pose = camera_at(moving, 1.3)
    np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-12)
    assert np.linalg.det(pose[:3, :3]) == pytest.approx(1)
    np.testing.assert_array_equal(camera_at(CONFIG, 1.3), np.eye(4))


def test_instrument_tips_stay_on_the_tissue_they_hold(surface):
    pulls = make_pulls(CONFIG, surface, np.random.default_rng(2))
    for time in (0.0, 1.0, 2.5):
        positions = positions_at(CONFIG, surface, pulls, time)
        tools = instruments_at(CONFIG, pulls, positions, time)
        for pull in pulls:
            assert np.linalg.norm(tools.vertices - positions[pull.vertex], axis=1).min() < 1.5


def test_instrument_mesh_is_closed_enough_and_its_normals_point_outwards():
    body = instrument_body(80.0, 0.05)
    np.testing.assert_allclose(np.linalg.norm(body.normals, axis=1), 1, atol=1e-6)
    shaft = (body.vertices[:, 2] > 40) & (body.vertices[:, 2] < 79)
    assert ((body.vertices * body.normals)[shaft][:, :2].sum(1) > 0).all()
    assert body.triangles.max() == len(body.vertices) - 1
    assert abs(body.vertices[:, 2].max() - 80) < 1e-6


def test_noise_fields_do_not_depend_on_the_resolution():
    coarse = smooth_noise(np.random.default_rng(3), (40.0, 30.0), (60, 80), 12.0, 2)
    fine = smooth_noise(np.random.default_rng(3), (40.0, 30.0), (180, 240), 12.0, 2)
    assert np.abs(fine[1::3, 1::3] - coarse).max() < 0.15
    big = smooth_noise(np.random.default_rng(4), (400.0, 400.0), (200, 200), 12.0, 2)
    assert abs(big.mean()) < 0.1
    assert 0.7 < big.std() < 1.3


def test_cells_are_rounded_lobules():
    bulge, tint = cells(np.random.default_rng(5), (40.0, 30.0), (120, 160), 4.0)
    assert bulge.shape == tint.shape == (120, 160)
    assert bulge.min() < 0.35 < 0.9 < bulge.max()
    assert len(np.unique(np.round(tint, 4))) > 30


def test_vessels_branch_and_thin_out():
    branches = grow_trees(np.random.default_rng(6), (80.0, 60.0), 4, 1.0)
    widths = np.array([width for _, width in branches])
    assert len(branches) > 20
    assert widths.max() <= 1.2
    assert widths.min() < 0.35
    cover = draw(branches, (80.0, 60.0), (240, 320))
    assert 0.005 < (cover > 0.3).mean() < 0.3
    assert cover.max() <= 1.0


def test_vignette_is_one_in_the_middle_and_loses_what_it_says_in_the_corner():
    factor = vignette(640, 480, 0.4)
    assert factor[240, 320] == pytest.approx(1, abs=1e-4)
    assert factor[0, 0] == pytest.approx(0.6, abs=5e-3)


def test_exposure_is_srgb_and_noise_scales():
    grey = np.full((64, 64, 3), 0.2140, np.float32)  # sRGB 0.5
    flat = np.ones((64, 64), np.float32)
    clean = expose(grey, flat, 0.0, np.random.default_rng(0))
    assert (clean == 127).mean() + (clean == 128).mean() == 1
    deviation = [expose(grey, flat, n, np.random.default_rng(0)).std() for n in (1.0, 3.0)]
    assert 0.5 < deviation[0] < 3
    assert deviation[1] == pytest.approx(3 * deviation[0], rel=0.15)


def test_a_missing_open3d_is_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "open3d", None)
    monkeypatch.setitem(sys.modules, "libusb_package", None)
    with pytest.raises(InputError, match=r"open3d cannot be loaded .*apt-get install"):
        import_open3d()
