"""Evaluating, previewing and rendering a scene that is known to be right: one Gaussian per pixel of a still image."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from samples.still_scene import FRAMES, HEIGHT, WIDTH, StillClip, still_scene

from endogs.clip.config import ClipOptions
from endogs.depth_colors import color_depth, robust_range
from endogs.errors import InputError
from endogs.evaluate.config import Evaluate
from endogs.evaluate.evaluate import evaluate_scene, write_metrics
from endogs.evaluate.evaluate_command import run_evaluate
from endogs.pictures.config import RenderScene
from endogs.pictures.preview import write_preview
from endogs.pictures.render_command import run_render
from endogs.pictures.source_clip import clip_options, load_source_clip, options_as_json
from endogs.pictures.video import frame_rate, write_video
from endogs.scene.origin import Origin
from endogs.scene.scene_file import load_scene, save_scene


def test_metrics_of_a_scene_that_is_right(tmp_path):
    clip = StillClip()
    seen = []
    metrics = evaluate_scene(still_scene(clip), clip, "standard", progress=lambda *p: seen.append(p))
    assert seen == [(1, 2), (2, 2)]
    assert metrics.label == "test PSNR"
    assert metrics.mean["psnr"] > 30
    assert metrics.mean["ssim"] > 0.9
    assert metrics.mean["depth_median_abs_mm"] < 0.01
    assert metrics.mean["depth_abs_rel"] < 1e-3
    assert metrics.depth_alignment == "none"
    assert [row["frame"] for row in metrics.per_frame] == [1, 9]
    assert metrics.per_frame[1]["time"] == 0.9
    first = metrics.per_frame[0]
    assert first["psnr"] - first["psnr_masked"] == pytest.approx(10 * np.log10(3 / 2), abs=1e-6), "a third is hidden"
    mean = np.mean([row["psnr"] for row in metrics.per_frame])
    assert metrics.mean["psnr"] == pytest.approx(mean)
    assert metrics.baseline["neighbour_mean"] == {"psnr": 100.0, "psnr_masked": 100.0}, "a still image"
    assert set(metrics.baseline) == {"neighbour_mean", "flow_midpoint"}

    write_metrics(metrics, tmp_path / "new" / "metrics.json")
    read = json.loads((tmp_path / "new" / "metrics.json").read_text())
    assert set(read) == {"split", "label", "mean", "baseline", "per_frame", "depth_alignment"}
    assert read == json.loads(json.dumps(metrics.as_dict()))
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["metrics.json"]


def test_relative_depth_is_aligned_by_the_median_and_training_psnr_is_called_so():
    clip = StillClip()
    scene = still_scene(clip, 100.0, depth_kind="logdepth")
    metrics = evaluate_scene(scene, clip, "all")
    assert metrics.label == "training PSNR"
    assert metrics.baseline == {}
    assert metrics.depth_alignment == "median scale"
    assert metrics.mean["depth_median_abs_mm"] < 0.02
    assert len(metrics.per_frame) == FRAMES


def test_novel_view_needs_the_right_depth():
    clip = StillClip()
    right = evaluate_scene(still_scene(clip), clip, "novel-view")
    wrong = evaluate_scene(still_scene(clip, 100.0), clip, "novel-view")
    assert right.mean["psnr_masked"] > wrong.mean["psnr_masked"] + 3
    assert set(right.baseline) == {"left_shifted", "depth_warp"}
    assert right.baseline["depth_warp"]["psnr_masked"] > 45
    assert "depth_abs_rel" not in right.mean
    assert right.label == "test PSNR"
    with pytest.raises(InputError, match="--depth given"):
        evaluate_scene(still_scene(clip, depth_kind="logdepth"), clip, "novel-view")
    clip.has_depth = False
    with pytest.raises(InputError, match="needs right views and depth"):
        evaluate_scene(still_scene(clip), clip, "novel-view")


def test_a_frame_without_tissue_is_null_not_nan():
    clip = StillClip()
    metrics = evaluate_scene(
        still_scene(clip), clip, "standard", tissue_mask=lambda i: np.full((HEIGHT, WIDTH), i == 9)
    )
    assert metrics.per_frame[0]["psnr_masked"] is None
    assert metrics.mean["psnr_masked"] == metrics.per_frame[1]["psnr_masked"]
    json.dumps(metrics.as_dict(), allow_nan=False)


def test_a_foreign_clip_is_refused():
    clip = StillClip()
    scene = still_scene(clip)
    scene.times = scene.times[:-1]
    with pytest.raises(InputError, match="10 frames, but the scene was fitted to 9"):
        evaluate_scene(scene, clip, "standard")
    scene = still_scene(clip)
    scene.width = 10
    with pytest.raises(InputError, match="48 x 32"):
        evaluate_scene(scene, clip, "standard")
    scene = still_scene(clip)
    scene.times = scene.times * 2
    with pytest.raises(InputError, match="other times"):
        evaluate_scene(scene, clip, "standard")


@pytest.fixture
def folder(tmp_path):
    """An image folder and the scene file fitted to it, which remembers a relative path and reading options."""
    clip = StillClip()
    (tmp_path / "clip").mkdir()
    for i in range(2 * FRAMES):
        cv2.imwrite(str(tmp_path / "clip" / f"{i:03d}.png"), clip.picture[..., ::-1])
    options = {"stride": 2, "fps": 20.0, "ignore_rows": ("30:32",), "new": 1}
    scene = still_scene(clip, clip="clip", clip_options=options, split="all")
    save_scene(scene, tmp_path / "scene.safetensors")
    return tmp_path


def test_evaluate_command_finds_the_clip_from_the_scene_file(folder, capsys):
    (metrics,) = run_evaluate(Evaluate((folder / "scene.safetensors",), out=folder / "metrics.json"))
    assert len(metrics.per_frame) == FRAMES, "every frame, as the scene was fitted with --split all"
    assert metrics.mean["psnr"] > 25
    assert metrics.per_frame[0]["psnr"] > metrics.per_frame[0]["psnr_masked"], "the ignored rows came along"
    assert json.loads((folder / "metrics.json").read_text())["split"] == "all"
    printed = capsys.readouterr().out
    assert "training PSNR" in printed
    assert "fitted with" not in printed
    run_evaluate(Evaluate((folder,), split="standard"))
    printed = capsys.readouterr().out
    assert "flow midpoint" in printed
    assert "training PSNR, split standard" in printed, "the fit has seen all of the frames"
    assert "fitted with --split all, not standard" in printed


def test_masks_of_the_fit_are_masks_of_the_judgement():
    clip = StillClip()
    with_masks = evaluate_scene(still_scene(clip, masks="given"), clip, "standard")
    without = evaluate_scene(still_scene(clip, masks="none"), clip, "standard")
    assert with_masks.per_frame[0]["psnr"] > with_masks.per_frame[0]["psnr_masked"]
    assert without.per_frame[0]["psnr"] == without.per_frame[0]["psnr_masked"]


def test_evaluate_command_without_its_clip(folder):
    (folder / "clip").rename(folder / "moved")
    with pytest.raises(InputError, match="not there any more as a folder or a video; name it with --clip"):
        run_evaluate(Evaluate((folder / "scene.safetensors",)))
    run_evaluate(Evaluate((folder / "scene.safetensors",), clip=folder / "moved"))
    clip = StillClip()
    save_scene(still_scene(clip), folder / "bare.safetensors")
    with pytest.raises(InputError, match="does not say which clip"):
        run_evaluate(Evaluate((folder / "bare.safetensors",)))


def test_a_clip_that_the_scene_names_from_home_is_found(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    scene = load_scene(folder / "scene.safetensors")
    scene.origin = replace(scene.origin, clip="~/clip")
    assert load_source_clip(scene, folder / "elsewhere.safetensors").source == folder / "clip"


def test_options_survive_json(tmp_path):
    for name in ("m.png", "c.json"):
        (tmp_path / name).touch()
    options = ClipOptions(crop=(1, 2, 30, 40), ignore_mask=Path("m.png"), calibration=Path("c.json"), stride=3, focal=2)
    stored = json.loads(json.dumps(Origin(clip_options=options_as_json(options)).as_json()))
    stored["clip_options"]["unknown"] = 1
    found = clip_options(Origin.from_json(stored), tmp_path)
    assert found == replace(options, ignore_mask=tmp_path / "m.png", calibration=tmp_path / "c.json")


def read_video(path):
    import av

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        return stream.codec_context.name, stream.codec_context.pix_fmt, float(stream.average_rate), frames


def test_preview_shows_input_render_and_depth(folder):
    clip = StillClip()
    seen = []
    write_preview(still_scene(clip), clip, folder / "preview.mp4", progress=lambda *p: seen.append(p))
    codec, pixels, rate, frames = read_video(folder / "preview.mp4")
    assert (codec, pixels, rate) == ("h264", "yuv420p", pytest.approx(10))
    assert len(frames) == FRAMES
    assert seen[-1] == (FRAMES, FRAMES)
    assert frames[0].shape == (HEIGHT, 3 * WIDTH, 3)
    left, middle = frames[4][:, :WIDTH].astype(float), frames[4][:, WIDTH : 2 * WIDTH].astype(float)
    assert np.abs(left - clip.picture).mean() < 8
    assert np.abs(left - middle).mean() < 8
    raw = (folder / "preview.mp4").read_bytes()
    assert raw.index(b"moov") < raw.index(b"mdat"), "starts to play before it is loaded"
    assert not list(folder.glob(".preview*"))


def test_render_command_writes_a_video_or_pictures(folder):
    scene = folder / "scene.safetensors"
    video = run_render(RenderScene(scene, folder / "out.mp4", what="side-by-side"))
    assert video == [folder / "out.mp4"]
    assert read_video(video[0])[3][0].shape == (HEIGHT, 2 * WIDTH, 3)
    files = run_render(RenderScene(scene, folder / "frames", time=(0.0, 0.35), scale=2.0))
    assert [f.name for f in files] == ["000000.png", "000001.png"]
    assert cv2.imread(str(files[1])).shape == (2 * HEIGHT, 2 * WIDTH, 3)
    colored = run_render(RenderScene(scene, folder / "depth", time=(0.1,), what="depth"))
    assert cv2.imread(str(colored[0])).shape == (HEIGHT, WIDTH, 3)
    with pytest.raises(InputError, match="there is a file of this name"):
        run_render(RenderScene(scene, scene))
    for scale in (0, 8.1, 1e6):
        with pytest.raises(InputError, match=r"--scale .* up to 8"):
            run_render(RenderScene(scene, folder / "x", scale=scale))
    with pytest.raises(InputError, match="--time"):
        run_render(RenderScene(scene, folder / "x", time=(float("nan"),)))


def test_videos_of_odd_sizes_and_failures(tmp_path):
    frame = np.full((5, 7, 3), 200, np.uint8)
    assert write_video(tmp_path / "odd.mp4", [frame, frame], 29.97) == 2
    _, _, rate, frames = read_video(tmp_path / "odd.mp4")
    assert frames[0].shape == (6, 8, 3)
    assert rate == pytest.approx(29.97, rel=1e-3)
    with pytest.raises(ValueError, match="at least one frame"):
        write_video(tmp_path / "none.mp4", [], 30)

    def broken():
        yield frame
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        write_video(tmp_path / "odd.mp4", broken(), 30)
    assert len(read_video(tmp_path / "odd.mp4")[3]) == 2, "the old file is whole"
    assert [p.name for p in tmp_path.iterdir()] == ["odd.mp4"]
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write_video(tmp_path / "file" / "x.mp4", [frame], 30)


def test_frame_rate():
    assert frame_rate(np.arange(5) / 25) == pytest.approx(25)
    assert frame_rate(np.zeros(1)) == 30
    assert frame_rate(np.array([0, 100.0])) == 1


def test_depth_colors_keep_their_range():
    depth = np.linspace(50, 150, 400, dtype=np.float32).reshape(20, 20)
    depth[0, 0] = 0
    low, high = robust_range([depth, 2 * depth])
    assert 50 < low < 60
    assert 260 < high < 300
    assert robust_range([np.zeros((8, 8), np.float32)]) == (0, 1)
    colors = color_depth(depth, 60, 140)
    assert colors[0, 0].tolist() == [0, 0, 0]
    assert colors[0, 1, 2] > colors[0, 1, 0], "near is blue"
    assert colors[-1, -1, 0] > colors[-1, -1, 2], "far is red"
    np.testing.assert_array_equal(color_depth(depth, 60, 140), color_depth(depth.copy(), 60, 140))


def test_evaluate_package_and_config_do_not_import_torch():
    import subprocess
    import sys

    code = "import sys, endogs.evaluate.config; assert not {'torch', 'cv2', 'numpy'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
