"""What refusals of the commands advise is typed again as they say it, and works."""

import re
import shutil
from pathlib import Path
from typing import Annotated

import cv2
import pytest
import tyro
from advised import WORDS, names, option_in, options_in, told
from samples.live_scene import stretching_scene
from samples.run_folders import run, token_of
from samples.still_scene import FRAMES, StillClip, still_scene
from samples.tool_clip import write_tool_clip

from endogs.cli import follow_recipe, main, parse
from endogs.doctor.config import Doctor
from endogs.live.server import free_port
from endogs.phantom.config import Phantom
from endogs.pipeline.options import Reconstruct
from endogs.pipeline.run_folder import claim
from endogs.scene.scene_file import save_scene


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """A scene file without a clip, and the folder that it lies in."""
    path = tmp_path_factory.mktemp("scene") / "scene.safetensors"
    save_scene(stretching_scene(12, 15), path)
    return path


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A folder with a scene and the clip that it names."""
    folder, clip = tmp_path_factory.mktemp("fitted"), StillClip()
    (folder / "clip").mkdir()
    for i in range(FRAMES):
        cv2.imwrite(str(folder / "clip" / f"{i:03d}.png"), clip.picture[..., ::-1])
    save_scene(still_scene(clip, clip="clip", clip_options={"fps": 10.0}), folder / "scene.safetensors")
    return folder


@pytest.fixture
def typed(capsys, monkeypatch, tmp_path):
    """Runs a command in an empty folder; the refusal, or "" when it did what was asked."""
    monkeypatch.chdir(tmp_path)

    def type_(*words: object) -> str:
        capsys.readouterr()
        code = main(list(map(str, words)))
        said = capsys.readouterr().err
        assert code in (0, 2)
        return said.removeprefix("endogs: ").strip() if code else ""

    return type_


def number(pattern: str, sentence: str) -> str:
    found = re.search(pattern, sentence)
    assert found, sentence
    return found[1]


@pytest.mark.parametrize(
    ("words", "option", "value"),
    [
        ("points --min-opacity 1", "--min-opacity", r"highest is ([\d.]*\d)"),
        ("points --time 99", "--time", r"runs from [\d.]+ to ([\d.]*\d) seconds"),
        ("points --out a.xyz --format ply", "--format", r"ends in \.(\w+) but"),
        ("tracks --gaussian 999999", "--gaussian", None),
        ("cameras --max-points 5", "--format", r"or use (\w+)"),
        ("video --scale 0.5 --orbit-degrees 3", "--what", r"or use ([\w-]+)"),
        ("depth --scale 9", "--scale", r"up to (\d)"),
    ],
)
def test_an_export_is_done_with_the_value_that_is_named(words, option, value, typed, scene):
    kind, *rest = words.split()
    sentence = typed("export", kind, scene, *rest)
    assert sentence, "it was not refused"
    if value is None:
        better = str(int(number(r"the scene has (\d+), counted from 0", sentence)) - 1)
    else:
        better = number(value, sentence)
    if option in rest:
        rest[rest.index(option) + 1] = better
    else:
        rest += [option, better]
    if kind == "depth":
        rest += ["--time", "0"]
    assert typed("export", kind, scene, *rest) == ""


@pytest.mark.parametrize(
    "words",
    [
        "points --min-frames 1",
        "points --show seen",
        "mesh --views 3",
        "mesh --show seen",
        "cameras --max-points 5",
        "tracks --count 3 --gaussian 1",
        "video --masks none --scale 0.5",
        "video --clip x --scale 0.5",
    ],
)
def test_an_export_is_done_without_the_option_that_is_to_be_left_out(words, typed, scene):
    kind, *rest = words.split()
    sentence = typed("export", kind, scene, *rest)
    option = options_in(sentence)[0][0]
    assert "leave it out" in sentence or "leave one of them out" in sentence or f"leave out {option}" in sentence
    at = rest.index(option)
    assert typed("export", kind, scene, *rest[:at], *rest[at + 2 :]) == ""


def test_names_of_files_that_are_asked_for(typed, scene, tmp_path):
    ending = re.findall(r"\.\w+", typed("export", "points", scene, "--out", "a.txt").split("end the name in")[1])
    assert [typed("export", "points", scene, "--out", f"a{one}") for one in ending] == [""] * len(ending)
    assert "a name without an ending" in typed("export", "depth", scene, "--out", "maps.png")
    assert typed("export", "depth", scene, "--out", "maps", "--time", "0") == ""
    sentence = typed("render", scene, "--out", "picture.png")
    assert number(r"a name in (\.\w+)", sentence) == ".mp4"
    assert typed("render", scene, "--out", "picture", "--time", "0") == ""
    (tmp_path / "taken").write_text("")
    assert "choose another --out" in typed("render", scene, "--out", "taken", "--time", "0")
    last = number(r"to ([\d.]*\d) seconds", typed("render", scene, "--out", "late", "--time", "99"))
    assert typed("render", scene, "--out", "late", "--time", last) == ""


def test_a_kind_that_does_not_exist_is_told_one_that_does(typed, scene):
    example = number(r"`endogs (export \w+) SCENE`", typed("export", "pints", scene))
    assert typed(*example.split(), scene) == ""


def test_a_surface_that_is_not_there_and_voxels_that_are_too_small(typed, scene):
    least = number(r"give ([\d.e-]*\d) or more", typed("export", "mesh", scene, "--voxel", "1e-7"))
    assert float(least) > 0
    sentence = typed("export", "mesh", scene, "--voxel", str(1e5))
    if sentence:
        assert "leave it out" in sentence
    assert typed("export", "mesh", scene) == ""


EVALUATED = ["--measures", "psnr"]


def test_evaluate_does_what_it_advises(typed, fitted):
    assert typed("evaluate", fitted, *EVALUATED) == ""
    least = number(r"at least (\w+)", typed("evaluate", fitted, "--measures", "temporal"))
    assert typed("evaluate", fitted, "--measures", least) == ""
    split = option_in(typed("evaluate", fitted, *EVALUATED, "--split", "novel-view"), "--split", 1)
    assert typed("evaluate", fitted, *EVALUATED, *split) == ""
    sentence = typed("evaluate", fitted, *EVALUATED, "--masks", "given")
    choices = [words for words in options_in(sentence) if len(words) == 2]
    assert len(choices) == 2
    assert [typed("evaluate", fitted, *EVALUATED, *words) for words in choices] == ["", ""]
    ending = number(r"give a name in (\.\w+)", typed("evaluate", fitted, *EVALUATED, "--report", "r.txt"))
    assert typed("evaluate", fitted, *EVALUATED, "--report", f"r{ending}") == ""
    assert "two names" in typed("evaluate", fitted, *EVALUATED, "--report", "r.html", "--out", "r.html")


def test_a_clip_that_was_moved_is_named_or_put_back(typed, fitted, tmp_path):
    """evaluate can name another place; export points cannot, and says what else works."""
    moved = shutil.copytree(fitted, tmp_path / "moved")
    (moved / "clip").rename(moved / "elsewhere")
    sentence = typed("evaluate", moved, *EVALUATED)
    assert typed("evaluate", moved, *EVALUATED, names(sentence, "--clip"), moved / "elsewhere") == ""
    sentence = typed("export", "points", moved, "--min-frames", "1")
    assert "put it there again, or leave out --min-frames" in sentence
    assert [words[0] for words in options_in(sentence)] == ["--min-frames", "--min-frames"]
    assert typed("export", "points", moved) == ""
    (moved / "elsewhere").rename(moved / "clip")
    sentence = typed("export", "points", moved, "--min-frames", "999")
    most = number(r"the most is (\d+); lower --min-frames", sentence)
    assert typed("export", "points", moved, "--min-frames", most) == ""


def test_a_clip_of_other_frames_asks_for_its_own(typed, fitted, tmp_path):
    shorter = shutil.copytree(fitted / "clip", tmp_path / "shorter")
    next(iter(sorted(shorter.iterdir()))).unlink()
    sentence = typed("evaluate", fitted, *EVALUATED, "--clip", shorter)
    assert "give the clip that it was fitted to" in sentence
    assert options_in(sentence) == [], "evaluate has no options of reading"
    assert typed("evaluate", fitted, *EVALUATED, "--clip", fitted / "clip") == ""


def test_options_of_reading_are_called_those_of_reconstruct(typed, fitted, tmp_path):
    """A clip that got masks after the fit, of which only the user knows what they mean, is given as it was."""
    changed = tmp_path / "changed"
    shutil.copytree(fitted / "clip", changed / "images")
    (changed / "masks").mkdir()
    for file in sorted((changed / "images").iterdir()):
        classes = cv2.imread(str(file))[..., 0] // 64 + 1
        cv2.imwrite(str(changed / "masks" / file.name), classes)
    sentence = typed("evaluate", fitted, *EVALUATED, "--clip", changed)
    assert "--mask-values" in sentence
    assert "options of reconstruct" in sentence
    shutil.rmtree(changed / "masks")
    assert typed("evaluate", fitted, *EVALUATED, "--clip", changed) == ""


def test_masks_that_inspect_cannot_have_name_its_own_option(typed, fitted):
    sentence = typed("inspect", fitted / "clip", "--masks", "--masks-from", "given")
    choices = [words for words in options_in(sentence) if len(words) == 2]
    assert [words[0] for words in choices] == ["--masks-from"] * 2
    assert [typed("inspect", fitted / "clip", "--masks", *words) for words in choices] == ["", ""]


def test_masks_of_inspect_are_shown_only_with_its_switch(typed, fitted):
    sentence = typed("inspect", fitted / "clip", "--masks-from", "none")
    assert "add --masks, or leave it out" in sentence
    assert typed("inspect", fitted / "clip", "--masks-from", "none", "--masks") == ""
    assert typed("inspect", fitted / "clip") == ""


@pytest.mark.parametrize("words", ["--masks", "--masks --masks-from none"])
def test_who_follows_the_advice_of_inspect_is_not_given_it_again(words, typed, tmp_path, capsys):
    clip = write_tool_clip(tmp_path / "clip")
    assert "--masks shows what it finds" in heard(capsys, "inspect", clip)
    assert "--masks" not in heard(capsys, "inspect", clip, *words.split())


def heard(capsys, *words: object) -> str:
    capsys.readouterr()
    assert main(list(map(str, words))) == 0
    return " ".join("".join(capsys.readouterr()).split())


def asked(*words: str) -> Reconstruct:
    return parse(["reconstruct", "clip", *words], Annotated[Reconstruct, tyro.conf.subcommand("reconstruct")] | Doctor)


FITS = {
    "--rigidity-weight 1 --deformation mlp": ["--deformation"],
    "--sh-degree 2": ["--colors"],
    "--colors sh --deformation mlp": ["--deformation"],
}


@pytest.mark.parametrize("line", FITS)
def test_options_of_a_fit_that_do_not_go_together_are_told_with_what_they_do(line):
    """Where a value is named it is taken; where words follow "for" or "preset", each of them; else it is left out."""
    words = line.split()
    sentence = told(asked(*words).fit_config)
    for option in FITS[line]:
        named = [given[1] for given in options_in(sentence) if given[0] == option and len(given) > 1]
        named = [value for value in named if value not in words]
        rest = sentence.split(";")[-1].split(":")[-1].split(" give ")[-1]
        named += [value for value in re.findall(r"[a-z0-9]+", rest) if value in WORDS[option] and value not in words]
        assert named, sentence
        for value in named:
            others = list(words)
            if option in others:
                others[others.index(option) + 1] = value
            else:
                others += [option, value]
            assert asked(*others).fit_config().iterations > 0


def test_an_option_of_a_fit_is_left_out_as_it_is_said():
    words = ["--rigidity-weight", "1", "--deformation", "mlp"]
    assert "leave it out" in told(asked(*words).fit_config)
    assert asked(*words[2:]).fit_config().iterations > 0


def test_a_recipe_is_told_to_be_named_with_its_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["reconstruct", "hamlyn"]
    sentence = told(follow_recipe, parse(words, _verbs()), words)
    data = names(sentence, "--data")
    wrong = ["reconstruct", "clip.mp4", data, str(tmp_path)]
    recipes = told(follow_recipe, parse(wrong, _verbs()), wrong).split("one of ")[1].rstrip(".").split(", ")
    assert "hamlyn" in recipes
    lacking = ["reconstruct", recipes[0], data, str(tmp_path)]
    assert "expected" in told(follow_recipe, parse(lacking, _verbs()), lacking)


def _verbs():
    return Annotated[Reconstruct, tyro.conf.subcommand("reconstruct")] | Doctor


def test_a_place_for_a_result_is_found_as_it_is_said(tmp_path):
    out = tmp_path / "scene"
    run(out, "first")
    sentence = told(claim, out, "clip", False, False)
    names(sentence, "--overwrite")
    run(tmp_path / "another", "other")
    assert token_of(run(out, "second", overwrite=True)) == "second"
    run(out, "half", complete=False, overwrite=True)
    sentence = told(claim, out, "clip", False, False)
    names(sentence, "--resume")
    assert token_of(run(out, "half", resume=True)) == "half"
    sentence = told(claim, out, "clip", True, False)
    names(sentence, "--resume")
    assert "leave out --resume" in sentence
    strange = tmp_path / "photos"
    strange.mkdir()
    (strange / "holiday.jpg").write_text("")
    inside = Path(option_in(told(claim, strange, "clip", False, False), "--out")[1])
    assert token_of(run(inside, "inside")) == "inside"


def test_a_port_and_an_address_that_are_named_can_be_served_at():
    sentence = told(free_port, "127.0.0.1", 70_000)
    low, high = (int(word) for word in re.findall(r"\d+", sentence.split("give")[1]))
    assert (low, high) == (0, 65535)
    assert free_port("127.0.0.1", low) > 0
    host = re.findall(r"[\d.]+\d", told(free_port, "no such host", 0))[-1]
    assert free_port(host, 0) > 0


def test_a_phantom_that_comes_too_close_or_sees_too_much_is_changed_as_it_is_said(tmp_path):
    near = Phantom(tmp_path, pull=20.0, folds=8.0, distance=40.0)
    names(told(near.check), "--distance")
    Phantom(tmp_path, pull=20.0, folds=8.0, distance=90.0).check()
    Phantom(tmp_path, pull=2.0, folds=1.0, distance=40.0).check()
    tall = {"height": 900, "width": 300, "field_of_view": 100.0}
    assert "lower the height or the field of view" in told(Phantom(tmp_path, **tall).check)
    Phantom(tmp_path, **{**tall, "height": 300}).check()
    Phantom(tmp_path, **{**tall, "field_of_view": 40.0}).check()
