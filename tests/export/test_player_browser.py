"""The exported page in a real browser: it loads, moves, measures, and shows what the rasterizer shows."""

import base64
import json
import re
import zlib

import cv2
import numpy as np
import pytest
import torch
from samples.chromium import Chromium, executable
from samples.player_scenes import FRAMES, HEIGHT, WIDTH, sheet

from endogs.depth_colors import color_depth
from endogs.evaluate.metrics.metrics import ssim
from endogs.export.html import export_html
from endogs.export.html.payload import unpack_scene
from endogs.render.backends import rasterize_packed
from endogs.render.projection import project

pytestmark = pytest.mark.skipif(executable() is None, reason="no Chromium on the path; set ENDOGS_CHROMIUM to one")

SCALE = 6
ALLOWED = "GL Driver Message"  # Chromium's software renderer remarks that screenshots are slow


def payload_of(path) -> bytes:
    return base64.b64decode(re.search(r'id="scene">([^<]*)<', path.read_text())[1])


@pytest.fixture(scope="module")
def browser():
    try:
        found = Chromium(WIDTH * SCALE, HEIGHT * SCALE + 120)
    except TimeoutError as error:  # a snap's Chromium may not write its profile to the temporary folder
        pytest.skip(f"{error}; set ENDOGS_CHROMIUM to one that does")
    yield found
    found.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Exports by name, each with the scene it holds as Python unpacks it."""
    folder, made = tmp_path_factory.mktemp("pages"), {}
    for name, scene in {
        "sheet": sheet(),
        "moving": sheet(moving_camera=True),
        "still": sheet(still=True, frames=1, units="relative"),
    }.items():
        path = export_html(scene, folder / f"{name}.html", f"The {name} scene", 200_000).path
        made[name] = path, unpack_scene(payload_of(path))[0]
    return made


def opened(browser, path) -> None:
    browser.open(path.as_uri())
    browser.run("endogsPlayer.then((p) => { window.p = p; p.adaptive = false; })")


@pytest.fixture
def page(browser, pages):
    """The deforming scene, freshly opened; what the page complains about fails the test."""
    path, scene = pages["sheet"]
    opened(browser, path)
    yield scene
    assert [text for text in browser.trouble if ALLOWED not in text] == []


def go(browser, time: float) -> None:
    browser.run(f"p.timeline.seek({time}), p.settled()")


def stage(browser) -> dict:
    return browser.run("(({x, y, width, height}) => ({x, y, width, height}))($('canvas').getBoundingClientRect())")


def fit_stage(browser, scale: int) -> None:
    """Makes the stage exactly `scale` times the clip's image."""
    place = f"position: fixed; left: 0; top: 0; width: {WIDTH * scale}px; height: {HEIGHT * scale}px"
    browser.run(f"$('stage').style = '{place}', p.settled()")
    box = stage(browser)
    assert (box["width"], box["height"]) == (WIDTH * scale, HEIGHT * scale)


def picture(browser) -> np.ndarray:
    """The stage as the screen shows it, without scale bar and panels, as large as the clip's image."""
    browser.run(
        "document.querySelectorAll('#scale-bar, #depth-bar, #measurement').forEach((e) => { e.style.opacity = 0; })"
    )
    browser.run("p.settled().then(() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50))))")
    image = browser.screenshot(stage(browser))
    return cv2.resize(image, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)


def rendered(scene, time: float, frame: int):
    return rasterize_packed(scene.packed_at(time), scene.camera(frame))


def likeness(image: np.ndarray, color: torch.Tensor) -> float:
    return ssim(image, color.numpy())


def test_page_opens_without_complaint_and_without_a_network(browser, page):
    assert browser.run("$('message').hidden") is True
    assert browser.run("document.title") == "The sheet scene"
    assert {address.split(":")[0] for address in browser.requests} <= {"file", "blob", "data"}
    assert "millimetres" in browser.run("$('about').textContent")


