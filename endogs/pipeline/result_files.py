"""What endogs can prove its own in a result's folder, and all else, which it never removes.

run.json lists the files of the result with their sizes. A file counts as endogs's own when that list names it, it still
has that size, and its name is one that endogs gives; everything else belongs to somebody else.
"""

import os
import re
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from endogs.bounded_files import read_json
from endogs.errors import InputError
from endogs.fit.checkpoint import FILE_NAME as CHECKPOINT
from endogs.scene.scene_file import FILE_NAME as SCENE
from endogs.scene.scene_file import SEGMENTS

FORMAT = "endogs-result-1"
RECORD = "run.json"
KEY = "result"
"""Where a result describes itself in run.json."""
CHECKPOINTS, PRIORS = "checkpoints", "priors"
CHECKPOINT_FILE = f"{CHECKPOINTS}/{CHECKPOINT}"
TRAJECTORY_FILES = ("trajectory.tum", "trajectory.json", "trajectory.png", "trajectory-points.npz")
PLAIN_FILES = (SCENE, "metrics.json", "metrics.jsonl", "preview.mp4", *TRAJECTORY_FILES, RECORD, CHECKPOINT_FILE)
OWN_FOLDER = re.compile(rf"{CHECKPOINTS}|{SEGMENTS}|{PRIORS}(/depth-[0-9a-f]{{16}})?")
SEGMENT_FILE = re.compile(rf"{SEGMENTS}/[0-9]{{6}}\.safetensors")
MAP_FILE = re.compile(r"trajectory-map[0-9]{1,4}\.tum")
DEPTH_FILE = re.compile(rf"{PRIORS}/depth-[0-9a-f]{{16}}/[0-9]{{6,9}}\.safetensors")


@dataclass(frozen=True)
class ResultFiles:
    """What a result says of itself."""

    run: str
    """The run that made it; one that was interrupted and resumed keeps it."""
    result: str
    """This result, unlike any other."""
    replaces: str | None
    """The result that it takes the place of."""
    complete: bool
    """False after Ctrl-C."""
    files: dict[str, int] = field(default_factory=dict)
    """Bytes by name, with / between folders; run.json itself, which holds this, is not among them."""

    def as_json(self) -> dict[str, Any]:
        """For run.json."""
        return {"format": FORMAT} | asdict(self)

    def own(self, folder: Path) -> list[str]:
        """Names of the files in `folder` that are this result's own, run.json last."""
        return [name for name, size in self.files.items() if _has_size(folder / name, size)] + [RECORD]

    def foreign(self, folder: Path) -> list[str]:
        """Names of the files, links and folders in `folder` that are not; a foreign folder is named alone."""
        own = set(self.own(folder))
        found, waiting = [], [folder]
        while waiting:
            for entry in os.scandir(waiting.pop()):
                name = Path(entry.path).relative_to(folder).as_posix()
                if OWN_FOLDER.fullmatch(name) and entry.is_dir(follow_symlinks=False):
                    waiting.append(Path(entry.path))
                elif name not in own:
                    found.append(name)
        return sorted(found)

    def whole(self, folder: Path) -> bool:
        """Whether all its files are there, with their sizes."""
        return len(self.own(folder)) == len(self.files) + 1


def is_own_name(name: str) -> bool:
    """Whether endogs gives this name, with / between folders, to a file of a result."""
    return name in PLAIN_FILES or any(form.fullmatch(name) for form in (DEPTH_FILE, SEGMENT_FILE, MAP_FILE))


def written(folder: Path) -> dict[str, int]:
    """Bytes of the files in `folder` that bear names of endogs, but for run.json, in the order of their names."""
    names = [folder / name for name in PLAIN_FILES if name != RECORD]
    names += [*folder.glob(f"{PRIORS}/depth-*/*.safetensors"), *folder.glob(f"{SEGMENTS}/*.safetensors")]
    names += folder.glob("trajectory-map*.tum")
    found = {path.relative_to(folder).as_posix(): path for path in sorted(names)}
    return {name: path.stat().st_size for name, path in found.items() if is_own_name(name) and path.is_file()}


def read_result(folder: Path) -> ResultFiles | None:
    """The result in a folder; None where there is none that says so in its run.json."""
    if not (folder / RECORD).is_file():
        return None
    try:
        record = read_json(folder / RECORD)
    except InputError:
        return None
    about = record.get(KEY) if isinstance(record, dict) else None
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        return None
    run, result, replaces, complete, files = (
        about.get(name) for name in ("run", "result", "replaces", "complete", "files")
    )
    if not (
        isinstance(run, str) and isinstance(result, str) and isinstance(complete, bool) and isinstance(files, dict)
    ):
        return None
    sizes = {name: size for name, size in files.items() if is_own_name(name) and type(size) is int}
    return ResultFiles(run, result, replaces if isinstance(replaces, str) else None, complete, sizes)


def is_whole(folder: Path) -> bool:
    """Whether a folder holds a complete result with all its files."""
    found = read_result(folder)
    return found is not None and found.complete and found.whole(folder)


def move_over(names: list[str], old: Path, new: Path) -> list[str]:
    """Renames entries of the folder `old` into `new`, in the same file system; returns those whose name is taken."""
    kept = []
    for name in names:
        target = new / name
        if os.path.lexists(target):
            kept.append(name)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        os.rename(old / name, target)
    return kept


def remove_files(folder: Path, names: list[str]) -> None:
    """Removes these files of a folder, and what folders of endogs in it are empty then, and itself if it is.

    The last file, which says whose the folder is, outlives all of that but the folder.
    """
    for name in names[:-1]:
        (folder / name).unlink(missing_ok=True)
    for inner in (*folder.glob(f"{PRIORS}/depth-*"), folder / PRIORS, folder / CHECKPOINTS, folder / SEGMENTS):
        with suppress(OSError):  # somebody's file is in it, or it is not there
            inner.rmdir()
    for name in names[-1:]:
        (folder / name).unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()


def _has_size(path: Path, size: int) -> bool:
    try:
        return not path.is_symlink() and path.is_file() and path.stat().st_size == size
    except OSError:
        return False
