"""What a viewer computes without a browser: views, picked points, measurements, layers, downloads."""

import csv
import io
import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from plyfile import PlyData
from samples.live_scene import DISTANCE, FPS, FRAMES, HEIGHT, RATE, WIDTH, stretching_scene

from endogs.errors import InputError
from endogs.gaussians import Gaussians
from endogs.live.downloads import camera_bytes, png_bytes, points_bytes
from endogs.live.layers import LAYERS, OF_THE_CLIP, Painter, layers_of, surface_normals
from endogs.live.material import MaterialPoint, follow, pick
from endogs.live.measurement import Measurement, measure, measurement_csv
from endogs.live.overlay import Overlay, draw_overlay
from endogs.live.schedule import Wish
from endogs.live.splats import splat_buffer
from endogs.live.studio import Studio
from endogs.live.viewpoint import canvas_size, endoscope_view, orbit_of_frame, orbit_view, pivot
from endogs.render import rasterize
from endogs.render.projection import rotation_matrices
from endogs.scene.appearance import LAMP_AT_LENS, Appearance, Light, LitColors


def world_on_sheet(view, x, y):
    """Where the canvas's fractions x, y meet the sheet z = DISTANCE."""
    column, row = view.pixel(x, y)
    K, pose = view.camera.K.double().numpy(), np.linalg.inv(view.camera.world_to_camera.double().numpy())
    ray = pose[:3, :3] @ [(column - K[0, 2]) / K[0, 0], (row - K[1, 2]) / K[1, 1], 1.0]
    return pose[:3, 3] + ray * (DISTANCE - pose[2, 3]) / ray[2]


# Views


