"""Recipes: they are whole, they set what is not said on the command line, and they run on data of their layout."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from layouts.generators import GENERATORS, generated
from layouts.hamlyn import write_hamlyn
from layouts.stereomis import write_stereomis_frames
from samples.clip_samples import write_endonerf

import endogs
from endogs.bounded_files import read_toml
from endogs.cli import follow_recipe, main, parse
from endogs.clip import ClipOptions, load_clip
from endogs.clip.load import LAYOUTS
from endogs.errors import InputError
from endogs.pipeline.options import Reconstruct
from endogs.pipeline.recipe import load_recipe, option_types, recipe_names, scenes_folder, with_recipe

ROOT = Path(__file__).parents[2]
TINY = ("--preset", "fast", "--iterations", "6", "--gaussians", "500")
WHOLE = {
    "title": "A set",
    "layouts": ["hamlyn"],
    "get": "https://example.org",
    "licence": "none",
    "citation": "nobody",
    "folder": "a folder",
    "units": "mm",
}


def write_recipe(path: Path, options: dict | None = None, **changes: object) -> Path:
    """A recipe with `changes` to its keys; None leaves one out."""
    keys = {key: value for key, value in {**WHOLE, **changes}.items() if value is not None}
    lines = [f"{key} = {json.dumps(value)}" for key, value in keys.items()]
    lines += ["[options]", *(f"{key} = {json.dumps(value)}" for key, value in (options or {}).items())]
    path.write_text("\n".join(lines))
    return path


def followed(*arguments: object) -> Reconstruct:
    """The configuration that the command line `reconstruct ...` leads to."""
    line = ["reconstruct", *map(str, arguments)]
    from endogs.cli import Verb

    return follow_recipe(parse(line, Verb), line)


def test_every_data_set_has_a_recipe():
    assert recipe_names() == sorted(GENERATORS)


@pytest.mark.parametrize("name", GENERATORS)
def test_recipes_are_whole_and_change_the_experiment(name):
    recipe = load_recipe(ROOT / "scenes" / f"{name}.toml")
    assert set(recipe.layouts) <= {layout.KIND for layout in LAYOUTS}
    assert recipe.get.startswith("https://") or "https://" in recipe.get
    experiment = Reconstruct(Path("clip"), **recipe.options)
    assert experiment != Reconstruct(Path("clip"))
    experiment.fit_config()
    assert set(read_toml(recipe.path)["options"]) <= set(option_types())


def test_the_recipes_travel_inside_the_package():
    packages = read_toml(ROOT / "pyproject.toml")["tool"]["scikit-build"]["wheel"]["packages"]
    assert packages["endogs/scenes"] == "scenes"
    assert scenes_folder() == ROOT / "scenes"


def test_an_installed_package_brings_its_own(tmp_path, monkeypatch):
    import endogs.pipeline.recipe as module

    inside = tmp_path / "endogs" / "pipeline" / "recipe.py"
    (tmp_path / "endogs" / "scenes").mkdir(parents=True)
    monkeypatch.setattr(module, "__file__", str(inside))
    assert scenes_folder() == tmp_path / "endogs" / "scenes"


def test_options_of_the_command_line_go_before_the_recipes(tmp_path):
    data = write_hamlyn(tmp_path / "rectified01")
    recipe = write_recipe(
        tmp_path / "mine.toml",
        {"stride": 2, "max_size": 40, "split": "all", "crop": [1, 2, 30, 40], "deterministic": True, "focal": 50},
    )
    config = followed(recipe, "--data", data)
    assert (config.input, config.data, config.split, config.deterministic) == (data, None, "all", True)
    assert config.clip == ClipOptions(stride=2, max_size=40, crop=(1, 2, 30, 40), focal=50.0)
    config = followed(recipe, "--data", data, "--stride", 3, "--split", "gap", "--no-deterministic")
    assert (config.split, config.deterministic, config.clip.stride, config.clip.max_size) == ("gap", False, 3, 40)


def test_a_start_alone_moves_the_recipes_part_of_the_clip(tmp_path):
    data = write_hamlyn(tmp_path / "rectified01")
    recipe = write_recipe(tmp_path / "mine.toml", {"end": 3.0})
    parts = {
        (): (None, 3.0),
        ("--start", 100): (100.0, 103.0),
        ("--start", 1, "--end", 2): (1.0, 2.0),
        ("--end", 8): (None, 8.0),
    }
    for options, part in parts.items():
        clip = followed(recipe, "--data", data, *options).clip
        assert (clip.start, clip.end) == part
    cut = write_recipe(tmp_path / "cut.toml", {"start": 2.0, "end": 3.0})
    assert followed(cut, "--data", data, "--start", 7).clip == ClipOptions(start=7.0, end=8.0)


def test_home_is_written_as_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write_hamlyn(tmp_path / "rectified01")
    write_recipe(tmp_path / "mine.toml", {"stride": 2})
    config = followed("~/mine.toml", "--data", "~/rectified01")
    assert config.clip.stride == 2
    fields = with_recipe({"input": "~/mine.toml", "data": "~/rectified01"})
    for options in (config.clip, fields["clip"]):
        assert load_clip(config.input, options).kind == "hamlyn"
    # Whoever reads the scene later finds the data without knowing the tilde.
    assert config.input == fields["input"] == tmp_path / "rectified01"


def test_a_clip_is_no_recipe(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_hamlyn(tmp_path / "hamlyn")
    assert followed("hamlyn").input == Path("hamlyn")  # a folder that happens to have a recipe's name
    assert followed("hamlyn").split == "standard"
    assert followed("hamlyn", "--data", "hamlyn").depth == "given"


BAD = {
    "unknown key": ({"licens": "x"}, None, r"mine\.toml: unknown key licens:"),
    "unknown option": ({}, {"strides": 2}, r"mine\.toml: unknown option strides:"),
    "an option of a run": ({}, {"resume": True}, r"mine\.toml: unknown option resume:"),
    "a text for a number": ({}, {"stride": "2"}, r"mine\.toml: option stride = '2' is not a whole number"),
    "a fraction": ({}, {"stride": 2.5}, r"option stride = 2\.5 is not a whole number"),
    "true for a number": ({}, {"fps": True}, r"option fps = True is not a number"),
    "a fraction for a choice": ({}, {"sh_degree": 2.0}, r"option sh_degree = 2\.0 is not one of 1, 2, 3"),
    "another choice": ({}, {"split": "half"}, r"option split = 'half' is not one of standard, gap, novel-view, all"),
    "too few numbers": ({}, {"crop": [1, 2, 3]}, r"option crop = \[1, 2, 3\] is not a list of a whole number"),
    "a missing text": ({"licence": None}, None, r"mine\.toml: licence must be a text"),
    "no layouts": ({"layouts": []}, None, r"mine\.toml: layouts must be a list of texts"),
    "an unknown layout": ({"layouts": ["hamlin"]}, None, r"mine\.toml: layouts names hamlin, but there are only"),
    "a wrong number": ({}, {"stride": 0}, r"--stride 0 is out of range"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_recipe_is_one_sentence_naming_file_and_key(tmp_path, name, capsys, monkeypatch):
    changes, options, said = BAD[name]
    monkeypatch.chdir(tmp_path)
    write_recipe(tmp_path / "mine.toml", options, **changes)
    write_hamlyn(tmp_path / "clip", 2)
    assert main(["reconstruct", "mine.toml", "--data", "clip", "--out", "new"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("endogs: ")
    assert error.count("\n") == 1
    with pytest.raises(InputError, match=said):
        raise InputError(error)
    assert not (tmp_path / "new").exists()


def test_what_is_missing_is_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"say with --data where the data of C3VD and C3VDv2 is: .*durrlab"):
        followed("c3vd")
    with pytest.raises(InputError, match=r"nowhere: no such file or folder: --data must name the data of Hamlyn"):
        followed("hamlyn", "--data", "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty: not the data of SCARED \(scared: no images in data/left"):
        followed("scared", "--data", "empty")
    with pytest.raises(InputError, match=r"fancy: --data needs a recipe: a \.toml file or one of c3vd"):
        followed("fancy", "--data", "empty")
    with pytest.raises(InputError, match=r"gone\.toml: cannot be opened"):
        followed("gone.toml", "--data", "empty")
    (tmp_path / "cut.toml").write_text("title = ")
    with pytest.raises(InputError, match=r"cut\.toml: not readable as TOML"):
        followed("cut.toml", "--data", "empty")


@pytest.mark.parametrize("name", GENERATORS)
def test_a_data_set_gives_what_its_recipe_asks_for(tmp_path, name):
    root = generated(name, tmp_path / "data")
    fields = with_recipe({"input": name, "data": root})
    assert (fields["input"], fields["data"]) == (root, None)
    clip = load_clip(root, fields.get("clip"))
    assert clip.kind in load_recipe(scenes_folder() / f"{name}.toml").layouts
    assert clip.has_depth or fields["depth"] != "given"
    assert clip.has_right or fields["depth"] != "stereo"
    assert clip.has_masks or fields["masks"] != "given"
    if "deformation" not in fields:
        return
    assert not clip.static_camera  # something that stands still is seen from several places


# End to end


def test_the_standard_experiment_of_hamlyn_from_the_command_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_hamlyn(tmp_path / "rectified01")
    recipe = ROOT / "scenes" / "hamlyn.toml"
    line = ["reconstruct", str(recipe), "--data", "rectified01", "--out", "scene", *TINY, "--masks", "none"]
    assert main(line) == 0
    config = json.loads((tmp_path / "scene" / "run.json").read_text())["config"]
    assert (config["input"], config["depth"], config["masks"], config["data"]) == ("rectified01", "given", "none", None)
    assert main(["evaluate", "scene"]) == 0  # the scene remembers the data, not the recipe


def test_the_standard_experiment_of_converted_stereomis_from_python(tmp_path):
    data = write_stereomis_frames(tmp_path / "stereo_P3")
    result = endogs.reconstruct(
        "stereomis_frames", data=data, out=tmp_path / "scene", preset="fast", iterations=6, gaussians=500
    )
    assert result.record["config"]["masks"] == "given"
    assert result.record["depth"]["kind"] == "metric"
    assert result.scene.metadata["config"]["input"] == str(data)


def test_the_standard_experiment_of_endonerf_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_endonerf(tmp_path / "pulling", 4)
    (tmp_path / "pulling" / "depth").mkdir()
    for i in range(4):
        depth = np.full((16, 24), 60 + i, np.uint8)
        cv2.imwrite(str(tmp_path / "pulling" / "depth" / f"frame-{i:06d}.depth.png"), depth)
    assert main(["reconstruct", "endonerf", "--data", "pulling", "--out", "scene", *TINY]) == 0
    assert json.loads((tmp_path / "scene" / "metrics.json").read_text())
