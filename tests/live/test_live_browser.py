"""The viewer in a real browser: what it shows is what our rasterizer draws, and hands reach what they should."""

import time

import numpy as np
import pytest
from samples.chromium import executable
from samples.live_chromium import ViewerPage
from samples.live_scene import stretching_scene

from endogs.evaluate.metrics.metrics import ssim_masked
from endogs.live.playback import Playback
from endogs.live.server import LiveServer
from endogs.live.studio import Studio
from endogs.live.viewer_gui import ViewerGui

pytestmark = pytest.mark.skipif(executable() is None, reason="no Chromium here (apt-get install chromium)")
CANVAS = "document.querySelector('canvas').getBoundingClientRect()"
NOTICE = (15, 15, 315, 150)
"""Columns and rows (x0, y0, x1, y1) where viser says that WebGL runs in software here."""


@pytest.fixture(scope="module")
def page():
    """A page that shows the sheet: (browser, studio)."""
    studio = Studio(stretching_scene())
    server = LiveServer("0.0.0.0", 0)  # through the gate, as from another machine
    ViewerGui(server.viser, studio, "sheet")
    playback = Playback(studio)
    browser = ViewerPage(1200, 900)
    try:
        port_and_token = server.url.split(":")[2]
        browser.open(f"http://127.0.0.1:{port_and_token}")
        browser.until(lambda: len(studio.schedule) == 1, "the browser connects")
        browser.wait("document.body.innerText.includes('frame 0 of 8')")
        yield browser, studio
        assert browser.trouble == []
    finally:
        browser.close()
        playback.stop()
        server.stop()


def test_a_scene_of_large_lengths_is_seen():
    """The page draws the picture one unit before its camera, which must not lie before the near plane."""
    scene, size = stretching_scene(), 30.0
    scene.base[:, :3] *= size
    scene.base[:, 7:10] += float(np.log(size))
    scene.deformation.control[..., :3] *= size
    scene.world_to_camera[:, :3, 3] *= size
    studio = Studio(scene)
    server = LiveServer("127.0.0.1", 0)
    ViewerGui(server.viser, studio, "sheet")
    playback = Playback(studio)
    browser = ViewerPage(900, 600)
    try:
        browser.open(server.url)
        browser.until(lambda: len(studio.schedule) == 1, "the browser connects")
        shot, free = at_rest(browser, studio)
        assert shot[free].astype(float).std() > 20, "an empty canvas has one colour"
    finally:
        browser.close()
        playback.stop()
        server.stop()


def rectangle(browser):
    return tuple(round(browser.run(f"{CANVAS}.{side}")) for side in ("left", "top", "width", "height"))


def at_rest(browser, studio):
    """The canvas once it shows the final picture, RGB, and where the notice does not cover it."""
    (number,) = studio.schedule.browsers()
    view = studio.schedule._browsers[number]
    browser.until(lambda: view.final and view.drawn == (studio.schedule._shared, view.version), "the final picture")
    left, top, width, height = rectangle(browser)
    shots: list[np.ndarray] = []

    def still():  # it has been received, decoded and drawn when the page no longer changes
        shots.append(browser.screenshot()[top : top + height, left : left + width])
        time.sleep(0.15)
        return len(shots) > 3 and all((shot == shots[-1]).all() for shot in shots[-4:])

    browser.until(still, "the page stands still")
    shot = shots[-1]
    free = np.ones(shot.shape[:2], bool)
    x0, y0, x1, y1 = NOTICE
    free[max(y0 - top, 0) : y1 - top, max(x0 - left, 0) : x1 - left] = False
    return shot, free