def test_the_endoscope_fills_the_canvas_without_stretching_and_keeps_its_principal_point(scene):
    view = endoscope_view(scene, 0.0, (3 * WIDTH, 2 * HEIGHT))
    assert (view.camera.width, view.camera.height) == (2 * WIDTH, 2 * HEIGHT)
    assert view.corner == (WIDTH // 2, 0)
    assert view.camera.K[0, 2] == pytest.approx(102.0)
    centre, front = view.project(np.array([[0.0, 0.0, DISTANCE]]))
    own = view.camera.K.double().numpy() @ (scene.world_to_camera[0] @ [0, 0, DISTANCE, 1])[:3]
    assert front.all()
    assert centre[0] == pytest.approx([own[0] / own[2] + WIDTH // 2, own[1] / own[2]], abs=1e-3)
    assert view.pixel(0.01, 0.5) is None, "beside the endoscope's picture there is nothing to click on"


def test_the_endoscope_moves_as_the_clips_camera_did(scene):
    poses = scene.world_to_camera.copy()
    poses[:, 0, 3] += np.arange(FRAMES)
    moving = replace(scene, world_to_camera=poses)
    for time in (0.0, 3.4 / FPS, 1.0):
        view = endoscope_view(moving, time, (WIDTH, HEIGHT))
        assert view.camera.world_to_camera.numpy() == pytest.approx(poses[round(time * FPS)], abs=1e-5)


def test_the_free_camera_starts_where_the_endoscope_is(scene):
    orbit = orbit_of_frame(scene, 0)
    view = orbit_view(orbit, (WIDTH, HEIGHT))
    assert view.camera.world_to_camera.numpy() == pytest.approx(scene.world_to_camera[0], abs=1e-5)
    assert view.camera.K[1, 1].item() == pytest.approx(90.0)
    assert (view.camera.K[0, 2].item(), view.camera.K[1, 2].item()) == (WIDTH / 2, HEIGHT / 2)


def test_the_pivot_lies_on_the_tissue_on_the_cameras_axis(scene):
    point = pivot(scene, 0.0)
    seen = scene.world_to_camera[0] @ [*point, 1.0]
    assert seen[:2] == pytest.approx([0, 0], abs=1e-4)
    assert point[2] == pytest.approx(DISTANCE, abs=2.5)


def test_canvases_shrink_in_shape_and_never_vanish():
    assert canvas_size(1000, 500, 200) == (200, 100)
    assert canvas_size(100, 50, 200) == (100, 50)
    assert canvas_size(1, 1, 10) == (16, 16)
    assert max(canvas_size(10**6, 10, 10**9)) <= 4096


# Points of the tissue


@pytest.mark.parametrize("look", ["endoscope", "free"])
def test_a_click_finds_the_tissue_under_it(scene, look):
    canvas = (4 * WIDTH, 3 * HEIGHT)
    view = endoscope_view(scene, 0.0, canvas) if look == "endoscope" else orbit_view(orbit_of_frame(scene, 0), canvas)
    depth, alpha = Painter(scene).depth(view, 0.0)
    point = pick(view, depth, alpha, 0.4, 0.6, 0.0)
    # The sheet is made of blobs as large as the spacing, so depth is good to a part of that; the direction is exact.
    assert np.abs(np.subtract(point.position, world_on_sheet(view, 0.4, 0.6))).max() < 0.6
    assert view.project(np.array(point.position))[0] == pytest.approx([0.4 * canvas[0], 0.6 * canvas[1]], abs=1e-3)


def test_a_click_on_nothing_finds_nothing(scene):
    view = endoscope_view(scene, 0.0, (4 * WIDTH, 3 * HEIGHT))
    shape = (view.camera.height, view.camera.width)
    nothing = np.zeros(shape, np.float32)
    assert pick(view, nothing, nothing, 0.5, 0.5, 0.0) is None
    assert pick(view, nothing + 50, nothing + 1, 0.01, 0.5, 0.0) is None, "on the black beside the picture"
    assert pick(view, nothing + 50, nothing + 1, 0.5, 0.5, 0.0) is not None


def test_a_point_goes_where_the_tissue_goes_from_any_time(scene):
    start = np.array([11.3, -7.7, DISTANCE])
    path = follow(scene, MaterialPoint(tuple(start), 0.5), scene.times)
    scale = (1 + RATE * scene.times) / (1 + RATE * 0.5)
    assert path[:, 0] == pytest.approx(start[0] * scale, rel=0.01)
    assert path[:, 1:] == pytest.approx(np.tile(start[1:], (FRAMES, 1)), abs=1e-6)
    assert path[round(0.5 * FPS)] == pytest.approx(start, abs=1e-6), "at its own time it is where it was picked"


def test_distance_and_stretch_are_the_sheets(scene):
    a, b = MaterialPoint((-12.0, 4.0, DISTANCE), 0.0), MaterialPoint((12.0, 4.0, DISTANCE), 0.0)
    measurement = measure(scene, a, b, reference_time=0.5)
    assert measurement.distances == pytest.approx(24 * (1 + RATE * scene.times), rel=0.01)
    assert measurement.stretch == pytest.approx((1 + RATE * scene.times) / (1 + RATE * 0.5), rel=0.01)
    assert measurement.distance_at(0.5 / FPS) == pytest.approx(measurement.distances[:2].mean())
    assert (measurement.units, measurement.reference_time) == ("mm", 0.5)


def test_a_distance_counts_what_lies_in_depth():
    ends = np.array([[[0.0, 0, 50], [3, 4, 50]], [[0, 0, 50], [3, 4, 62]]])
    found = Measurement(np.array([0.0, 1.0]), ends[:, 0], ends[:, 1], "mm", 0.0, 5.0)
    assert found.distances == pytest.approx([5, 13])
    assert found.stretch == pytest.approx([1, 2.6])


def test_stretch_of_a_point_with_itself_is_undefined_not_infinite(scene):
    a = MaterialPoint((1.0, 1.0, DISTANCE), 0.0)
    assert np.isnan(measure(scene, a, a, 0.0).stretch).all()


@pytest.mark.parametrize(("units", "named"), [("mm", "distance_mm"), ("relative", "distance_relative")])
def test_the_csv_names_its_unit_and_has_a_line_per_frame(units, named):
    scene = stretching_scene(units=units)
    a, b = MaterialPoint((-12.0, 4.0, DISTANCE), 0.0), MaterialPoint((12.0, 4.0, DISTANCE), 0.0)
    measurement = measure(scene, a, b, 0.0)
    rows = list(csv.DictReader(io.StringIO(measurement_csv(measurement))))
    assert len(rows) == FRAMES
    assert [float(row[named]) for row in rows] == pytest.approx(measurement.distances, abs=1e-6)
    assert [float(row["time_s"]) for row in rows] == pytest.approx(scene.times, abs=1e-6)
    ends = [[float(rows[3][f"{axis}{end}_{units}"]) for axis in "xyz"] for end in (1, 2)]
    assert np.linalg.norm(np.subtract(*ends)) == pytest.approx(measurement.distances[3], abs=1e-5)


# Layers


def test_colour_is_the_rasterizers_own_picture(scene):
    view = endoscope_view(scene, 0.3, (WIDTH + 20, HEIGHT))
    image = Painter(scene).draw(view, 0.3, "Colour")
    own = rasterize(scene.gaussians_at(0.3), scene.camera(0)).color.clamp(0, 1).numpy() * 255
    assert np.abs(image[:, 10 : 10 + WIDTH].astype(float) - own).max() <= 1
    assert (image[:, :10] == 0).all()
    assert (image[:, -10:] == 0).all()


def test_deformation_is_nothing_at_its_own_time_and_grows_with_the_distance_from_the_middle(scene):
    painter, view = Painter(scene), endoscope_view(scene, 0.0, (WIDTH, HEIGHT))
    still = painter.draw(view, 0.5, "Deformation", since=0.5)
    zero = cv2.applyColorMap(np.zeros((1, 1), np.uint8), cv2.COLORMAP_INFERNO)[0, 0, ::-1]
    assert (still == zero).all()
    moved = painter.draw(view, 1.0, "Deformation", since=0.0).sum(2).astype(int)
    middle = round(view.project(np.array([[0.0, 0.0, DISTANCE]]))[0][0, 0])
    assert moved[40, 2] > moved[40, middle] + 100
    assert moved[40, -3] > moved[40, middle] + 100
    assert painter.largest_deformation(0.0) == pytest.approx(RATE * 48, rel=0.05)


def test_depth_comes_with_a_colour_bar_in_the_scenes_unit(scene, monkeypatch):
    titles = []
    monkeypatch.setattr("endogs.live.layers.draw_legend", lambda image, low, high, title, colors: titles.append(title))
    for units in ("mm", "relative"):
        other = stretching_scene(units=units)
        Painter(other).draw(endoscope_view(other, 0.0, (640, 480)), 0.0, "Depth")
    assert titles == ["depth (mm)", "depth (relative)"]


def test_the_colour_bar_is_drawn_where_there_is_room(scene):
    painter = Painter(scene)
    large = endoscope_view(scene, 0.0, (640, 533))
    image = painter.draw(large, 0.0, "Depth")
    assert len(np.unique(image[-60:, 12:220].reshape(-1, 3), axis=0)) > 100, "a ramp of colours and numbers"
    tiny = endoscope_view(scene, 0.0, (WIDTH, HEIGHT))
    assert painter.draw(tiny, 0.0, "Depth").shape == (HEIGHT, WIDTH, 3)


def test_surface_normals_are_those_of_a_tilted_plane():
    K = np.array([[92.0, 0, 51.0], [0, 90.0, 36.0], [0, 0, 1]])
    normal = np.array([0.3, -0.2, -0.9])
    normal /= np.linalg.norm(normal)
    x, y = (np.arange(WIDTH) + 0.5 - K[0, 2]) / K[0, 0], (np.arange(HEIGHT) + 0.5 - K[1, 2]) / K[1, 1]
    rays = np.stack([*np.meshgrid(x, y), np.ones((HEIGHT, WIDTH))], -1)
    depth = (normal @ [0, 0, DISTANCE]) / (rays @ normal)
    found = surface_normals(depth.astype(np.float32), K)[8:-8, 8:-8]
    assert found == pytest.approx(np.broadcast_to(normal, found.shape), abs=0.01)


def test_layers_of_the_clip_are_offered_only_with_the_clip(scene):
    assert layers_of(None) == tuple(layer for layer in LAYERS if layer not in OF_THE_CLIP)
    with pytest.raises(ValueError, match="not found"):
        Painter(scene).draw(endoscope_view(scene, 0.0, (WIDTH, HEIGHT)), 0.0, "Input")


def test_a_lit_scene_shows_its_albedo_and_a_lamp_that_goes_along_with_the_view(scene):
    lit = replace(scene, appearance=Appearance(LitColors.start(scene.base, DISTANCE)))
    assert layers_of(None, lit=True) == (*layers_of(None), "Albedo")
    view = endoscope_view(lit, 0.0, (WIDTH, HEIGHT))
    plain, albedo = Painter(scene).draw(view, 0.0, "Colour"), Painter(lit).draw(view, 0.0, "Albedo")
    # What the Gaussians hold is the albedo, which has been linear in between: a level where that rounds otherwise.
    assert np.abs(plain.astype(int) - albedo).max() <= 1
    near = orbit_view(orbit_of_frame(lit, 0), (WIDTH, HEIGHT))
    pose = near.camera.world_to_camera.clone()
    pose[2, 3] -= DISTANCE / 3
    near = replace(near, camera=replace(near.camera, world_to_camera=pose))
    level = lambda view: Painter(lit).draw(view, 0.0, "Colour")[HEIGHT // 2, WIDTH // 2].mean()
    assert level(near) > 1.2 * level(view)


def test_a_lit_scene_is_shown_under_the_light_that_was_chosen(scene):
    lit = replace(scene, appearance=Appearance(LitColors.start(scene.base, DISTANCE)))
    view = endoscope_view(lit, 0.0, (WIDTH, HEIGHT))
    draw = lambda layer, light: Painter(lit).draw(view, 0.0, layer, light=light).astype(int)
    filmed = draw("Colour", LAMP_AT_LENS)
    assert np.array_equal(filmed, Painter(lit).draw(view, 0.0, "Colour"))
    assert draw("Colour", Light(intensity=0.5)).sum() < 0.9 * filmed.sum()
    halves = draw("Colour", Light(offset=(0.8 * DISTANCE, 0.0, 0.0))) - filmed
    middle = WIDTH // 2
    assert halves[:, middle:].mean() > halves[:, :middle].mean() + 10, "the lamp went to the right"
    assert np.abs(draw("Colour", Light(ambient_only=True)) - draw("Albedo", LAMP_AT_LENS)).max() <= 1
    assert np.array_equal(draw("Depth", Light(intensity=0.5)), draw("Depth", LAMP_AT_LENS))
    with pytest.raises(InputError, match="no light"):
        Painter(scene).draw(view, 0.0, "Colour", light=Light(intensity=0.5))


# Drawn over


def test_trajectories_and_distance_are_drawn_where_the_points_are(scene):
    view = endoscope_view(scene, 0.0, (8 * WIDTH, 8 * HEIGHT))
    image = np.zeros((8 * HEIGHT, 8 * WIDTH, 3), np.uint8)
    trail = follow(scene, MaterialPoint((15.0, 5.0, DISTANCE), 0.0), scene.times)
    behind = np.tile([0.0, 0.0, -50.0], (FRAMES, 1))
    draw_overlay(image, view, Overlay(scene.times, (trail, behind)), 0.5)
    pixels = view.project(trail)[0]
    lit = np.argwhere(image.sum(2) > 60)[:, ::-1]
    low, high = pixels.min(0) - 12, pixels.max(0) + 12
    assert (lit >= low).all()
    assert (lit <= high).all(), "nothing of the point behind the camera"
    now = view.project(np.array([[15.0 * (1 + RATE * 0.5), 5.0, DISTANCE]]))[0][0]
    assert image[round(now[1]), round(now[0])].tolist() == [92, 200, 255]
    assert (
        image[round(pixels[0, 1]), round(pixels[0, 0])].sum()
        > image[round(pixels[-1, 1]), round(pixels[-1, 0]) - 2].sum()
    )


# Downloads


def test_downloads_are_what_other_programs_read(scene):
    view = endoscope_view(scene, 0.25, (WIDTH, HEIGHT))
    image = Painter(scene).draw(view, 0.25, "Colour")
    assert (cv2.imdecode(np.frombuffer(png_bytes(image), np.uint8), cv2.IMREAD_COLOR)[..., ::-1] == image).all()
    cloud = PlyData.read(io.BytesIO(points_bytes(scene, 0.25)))["vertex"]
    assert np.sort(cloud["x"]) == pytest.approx(np.sort(scene.gaussians_at(0.25).means[:, 0].numpy()))
    camera = json.loads(camera_bytes(view, 0.25, "mm"))
    assert np.array(camera["K"]) == pytest.approx(scene.K[0], abs=1e-4)
    assert np.array(camera["world_to_camera"]) == pytest.approx(scene.world_to_camera[0], abs=1e-5)
    assert (camera["units"], camera["time_seconds"], camera["width"]) == ("mm", 0.25, WIDTH)


def test_splats_for_the_browser_keep_centres_covariances_and_colours():
    generator = torch.Generator().manual_seed(3)
    packed = torch.randn(50, 14, generator=generator)
    packed[:, 11:] = torch.rand(50, 3, generator=generator)
    words = splat_buffer(packed)
    assert words.shape == (50, 8)
    assert words.dtype == np.uint32
    raw = words.view(np.uint8)
    assert (raw[:, :12].copy().view(np.float32) == packed[:, :3].numpy()).all()
    gaussians = Gaussians.from_packed(packed)
    axes = rotation_matrices(gaussians.quats) * gaussians.log_scales.exp()[:, None]
    covariance = (axes @ axes.transpose(1, 2)).numpy()[:, [0, 0, 0, 1, 1, 2], [0, 1, 2, 1, 2, 2]]
    assert raw[:, 16:28].copy().view(np.float16) == pytest.approx(covariance, rel=2e-3, abs=1e-4)
    assert raw[:, 28:31] == pytest.approx(packed[:, 11:].numpy() * 255, abs=0.51)
    assert raw[:, 31] == pytest.approx(torch.sigmoid(packed[:, 10]).numpy() * 255, abs=0.51)


# The studio


def test_the_studio_draws_coarsely_first_and_finely_at_rest(scene):
    seconds, shown = [0.0], []
    studio = Studio(scene, clock=lambda: seconds[0])
    studio.on_picture = lambda browser, picture: shown.append((browser, picture))
    studio.schedule.update(4, (1900, 1500), None)
    assert studio.tick()
    assert not studio.tick()
    seconds[0] = 1.0
    assert studio.tick()
    assert not studio.tick()
    (browser, rough), (_, final) = shown
    assert browser == 4
    assert not rough.final
    assert final.final
    assert rough.image.shape[0] * rough.image.shape[1] <= 410_000
    assert 2_400_000 <= final.image.shape[0] * final.image.shape[1] <= 2_600_000


def test_an_error_is_told_once_and_the_work_goes_on(scene):
    studio, told = Studio(scene), []
    studio.on_error = told.append
    studio.schedule.update(1, (64, 64), None)
    studio.on_picture = lambda browser, picture: 1 / 0
    studio.do(lambda: [][1])
    assert studio.tick()
    assert studio.tick()
    assert not studio.tick(), "a picture that fails is not tried for ever"
    assert len(told) == 2
    assert "division" in told[1]


def test_what_is_picked_while_a_scene_changes_stays_where_it_was_picked(scene):
    studio = Studio(scene)
    studio.schedule.update(1, (4 * WIDTH, 4 * HEIGHT), None)
    for x in (0.4, 0.6):
        studio.session.add_end(studio.pick(1, x, 0.5))
    before = studio.measured()
    keep = torch.rand(len(scene), generator=torch.Generator().manual_seed(0)) < 0.7
    fewer = replace(scene, base=scene.base[keep], deformation=scene.deformation.select(keep))
    studio.renew(fewer)
    assert studio.measured().distances == pytest.approx(before.distances, rel=0.02)
    assert studio.pick(99, 0.5, 0.5) is None, "a browser that has left picks nothing"
    with_line = studio.paint(Wish(1, (4 * WIDTH, 4 * HEIGHT), None, True, (0, 0))).image
    studio.session.clear_points()
    assert (studio.paint(Wish(1, (4 * WIDTH, 4 * HEIGHT), None, True, (0, 0))).image != with_line).any()
