"""The viewer as a server, seen by clients that speak its protocol: ports, tokens, several browsers, lost lines."""

import socket
import time
import urllib.error
import urllib.request
from dataclasses import replace
from urllib.parse import urlsplit

import numpy as np
import pytest
from samples.live_client import CANVAS, LookingClient, picture, until
from samples.live_scene import DISTANCE, stretching_scene
from websockets.exceptions import InvalidStatus

from endogs.cli import main
from endogs.errors import InputError
from endogs.evaluate.metrics.metrics import psnr
from endogs.gaussians import COLORS
from endogs.live import viewer_gui
from endogs.live.config import View
from endogs.live.playback import Playback
from endogs.live.server import LiveServer, free_port
from endogs.live.studio import Studio
from endogs.live.view_command import show
from endogs.live.viewer_gui import ViewerGui
from endogs.live.viewpoint import orbit_of_frame
from endogs.scene.appearance import LAMP_AT_LENS, Appearance, Light, LitColors
from endogs.scene.scene_file import save_scene


@pytest.fixture
def view(request):
    """A served scene: (studio, url); the parameter "lit" makes it one that knows its light."""
    scene = stretching_scene()
    if getattr(request, "param", "plain") == "lit":
        scene = replace(scene, appearance=Appearance(LitColors.start(scene.base, DISTANCE)))
    studio = Studio(scene)
    server = LiveServer("127.0.0.1", 0)
    ViewerGui(server.viser, studio, "sheet")
    playback = Playback(studio)
    yield studio, server.url
    playback.stop()
    server.stop()


@pytest.fixture
def browser(view):
    """A client that looks from the endoscope's place."""
    client = LookingClient(view[1])
    at_home(client, view[0])
    yield client
    client.close()


def at_home(client, studio):
    home = orbit_of_frame(studio.scene, 0)
    client.look(home.position, CANVAS, home.wxyz)


def told_in(message):
    """The text that a markdown's update carries."""
    return str(message["updates"].get("_markdown", ""))


def taken_port():
    holder = socket.socket()
    holder.bind(("127.0.0.1", 0))
    holder.listen()
    return holder, holder.getsockname()[1]


# What a browser gets


def test_a_browser_gets_our_rasterizers_picture(view, browser):
    studio = view[0]
    shown = picture(browser)
    own = studio.picture(None, CANVAS).image
    assert shown.shape == own.shape
    assert psnr(shown, own) > 30  # JPEG


def test_turning_the_view_leaves_the_endoscope(view, browser):
    studio = view[0]
    picture(browser)
    until(lambda: studio.schedule.browsers())
    (number,) = studio.schedule.browsers()
    at_home(browser, studio)
    time.sleep(0.2)
    assert studio.schedule.look(number)[1] is None, "what the browser sends unasked is no turn"
    browser.look((30.0, 0.0, 5.0), CANVAS)
    until(lambda: studio.schedule.look(number)[1] is not None)
    assert studio.schedule.look(number)[1].position == (30.0, 0.0, 5.0)


def test_two_clicks_measure_and_the_distance_is_the_studios(view, browser):
    studio = view[0]
    picture(browser)
    for x in (0.4, 0.6):
        browser.click(x, 0.5)
        time.sleep(0.1)
    text = browser.wait_for("GuiUpdateMessage", lambda message: "straight" in told_in(message))
    until(lambda: len(studio.session.pair) == 2)
    told = float(told_in(text).split("**")[1].split()[0])
    assert told == pytest.approx(studio.measured().distances[0], abs=0.01)
    assert told == pytest.approx(0.2 * CANVAS[0] / (2 * 92.0) * 61, rel=0.05), "a fifth of the canvas, 61 mm away"


def test_playing_sends_pictures_that_differ(view, browser):
    studio = view[0]
    first = picture(browser)
    studio.session.timeline.play()
    studio.schedule.all_changed()
    later = [picture(browser) for _ in range(6)]
    assert np.abs(later[-1].astype(int) - first).mean() > 1
    assert len({image.tobytes() for image in later}) >= 5


def test_two_browsers_each_get_their_own_view(view, browser):
    picture(browser)
    other = LookingClient(view[1])
    other.look((9.0, -5.0, 30.0), (160, 160))
    assert picture(other).shape == (160, 160, 3)
    other.close(politely=False)
    until(lambda: len(view[0].schedule) == 1)
    view[0].session.count_from(0.5)
    assert picture(browser).shape == (CANVAS[1], CANVAS[0], 3), "who stays is still served"


