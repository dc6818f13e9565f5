"""One clip of a batch: what it is called, where it lies, and with which options it is reconstructed.

A job goes to other machines and into files as JSON: the options as those of the command line with underscores.
"""

import hashlib
import json
import os
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

from endogs.batches.config import Batch
from endogs.bounded_files import exists, is_file
from endogs.errors import InputError
from endogs.output import to_json
from endogs.pipeline.options import FitOptions, Reconstruct
from endogs.pipeline.recipe import options_of
from endogs.plain_text import is_text, plain

MAY_BE_NAMES = {"depth_model", "sam2_model"}
"""Options that name a file or folder, or a model of Hugging Face."""
NAMES_OF_FILES = MAY_BE_NAMES | {"calibration", "ignore_mask"}
"""Options that name a file or folder."""


@dataclass(frozen=True)
class Limits:
    """What one fit of a batch may take."""

    cores: int
    memory: float | None
    """Bytes, where somebody said so; otherwise what is estimated for the clip, and half as much again."""
    hours: float


@dataclass(frozen=True)
class Job:
    """A clip and the options of its reconstruction."""

    name: str
    """Of its folder among the results: letters, digits, dots, hyphens and underscores, unlike any other."""
    options: Reconstruct
    limits: Limits
    said: str | None = None
    """Why it cannot be run, where its row says something wrong."""

    @property
    def input(self) -> Path:
        """The clip, absolute."""
        return self.options.input

    @property
    def files(self) -> list[Path]:
        """Files beside the clip that its options name, where they are there."""
        clip = self.options.clip
        named = [path for path in (clip.calibration, clip.ignore_mask) if path is not None]
        named += [Path(mask.partition(":")[2]) for mask in self.options.sam2.sam2_mask]
        return [path for path in named if is_file(path)]

    @property
    def digest(self) -> str:
        """32 hexadecimal digits of the options that are not as by default; not of the clip and its place."""
        text = json.dumps(option_values(self.options), sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def as_json(self) -> dict[str, Any]:
        """For `job_of`, in another process."""
        return {
            "name": self.name,
            "input": str(self.input),
            "options": option_values(self.options),
            "cores": self.limits.cores,
            "memory": self.limits.memory,
            "hours": self.limits.hours,
        }


def job_of(values: dict[str, Any]) -> Job:
    """The job that `Job.as_json` wrote. Raises InputError for options that this endogs does not know."""
    clip = Path(values["input"])
    options = Reconstruct(clip, **options_of(clip, values["options"]))
    return Job(values["name"], options, Limits(values["cores"], values["memory"], values["hours"]))


def option_values(options: FitOptions) -> dict[str, Any]:
    """JSON: the options that are not as by default, by their names with underscores; groups are spread."""
    found: dict[str, Any] = {}
    default: Any = FitOptions()
    for field in fields(FitOptions):
        value, usual = getattr(options, field.name), getattr(default, field.name)
        pairs = [(field.name, value, usual)]
        if is_dataclass(usual):
            pairs = [(one.name, getattr(value, one.name), getattr(usual, one.name)) for one in fields(usual)]
        found |= {name: to_json(one) for name, one, other in pairs if one != other}
    return found


def job_for(batch: Batch, name: str, clip: Path, own: dict[str, Any], folder: Path, memory: float | None = None) -> Job:
    """The job of one row, whose `own` options go before the batch's; files that they name are looked for in `folder`,
    and those of the batch in the current one; `memory`, GB, are its own too. What is wrong with the options is kept in
    `said`.
    """
    memory = batch.memory if memory is None else memory
    limits = Limits(batch.cores or 1, None if memory is None else memory * 1e9, batch.hours)
    try:
        if not is_text(clip):
            raise InputError(f"{clip}: the name is not text in UTF-8: rename it.")
        shared = placed(option_values(batch), Path.cwd())
        options = batch.for_clip(clip, **options_of(clip, shared | placed(own, folder)))
        options.fit_config()
        return Job(name, options, limits)
    except InputError as error:
        return Job(name, Reconstruct(Path(plain(clip))), limits, said=str(error))


def placed(values: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Options with files that are named relative to `folder` in full, since a worker may stand elsewhere."""
    found = dict(values)
    for name in NAMES_OF_FILES & values.keys():
        path = values[name]
        if isinstance(path, str) and (name not in MAY_BE_NAMES or exists(folder / path)):
            found[name] = os.path.abspath(folder / path)
    if isinstance(masks := values.get("sam2_mask"), list):
        pairs = [str(mask).partition(":") for mask in masks]
        found["sam2_mask"] = [f"{frame}{colon}{os.path.abspath(folder / path)}" for frame, colon, path in pairs]
    return found
