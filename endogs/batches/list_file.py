"""Lists of clips that somebody wrote: .csv with a column for each option, or .toml with a table for each clip."""

import csv
import sys
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from endogs.batches.config import MEMORY_RANGE
from endogs.bounded_files import LONGEST_TABLE, expanded, read_text, read_toml
from endogs.errors import InputError
from endogs.pipeline.recipe import load_recipe, option_types, scenes_folder
from endogs.plain_text import plain

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

OWN_KEYS = ("input", "name", "recipe")
"""Texts that a row may say beside options."""
MEMORY = "memory"
"""The number that it may say: GB that this clip's fit may take, as --memory says for all."""


@dataclass(frozen=True)
class Row:
    """A clip as a list names it."""

    input: Path
    name: str | None = None
    """What its results shall be called; by default after the clip."""
    options: dict[str, Any] = field(default_factory=dict)
    """Values by an option's name with underscores, those of the row's recipe included."""
    memory: float | None = None
    """GB that its fit may take."""
    folder: Path = Path()
    """Where files lie that the options name."""


def read_list(path: Path) -> list[Row]:
    """The rows of a .csv or .toml list; paths are relative to its folder.

    CSV: a line of headings, `input` and perhaps `name`, `recipe`, `memory` and options with underscores; a cell holds a
    value as TOML writes it, or plain text, and an empty one says nothing. TOML: tables [[clip]] with the same keys.
    Raises InputError for a list that is neither, or empty, and for a row without an input or with an unknown recipe.
    """
    rows = _csv(path) if path.suffix.lower() == ".csv" else _toml(path)
    if not rows:
        raise InputError(f"{path}: lists no clip: write one in each row.")
    return [_row(path, number, values) for number, values in enumerate(rows, 1)]


def shared_options(path: Path) -> dict[str, Any]:
    """What the table [options] of a .toml list says for all its clips, by an option's name with underscores."""
    if path.suffix.lower() != ".toml":
        return {}
    options = read_toml(path).get("options", {})
    if not isinstance(options, dict):
        raise InputError(f"{path}: options must be a table: write [options] above them.")
    return options


def is_list(path: Path) -> bool:
    """Whether a file is a list of clips: .csv, or .toml with tables [[clip]], which a recipe does not have."""
    ending = path.suffix.lower()
    return ending == ".csv" or (ending == ".toml" and "clip" in read_toml(path))


def _toml(path: Path) -> list[dict[str, Any]]:
    content = read_toml(path)
    for key in content:
        if key not in ("clip", "options"):
            raise InputError(f"{path}: unknown key {key}: a list has tables [[clip]] and [options].")
    rows = content.get("clip", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError(f"{path}: clip must be a table for each clip: write [[clip]] above it.")
    return rows


def _csv(path: Path) -> list[dict[str, Any]]:
    lines = [line for line in read_text(path, LONGEST_TABLE).splitlines() if line.strip()]
    separator = max(",;\t", key=(lines or [""])[0].count)
    try:
        table = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=separator)]
    except csv.Error as error:
        raise InputError(f"{path}: not readable as a table ({error}): correct it.") from error
    header = table[0] if table else []
    while header and not header[-1]:  # as spreadsheets leave them
        header.pop()
    if "input" not in header or len(set(header)) < len(header):
        raise InputError(f"{path}: needs a first line of different headings, one of which is input: write it.")
    for heading in header:
        if heading not in (*OWN_KEYS, MEMORY, *option_types()):
            raise InputError(f"{path}: unknown heading {plain(heading, 60)!r}: {_known(heading)}")
    for number, row in enumerate(table[1:], 1):
        if any(row[len(header) :]):
            raise InputError(f"{path}: row {number} has more cells than there are headings: put texts into quotes.")
    return [
        {key: cell if key in OWN_KEYS else _value(cell) for key, cell in zip(header, row, strict=False) if cell}
        for row in table[1:]
    ]


def _known(heading: str) -> str:
    known = [*OWN_KEYS, MEMORY, *option_types()]
    near = get_close_matches(heading.lower().replace("-", "_").lstrip("_"), known, 1)
    meant = f"{near[0]} is meant, perhaps; " if near else ""
    return (
        f"{meant}besides {', '.join(OWN_KEYS)} and {MEMORY} there are the options of endogs reconstruct --help, with "
        "underscores."
    )


def _value(cell: str) -> Any:
    """A cell's value: as TOML reads it, where it does, else the text itself."""
    if "\n" in cell:
        return cell
    try:
        return tomllib.loads(f"value = {cell}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        return cell


def _row(path: Path, number: int, values: dict[str, Any]) -> Row:
    own = {key: values.get(key) for key in OWN_KEYS}
    for key, value in own.items():
        if not (value is None or (isinstance(value, str) and value.strip())):
            raise InputError(f"{path}: {key} of row {number} must be a text: write one.")
    if own["input"] is None:
        raise InputError(f"{path}: row {number} has no input: name its clip.")
    options = {key: value for key, value in values.items() if key not in (*OWN_KEYS, MEMORY)}
    if own["recipe"] is not None:
        options = _recipe_values(path, own["recipe"]) | options
    memory = checked_memory(str(path), number, values.get(MEMORY))
    return Row(path.parent / expanded(Path(own["input"])), own["name"], options, memory, path.parent)


def checked_memory(named: str, number: int, value: Any) -> float | None:
    """The memory of row `number`, GB. Raises InputError for what --memory would not take."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not MEMORY_RANGE.holds(value):
        raise InputError(f"{named}: {MEMORY} of row {number} must be a number of GB, {MEMORY_RANGE}: correct it.")
    return float(value)


def _recipe_values(path: Path, named: str) -> dict[str, Any]:
    """What a recipe says by an option's name with underscores; it is checked as it is read."""
    file = path.parent / named if named.endswith(".toml") else scenes_folder() / f"{Path(named).name}.toml"
    load_recipe(file)
    found: dict[str, Any] = read_toml(file).get("options", {})
    return found
