"""Every option of every verb, found by walking their dataclasses: what it may not be is refused in one sentence."""

import re
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pytest

from endogs import cli
from endogs.errors import InputError
from endogs.options import Options, Range, _declared

EVIL = {
    "nan": float("nan"),
    "inf": float("inf"),
    "-inf": -float("inf"),
    "1e308": 1e308,
    "-1e308": -1e308,
    "29 digits": 10**29,
    "400 digits": 10**400,
    "5000 digits": -(10**5000),
    "bool": True,
    "numpy bool": np.True_,
    "text": "7",
    "superscript": "²",
    "complex": 1j,
}
WORDS = {
    "nan": "nan",
    "inf": "inf",
    "1e308": "1e308",
    "29 digits": "1" + "0" * 29,
    "400 digits": "4" * 400,
    "5000 digits": "5" * 5000,
    "superscript": "²",
    "hexadecimal": "0x10",
    "markup": "[bold]7[/bold]",
    "escape": "7\x1b]0;title\x07",
    "nothing": "",
}
REQUIRED = {"input": Path("a"), "scene": Path("a"), "out": Path("b"), "scenes": (Path("a"),)}
REQUIRED |= {"estimate": Path("a"), "reference": Path("b")}
VERBS = {
    f"export {kind.__name__[6:].lower()}" if kind.__name__.startswith("Export") else verb: kind
    for kind in cli.RUNNERS
    for verb in [{"RenderScene": "render", "ComparePoses": "compare-poses"}.get(kind.__name__, kind.__name__.lower())]
}


def parts_of(kind: type[Options]) -> list[type[Options]]:
    """The dataclass and those that its fields hold."""
    hints = get_type_hints(kind)
    nested = [
        hints[f.name] for f in fields(kind) if isinstance(hints[f.name], type) and issubclass(hints[f.name], Options)
    ]
    return [kind, *(part for inner in nested for part in parts_of(inner))]


ALL = [(verb, part, name) for verb, kind in VERBS.items() for part in parts_of(kind) for name in _declared(part)]
NUMBERS = sorted({(part, name) for _, part, name in ALL if _declared(part)[name][0] & {int, float}}, key=str)
TEXTS = sorted({(part, name) for _, part, name in ALL if str in _declared(part)[name][0]}, key=str)
PATHS = sorted({(part, name) for _, part, name in ALL if Path in _declared(part)[name][0]}, key=str)


def made(part: type[Options], **values: Any) -> Options:
    needed = {f.name: REQUIRED[f.name] for f in fields(part) if f.default is MISSING and f.default_factory is MISSING}
    return part(**(needed | values))


def like(part: type[Options], name: str, value: Any) -> Any:
    """The value as the field holds it: alone, or once for every place of a fixed tuple."""
    hint = str(get_type_hints(part)[name])
    places = re.search(r"tuple\[([\w., ]+)\]", hint, re.IGNORECASE)
    return value if places is None else (value,) * (1 if "..." in places[1] else len(places[1].split(",")))


def test_all_verbs_are_walked():
    assert {"reconstruct", "view", "render", "export points", "phantom", "inspect"} <= set(VERBS)
    assert len(NUMBERS) > 50
    assert all(issubclass(kind, Options) for kind in VERBS.values())


def test_every_number_has_a_range_that_refuses_what_it_should_and_nothing_else():
    for part, name in NUMBERS:
        kinds, bounds, _ = _declared(part)[name]
        assert isinstance(bounds, Range), f"{part.__name__}.{name} is a number without a range"
        option = "--" + part.option_prefix + name.replace("_", "-")
        for what, value in EVIL.items():
            if isinstance(value, str) and str in kinds:
                continue  # such as --time all
            with pytest.raises(InputError, match=re.escape(option)) as refused:
                made(part, **{name: like(part, name, value)})
            assert len(str(refused.value)) < 200, what
        whole = float not in kinds
        for value in (bounds.low + (1 if whole else 1e-6 * bounds.high) * bounds.above, bounds.high):
            made(part, **{name: like(part, name, int(value) if whole else value)})
        for value in (bounds.low - 1, bounds.high * 2 + 1):
            with pytest.raises(InputError, match=re.escape(option)):
                made(part, **{name: like(part, name, int(value) if whole else value)})
        made(part, **{name: like(part, name, np.int64(bounds.high) if whole else np.float32(bounds.high / 2))})


@pytest.mark.parametrize(("part", "name"), PATHS + TEXTS)
def test_paths_and_texts_that_cannot_be_such_are_refused(part, name):
    option = name if name in part.positional else "--" + part.option_prefix + name.replace("_", "-")
    kinds, bounds, _ = _declared(part)[name]
    evil = ["a\0b", "a\ud800b"]
    if Path in kinds:
        evil += ["n" * 5000, "d/" + "n" * 300 + "/e", 7]
    if str in kinds and bounds is not None:
        pytest.skip("a choice of words beside numbers")
    for value in evil:
        with pytest.raises(InputError, match=re.escape(option)) as refused:
            made(part, **{name: like(part, name, value)})
        assert str(refused.value).isprintable()
        assert len(str(refused.value)) < 250


def line_of(verb: str, option: str, word: str) -> list[str]:
    out = [] if option == "--out" else ["--out", "b"]
    places = ["a", "b"] if verb == "compare-poses" else ["a"]
    return [*verb.split(), *places, *(out if verb in ("render", "batch") else []), option, word]


@pytest.mark.parametrize("word", WORDS)
def test_the_command_line_refuses_words_that_are_no_number_of_its_range(word, capsys, monkeypatch):
    """One verb and option after another, so that every one meets some of the words."""
    monkeypatch.setattr(cli, "run_verb", lambda config: pytest.fail(f"accepted: {config}"))
    choices = {"sh_degree", "gaussian"}
    lines = [
        (verb, "--" + part.option_prefix + name.replace("_", "-"))
        for verb, part, name in ALL
        if (part, name) in NUMBERS and name not in choices and "tuple" not in str(get_type_hints(part)[name])
    ]
    offset = list(WORDS).index(word)
    for verb, option in lines[offset :: len(WORDS)]:
        try:
            code = cli.main(line_of(verb, option, WORDS[word]))
        except SystemExit as left:
            code = left.code
        said = capsys.readouterr().err
        assert code == 2, (verb, option, word)
        assert option in said
        assert "Traceback" not in said
        assert "\x1b]0" not in said


@pytest.mark.parametrize(
    "word", ["--nope\x1b]0;t\x07", "--nope\x9b2J", "--frames\u202e", "\u202everb", "--fps=\x1b[31m"]
)
def test_words_that_are_not_understood_are_echoed_as_text(word, capsys):
    with pytest.raises(SystemExit) as left:
        cli.main(["phantom", "out", word] if word.startswith("-") else [word])
    assert left.value.code == 2
    said = capsys.readouterr().err
    assert said.strip()
    assert all(line.isprintable() for line in said.split("\n"))
