"""Where a run works and where its result goes: in a folder beside, which takes the result's place in one step.

For the output folder OUT a run works in OUT.unfinished, which holds its checkpoint, what was guessed of the clip and
unfinished.json, which says whose it is. When everything is written, that folder takes OUT's place (`folder_swap`); the
files of the result that stood there are removed by name, and what others put beside them moves over. Killed at any
moment, a run leaves the earlier result or the new one, whole, and the next run ends what was begun.
"""

import os
import platform
import shutil
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from endogs.bounded_files import read_json
from endogs.errors import InputError
from endogs.file_lock import FileLock
from endogs.folder_swap import aside
from endogs.output import new_file, sync_file, to_json, write_json
from endogs.partial_names import is_partial, remove_partial
from endogs.pipeline.result_files import (
    CHECKPOINT_FILE,
    CHECKPOINTS,
    DEPTH_FILE,
    KEY,
    PLAIN_FILES,
    PRIORS,
    RECORD,
    ResultFiles,
    is_own_name,
    read_result,
    remove_files,
    written,
)
from endogs.pipeline.result_place import (
    MARKER,
    beside,
    cannot,
    checked_place,
    finish_killed,
    is_taken,
    may_replace,
    put_in_place,
)
from endogs.pipeline.usable_checkpoint import is_usable, set_aside
from endogs.scene.scene_file import SEGMENTS, segment_file
from endogs.system_refusals import system_errors

FORMAT = "endogs-unfinished-1"
NUMBERS = 1000
"""How many folders of one name are tried."""
LONGEST_NAME = 230
"""Bytes of a folder's name: file systems allow 255, and the names beside it are up to 13 longer, with a number 17."""


