"""A fit that is watched: the same fit whatever its browsers do, pausing, stopping; and the layers of its clip."""

import signal
import subprocess
import sys
import threading
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from samples.live_client import CANVAS, LookingClient, picture, until
from samples.live_scene import stretching_scene

from endogs.cli import main
from endogs.clip import load_clip
from endogs.live.fit_watch import FitWatch, resuming_at_interrupt
from endogs.live.studio import Studio
from endogs.live.viewpoint import orbit_of_frame


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
    monkeypatch.setattr("endogs.live.fit_watch.ViewerGui", None)
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
    paused, told = threading.Event(), []
    paused.set()
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