def test_what_is_saved_arrives_as_files(view, browser):
    buttons, files = {}, {}
    while "Camera (JSON)" not in buttons:
        sent = browser.wait_for("GuiButtonMessage")
        buttons[sent["props"]["label"]] = sent["uuid"]
    until(lambda: view[0].schedule.browsers())  # what the browser looks at is known
    for label, name, begins in (
        ("Picture (PNG)", "view_0.000s.png", b"\x89PNG"),
        ("Point cloud at this time (PLY)", "points_0.000s.ply", b"ply\n"),
        ("Camera (JSON)", "camera_0.000s.json", b"{"),
    ):
        browser.send({"type": "GuiUpdateMessage", "uuid": buttons[label], "updates": {"value": True}})
        start = browser.wait_for("FileTransferStartDownload")
        files[name] = start["filename"]
        # Whole, since a browser is offered no file while parts of its last one wait.
        parts = [browser.wait_for("FileTransferPart")["content"] for _ in range(start["part_count"])]
        assert parts[0].startswith(begins)
        assert sum(map(len, parts)) == start["size_bytes"]
    assert list(files) == list(files.values())


def test_a_free_view_may_be_drawn_by_the_browser_through_one_handle(view, browser):
    box = browser.wait_for("GuiCheckboxMessage", lambda message: "Splats" in message["props"]["label"])["uuid"]
    picture(browser)
    browser.send({"type": "GuiUpdateMessage", "uuid": box, "updates": {"value": True}})
    browser.look((30.0, 0.0, 5.0), CANVAS)
    made = browser.wait_for("GaussianSplatsMessage")
    for time_ in (0.5, 1.0):
        view[0].session.timeline.seek(time_)
        view[0].schedule.all_changed()
        changed = browser.wait_for("SceneNodeUpdateMessage", lambda message: "buffer" in message["updates"])
        assert changed["name"] == made["name"]
    at_home(browser, view[0])
    assert browser.wait_for("RemoveSceneNodeMessage")["name"] == made["name"]
    assert picture(browser).shape == (CANVAS[1], CANVAS[0], 3), "the endoscope's view is streamed again"


@pytest.mark.parametrize("view", ["lit"], indirect=True)
def test_the_lamp_of_a_lit_scene_is_moved_in_the_browser(view, browser):
    controls, button = {}, None
    while button is None:
        message = browser.next_message()
        label = (message.get("props") or {}).get("label")
        if label == "As it was filmed":
            button = message["uuid"]
        elif message.get("type") in ("GuiSliderMessage", "GuiCheckboxMessage"):
            controls[label] = message["uuid"]

    def choose(label, value):
        browser.send({"type": "GuiUpdateMessage", "uuid": controls[label], "updates": {"value": value}})

    session, filmed = view[0].session, picture(browser).astype(int)
    choose("Lamp right", DISTANCE / 2)
    choose("Highlights", False)
    until(lambda: session.light == Light(offset=(DISTANCE / 2, 0.0, 0.0), specular=False))
    until(lambda: np.abs(picture(browser).astype(int) - filmed).mean() > 3)
    choose("Even light", True)
    choose("Brightness", 2.0)
    until(lambda: session.light == Light((DISTANCE / 2, 0.0, 0.0), 2.0, True, False))
    browser.send({"type": "GuiUpdateMessage", "uuid": button, "updates": {"value": True}})
    until(lambda: session.light == LAMP_AT_LENS)
    until(lambda: np.abs(picture(browser).astype(int) - filmed).mean() < 0.5)


@pytest.mark.parametrize("view", ["lit"], indirect=True)
def test_splats_in_the_browser_are_lit_from_where_it_looks(view, browser, monkeypatch):
    sent = []
    true = viewer_gui.splat_buffer
    monkeypatch.setattr(viewer_gui, "splat_buffer", lambda packed: sent.append(packed) or true(packed))
    box = browser.wait_for("GuiCheckboxMessage", lambda message: "Splats" in message["props"]["label"])["uuid"]
    picture(browser)
    browser.send({"type": "GuiUpdateMessage", "uuid": box, "updates": {"value": True}})

    def colors(x):
        browser.look((x, 0.0, 5.0), CANVAS)
        until(lambda: view[0].schedule.browsers() and sent)
        (number,) = view[0].schedule.browsers()
        until(lambda: view[0].schedule.look(number)[1] is not None)
        until(lambda: view[0].schedule.look(number)[1].position[0] == x)
        for _ in range(2):  # the first may have been begun before the look arrived
            sent.clear()
            view[0].schedule.all_changed()
            until(lambda: sent)
        return sent[-1][:, COLORS].numpy()

    left, right = colors(-40.0), colors(40.0)
    x = view[0].scene.base[:, 0].numpy()
    assert left[x < -20].mean() > 1.1 * right[x < -20].mean()
    assert right[x > 20].mean() > 1.1 * left[x > 20].mean()


def test_a_scene_without_light_has_no_lamp_to_move(view, browser):
    labels = set()
    while "Camera (JSON)" not in labels:
        labels.add((browser.next_message().get("props") or {}).get("label"))
    assert "Layer" in labels
    assert not {"Light", "Even light", "Lamp right"} & labels


