"""True tracks and trajectories are read before anything is measured, on the input's clock, and told when they fail."""

import zipfile
from dataclasses import replace

import cv2
import numpy as np
import pytest
from samples.still_scene import FRAMES, StillClip, still_scene

from endogs.cli import main
from endogs.errors import InputError
from endogs.evaluate import evaluate_command
from endogs.evaluate.config import Evaluate
from endogs.evaluate.evaluate_command import run_evaluate
from endogs.evaluate.metrics.point_tracks import read_tracks
from endogs.evaluate.scene_cameras import forgotten_unit
from endogs.scene.scene_file import load_scene, save_scene

START = 3
"""Frames of the input before the first that is read."""


def centres(seconds):
    """Where the camera is, mm: unevenly, so that a shift of the clock cannot be aligned away."""
    return np.stack([40 * seconds**2, 10 * np.sin(5 * seconds), 0 * seconds], -1)


def tum(path, centre_of, factor=1.0):
    seconds = np.arange(FRAMES + START) / 10
    rows = [f"{t} {' '.join(map(str, factor * c))} 0 0 0 1" for t, c in zip(seconds, centre_of(seconds), strict=True)]
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.fixture
def folder(tmp_path):
    """Thirteen images, and a scene of a moving camera fitted to the last ten."""
    clip = StillClip()
    (tmp_path / "clip").mkdir()
    for i in range(FRAMES + START):
        cv2.imwrite(str(tmp_path / "clip" / f"{i:03d}.png"), clip.picture[..., ::-1])
    options = {"fps": 10.0, "start": START / 10}
    scene = still_scene(clip, clip="clip", clip_options=options, split="standard", masks="none")
    scene.world_to_camera = scene.world_to_camera.copy()
    scene.world_to_camera[:, :3, 3] = -centres((np.arange(FRAMES) + START) / 10)
    save_scene(scene, tmp_path / "scene.safetensors")
    return tmp_path


def test_a_trajectory_counts_from_the_inputs_first_frame(folder, capsys):
    config = Evaluate((folder,), measures=("psnr",), trajectory=tum(folder / "t.tum", centres))
    (metrics,) = run_evaluate(config)
    found = metrics.whole_clip["trajectory"]
    assert found["poses"] == FRAMES
    assert found["ate_rmse"] < 1e-6
    (note,) = capsys.readouterr().err.strip().splitlines()
    assert "both hold the same poses" in note


def test_frames_without_a_pose_count_as_lost(folder, capsys):
    scene = load_scene(folder)
    scene.origin = replace(scene.origin, cameras="tracked", unplaced_frames=(0, 4))
    scene.world_to_camera[4, 0, 3] += 5
    save_scene(scene, folder / "scene.safetensors")
    (metrics,) = run_evaluate(
        Evaluate((folder,), measures=("psnr",), trajectory=tum(folder / "t.tum", centres), masks="none")
    )
    found = metrics.whole_clip["trajectory"]
    assert (found["poses"], found["frames"], found["lost"]) == (FRAMES - 2, FRAMES, 2)
    assert found["ate_rmse"] < 1e-6


def test_a_trajectory_in_metres_is_noticed(folder, capsys):
    run_evaluate(Evaluate((folder,), measures=("psnr",), trajectory=tum(folder / "t.tum", centres, 0.001)))
    assert "its positions seem to be in metres" in capsys.readouterr().err
    true = np.tile(np.eye(4), (FRAMES, 1, 1))
    true[:, :3, 3] = centres(np.arange(FRAMES) / 10)
    assert forgotten_unit(true, true) is None
    for factor, said in ((0.001, "metres"), (0.1, "centimetres"), (1000, "micrometres"), (0.01, "only Sim(3)")):
        other = true.copy()
        other[:, :3, 3] *= factor
        assert said in forgotten_unit(true, other)


@pytest.mark.parametrize("option", ["--tracks", "--trajectory"])
def test_truths_are_read_before_anything_is_measured(folder, monkeypatch, capsys, option):
    (folder / "bad").write_text("1 2 3\n")
    monkeypatch.setattr(evaluate_command, "evaluate_scene", lambda *_, **__: pytest.fail("measured already"))
    assert main(["evaluate", str(folder), option, str(folder / "bad")]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def damaged(path, kind):
    positions = np.random.default_rng(0).standard_normal((FRAMES, 20, 3))
    times = np.arange(FRAMES) / 10
    if kind == "array":
        with open(path, "wb") as file:
            np.save(file, positions)
    elif kind == "csv":
        path.write_text("frame,x,y\n1,2,3\n")
    elif kind == "truncated":
        np.savez(path, positions=positions)
        path.write_bytes(path.read_bytes()[:2000])
    elif kind == "corrupt":
        np.savez_compressed(path, positions=positions)
        content = bytearray(path.read_bytes())
        content[300:400] = bytes(100)
        path.write_bytes(content)
    elif kind == "no array":
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("positions", "1 2 3")
    else:
        arrays = {
            "text times": {"times": times.astype(str)},
            "nan times": {"times": np.where(times > 0.3, np.nan, times)},
            "text visible": {"visible": np.full((FRAMES, 20), "yes")},
            "objects": {"visible": np.full((FRAMES, 20), None)},
            "no frames": {"positions": positions[:0], "times": times[:0]},
        }[kind]
        np.savez(path, **({"positions": positions} | arrays))
    return path


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("array", "not a readable .npz file"),
        ("csv", "not a readable .npz file"),
        ("truncated", "damaged"),
        ("corrupt", "damaged"),
        ("no array", "need positions"),
        ("text times", "its array times is damaged or holds no numbers"),
        ("nan times", "times are not all numbers"),
        ("text visible", "its array visible is damaged or holds no numbers"),
        ("objects", "holds no numbers"),
        ("no frames", "this file has none"),
    ],
)
def test_a_damaged_tracks_file_is_one_sentence(tmp_path, kind, sentence):
    with pytest.raises(InputError, match=sentence) as told:
        read_tracks(damaged(tmp_path / "t.npz", kind), StillClip())
    assert "pickle" not in str(told.value)
    assert str(told.value).startswith(f"{tmp_path / 't.npz'}")


def test_a_scene_without_opaque_gaussians_is_one_sentence(folder, capsys):
    scene = still_scene(StillClip(), clip="clip", clip_options={"fps": 10.0, "start": 0.3}, masks="none")
    scene.base[:, 10] = -9
    (folder / "faint").mkdir()
    (folder / "faint" / "clip").symlink_to(folder / "clip")
    save_scene(scene, folder / "faint" / "scene.safetensors")
    np.savez(folder / "t.npz", pixels=np.full((FRAMES, 9, 2), 9.5))
    assert main(["evaluate", str(folder / "faint"), "--tracks", str(folder / "t.npz"), "--measures", "psnr"]) == 2
    said = capsys.readouterr().err
    assert "without opaque Gaussians" in said
    assert "Traceback" not in said


def test_output_and_report_may_not_be_the_same_file(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    same = ["--out", "x.html", "--report", str(folder / "x.html")]
    assert main(["evaluate", ".", "--measures", "psnr", *same]) == 2
    assert "same file" in capsys.readouterr().err
    assert not (folder / "x.html").exists()