@dataclass
class RunFolder:
    """The output folder of one run, from when it is claimed until it is released."""

    out: Path
    """The folder of the result, as the user named it."""
    place: Path
    """The same, absolute and without links."""
    work: Path
    """Where the run works."""
    lock: FileLock
    made: list[Path]
    """Folders above `place` that did not exist."""
    run: str
    """Stays the same when the run is resumed."""
    replaces: str | None
    """The result in `place` that this run may replace."""
    resumes: Path | None = None
    """Folder of the checkpoint that it continues."""
    fitting: bool = False
    """Whether this run has begun to fit."""
    numbered: Path | None = None
    """The name without a number, where it was taken and none was asked for."""
    spoilt: bool = False
    """Whether the checkpoint of the interrupted run in `place` is not as endogs wrote it, and steps aside."""

    @property
    def checkpoints(self) -> Path:
        """Where this run's checkpoint goes."""
        return self.work / CHECKPOINTS

    @property
    def priors(self) -> Path:
        """Where what was guessed of the clip goes."""
        return self.work / PRIORS

    @property
    def earlier_priors(self) -> Path:
        """Where the result that stands there keeps what was guessed of its clip."""
        return self.place / PRIORS

    @property
    def outputs(self) -> tuple[Path, ...]:
        """Folders that belong to no clip, wherever they lie."""
        return self.place, self.work, aside(self.place)

    def place_note(self) -> str | None:
        """Where the result goes, where that is not what one would expect."""
        if self.numbered is None:
            return None
        others = "--overwrite replaces" + (", --resume continues" if resumable(self.numbered.resolve()) else "")
        return f"{self.numbered} is there already; this run goes to {self.out} ({others})"

    def kept_note(self) -> str | None:
        """Where the steps of a run that failed in its fit or after it are, where there is a checkpoint."""
        if not (self.fitting and (self.work / CHECKPOINT_FILE).is_file()):
            return None
        return f"The steps until the last checkpoint are in {self.work}: the same options and --resume continue there."

    def begin(self) -> None:
        """Makes the working folder. Raises InputError where that cannot be done."""
        about = {
            "format": FORMAT,
            "run": self.run,
            "replaces": self.replaces,
            "out": str(self.place),
            "pid": os.getpid(),
            "host": platform.node(),
            "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        }
        try:
            self.work.mkdir(exist_ok=True)
            if self.place.is_dir():
                self.work.chmod(self.place.stat().st_mode & 0o7777)
            remove_partials(self.work)
            if self.spoilt:
                set_aside(self.place / CHECKPOINTS)
        except OSError as failure:
            raise cannot(self.work, "be written to", failure) from failure
        write_json(self.work / MARKER, about)

    def forget_earlier(self) -> None:
        """Removes an earlier run's unfinished work, which must not pass for this one's."""
        remove_files(self.work, [name for name in PLAIN_FILES if (self.work / name).is_file()])
        for path in (self.work / SEGMENTS).glob("*.safetensors"):
            if is_own_name(path.relative_to(self.work).as_posix()):
                remove_files(path.parent, [path.name])

    def take_segments(self, count: int) -> None:
        """Has the first `count` segments of a chain in the working folder, from the interrupted result that stands.

        Raises InputError where one is in neither.
        """
        for number in range(count):
            wanted, standing = segment_file(self.work, number), segment_file(self.place, number)
            if wanted.is_file():
                continue
            if not standing.is_file():
                raise InputError(
                    f"{standing}: segment {number + 1} of the run is not there, so it cannot be resumed; start anew "
                    "with --overwrite instead of --resume."
                )
            with new_file(wanted) as partial, system_errors():
                shutil.copyfile(standing, partial)

    def keep_depth(self, used: Path | None) -> None:
        """Removes from the working folder what was guessed for other options than those of the set `used`."""
        for path in self.priors.glob("depth-*/*.safetensors"):
            if path.parent != used and DEPTH_FILE.fullmatch(path.relative_to(self.work).as_posix()):
                remove_files(path.parent, [path.name])

    def publish(self, record: dict[str, Any], complete: bool) -> Path:
        """Writes run.json and gives the result its place; returns the folder where it is now.

        That is the working folder for a result that may not replace what stands there: one of an interrupted run where
        there is a complete one or another run's, and any where somebody else put something in the meantime. Raises
        InputError where the system refuses; the result is then in the working folder.
        """
        about = ResultFiles(self.run, uuid.uuid4().hex, self.replaces, complete, {})
        try:
            if complete and (self.work / CHECKPOINT_FILE).is_file():
                remove_files(self.checkpoints, [Path(CHECKPOINT_FILE).name])
            about = ResultFiles(about.run, about.result, about.replaces, complete, written(self.work))
            for name in about.files:
                sync_file(self.work / name)
            write_json(self.work / RECORD, to_json(record | {KEY: about.as_json()}))
            sync_file(self.work / RECORD)
            if not may_replace(about, self.place):
                return self.work
            put_in_place(self.work, self.place)
        except OSError as failure:
            raise InputError(
                f"{self.out}: the result could not be put there ({failure.strerror or failure}); what was "
                f"made is in {self.work}: copy it from there."
            ) from failure
        return self.out

    def release(self) -> None:
        """Gives the place free; what is left of a run that came to nothing is removed."""
        if work_of(self.work) is not None and not has_work(self.work):
            remove_files(self.work, [MARKER])
        self.lock.release()
        for folder in self.made:
            try:
                folder.rmdir()
            except OSError:
                return


def claim(out: Path | None, stem: str, resume: bool, overwrite: bool) -> RunFolder:
    """The output folder of a run, locked; without `out` it is called after `stem`, with a number where that is taken.

    Ends what a killed run left half-way. Raises InputError when another run holds it, when it holds anything that this
    run may not replace, when there is nothing to resume, and when it cannot be written to.
    """
    if out is not None:
        return _claim(out, resume, overwrite)
    first = Path(f"{stem}_endogs")
    if len(os.fsencode(first)) > LONGEST_NAME:
        raise InputError(f"{first}: too long a name for the folders beside it; give an --out.")
    names = [first, *(Path(f"{first}-{number}") for number in range(2, NUMBERS))]
    if resume:
        found = [name for name in names if resumable(name.resolve())]
        if len(found) > 1:
            raise InputError(
                f"{found[0]}, {found[1]}: {len(found)} runs were interrupted; say which to resume (--out {found[0]})."
            )
        return _claim(found[0] if found else first, resume, overwrite)
    if overwrite:
        return _claim(first, resume, overwrite)
    free = next(name for name in names if not taken(name.resolve()))
    folder = _claim(free, resume, overwrite)
    folder.numbered = None if free == first else first
    return folder


def _claim(out: Path, resume: bool, overwrite: bool) -> RunFolder:
    place, made = checked_place(out)
    work, lock = beside(place, ".unfinished"), FileLock(beside(place, ".endogs-lock", hidden=True))
    try:
        holder = lock.acquire()
        if holder is not None:
            raise InputError(
                f"{out}: another run is writing there ({holder}); wait for its end, or give another --out."
            )
        folder = RunFolder(out, place, work, lock, made, uuid.uuid4().hex, None)
        try:
            finish_killed(work, place)
            decide(folder, resume, overwrite)
        except BaseException:
            folder.release()
            raise
    except OSError as failure:
        raise cannot(out, "be written to", failure) from failure
    return folder


def decide(folder: RunFolder, resume: bool, overwrite: bool) -> None:
    """What a run into this folder may replace and resumes. Raises InputError where it may not run at all."""
    out, place, work = folder.out, folder.place, folder.work
    standing, begun, kept = read_result(place), work_of(work), read_result(work)
    if kept is not None and kept.complete:
        raise InputError(f"{work}: a result that found its place taken; move it, or give another --out.")
    if work.exists() and begun is None and not all(is_partial(path.name) for path in work.iterdir()):
        raise InputError(f"{work}: in the way, and not made by endogs; move it, or give another --out.")
    half = standing is not None and not standing.complete
    if is_taken(place):
        folder.spoilt = half and standing is not None and CHECKPOINT_FILE in standing.foreign(place)
        check_own(out, place, standing, but=CHECKPOINT_FILE if folder.spoilt else None)
    if resume:
        inside = half and (place / CHECKPOINT_FILE).is_file()
        beside_it = begun is not None and (work / CHECKPOINT_FILE).is_file()
        if begun is not None and beside_it and not (inside and not is_usable(work / CHECKPOINTS)):
            folder.resumes, folder.run = work / CHECKPOINTS, begun["run"]
        elif standing is not None and inside:
            folder.resumes, folder.run = place / CHECKPOINTS, standing.run
        else:
            raise InputError(f"{out}: no checkpoint to resume from; {instead_of_resuming(standing)}.")
        allowed = begun is not None and standing is not None and begun["replaces"] == standing.result
        overwrite |= allowed or (half and standing is not None and standing.run == folder.run)
    elif (work / CHECKPOINT_FILE).is_file() and not overwrite:
        if begun is not None and is_usable(work / CHECKPOINTS):
            what = "an interrupted run; --resume continues it, --overwrite starts anew"
        else:
            what = "an interrupted run without a usable checkpoint; --overwrite starts anew"
        raise InputError(f"{out}: {work.name} beside it is {what}, or give another --out.")
    if standing is not None and not overwrite:
        what = "the result of an earlier run"
        if half and is_usable(place / CHECKPOINTS):
            what = "an interrupted run, which --resume continues"
        elif half:
            what = "an interrupted run without a usable checkpoint"
        raise InputError(f"{out}: holds {what}; give another --out, or replace it with --overwrite.")
    folder.replaces = None if standing is None else standing.result


def instead_of_resuming(standing: ResultFiles | None) -> str:
    """What to do where there is no checkpoint."""
    if standing is None:
        return "leave out --resume"
    what = "its run is complete; " if standing.complete else ""
    return f"{what}leave out --resume, and replace what is there with --overwrite, or give another --out"


def check_own(out: Path, place: Path, standing: ResultFiles | None, but: str | None = None) -> None:
    """Raises InputError when a folder that is not empty holds no result, or files in the way, other than `but`."""
    if standing is None:
        name = min(entry.name for entry in place.iterdir())
        raise InputError(
            f"{out}: holds other files ({name}) and no result of this endogs; give a folder of its own, such as "
            f"--out {out / 'scene'}."
        )
    for name in standing.foreign(place):
        if name != but and (is_own_name(name) or name in (CHECKPOINTS, SEGMENTS, PRIORS, MARKER)):
            raise InputError(
                f"{out}: {name} is not as endogs wrote it, and a new result would take its place; move it elsewhere, "
                "or give another --out."
            )


def work_of(folder: Path) -> dict[str, Any] | None:
    """What a working folder says of itself: `run`, `replaces`; None for any other folder."""
    if not (folder / MARKER).is_file():
        return None
    try:
        about = read_json(folder / MARKER)
    except InputError:
        return None
    if not isinstance(about, dict) or about.get("format") != FORMAT or not isinstance(about.get("run"), str):
        return None
    return {"run": about["run"], "replaces": about.get("replaces")}


def has_work(folder: Path) -> bool:
    """Whether a working folder holds something that took time: a checkpoint, a scene, or what was guessed."""
    return any((folder / name).is_file() for name in PLAIN_FILES) or any(written(folder))


def resumable(place: Path) -> bool:
    """Whether there is a usable checkpoint in the result's folder or beside it."""
    work, standing = beside(place, ".unfinished"), read_result(place)
    inside = standing is not None and not standing.complete and is_usable(place / CHECKPOINTS)
    return inside or (work_of(work) is not None and is_usable(work / CHECKPOINTS))


def taken(place: Path) -> bool:
    """Whether a new result of this name would be in the way of anything."""
    work = beside(place, ".unfinished")
    begun = work.exists() and (work_of(work) is None or (work / CHECKPOINT_FILE).is_file())
    if begun or is_taken(place) or aside(place).exists():
        return True
    lock = FileLock(beside(place, ".endogs-lock", hidden=True))
    held = lock.path.exists() and lock.acquire() is not None  # a run that was killed leaves the file, and no lock
    lock.release()
    return held


def remove_partials(work: Path) -> None:
    """Removes what was half-written in a locked working folder when its run was killed.

    Safetensors (0.6 and later) writes under names of its own, .tmp and six letters, which only this folder's runs make.
    """
    for folder in (work, work / CHECKPOINTS, work / SEGMENTS, *work.glob(f"{PRIORS}/depth-*")):
        if folder.is_dir():
            for path in folder.iterdir():
                if is_partial(path.name) or (path.name.startswith(".tmp") and len(path.name) == len(".tmp") + 6):
                    remove_partial(path)