def test_scene_arrives_as_python_unpacks_it(browser, page):
    got = browser.run("({base: [...p.scene.base], control: [...p.scene.control], resolution: [...p.scene.resolution]})")
    slots = browser.run("SLOT_OF")
    base = np.array(got["base"]).reshape(-1, 16)[:, slots]
    np.testing.assert_allclose(base, page.base.numpy(), rtol=1e-6, atol=1e-6)
    resolution = np.array(got["resolution"])[slots]
    control = np.array(got["control"]).reshape(-1, len(page), 16)[..., slots] * resolution
    # One unit: the same number may be rounded up here and down there.
    assert np.all(np.abs(control - page.deformation.control.numpy()) <= 1.01 * resolution + 1e-7)


@pytest.mark.parametrize(("name", "time"), [("sheet", 0.0), ("sheet", 0.31), ("sheet", 1.2), ("moving", 0.6)])
def test_shader_computes_what_python_computes(browser, pages, name, time):
    path, scene = pages[name]
    opened(browser, path)
    rows = browser.run(f"[...p.renderer.probe(endoscopeView(p.header, {time}, [{WIDTH}, {HEIGHT}]), {time})]")
    got = np.array(rows).reshape(len(scene), 11)
    packed, camera = scene.packed_at(time), scene.camera(scene.nearest_frame(time))
    want = project(packed, camera.world_to_camera, camera.K, WIDTH, HEIGHT)
    np.testing.assert_allclose(got[:, :2], want.means2d, atol=2e-3)
    np.testing.assert_allclose(got[:, 2], want.depths, rtol=1e-5)
    np.testing.assert_allclose(got[:, 3], want.opacities, atol=2e-4)
    np.testing.assert_allclose(got[:, 4:7], want.covariances, rtol=2e-3, atol=2e-3)
    np.testing.assert_array_equal(got[:, 7] > 0, want.visible)
    np.testing.assert_allclose(got[:, 8:], packed[:, 11:], atol=2e-4)


def test_camera_moves_evenly_between_frames(browser, pages):
    path, scene = pages["moving"]
    opened(browser, path)
    camera = browser.run("clipCamera(p.header, 0.3)")  # halfway between frames 1 and 2
    rotation = np.reshape(camera["rotation"], (3, 3))
    before, after = scene.world_to_camera[1], scene.world_to_camera[2]
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-9)
    np.testing.assert_allclose(rotation @ before[:3, :3].T, after[:3, :3] @ rotation.T, atol=1e-9)
    centres = [-pose[:3, :3].T @ pose[:3, 3] for pose in (before, after)]
    np.testing.assert_allclose(-rotation.T @ camera["translation"], np.mean(centres, 0), atol=1e-9)


