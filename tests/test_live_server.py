"""The viewer as a server, seen by clients that speak its protocol: ports, tokens, several browsers, lost lines."""

import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest
import torch
from live_client import LookingClient
from live_scene import HEIGHT, WIDTH, stretching_scene
from websockets.exceptions import InvalidStatus

from endogs.cli import main
from endogs.clip import load_clip
from endogs.errors import InputError
from endogs.evaluate.metrics import psnr
from endogs.live.config import View
from endogs.live.face import Face
from endogs.live.fit_watch import FitWatch
from endogs.live.playback import Playback
from endogs.live.server import LiveServer, free_port
from endogs.live.studio import Studio
from endogs.live.view_command import show
from endogs.live.viewpoint import orbit_of_frame
from endogs.scene.scene_file import save_scene

CANVAS = (2 * WIDTH, 2 * HEIGHT)


@pytest.fixture
def view():
    """A served scene: (studio, url)."""
    studio = Studio(stretching_scene())
    server = LiveServer("127.0.0.1", 0)
    Face(server.viser, studio, "sheet")
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


def picture(client):
    """The next picture that a client is sent, RGB."""
    sent = client.wait_for("BackgroundImageMessage", lambda message: message["rgb_data"])
    return cv2.imdecode(np.frombuffer(sent["rgb_data"], np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def told_in(message):
    """The text that a markdown's update carries."""
    return str(message["updates"].get("_markdown", ""))


def until(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


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
    for label, name, begins in (
        ("Picture (PNG)", "view_0.000s.png", b"\x89PNG"),
        ("Point cloud at this time (PLY)", "points_0.000s.ply", b"ply\n"),
        ("Camera (JSON)", "camera_0.000s.json", b"{"),
    ):
        browser.send({"type": "GuiUpdateMessage", "uuid": buttons[label], "updates": {"value": True}})
        files[name] = browser.wait_for("FileTransferStartDownload")["filename"]
        assert browser.wait_for("FileTransferPart")["content"].startswith(begins)
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


def test_from_elsewhere_nothing_is_served_without_the_token():
    studio = Studio(stretching_scene())
    server = LiveServer("0.0.0.0", 0)
    Face(server.viser, studio, "sheet")
    playback = Playback(studio)
    address = f"http://127.0.0.1:{urlsplit(server.url).port}"
    query = urlsplit(server.url).query
    try:
        for path in ("/", "/?token=wrong", "/index.html"):
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(address + path, timeout=5)
            assert refused.value.code == 403
        with pytest.raises(InvalidStatus, match="403"):
            LookingClient(address)

        class NoRedirect(urllib.request.HTTPRedirectHandler):
            def redirect_request(self, *arguments):
                return None

        with pytest.raises(urllib.error.HTTPError) as moved:
            urllib.request.build_opener(NoRedirect).open(f"{address}/?{query}", timeout=5)
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
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(urllib.request.Request(address, headers={"Cookie": "endogs_token=x"}), timeout=5)
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


# A fit that is watched


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("live") / "clip"
    assert main(["phantom", str(folder), "--frames", "6", "--width", "96", "--height", "80"]) == 0
    return folder


def fitted(clip_folder, out, steps, *more):
    """The command line of a small fit."""
    fit = ["--preset", "fast", "--iterations", str(steps), "--gaussians", "800", "--split", "all"]
    return ["reconstruct", str(clip_folder), "--out", str(out), *fit, *more]


def test_a_watched_fit_is_the_same_fit_whatever_its_browsers_do(clip_folder, tmp_path, monkeypatch, capfd):
    assert main(fitted(clip_folder, tmp_path / "alone", 60)) == 0
    seen, fresh = [], []
    work = FitWatch._work

    def watched(self, fit):
        # Two browsers come at step 1; one drops the line in the middle of the fit, and its camera goes on being used.
        if fit.step == 1:
            self.clients = [LookingClient(self.server.url) for _ in range(2)]
            for client in self.clients:
                client.look(size=CANVAS)
            until(lambda: len(self.studio.schedule) == 2)
        if fit.step == 20:
            seen.append(picture(self.clients[0]).shape)
            self.clients[0].close(politely=False)
        if fit.step == 30:
            self.studio.do(lambda: [][1])
        self.budget._credit = 1.0
        self._renewed = 0.0
        if fit.step == 40:  # as density control does
            fit.optimizer.keep(torch.ones(len(fit.optimizer.base), dtype=torch.bool))
        if fit.step > 50:  # nobody may look for a while, and yet nothing old is held
            self.budget._credit = -1.0
        work(self, fit)
        fresh.append(self.studio.scene.deformation is fit.optimizer.deformation)

    def leave(self):
        seen.append(picture(self.clients[1]).shape)
        self.clients[1].close()

    monkeypatch.setattr(FitWatch, "_work", watched)
    monkeypatch.setattr(FitWatch, "wait", leave)
    assert main(fitted(clip_folder, tmp_path / "watched", 60, "--live", "--port", "0")) == 0
    assert seen == [(CANVAS[1], CANVAS[0], 3)] * 2
    assert len(fresh) == 60
    assert all(fresh), "tensors that the fit has replaced are let go"
    alone, with_view = ((tmp_path / name / "scene.safetensors").read_bytes() for name in ("alone", "watched"))
    start = 8 + int.from_bytes(alone[:8], "little")
    other = 8 + int.from_bytes(with_view[:8], "little")
    assert alone[start:] == with_view[other:], "looking changes nothing"
    assert "Traceback" not in capfd.readouterr().err


def test_a_view_that_fails_does_not_stop_the_fit(clip_folder, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("endogs.live.fit_watch.Face", None)
    assert main(fitted(clip_folder, tmp_path / "out", 4, "--live", "--port", "0")) == 0
    assert "the view of the fit failed" in caplog.text


def test_a_fit_pauses_resumes_stops_and_saves(clip_folder, tmp_path):
    code = """
import sys, threading, time
from endogs.cli import main
from endogs.live.fit_watch import FitWatch
begin, steps = FitWatch.begin, []
def watched_begin(self, fit, clip, metric):
    begin(self, fit, clip, metric)
    def hands():
        while fit.step < 5: time.sleep(0.001)
        self.pause(); time.sleep(0.3); steps.append(fit.step); time.sleep(0.5); steps.append(fit.step)
        self.pause()
        while fit.step < steps[0] + 5: time.sleep(0.001)
        self.end()
    threading.Thread(target=hands, daemon=True).start()
FitWatch.begin = watched_begin
FitWatch.wait = lambda self: print("kept open at", *steps)
sys.exit(main(sys.argv[1:]))
"""
    arguments = fitted(clip_folder, tmp_path / "out", 100_000, "--live", "--port", "0")
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=100)
    assert done.returncode == 130, done.stderr
    paused, later = (int(word) for word in done.stdout.split("kept open at")[1].split()[:2])
    assert paused == later
    assert (tmp_path / "out" / "scene.safetensors").exists()
    assert (tmp_path / "out" / "checkpoints").exists()


def test_ctrl_c_ends_a_pause(clip_folder):
    from endogs.live.fit_watch import resuming_at_interrupt

    paused, told = threading.Event(), []
    paused.set()
    import signal

    before = signal.signal(signal.SIGINT, lambda number, frame: told.append(number))
    try:
        with resuming_at_interrupt(paused):
            signal.raise_signal(signal.SIGINT)
        assert not paused.is_set()
        assert told == [signal.SIGINT], "the loop outside hears of it too"
        signal.raise_signal(signal.SIGINT)
        assert len(told) == 2, "the handler is as it was"
    finally:
        signal.signal(signal.SIGINT, before)


def test_the_clips_layers_show_the_clip(clip_folder):
    from dataclasses import replace

    clip = load_clip(clip_folder)
    scene = stretching_scene()
    K, poses = clip.K, clip.world_to_camera
    scene = replace(scene, times=clip.times, K=K, world_to_camera=poses, width=clip.width, height=clip.height)
    studio = Studio(scene, clip)
    studio.session.timeline.seek(float(clip.times[3]))
    studio.session.choose_layer("Input")
    assert (studio.picture(None, (96, 80)).image == clip.image(3)).all()
    assert (studio.picture(orbit_of_frame(scene, 0), (96, 80)).image == clip.image(3)).all(), "seen as it was filmed"
    studio.session.choose_layer("Colour")
    plain = studio.picture(None, (96, 80)).image
    studio.session.choose_layer("Instruments marked")
    marked = studio.picture(None, (96, 80)).image
    changed = (marked != plain).any(2)
    hidden = ~clip.tissue_mask(3)
    assert hidden.any()
    assert changed[hidden].mean() > 0.99
    assert not changed[cv2.dilate(hidden.astype(np.uint8), np.ones((5, 5))) == 0].any()
    studio.session.choose_layer("Input beside render")
    both = studio.picture(None, (192, 80)).image
    assert (both[:, :96] == clip.image(3)).all()
    assert (both[:, 96:] == plain).all()
