"""What `endogs evaluate` adds to a fit's own metrics: points, flicker, comparisons, the report, and what it refuses."""

import json
import re
import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from samples.still_scene import FOCAL, FRAMES, HEIGHT, WIDTH, K, StillClip, Z, still_scene

from endogs.cli import main
from endogs.errors import InputError
from endogs.evaluate.config import Evaluate
from endogs.evaluate.evaluate import evaluate_scene
from endogs.evaluate.evaluate_command import distinct_names, run_evaluate
from endogs.evaluate.line_chart import Line, line_chart
from endogs.evaluate.metrics.point_tracks import Tracks, read_tracks, track_errors
from endogs.evaluate.metrics.temporal import temporal_errors
from endogs.evaluate.paired import paired_differences
from endogs.evaluate.report import differences_table
from endogs.evaluate.summary import comparison_summary
from endogs.priors.motion.flow import ClipFlows
from endogs.scene import Knots, SplineDeformation
from endogs.scene.scene_file import save_scene

ALL = np.ones((HEIGHT, WIDTH), bool)


def moving_scene(clip, speed):
    """The still scene, moving to the right by `speed` world units per second."""
    scene = still_scene(clip)
    knots = Knots.over(0.0, float(clip.times[-1]), 0.3)
    control = torch.zeros(knots.count, len(scene.base), 14)
    # A cubic B-spline reproduces straight lines when its control points lie at their own Greville times.
    greville = torch.tensor(knots.extended).unfold(0, 3, 1).mean(1)[1:-1].float()
    control[:, :, 0] = speed * greville[:, None]
    scene.deformation = SplineDeformation(control, knots)
    drift = float(scene.packed_at(0.5)[0, 0] - scene.packed_at(0.1)[0, 0])
    assert drift == pytest.approx(0.4 * speed, abs=1e-4)
    offset = float(scene.packed_at(0.0)[0, 0] - scene.base[0, 0])
    scene.base[:, 0] -= offset
    return scene


def true_tracks(speed, dimensions=3):
    generator = np.random.default_rng(0)
    pixels = generator.uniform([12, 8], [WIDTH - 12, HEIGHT - 8], (20, 2))
    start = np.concatenate([(pixels - K[:2, 2]) / FOCAL, np.ones((20, 1))], 1) * Z
    positions = np.tile(start, (FRAMES, 1, 1))
    positions[..., 0] += speed * np.arange(FRAMES)[:, None] / 10
    if dimensions == 2:
        positions = positions[..., :2] / positions[..., 2:] * FOCAL + K[:2, 2]
    visible = np.ones((FRAMES, 20), bool)
    visible[0, :5] = False
    visible[4, 5:10] = False
    return Tracks(positions, visible)


@pytest.mark.parametrize(("dimensions", "unit", "miss"), [(3, "mm", 0.9), (2, "px", 0.9 * FOCAL / Z)])
def test_points_are_followed_where_the_truth_says_they_go(dimensions, unit, miss):
    clip, speed = StillClip(), 2.0
    right = track_errors(moving_scene(clip, speed), true_tracks(speed, dimensions))
    assert (right.unit, right.points) == (unit, 20)
    assert max(right.median_visible, right.median_hidden, right.percentile_95) < 0.02
    # A scene that stands still misses a point by its own way since it was named; the middle of 1 to 9 steps is 5.
    wrong = track_errors(still_scene(clip), true_tracks(speed, dimensions))
    assert wrong.median_visible == pytest.approx(miss, rel=0.15)
    assert wrong.median_hidden > 0.2


def test_track_files(tmp_path):
    clip = StillClip()
    tracks = true_tracks(1.0)
    file = tmp_path / "tracks.npz"
    np.savez(file, positions=tracks.positions, visible=tracks.visible)
    assert np.array_equal(read_tracks(file, clip).visible, tracks.visible)
    more = np.repeat(tracks.positions, 2, 0)
    np.savez(file, positions=more, times=np.arange(2 * FRAMES) / 20)
    assert read_tracks(file, clip).positions.shape == tracks.positions.shape, "only the frames that were read"
    for content, message in (
        ({"positions": more}, "20 frames of tracks, but the clip has 10"),
        ({"positions": more, "times": np.arange(2 * FRAMES) + 50.0}, "times are not those"),
        ({"positions": tracks.positions[..., :2]}, "need positions"),
        ({"wrong": tracks.positions}, "need positions"),
        ({"positions": tracks.positions, "visible": tracks.visible[:, :3]}, "visible has the shape"),
    ):
        np.savez(file, **content)
        with pytest.raises(InputError, match=message):
            read_tracks(file, clip)
    file.write_text("no zip")
    with pytest.raises(InputError, match=r"not a readable \.npz file"):
        read_tracks(file, clip)