@pytest.mark.parametrize("scale", [1, 4])
@pytest.mark.parametrize("name", ["sheet", "moving", "still"])
def test_screen_shows_what_the_rasterizer_renders(browser, pages, name, scale):
    path, scene = pages[name]
    opened(browser, path)
    fit_stage(browser, scale)
    for frame in {0, len(scene.times) // 2, len(scene.times) - 1}:
        time = float(scene.times[frame])
        go(browser, time)
        image = picture(browser)
        truth = rendered(scene, time, frame).color
        assert likeness(image, truth) >= (0.99 if scale == 1 else 0.95)
        if scale == 1:
            assert np.abs(image / 255 - truth.clamp(0, 1).numpy()).mean() < 0.01


def test_depth_mode_shows_the_rasterizers_depth(browser, page):
    fit_stage(browser, 1)
    go(browser, 0.6)
    browser.run("p.setMode('depth')")
    image = picture(browser).astype(float)
    low, high = browser.run("p.header.depth.range")
    depth = rendered(page, 0.6, 3)
    truth = color_depth(depth.depth.numpy(), low, high).astype(float)
    solid = depth.alpha.numpy() > 0.6
    assert np.median(np.abs(image - truth)[solid]) <= 4
    assert browser.run("$('depth-bar').hidden") is False
    assert browser.run("document.querySelector('#depth-bar li').textContent") == f"{low:.1f}"


def test_it_plays_steps_scrubs_and_pixels_change(browser, page):
    before = picture(browser)
    browser.key(" ")
    plays = (
        "new Promise((done) => { const look = () => p.timeline.time > 0.1 ? done(1) : setTimeout(look, 20); look(); })"
    )
    assert browser.run(f"Promise.race([{plays}, new Promise((done) => setTimeout(done, 20000, 0))])") == 1
    assert browser.run("p.timeline.playing") is True
    browser.key(" ")
    assert browser.run("p.timeline.playing") is False
    for key, frame in (("Home", 0), ("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("End", FRAMES - 1)):
        browser.key(key)
        assert browser.run("p.timeline.time") == pytest.approx(page.times[frame], abs=1e-6)
        assert browser.run("p.timeline.frame") == frame
    browser.run("$('scrub').value = 0.6, $('scrub').dispatchEvent(new Event('input'))")
    assert browser.run("p.timeline.time") == pytest.approx(0.6)
    browser.run("p.settled()")
    after = picture(browser)
    assert np.abs(after.astype(int) - before.astype(int)).max() > 25
    assert "0.60 / 1.20 s" in browser.run("$('clock').textContent")


def test_playing_ends_or_starts_over(browser, page):
    after = (
        "((loop, speed, time, passed) => { const t = new Timeline([0, 0.5, 1.2], () => {}); t.play(); Object.assign(t,"
    )
    after += " { loop, speed, time }); t.advance(passed); return [t.time, t.playing]; })"
    assert browser.run(f"{after}(true, 1, 1.19, 0.05)") == [pytest.approx(0.04), True]
    assert browser.run(f"{after}(false, 1, 1.19, 0.05)") == [1.2, False]
    assert browser.run(f"{after}(false, 0.5, 0, 0.1)") == [pytest.approx(0.05), True]


def carried_point(scene, pixel, time, later):
    """The tissue at a pixel centre now and later, by the rasterizer: motion is composited like a colour."""
    packed, camera = scene.packed_at(time), scene.camera(0)
    motion = scene.packed_at(later)[:, :3] - packed[:, :3]
    found = rasterize_packed(packed, camera, features=motion)
    column, row = pixel
    ray = np.linalg.solve(scene.K[0], [column + 0.5, row + 0.5, 1.0])
    seen = np.append(ray * float(found.depth[row, column]), 1.0)
    point = (np.linalg.inv(scene.world_to_camera[0]) @ seen)[:3]
    return point, point + (found.features[row, column] / found.alpha[row, column]).numpy()


def test_two_clicks_measure_what_python_measures_and_follow_the_tissue(browser, page):
    fit_stage(browser, 4)
    time, later = 0.3, 1.1
    go(browser, time)
    browser.key("m")
    box = stage(browser)
    pixels = [(22, 50), (71, 30)]
    browser.run("p.settled()")
    for column, row in pixels:
        browser.click(box["x"] + (column + 0.5) * 4, box["y"] + (row + 0.5) * 4)
    pairs = [carried_point(page, pixel, time, later) for pixel in pixels]
    for at, which in ((time, 0), (later, 1)):
        go(browser, at)
        browser.run("showState(p)")
        truth = float(np.linalg.norm(pairs[0][which] - pairs[1][which]))
        assert browser.run(f"p.measurement.distance({at})") == pytest.approx(truth, rel=0.01)
        assert browser.run("$('distance').textContent") == f"{browser.run(f'p.measurement.distance({at})'):.1f} mm"
    assert abs(np.linalg.norm(pairs[0][0] - pairs[1][0]) / np.linalg.norm(pairs[0][1] - pairs[1][1]) - 1) > 0.01
    assert browser.run("p.measurement.curve.length") == FRAMES
    lines = browser.run("p.measurement.csv()").splitlines()
    assert lines[0] == "time_s,distance_mm,stretch"
    assert len(lines) == FRAMES + 1
    assert browser.run("document.querySelectorAll('#overlay circle').length") == 4
    browser.key("Escape")
    browser.run("showState(p)")
    assert browser.run("[$('measurement').hidden, p.measurement.points.length]") == [True, 0]


def test_clicks_beside_the_tissue_pick_nothing(browser, page):
    browser.run("p.setCamera('orbit'), p.orbit.zoom(6), p.setMeasuring(true), p.settled()")
    box = stage(browser)
    browser.click(box["x"] + 5, box["y"] + box["height"] - 5)
    browser.run("p.settled(), showState(p)")
    assert browser.run("p.measurement.points.length") == 0
    assert "No tissue there" in browser.run("$('hint').textContent")


def test_dragging_orbits_around_the_pivot_and_reset_returns(browser, page):
    box = stage(browser)
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    start = browser.run("projectPoint(p.view(), p.header.pivot)")
    before = browser.run("p.view().rotation")
    browser.mouse("mousePressed", x, y)
    for step in range(1, 6):
        browser.mouse("mouseMoved", x + 16 * step, y - 6 * step)
    browser.mouse("mouseReleased", x + 80, y - 30)
    assert browser.run("p.camera") == "orbit"
    assert np.abs(np.array(browser.run("p.view().rotation")) - before).max() > 0.2
    np.testing.assert_allclose(browser.run("projectPoint(p.view(), p.header.pivot)"), start, atol=0.5)
    depth = browser.run("depthIn(p.view(), p.header.pivot)")
    browser.mouse("mouseWheel", x, y, "none", deltaX=0, deltaY=-300)
    assert browser.run("depthIn(p.view(), p.header.pivot)") < 0.9 * depth
    browser.mouse("mousePressed", x, y, "right")
    browser.mouse("mouseMoved", x + 30, y, "right")
    browser.mouse("mouseReleased", x + 30, y, "right")
    moved = np.array(browser.run("projectPoint(p.view(), p.header.pivot)")) - start
    assert moved[0] == pytest.approx(30, abs=1)
    browser.key("r")
    assert browser.run("p.camera") == "endoscope"


def test_orbit_starts_where_the_endoscope_stood(browser, pages):
    opened(browser, pages["moving"][0])
    go(browser, 0.7)
    endoscope = browser.run("p.view()")
    orbit = browser.run("p.setCamera('orbit'), p.view()")
    for name in ("rotation", "translation", "focal", "centre"):
        np.testing.assert_allclose(orbit[name], endoscope[name], atol=1e-6)


def test_two_fingers_pinch(browser, page):
    box = stage(browser)
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    depth = browser.run("depthIn(p.view(), p.header.pivot)")

    def fingers(kind, spread):
        points = [{"x": x - spread, "y": y, "id": 1}, {"x": x + spread, "y": y, "id": 2}] if spread else []
        browser.call("Input.dispatchTouchEvent", type=kind, touchPoints=points)

    fingers("touchStart", 30)
    fingers("touchMove", 45)
    fingers("touchMove", 60)
    fingers("touchEnd", 0)
    assert browser.run("p.camera") == "orbit"
    assert browser.run("depthIn(p.view(), p.header.pivot)") == pytest.approx(depth / 2, rel=0.05)


def test_a_still_scene_has_no_timeline_and_says_relative(browser, pages):
    opened(browser, pages["still"][0])
    assert browser.run("getComputedStyle(document.querySelector('footer')).display") == "none"
    assert "relative" in browser.run("$('about').textContent")
    assert [text for text in browser.trouble if ALLOWED not in text] == []


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        ("delete window.DecompressionStream", "DecompressionStream"),
        ("HTMLCanvasElement.prototype.getContext = () => null", "WebGL 2"),
    ],
)
def test_an_old_browser_is_told_what_it_lacks(browser, pages, spoil, told):
    script = browser.call("Page.addScriptToEvaluateOnNewDocument", source=spoil)["identifier"]
    try:
        browser.open(pages["sheet"][0].as_uri())
        browser.run("endogsPlayer.catch(() => null)")
        assert told in browser.run("$('message').textContent")
        assert browser.run("$('message').hidden") is False
    finally:
        browser.call("Page.removeScriptToEvaluateOnNewDocument", identifier=script)


@pytest.mark.parametrize("how", ["cut off", "of another kind"])
def test_a_damaged_page_says_so(browser, pages, tmp_path, how):
    text = pages["sheet"][0].read_text()
    payload = payload_of(pages["sheet"][0])
    header = json.dumps({"format": "something else"}).encode()
    spoiled = (
        payload[: len(payload) // 2] if how == "cut off" else zlib.compress(len(header).to_bytes(4, "little") + header)
    )
    path = tmp_path / "damaged.html"
    path.write_text(text.replace(base64.b64encode(payload).decode(), base64.b64encode(spoiled).decode()))
    browser.open(path.as_uri())
    browser.run("endogsPlayer.catch(() => null)")
    assert "damaged" in browser.run("$('message').textContent")
