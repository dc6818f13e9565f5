"""What one browser, or one odd scene, may cost a view: jobs, pictures, searches, lines of the log."""

from dataclasses import replace

import numpy as np
import pytest
from samples.live_client import CANVAS
from samples.live_scene import stretching_scene

from endogs.cli import main
from endogs.clip import load_clip
from endogs.live import layers
from endogs.live.schedule import Wish
from endogs.live.studio import MOST_JOBS, SAVED_PIXELS, Studio, within
from endogs.live.view_command import describe
from endogs.live.viewpoint import LARGEST
from endogs.pictures import scene_frames
from endogs.scene.origin import Origin


def test_one_browsers_jobs_wait_within_bounds_and_in_turn_with_pictures():
    studio = Studio(stretching_scene())
    studio.schedule.update(7, CANVAS, None)
    order = []
    studio.on_picture = lambda browser, shown: order.append("picture")
    for _ in range(100):
        studio.do(lambda: order.append("job"), browser=3)
    studio.do(lambda: order.append("other"), browser=4)
    while studio.tick():
        studio.schedule.all_changed()
        if len(order) > 50:
            break
    assert order.count("job") == MOST_JOBS
    assert order.count("other") == 1
    assert order[:6] == ["job", "picture"] * 3


def test_pictures_have_bounded_sizes_whatever_canvas_is_asked_for():
    for canvas in ((16_384, 16_384), (16_384, 1), (1, 16_384), (0, 0), (3840, 2160)):
        width, height = within(canvas, SAVED_PIXELS)
        assert max(width, height) <= LARGEST
        assert width * height <= 1.01 * max(SAVED_PIXELS, 16 * LARGEST)
    studio = Studio(stretching_scene())
    studio.schedule.update(1, (16_384, 16_384), None)
    assert studio.paint(Wish(1, (16_384, 16_384), None, True, (0, 0))).image.size < 3 * 2_600_000
    studio.schedule.update(1, (0, 0), None)
    assert studio.pick(1, 0.5, 0.5) is None


def test_a_scene_of_enormous_frames_is_looked_at_in_small_ones(monkeypatch):
    sizes = []
    true = scene_frames.draw_scene
    monkeypatch.setattr(
        scene_frames,
        "draw_scene",
        lambda scene, time, camera, *more: sizes.append(camera.width) or true(scene, time, camera, *more),
    )
    scene = stretching_scene()
    factor = 16_384 / scene.width
    K = scene.K * np.array([factor, factor, 1.0])[:, None]
    studio = Studio(replace(scene, K=K, width=16_384, height=round(scene.height * factor)))
    assert studio.painter.depth_range() == pytest.approx(Studio(scene).painter.depth_range(), rel=0.05)
    assert max(sizes) <= 1024
    studio.session.choose_layer("Depth")
    assert studio.picture(None, CANVAS).image.shape == (CANVAS[1], CANVAS[0], 3)


def test_what_fails_again_and_again_is_logged_once(caplog):
    studio = Studio(stretching_scene())
    told = []
    studio.on_error = told.append
    for _ in range(50):
        studio.do(lambda: [][1])
        studio.tick()
    assert len(told) == 50
    assert len(caplog.records) == 1


def test_instruments_are_searched_once_for_all_pictures(tmp_path, monkeypatch):
    assert main(["phantom", str(tmp_path / "clip"), "--frames", "4", "--width", "64", "--height", "48"]) == 0
    clip = load_clip(tmp_path / "clip")
    scene = replace(
        stretching_scene(), times=clip.times, K=clip.K, world_to_camera=clip.world_to_camera, width=64, height=48
    )
    searches = []
    true = layers.judged_masks
    monkeypatch.setattr(layers, "judged_masks", lambda scene, clip: searches.append(1) or true(scene, clip))
    studio = Studio(scene, clip)
    studio.session.choose_layer("Instruments marked")
    pictures = []
    for time_ in clip.times:
        studio.session.timeline.seek(float(time_))
        pictures.append(studio.picture(None, (64, 48)).image)
    assert len(searches) == 1
    assert not np.array_equal(pictures[0], pictures[-1])


def test_a_scenes_name_is_text_in_the_heading():
    scene = replace(
        stretching_scene(), origin=Origin(clip_name="<script>x</script>\n# **a** [b](http://c) \x1b]0;t\x07")
    )
    heading = describe(scene, None)
    assert "<script" not in heading
    assert "\n" not in heading
    assert "\x1b" not in heading
    assert "&#60;script&#62;" in heading