class NoisyClip(StillClip):
    """The still clip with sensor noise."""

    def image(self, i):
        noise = np.random.default_rng(i).normal(0, 5, self.picture.shape)
        return np.clip(self.picture + noise, 0, 255).astype(np.uint8)


def test_flicker_is_the_change_along_the_videos_motion():
    clip = NoisyClip()
    errors = temporal_errors(still_scene(clip), clip, lambda i: ALL, ClipFlows(lambda i: clip.picture))
    found = errors.as_dict()
    assert len(errors.frames) == FRAMES - 1
    assert found["still_flicker_ratio"] == 0, "a scene that stands still does not flicker"
    assert found["warping_error_video_still"] == pytest.approx(5 * np.sqrt(2), rel=0.1), "two frames' noise"
    moving = temporal_errors(moving_scene(clip, 8.0), clip, lambda i: ALL, ClipFlows(lambda i: clip.picture)).as_dict()
    assert moving["warping_error_scene"] > 1, "it moves where the video does not"
    nothing = temporal_errors(still_scene(clip), clip, lambda i: ~ALL, ClipFlows(lambda i: clip.picture)).as_dict()
    assert np.isnan(nothing["warping_error_scene"])


@pytest.fixture
def folder(tmp_path):
    """A clip of images, the right scene in `good` and one that is too bright in `bright`."""
    clip = StillClip()
    (tmp_path / "clip" / "truth").mkdir(parents=True)
    (tmp_path / "clip" / "images").mkdir()
    for i in range(FRAMES):
        cv2.imwrite(str(tmp_path / "clip" / "images" / f"{i:03d}.png"), clip.picture[..., ::-1])
    tracks = true_tracks(0.0)
    np.savez(tmp_path / "clip" / "truth" / "tracks.npz", positions=tracks.positions, visible=tracks.visible)
    scene = still_scene(clip, clip="clip", clip_options={"fps": 10.0}, split="standard", masks="none")
    for name, gain in (("good", 0.0), ("bright", 0.2)):
        scene.base[:, 11:] += gain
        (tmp_path / name).mkdir()
        save_scene(scene, tmp_path / name / "scene.safetensors")
    # The scene file names its clip relative to itself.
    for name in ("good", "bright"):
        (tmp_path / name / "clip").symlink_to(tmp_path / "clip")
    return tmp_path


def test_one_scene_with_everything(folder, capsys):
    (metrics,) = run_evaluate(Evaluate((folder / "good",), out=folder / "m.json", report=folder / "r.html"))
    mean = metrics.mean
    assert mean["lpips_alex"] is None, "there are no weights"
    assert mean["ms_ssim"] is None, "the frames are too small"
    assert 0 <= mean["flip"] < 0.2
    assert metrics.baseline["neighbour_mean"]["flip"] == 0, "a still image"
    assert metrics.whole_clip["temporal"]["warping_error_scene"] == 0
    assert "tracks" not in metrics.whole_clip, "an image folder has no millimetres"
    read = json.loads((folder / "m.json").read_text())
    assert read["mean"]["flip"] == mean["flip"]
    assert read["whole_clip"]["temporal"]["frames"] == list(range(FRAMES - 1))
    printed = capsys.readouterr().out
    assert "FLIP" in printed
    assert "temporal: warping error 0.00" in printed
    page = (folder / "r.html").read_text()
    assert page.count("<h3>frame ") == 2
    assert not re.search(r"(src|href)\s*=\s*[\"']?(https?:|//|file:)", page), "one file, nothing from elsewhere"
    assert "<script" not in page
    assert f"<td>9<td>0.900<td>{metrics.per_frame[1]['psnr']:.4f}" in page


def test_scenes_are_compared_frame_by_frame(folder, capsys):
    scenes = (folder / "good", folder / "bright")
    good, bright = run_evaluate(
        Evaluate(scenes, measures=("psnr", "flip"), out=folder / "m.json", report=folder / "r.html")
    )
    content = json.loads((folder / "m.json").read_text())
    assert list(content["scenes"]) == ["good", "bright"]
    difference = next(d for d in content["differences"] if d["measure"] == "psnr")
    assert difference["mean"] == pytest.approx(bright.mean["psnr"] - good.mean["psnr"])
    assert difference["mean"] < -5
    assert (difference["better"], difference["frames"]) == (0, [1, 9])
    flip = next(d for d in content["differences"] if d["measure"] == "flip")
    assert flip["mean"] > 0
    assert flip["better"] == 0, "more FLIP is worse"
    printed = capsys.readouterr().out
    assert "paired differences to good" in printed
    assert (folder / "r.html").read_text().count("<div class=row>") == 4, "two frames of two scenes"
    bright.per_frame[0]["frame"] = 5
    with pytest.raises(ValueError, match="other frames"):
        paired_differences(["a", "b"], [good, bright])


