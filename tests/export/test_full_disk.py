"""A disk that fills up, and places that may not be written to: one sentence, and nothing half-written."""

import pytest
from samples.full_disk import full_disk
from samples.player_scenes import sheet

from endogs.cli import main
from endogs.scene.scene_file import save_scene

KINDS = [
    *(["points", "--format", format] for format in ("ply", "ply-ascii", "pcd", "xyz", "npz")),
    ["points", "--time", "0", "1"],
    *(["splats", "--format", format] for format in ("ply", "splat", "glb")),
    *(["mesh", "--format", format] for format in ("ply", "obj", "glb")),
    ["video"],
    *(["depth", "--format", format] for format in ("png", "exr", "npy")),
    ["cameras", "--format", "colmap"],
    ["cameras", "--format", "nerfstudio"],
    *(["tracks", "--format", format] for format in ("csv", "npz")),
    ["html"],
]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scene")
    save_scene(sheet(frames=60), folder / "scene.safetensors")
    return folder / "scene.safetensors"


@pytest.mark.parametrize("kind", KINDS, ids=" ".join)
def test_a_full_disk_is_one_sentence_and_leaves_nothing(kind, saved, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arguments = ["export", kind[0], str(saved), *kind[1:], "--out", str(tmp_path / name_for(kind))]
    with full_disk(1000):
        code = main(arguments)
    said = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("note:")]
    assert code == 2
    assert len(said) == 1
    assert "cannot be written" in said[0]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", [["points"], ["mesh"], ["video"], ["depth"], ["cameras"], ["tracks"]], ids=" ".join)
def test_a_file_in_the_way_of_a_folder_is_told(kind, saved, tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    assert main(["export", *kind, str(saved), "--out", str(tmp_path / "file" / name_for(kind))]) == 2
    assert "cannot be written" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 1


def name_for(kind):
    """A name that fits the kind's format."""
    if kind[0] == "depth" or "colmap" in kind or "--time" in kind:
        return "out"
    standard = {"points": "ply", "splats": "ply", "mesh": "ply", "video": "mp4", "cameras": "tum", "tracks": "csv"}
    named = {"nerfstudio": "json", "ply-ascii": "ply"}
    return "out." + (named.get(kind[-1], kind[-1]) if "--format" in kind else standard.get(kind[0], "html"))
