"""Tracks follow the Gaussians, and say when the clip shows them."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from samples.open3d_there import require_open3d
from samples.player_scenes import sheet

from endogs.cli import main
from endogs.evaluate.metrics.point_tracks import read_tracks
from endogs.export.tracks import export_tracks
from endogs.phantom.config import Phantom
from endogs.phantom.writer import write_phantom
from endogs.pictures.find_visibility import find_visibility
from endogs.scene.origin import Origin
from endogs.scene.scene_file import load_scene, save_scene


def hidden_on_the_left_in_frame_3():
    scene = sheet()

    def tissue(frame):
        mask = np.ones((scene.height, scene.width), bool)
        mask[:, : scene.width // 2] = frame != 3
        return mask

    return replace(scene, visibility=find_visibility(scene, tissue))


def test_csv_and_npz_hold_where_the_gaussians_are_and_whether_they_show(tmp_path):
    scene = hidden_on_the_left_in_frame_3()
    assert export_tracks(scene, tmp_path / "t.npz", count=40) == 40
    with np.load(tmp_path / "t.npz") as arrays:
        rows, positions, visible, units = (arrays[n] for n in ("gaussian", "positions", "visible", "units"))
    assert str(units) == "millimetres"
    truth = np.stack([scene.packed_at(float(time))[rows, :3] for time in scene.times])
    np.testing.assert_allclose(positions, truth, atol=1e-6)
    assert visible[0].all()
    seen = np.concatenate([positions[3], np.ones((40, 1))], 1) @ scene.world_to_camera[3].T
    column = scene.K[3, 0, 0] * seen[:, 0] / seen[:, 2] + scene.K[3, 0, 2]
    assert not visible[3, column < 40].any()
    assert visible[3, column > 56].mean() > 0.9
    assert (column < 40).sum() > 5

    assert export_tracks(scene, tmp_path / "t.csv", gaussian=(700, 3)) == 2
    lines = (tmp_path / "t.csv").read_text().splitlines()
    assert "# units millimetres" in lines
    records = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    assert len(records) == 2 * len(scene.times)
    record = records[5]
    assert (record["gaussian"], record["frame"], float(record["time_s"])) == ("3", "2", pytest.approx(scene.times[2]))
    where = scene.packed_at(float(scene.times[2]))[3, :3].tolist()
    assert [float(record[axis]) for axis in "xyz"] == pytest.approx(where, abs=1e-5)
    assert {record["visible"] for record in records} <= {"0", "1"}


def test_chosen_points_spread_evenly(tmp_path):
    scene = hidden_on_the_left_in_frame_3()
    export_tracks(scene, tmp_path / "t.npz", count=30)
    with np.load(tmp_path / "t.npz") as arrays:
        first = arrays["positions"][0]
    gaps = np.linalg.norm(first[:, None] - first[None], axis=2) + 1e9 * np.eye(30)
    # 64 x 48 mm among 30 points is a square of 10 mm for each; points picked at random come within 1 mm.
    assert gaps.min() > 5


def test_a_scene_that_knows_no_instruments_tells_what_is_drawn(tmp_path):
    scene = sheet()
    export_tracks(scene, tmp_path / "t.npz", count=10)
    with np.load(tmp_path / "t.npz") as arrays:
        assert arrays["visible"].shape == (len(scene.times), 10)
        assert arrays["visible"][0].all()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--count", "0"], "is out of range"),
        (["--count", "5", "--gaussian", "1"], "--count is not used with --gaussian"),
        (["--gaussian", "99999999999999999999"], "99999999999999999999 is out of range"),
        (["--gaussian", "-1"], "--gaussian -1 is out of range"),
        (["--gaussian", "99999"], "does not exist; the scene has 936"),
        (["--out", "t.txt"], "end the name in .csv or .npz"),
        (["--out", "t.npz", "--format", "csv"], "make them agree"),
    ],
)
def test_bad_requests_are_sentences(options, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    save_scene(sheet(), tmp_path / "scene.safetensors")
    assert main(["export", "tracks", ".", *options]) == 2
    assert sentence in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["scene.safetensors"]


def test_a_first_frame_without_tissue_is_told(tmp_path, capsys):
    scene = sheet()
    scene.visibility = find_visibility(scene, lambda frame: np.zeros((scene.height, scene.width), bool))
    save_scene(scene, tmp_path / "scene.safetensors")
    assert main(["export", "tracks", str(tmp_path)]) == 2
    assert "name some with --gaussian" in capsys.readouterr().err


def test_tracks_of_a_clip_read_from_its_middle_can_be_judged(tmp_path):
    """`times` count from the clip's first frame, and `time_offset` says when the input has it."""
    scene = sheet()
    scene.origin = Origin(time_offset=2.5)
    export_tracks(scene, tmp_path / "t.npz", count=10)

    class Later:
        times, time_offset = scene.times[2:] - scene.times[2], 2.5 + scene.times[2]

        def __len__(self):
            return len(self.times)

    with np.load(tmp_path / "t.npz") as arrays:
        np.testing.assert_array_equal(arrays["times"], scene.times)
        np.testing.assert_allclose(read_tracks(tmp_path / "t.npz", Later()).positions, arrays["positions"][2:])
    scene.origin = Origin()
    export_tracks(scene, tmp_path / "old.npz", count=10)
    with np.load(tmp_path / "old.npz") as arrays:
        assert "time_offset" not in arrays, "scenes from before do not know it"


def test_tracks_of_a_fit_from_the_middle_of_its_input_go_back_into_evaluate(tmp_path, capsys):
    require_open3d()
    clip, out, tracks = tmp_path / "clip", tmp_path / "scene", tmp_path / "t.npz"
    write_phantom(Phantom(clip, frames=9, width=64, height=56, tracks=5))
    fit = ["--start", "0.2", "--preset", "fast", "--iterations", "1", "--gaussians", "300", "--split", "all"]
    assert main(["reconstruct", str(clip), "--out", str(out), "--device", "cpu", *fit]) == 0
    assert load_scene(out).origin.time_offset == pytest.approx(0.2, abs=1e-3)
    assert main(["export", "tracks", str(out), "--out", str(tracks), "--count", "20"]) == 0
    assert main(["evaluate", str(out), "--tracks", str(tracks), "--measures", "psnr", "--device", "cpu"]) == 0
    assert "tracks: 20 points, median error" in capsys.readouterr().out
