"""Every option that a sentence of the program names exists where the sentence can be read, and takes the named value.

The sentences are read from the source: all texts but docstrings. Which commands can say them follows from the room of
the house that they stand in (`SAID_BY`).
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_options import verb_options

import endogs

HOUSE = Path(endogs.__file__).parent
VERBS = verb_options()
READERS = ("inspect", "reconstruct")
SAID_BY: dict[str, tuple[str, ...]] = {
    "batches/": ("batch",),
    "cli.py": ("reconstruct",),
    "cli_words.py": ("evaluate",),
    "tracking/": ("reconstruct",),
    "clip/": READERS,
    "clip/splits.py": ("reconstruct",),
    "doctor/": ("doctor",),
    "device.py": tuple(verb for verb, options in VERBS.items() if "--device" in options),
    "evaluate/": ("evaluate",),
    "evaluate/compare_poses_command.py": ("compare-poses",),
    "evaluate/matched_paths.py": ("compare-poses",),
    "pictures/render_command.py": ("render",),
    "export/": tuple(verb for verb in VERBS if verb.startswith("export ")),
    "export/cameras.py": ("export cameras",),
    "export/commands.py": ("export points",),
    "export/depth_maps.py": ("export depth",),
    "export/extent.py": ("export points", "export splats", "export mesh"),
    "export/file_format.py": ("export points", "export splats", "export mesh", "export tracks"),
    "export/mesh.py": ("export mesh",),
    "export/html/": ("export html",),
    "export/meshing.py": ("export mesh",),
    "export/moments.py": ("export points", "export splats", "export mesh", "export depth"),
    "export/selection.py": ("export points",),
    "export/tracks.py": ("export tracks",),
    "export/video.py": ("export video",),
    "file_lock.py": ("reconstruct",),
    "fit/": ("reconstruct",),
    "live/": ("view", "reconstruct"),
    "output.py": tuple(verb for verb, options in VERBS.items() if "--out" in options),
    "phantom/": ("phantom",),
    "pictures/": ("render", "export video"),
    "pictures/drawing_device.py": tuple(verb for verb, options in VERBS.items() if "--backend" in options),
    "pipeline/": ("reconstruct",),
    "pipeline/breathing.py": ("track",),
    "pipeline/inspect.py": ("inspect",),
    "pipeline/mask_corrections.py": ("inspect",),
    "pipeline/track_command.py": ("track",),
    "priors/": ("reconstruct",),
    "priors/instruments/": READERS,
    "render/room.py": ("render", "export video", "export depth"),
    "priors/instruments/choose.py": ("reconstruct", "evaluate", "export video"),
    "seeding/": ("reconstruct",),
    "scene/": ("reconstruct",),
    "pictures/source_clip.py": ("evaluate", "export video"),
    "scene/relight.py": ("reconstruct",),
}
"""By room or file, the commands that can print its sentences; the longest name that fits counts."""

OPTION = re.compile(r"(?<![\w-])--([a-z][a-z0-9.-]*[a-z0-9])(?:[ =]([a-z0-9][a-z0-9-]*))?")
VERB = re.compile(
    r"(?:endogs |of )(reconstruct|batch|inspect|evaluate|compare-poses|render|view|phantom|export \w+)\b"
    r"|\b(reconstruct|inspect|evaluate|compare-poses|render|phantom|export \w+)(?='s --| --)"
)
EVERYWHERE = ("--help", "--version")


def sentences(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of all strings but docstrings; what is filled in stands as {...}."""
    tree = ast.parse(source)
    silent = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    silent |= {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [str(part.value) if isinstance(part, ast.Constant) else "{...}" for part in node.values]
            yield node.lineno, "".join(parts)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in silent:
            yield node.lineno, node.value


def said_by(file: str) -> tuple[str, ...]:
    fitting = [room for room in SAID_BY if file.startswith(room)]
    return SAID_BY[max(fitting, key=len)] if fitting else ()


def wrong_advice(text: str, verbs: tuple[str, ...]) -> list[str]:
    """What a text that `verbs` can say names and they do not have.

    A text that names a command, as in "reconstruct --depth stereo", speaks of that one's options too.
    """
    wrong = []
    named = [found[1] or found[2] for found in VERB.finditer(text) if (found[1] or found[2]) in VERBS]
    for found in OPTION.finditer(text):
        option, word = f"--{found[1]}", found[2]
        is_value = any(word in options.get(option, ()) for options in VERBS.values())

        def takes(verb: str, option: str = option, word: str = word if is_value else "") -> bool:
            return option in VERBS[verb] and (not word or word in VERBS[verb][option])

        lacking = [verb for verb in verbs if not takes(verb)]
        if lacking and option not in EVERYWHERE and not any(takes(verb) for verb in named):
            wrong.append(f"{', '.join(sorted(lacking))}: no {option}{f' {word}' if is_value else ''}")
    return wrong


FILES = [file for file in sorted(HOUSE.rglob("*.py")) if OPTION.search(file.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("file", [file.relative_to(HOUSE).as_posix() for file in FILES])
def test_the_options_that_sentences_name_exist_where_they_are_said(file):
    texts = [(line, text) for line, text in sentences((HOUSE / file).read_text("utf-8")) if OPTION.search(text)]
    verbs = said_by(file)
    assert verbs or not texts, f"{file}: say in SAID_BY which commands print its sentences"
    wrong = [f"{file}:{line}: {fault}" for line, text in texts for fault in wrong_advice(text, verbs)]
    assert not wrong, "\n".join(wrong)


def test_the_check_itself_finds_what_is_not_there():
    assert wrong_advice("use --depth photometric", ("reconstruct",)) == []
    assert wrong_advice("use --depth photometric", READERS) == ["inspect: no --depth photometric"]
    assert wrong_advice("use reconstruct --depth photometric", READERS) == []
    assert wrong_advice("use reconstruct --debth photometric", READERS) != []
    assert wrong_advice("use --masks auto", ("evaluate",)) == ["evaluate: no --masks auto"]
    assert wrong_advice("use --masks sam2", READERS) == ["inspect: no --masks sam2"]