def similarity(browser, studio):
    """SSIM of the page and our own picture, over the part of the canvas where the scene is drawn."""

    seen_last = []

    def compared():
        shot, free = at_rest(browser, studio)
        (number,) = studio.schedule.browsers()
        own = studio.picture(studio.schedule.look(number)[1], shot.shape[1::-1])
        column, row = own.view.corner
        drawn = np.zeros_like(free)
        drawn[row : row + own.view.camera.height, column : column + own.view.camera.width] = True
        seen = free & drawn
        # The sheet is smooth, and SSIM forgives smooth pictures a small shift; their difference does not.
        difference = np.abs(shot.astype(int) - own.image)[seen].mean()
        seen_last[:] = [f"{difference:.1f} grey levels apart, canvas mean {shot[seen].mean():.0f}"]
        return difference < 2 and (ssim_masked(shot, own.image, seen),)

    try:
        return browser.until(compared, "the page shows our rasterizer's picture", seconds=60)[0]
    except AssertionError as late:
        lost = browser.run("document.querySelector('canvas').getContext('webgl2')?.isContextLost()")
        said = browser.run("document.body.innerText.slice(0, 400)")
        raise AssertionError(
            f"{late}; {seen_last}, WebGL lost: {lost}, the page says {said!r}, {browser.trouble}"
        ) from late


def test_the_endoscopes_view_is_our_rasterizers_picture_now_and_later(page):
    browser, studio = page
    assert similarity(browser, studio) > 0.9
    first = at_rest(browser, studio)[0]
    browser.press("End", "End", 35)
    browser.wait("document.body.innerText.includes('frame 8 of 8')")
    assert similarity(browser, studio) > 0.9
    last = at_rest(browser, studio)[0]
    assert np.abs(first.astype(int) - last).mean() > 3, "the sheet has moved"
    browser.press("j", "KeyJ", 74)
    browser.wait("document.body.innerText.includes('frame 7 of 8')")


def test_two_clicks_measure_what_python_measures(page):
    browser, studio = page
    browser.press("Home", "Home", 36)
    browser.wait("document.body.innerText.includes('frame 0 of 8')")
    left, top, width, height = rectangle(browser)
    for number, x in enumerate((0.4, 0.65), 1):
        browser.click(left + x * width, top + 0.55 * height)
        browser.until(lambda number=number: len(studio.session.pair) == number, "the click is taken")
    text = browser.wait("(document.body.innerText.match(/([\\d.]+) mm straight/) || [])[1]")
    (number,) = studio.schedule.browsers()
    ends = [np.array(studio.pick(number, x, 0.55).position) for x in (0.4, 0.65)]
    assert float(text) == pytest.approx(np.linalg.norm(ends[1] - ends[0]), rel=0.01)
    assert browser.wait("document.querySelectorAll('.uplot canvas').length") >= 1
    browser.press("c", "KeyC", 67)
    browser.wait("document.body.innerText.includes('Click two points')")


def test_playing_changes_the_picture_by_itself(page):
    browser, _ = page
    browser.press(" ", "Space", 32)
    browser.wait("document.body.innerText.includes('playing')")
    left, top, width, height = rectangle(browser)
    shots = set()

    def another():
        shots.add(browser.screenshot()[top : top + height, left : left + width].tobytes())
        return len(shots) >= 4

    browser.until(another, "four different pictures")
    browser.press(" ", "Space", 32)
    browser.wait("document.body.innerText.includes('paused')")


def test_layers_by_key(page):
    browser, studio = page
    colour = at_rest(browser, studio)[0]
    browser.press("2", "Digit2", 50)
    browser.until(lambda: studio.session.layer == "Depth", "the layer is depth")
    depth = at_rest(browser, studio)[0]
    assert np.abs(colour.astype(int) - depth).mean() > 20
    browser.press("1", "Digit1", 49)
    browser.until(lambda: studio.session.layer == "Colour", "the layer is colour")


def test_dragging_turns_the_view_and_a_key_returns_to_the_endoscope(page):
    browser, studio = page
    (number,) = studio.schedule.browsers()
    assert studio.schedule.look(number)[1] is None
    left, top, width, height = rectangle(browser)
    middle = (left + width / 2, top + height / 2)
    browser.drag(*middle, middle[0] + 120, middle[1] + 40)
    browser.until(lambda: studio.schedule.look(number)[1] is not None, "the view is free")
    assert similarity(browser, studio) > 0.9
    browser.press("v", "KeyV", 86)
    browser.until(lambda: studio.schedule.look(number)[1] is None, "the view is the endoscope's")
    assert similarity(browser, studio) > 0.9
    assert studio.session.pair == [], "a drag is no click"
