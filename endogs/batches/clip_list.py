"""Which clips a batch is of: from a folder, a pattern, a list or a recipe's data set to jobs, each with a name."""

import hashlib
import json
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from endogs.batches import found_clips
from endogs.batches.config import Batch
from endogs.batches.job import Job, job_for
from endogs.batches.list_file import MEMORY, Row, checked_memory, is_list, read_list, shared_options
from endogs.bounded_files import exists, expanded, is_file
from endogs.clip.load import VIDEO_SUFFIXES
from endogs.errors import InputError
from endogs.pipeline.recipe import Recipe, load_recipe, options_of, recipe_names, scenes_folder

LONGEST_NAME = 100
"""Letters of a job's name."""


def shared_defaults(named: Path, data: Path | None) -> dict[str, Any]:
    """Fields of `Batch` that the list itself gives to all clips: those of a recipe, or of [options] in a .toml list.

    Raises InputError for a recipe without --data, and for bad options.
    """
    named = expanded(named)
    recipe = recipe_of(named, data)
    if recipe is not None:
        return recipe.options
    return options_of(named, shared_options(named)) if is_file(named) else {}


def recipe_of(named: Path, data: Path | None) -> Recipe | None:
    """The recipe that the list's place names, with its data; None for anything else. Raises InputError."""
    packaged = scenes_folder() / f"{named.name}.toml"
    known = named.parent == Path(".") and is_file(packaged) and (data is not None or not exists(named))
    is_own = named.suffix.lower() == ".toml" and (data is not None or not is_list(named))
    if not known and not is_own:
        if data is not None:
            raise InputError(f"{named}: --data needs a recipe: a .toml file or one of {', '.join(recipe_names())}.")
        return None
    recipe = load_recipe(named if is_own else packaged)
    if data is None:
        raise InputError(
            f"{recipe.path}: say with --data where the data of {recipe.title} is; get it from {recipe.get}."
        )
    return recipe


def rows_of(batch: Batch) -> tuple[list[Row], Path]:
    """The rows of a batch, and the folder that names are told from. Raises InputError where there is no clip."""
    named = expanded(batch.input)
    recipe = recipe_of(named, batch.data)
    if recipe is not None and batch.data is not None:
        data = expanded(batch.data)
        return [Row(path) for path in found_clips.of_recipe(recipe, data, batch.out)], data
    if found_clips.is_pattern(str(named)):
        return [Row(path) for path in found_clips.of_pattern(str(named))], Path(_fixed_part(str(named)))
    if not exists(named):
        raise InputError(f"{named}: no such list, folder or recipe: check the path.")
    if named.is_dir():
        return [Row(path) for path in found_clips.in_folder(named, batch.out)], named
    if is_list(named):
        return read_list(named), named.parent
    if named.suffix.lower() in VIDEO_SUFFIXES:
        return [Row(named)], named.parent
    raise InputError(f"{named}: not a list of clips: give a folder, a pattern, or a .csv or .toml file.")


def rows_from(clips: Iterable[Any]) -> list[Row]:
    """Rows from Python: paths, or dicts with "input", perhaps "name" and "memory", and options. Raises InputError."""
    rows = []
    for clip in clips:
        if isinstance(clip, str | os.PathLike):
            rows.append(Row(Path(clip)))
        elif isinstance(clip, dict) and isinstance(clip.get("input"), str | os.PathLike):
            for key in ("input", "name"):
                value = clip.get(key, "a text")
                if value is not None and not (isinstance(value, str | os.PathLike) and os.fspath(value)):
                    raise InputError(f"clips: {key} of clip {len(rows) + 1} must be a text: write one.")
            own = {key: value for key, value in clip.items() if key not in ("input", "name", MEMORY)}
            memory = checked_memory("clips", len(rows) + 1, clip.get(MEMORY))
            rows.append(Row(Path(clip["input"]), None if clip.get("name") is None else str(clip["name"]), own, memory))
        else:
            raise InputError('clips: each is a path, or a dict with "input" and options; correct the list.')
    if not rows:
        raise InputError("clips: there is none: give some.")
    return rows


def jobs_of(batch: Batch, rows: list[Row], base: Path) -> list[Job]:
    """A job for each row, each with a name of its own: after its place below `base`, or as its row says.

    Names that would be the same get eight digits of a hash of path and options, so that they do not depend on the
    order. Raises InputError for rows that are the same.
    """
    plainly = [_plain_name(row, base) for row in rows]
    often = Counter(name.lower() for name in plainly)
    jobs: dict[str, Job] = {}
    for row, name in zip(rows, plainly, strict=True):
        if often[name.lower()] > 1:
            name = f"{name}-{_hash(row)}"
        if name.lower() in jobs:
            raise InputError(f"{row.input}: stands twice in the list with the same options: leave one out.")
        clip = Path(os.path.abspath(expanded(row.input)))
        jobs[name.lower()] = job_for(batch, name, clip, row.options, row.folder, row.memory)
    return list(jobs.values())


def _plain_name(row: Row, base: Path) -> str:
    """A file's name that every system allows."""
    text = row.name
    if text is None:
        try:
            place = Path(os.path.abspath(row.input)).relative_to(os.path.abspath(base))
        except ValueError:
            place = Path(row.input.name)
        place = place.with_suffix("") if place.suffix.lower() in VIDEO_SUFFIXES else place
        text = "-".join(place.parts) or row.input.resolve().stem
    letters = [one for one in unicodedata.normalize("NFKD", text.replace("ß", "ss")) if not unicodedata.combining(one)]
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", "".join(letters)).strip("._-") or "clip"
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 9]}-{_hash(row)}"


def _hash(row: Row) -> str:
    text = json.dumps([os.fsencode(row.input).hex(), row.options], sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()


def _fixed_part(pattern: str) -> str:
    """The folders of a pattern before its first sign."""
    fixed = re.split(r"[*?\[]", pattern, maxsplit=1)[0]
    return os.path.dirname(fixed) or "."
