"""Help as a newcomer reads it: every verb, in words, naming only options that there are."""

import re
from pathlib import Path
from typing import get_args

import pytest

from endogs.cli import Verb, main, parse
from endogs.clip.config import POSE_CONVENTIONS, PoseConvention
from endogs.pipeline.options import Reconstruct


def help_of(verb: str, capsys) -> str:
    with pytest.raises(SystemExit) as left:
        main([*verb.split(), "--help"])
    assert left.value.code == 0
    return capsys.readouterr().out


@pytest.fixture
def helps(capsys, monkeypatch) -> dict[str, str]:
    """What `--help` says by verb, in boxes of one column; the verbs are those that it says itself."""
    monkeypatch.setenv("COLUMNS", "100")
    texts, left = {}, [""]
    while left:
        verb = left.pop()
        texts[verb] = help_of(verb, capsys)
        inner = re.match(r"usage: endogs[\w -]* \[-h\] \{([\w,-]+)\}", texts[verb])
        left += [f"{verb} {name}".strip() for name in inner[1].split(",")] if inner else []
    return texts


def options_named(text: str) -> set[str]:
    return set(re.findall(r"--[a-z][a-z0-9.-]*[a-z0-9]", text))


def test_no_verb_speaks_python(helps):
    assert {"reconstruct", "export html", "doctor"} <= set(helps)
    python = re.compile(r"\bNone\b|`|True,False|default: (?:True|False|\))")
    assert {verb: python.findall(text) for verb, text in helps.items() if python.search(text)} == {}


def test_options_that_a_text_names_exist(helps):
    """An option stands at the start of its box's line; what stands elsewhere names one, of this verb or another."""
    there: set[str] = set()
    for text in helps.values():
        there |= options_named(" ".join(re.findall(r"^[│ ] (-.*?)  ", text, re.MULTILINE)))
    assert {"--gaussians", "--light.offset", "--no-even-exposure", "--help"} <= there
    assert {verb: options_named(text) - there for verb, text in helps.items() if options_named(text) - there} == {}


def test_what_may_be_left_out_is_not_typed_as_none(capsys):
    for option in ("--gaussians", "--crop", "--deformation", "--out"):
        line = ["reconstruct", "clip", option, "None"]
        if option == "--out":
            assert parse(line, Verb).out == Path("None"), "a folder may have that name"
            continue
        with pytest.raises(SystemExit):
            parse(line, Verb)
        assert option in capsys.readouterr().err


def test_options_that_may_be_left_out_are_read_as_before():
    assert parse(["reconstruct", "clip"], Verb) == Reconstruct(Path("clip"))
    line = ["--crop", "1", "2", "30", "40", "--gaussians", "7", "--no-even-exposure", "--depth-weight", "0.5"]
    config = parse(["reconstruct", "clip", *line], Verb)
    assert (config.clip.crop, config.gaussians, config.depth_weight) == ((1, 2, 30, 40), 7, 0.5)
    assert config.even_exposure is False


def test_pose_conventions_are_all_in_their_summary():
    short, world, axes = (part.split(",") for part in re.findall(r"\{([^}]*)\}", POSE_CONVENTIONS))
    variants = ["", *re.search(r"\[([^\]]*)\]", POSE_CONVENTIONS)[1].split("|")]
    long = [f"{way}-{axis}{variant}" for way in world for axis in axes for variant in variants]
    assert sorted(short + long) == sorted(get_args(PoseConvention))