def test_an_error_is_shown_in_the_browser(view, browser):
    view[0].do(lambda: [][1])
    message = browser.wait_for("GuiUpdateMessage", lambda message: "could not do that" in told_in(message))
    assert "list index out of range" in told_in(message)


# The address


def test_a_taken_port_moves_to_the_next_and_says_so(capsys):
    holder, port = taken_port()
    server = LiveServer("127.0.0.1", port)
    try:
        assert f"port {port} is taken; serving at {urlsplit(server.url).port} instead" in capsys.readouterr().err
        assert urlsplit(server.url).port > port
        assert urllib.request.urlopen(server.url, timeout=5).status == 200
    finally:
        server.stop()
        holder.close()


@pytest.mark.parametrize(
    ("host", "port", "told"),
    [
        ("no such host", 8080, "not an address of this machine"),
        ("192.0.2.1", 8080, "cannot be served at"),
        ("127.0.0.1", 70_000, "out of range"),
    ],
)
def test_a_bad_address_is_told_at_once(host, port, told):
    with pytest.raises(InputError, match=told):
        free_port(host, port)


def test_only_a_loopback_host_goes_without_a_token():
    server = LiveServer("127.0.0.1", 0)
    server.stop()
    assert "token" not in server.url


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "http://elsewhere.example"}, {"Origin": "http://localhost:1"}, {"Host": "elsewhere.example"}],
)
def test_other_websites_in_the_same_browser_are_refused(view, headers):
    address = view[1]
    own = {"Origin": address}
    assert urllib.request.urlopen(urllib.request.Request(address, headers=own), timeout=5).status == 200
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=5)
    assert refused.value.code == 403
    with pytest.raises(InvalidStatus, match="403"):
        LookingClient(address, headers)


def test_from_elsewhere_nothing_is_served_without_the_token():
    studio = Studio(stretching_scene())
    server = LiveServer("0.0.0.0", 0)
    ViewerGui(server.viser, studio, "sheet")
    playback = Playback(studio)
    address = f"http://127.0.0.1:{urlsplit(server.url).port}"
    query = urlsplit(server.url).query

    class NoRedirect(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *arguments):
            return None

    opener = urllib.request.build_opener(NoRedirect)
    try:
        for path in ("/", "/?token=wrong", "/index.html"):
            with pytest.raises(urllib.error.HTTPError) as refused:
                opener.open(address + path, timeout=5)
            assert refused.value.code == 403
        with pytest.raises(InvalidStatus, match="403"):
            LookingClient(address)
        with pytest.raises(urllib.error.HTTPError) as moved:
            opener.open(f"{address}/?{query}", timeout=5)
        cookie = moved.value.headers["Set-Cookie"]
        assert (moved.value.code, moved.value.headers["Location"]) == (302, "/")
        assert "HttpOnly" in cookie
        headers = {"Cookie": cookie.split(";")[0]}
        request = urllib.request.Request(address, headers=headers)
        assert b"<!doctype html>" in urllib.request.urlopen(request, timeout=5).read()[:200].lower()
        client = LookingClient(address, headers)
        client.look(size=CANVAS)
        assert picture(client).shape == (CANVAS[1], CANVAS[0], 3)
        client.close()
        for forged in ("endogs_token=x", cookie.split("=")[0] + "=x"):
            with pytest.raises(urllib.error.HTTPError) as refused:
                opener.open(urllib.request.Request(address, headers={"Cookie": forged}), timeout=5)
            assert refused.value.code == 403
    finally:
        playback.stop()
        server.stop()


# `endogs view`


def test_what_is_not_a_scene_is_told_in_one_sentence(tmp_path, capsys):
    save_scene(stretching_scene(), tmp_path / "whole.safetensors")
    content = (tmp_path / "whole.safetensors").read_bytes()
    (tmp_path / "half.safetensors").write_bytes(content[: len(content) // 2])
    (tmp_path / "foreign.safetensors").write_text("solid cube\n")
    for name in ("half.safetensors", "foreign.safetensors", "missing.safetensors"):
        assert main(["view", str(tmp_path / name), "--port", "0"]) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert name in said.err
        assert len(said.err.strip().splitlines()) == 1


def test_a_scene_plays_without_its_clip_and_says_so(tmp_path, capsys):
    save_scene(stretching_scene(), tmp_path / "scene.safetensors")
    looked = []

    def look():
        url = capsys.readouterr()
        looked.append(url.err)
        client = LookingClient(url.out.split()[4])
        client.look(size=CANVAS)
        looked.append(picture(client).shape)
        client.close()

    show(View(tmp_path / "scene.safetensors", port=0), look)
    assert "without the input video" in looked[0]
    assert looked[1] == (CANVAS[1], CANVAS[0], 3)