def test_one_shared_frame_has_no_standard_error():
    clip = StillClip()
    found = []
    for gain in (0.0, 0.2):
        scene = still_scene(clip)
        scene.base[:, 11:] += gain
        metrics = evaluate_scene(scene, clip, "standard", measures={"psnr"})
        found.append(replace(metrics, per_frame=metrics.per_frame[:1]))
    differences = paired_differences(["a", "b"], found)
    assert {d.standard_error for d in differences} == {None}
    assert '"standard_error": null' in json.dumps(differences[0].as_dict(), allow_nan=False)
    printed = comparison_summary(["a", "b"], found, differences)
    line = next(line for line in printed.splitlines() if line.startswith("b, psnr "))
    assert line.split()[-4:] == ["-", "0", "of", "1"]
    assert "<td>-<td>0 of 1" in differences_table(differences)
    assert "depth" not in printed, "it was not asked for"


def test_names_tell_scenes_apart(tmp_path):
    paths = (tmp_path / "a" / "scene.safetensors", tmp_path / "b", tmp_path / "x" / "b")
    assert distinct_names(paths[:2]) == ["a", "b"]
    assert distinct_names(paths[1:]) == [f"{tmp_path.name}/b", "x/b"]
    assert distinct_names((tmp_path, tmp_path)) == [f"{tmp_path.name} (1)", f"{tmp_path.name} (2)"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "evaluate needs a scene"),
        (["good", "--report", "report.png"], "give a name in .html"),
        (["good", "--out", "clip"], "is a folder"),
        (["good", "--report", "m/r.html"], "does not take files"),
        (["good", "--measures", "tracks"], "name at least psnr"),
        (["good", "--lpips-weights", "none.pth"], "no LPIPS weights here"),
        (["good", "--tracks", "none.npz"], "cannot be opened"),
        (["good", "--tracks", "clip/truth/tracks.npz"], "need a scene in mm"),
        (["good", "--trajectory", "m"], "not a TUM trajectory"),
        (["good", "gap"], "fitted with the splits gap, standard; choose one with --split"),
    ],
)
def test_bad_input_is_one_sentence_and_writes_nothing(folder, monkeypatch, capsys, options, message):
    monkeypatch.chdir(folder)
    (folder / "m").write_text("1 2 3\n")
    (folder / "gap").mkdir()
    scene = still_scene(StillClip(), clip="clip", clip_options={"fps": 10.0}, split="gap", masks="none")
    scene.units = "relative"
    save_scene(scene, folder / "gap" / "scene.safetensors")
    if "--tracks" in options:
        scene.origin = replace(scene.origin, split="standard")
        save_scene(scene, folder / "good" / "scene.safetensors")
    before = sorted(folder.rglob("*"))
    small = [] if "--measures" in options else ["--measures", "psnr"]
    assert main(["evaluate", *options, *small]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert message in said[-1]
    assert sorted(folder.rglob("*")) == before


def test_a_report_that_cannot_be_written_leaves_the_old_one(folder, monkeypatch):
    (folder / "r.html").write_text("old")

    def fails(*arguments, **named):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", fails)
    with pytest.raises(InputError, match="No space left"):
        run_evaluate(Evaluate((folder / "good",), measures=("psnr",), report=folder / "r.html"))
    monkeypatch.undo()
    assert (folder / "r.html").read_text() == "old"
    assert not list(folder.glob(".r*"))


def test_charts_show_their_lines():
    x = np.linspace(1, 100, 20)
    chart = line_chart([Line("up", x, x), Line("level", [], [50.0], level=True)], "title", "s", (500, 300), log_x=True)
    assert chart.shape == (300, 500, 3)
    blue = (np.abs(chart.astype(int) - (31, 119, 180)).sum(-1) < 60).any(0)
    red = (np.abs(chart.astype(int) - (214, 39, 40)).sum(-1) < 60).any(0)
    assert blue.sum() > 200
    assert red.sum() > 100
    empty = line_chart([Line("none", [1.0, 2.0], [np.nan, np.nan])], "title", "s", (300, 200))
    assert empty.shape == (200, 300, 3)
    constant = line_chart([Line("one", [0.0], [3.0])], "title", "s", (300, 200))
    assert constant.min() < 100


def test_what_a_fit_measures_stays_light():
    """metrics.json after a reconstruction needs neither LPIPS nor the report."""
    code = (
        "import sys, endogs.pipeline.reconstruct as r; "
        "print([m for m in ('lpips', 'report', 'temporal', 'point_tracks') if f'endogs.evaluate.{m}' in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
