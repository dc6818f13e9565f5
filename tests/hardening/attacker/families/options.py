"""Every option of every verb with values that it should refuse, or take as they are."""

import os
import shutil
import types
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from attacker import evil
from attacker.case import Case, Workplace
from attacker.samples import SMALL_FIT

VERBS = {
    "reconstruct": ("reconstruct", "clip", "--out", "new", *SMALL_FIT),
    "inspect": ("inspect", "clip", "--out", "sheet.png"),
    "render": ("render", "out", "--out", "new.mp4"),
    "evaluate": ("evaluate", "out"),
    "compare-poses": ("compare-poses", "out", "out"),
    "view": ("view", "out"),
    "phantom": ("phantom", "new", "--frames", "2", "--width", "48", "--height", "40", "--tracks", "5"),
    **{
        f"export {kind}": ("export", kind, "out")
        for kind in ("points", "splats", "mesh", "video", "depth", "cameras", "tracks", "html")
    },
}
SHARES = {"reconstruct": 6, "inspect": 3, "view": 0.5, "phantom": 1.5}
"""How often; others once."""
POSITIONAL = ("input", "scene", "scenes", "estimate", "reference", "_")
OUTPUTS = ("--out", "--report", "--plot", "--trajectory-plot")
LONG_WORK = {"--iterations", "--frames", "--port", "--tracks", "--views", "--count"}
"""Large numbers of these are honest wishes for long work, so they are only given what no one may wish for."""
HONEST = {"2147483647", "2147483648", "4294967296", "65536", "16384", "9223372036854775807", "1e5"}
NOT_TRIED = {"--host", "--data", "--live", "--backend", "--device"}
"""A host of somebody's own choice is looked up, which is a call; what needs a GPU has no GPU here."""


def evil_options(at: Workplace) -> Case:
    """A verb on sound input, with one to three options of evil values."""
    random = at.random
    shutil.copytree(at.sample("scene-spline"), at.folder, dirs_exist_ok=True)
    verb = random.choices(list(VERBS), [SHARES.get(name, 1) for name in VERBS])[0]
    arguments, names = list(VERBS[verb]), ["clip", "out", "scene.safetensors"]
    options = options_of(verb)
    for option in random.sample(sorted(options), min(len(options), random.choice((1, 1, 1, 2, 3)))):
        if option in arguments:
            where = arguments.index(option)
            del arguments[where : where + 2]
        arguments += [option, *_values(at, option, options[option])]
    if random.random() < 0.06:
        arguments[1 if not verb.startswith("export") else 2] = random.choice(evil.TEXTS)
    seconds = 1.2 if verb == "view" else 0.0
    # What an operating system can hand over: no zero bytes, and of surrogates those that stand for single bytes.
    safe = tuple(text.replace("\0", "").replace("\ud800", "\udcff") for text in arguments)
    may_call = bool({"sam2", "learned", "--sam2-model", "--depth-model"} & set(safe))
    safe = tuple(_within(at.folder, safe))
    about = f"{verb} with evil options"
    return Case(about, safe, (*names, *safe), owned=_owned(safe), may_call=may_call, view_seconds=seconds)


def _within(folder: Path, arguments: tuple[str, ...]) -> Iterator[str]:
    """The arguments, with places for results outside of `folder` replaced by one inside."""
    for before, word in zip(("", *arguments), arguments, strict=False):
        place = os.path.realpath(os.path.join(folder, os.path.expanduser(word)))
        writes = before in ("--out", "--report", "phantom")
        yield "inside" if writes and not place.startswith(f"{os.path.realpath(folder)}{os.sep}") else word


def _owned(arguments: tuple[str, ...]) -> tuple[str, ...]:
    """What OUTPUTS name may be replaced."""
    return tuple(arguments[i + 1] for i, word in enumerate(arguments[:-1]) if word in OUTPUTS)


@cache
def options_of(verb: str) -> dict[str, Any]:
    """The options of a verb with their types, groups of options opened."""
    from endogs import cli

    kinds = {kind.__name__: kind for kind in cli.RUNNERS}
    name = "".join(word.capitalize() for word in verb.replace("-", " ").split())
    found: dict[str, Any] = {}
    _collect(kinds.get(name) or kinds["RenderScene"], "", found)
    return found


def _collect(config: type, prefix: str, found: dict[str, Any]) -> None:
    hints = get_type_hints(config)
    for field in fields(config):
        kind = hints[field.name]
        if field.name in POSITIONAL or (field.name == "out" and config.__name__ == "Phantom"):
            continue
        if is_dataclass(kind):
            _collect(kind, "light." if field.name == "light" else "", found)
            continue
        option = f"--{prefix}{field.name.replace('_', '-')}"
        if option not in NOT_TRIED:
            found[option] = kind


def _values(at: Workplace, option: str, kind: Any) -> list[str]:
    """What follows the option: evil in the kind's own way, mostly in the number of values that it takes."""
    random = at.random
    origin, inner = get_origin(kind), [part for part in get_args(kind) if part is not type(None)]
    if origin in (Union, types.UnionType):
        return _values(at, option, random.choice(inner))
    if origin is Literal:
        return [random.choice([str(choice) for choice in get_args(kind)] * 2 + ["nothing", "", "nan"])]
    if origin is tuple:
        several = len(inner) if Ellipsis not in get_args(kind) else random.choice((1, 1, 2, 3))
        several += random.choice((0,) * 8 + (1, -1))
        return [value for _ in range(max(several, 0)) for value in _values(at, option, inner[0])]
    if kind is bool:
        return random.choice(([], [], ["True"], ["nan"]))
    if kind in (int, float):
        numbers = [number for number in evil.NUMBERS if option not in LONG_WORK or number not in HONEST]
        return [random.choice(numbers)]
    if kind is Path:
        return [
            random.choice((*evil.TEXTS, "clip", "out", "out/scene.safetensors", "clip/calibration.json", at.url, "new"))
        ]
    row = f"{random.choice(evil.NUMBERS)[:30]}:{random.choice(evil.NUMBERS)[:30]},{random.choice(evil.NUMBERS)[:30]}"
    return [random.choice((*evil.TEXTS, row, row, "0:1,1", "3:9", "9:3", "-5:2", ":", "0:5:9", "0:clip"))]
