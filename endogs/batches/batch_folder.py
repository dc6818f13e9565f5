"""The folder of a batch: who may write there, and where everything in it lies.

    batch.json      says that this is a batch's folder
    clips/NAME/     a clip's result, as endogs reconstruct leaves it
    records/        what is known of each clip, NAME.json
    logs/           what each clip's reconstruction said, NAME.log
    results.csv, results.json, results.html, and comparison.csv

Every worker sees the same folder: that is what a clip's checkpoint is resumed from when its worker dies.
"""

import os
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from endogs.bounded_files import read_json
from endogs.errors import InputError
from endogs.file_lock import FileLock
from endogs.output import write_json
from endogs.version import __version__

FORMAT = "endogs-batch-1"
MARKER = "batch.json"
LOCK = ".endogs-lock"


@dataclass(frozen=True)
class BatchFolder:
    """Where a batch's files lie."""

    path: Path
    """Absolute."""

    def result(self, name: str) -> Path:
        """The folder of a clip's result."""
        return self.path / "clips" / name

    def record(self, name: str) -> Path:
        """The file of what is known of a clip."""
        return self.path / "records" / f"{name}.json"

    def clip_lock(self, name: str) -> Path:
        """The file that whoever works on a clip holds."""
        return self.path / "records" / f".{name}.lock"

    def log(self, name: str) -> Path:
        """What a clip's reconstruction said."""
        return self.path / "logs" / f"{name}.log"

    @property
    def identifier(self) -> str | None:
        """What its marker calls it; None where it is no batch's folder, or cannot be seen from here."""
        try:
            about = read_json(self.path / MARKER)
        except InputError:
            return None
        is_ours = isinstance(about, dict) and about.get("format") == FORMAT and isinstance(about.get("id"), str)
        return about["id"] if is_ours else None


def why_not_here(folder: BatchFolder, batch: str, version: str) -> str | None:
    """Why a worker cannot do clips of the `batch` whose folder this should be and whose endogs has this `version`;
    None where it can.
    """
    if version != __version__:
        return f"this worker has endogs {__version__}, and the batch is of {version}: install the same on both."
    if folder.identifier != batch:
        return f"{folder.path}: this worker does not see the batch's folder; put it where all reach it by that name."
    return None


class ClaimedFolder:
    """A batch's folder while this process alone may run a batch in it."""

    def __init__(self, out: Path) -> None:
        """Makes the folder where there is none, and takes its lock.

        Raises InputError where another batch runs there, where it holds other things, and where it cannot be written.
        """
        place = Path(os.path.abspath(out))
        self.folder = BatchFolder(place)
        try:
            place.mkdir(parents=True, exist_ok=True)
            foreign = [entry.name for entry in os.scandir(place) if entry.name != LOCK]
            if foreign and self.folder.identifier is None:
                raise InputError(
                    f"{out}: holds other files ({min(foreign)}) and no batch; give a folder of its own, such as "
                    f"--out {out / 'batch'}."
                )
            self._lock = FileLock(place / LOCK)
            holder = self._lock.acquire()
            if holder is not None:
                raise InputError(
                    f"{out}: another batch is running there ({holder}); wait for its end, or give another --out."
                )
            for name in ("clips", "records", "logs"):
                (place / name).mkdir(exist_ok=True)
            if self.folder.identifier is None:
                about: dict[str, Any] = {"format": FORMAT, "id": uuid.uuid4().hex, "endogs": __version__}
                write_json(place / MARKER, about)
        except OSError as failure:
            raise InputError(
                f"{out}: cannot be written to ({failure.strerror or failure}); give another --out."
            ) from failure

    def __enter__(self) -> BatchFolder:
        return self.folder

    def __exit__(self, *exception: object) -> None:
        self._lock.release()
