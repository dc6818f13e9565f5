"""The place of a result: whether a folder can stand there, and how one result takes the place of another.

Two results know each other by name: each has its own, and says which it replaces. So whatever was killed when, the next
run sees which of two folders is the new one, and ends what was begun.
"""

import os
from pathlib import Path

from endogs.errors import InputError
from endogs.folder_swap import aside, mend, swap_in, sync_folder
from endogs.pipeline.result_files import ResultFiles, move_over, read_result, remove_files

MARKER = "unfinished.json"
"""In a folder that a run works in."""


def checked_place(out: Path) -> tuple[Path, list[Path]]:
    """`out`, absolute and without links, and the folders above it that had to be made, innermost first.

    Raises InputError where no folder can be put.
    """
    try:
        place, here = out.resolve(), Path.cwd()
        existing = next(path for path in (place, *place.parents) if path.exists())
    except (OSError, ValueError, RuntimeError) as failure:
        raise InputError(f"{out}: no place for a folder ({failure}); give another --out.") from failure
    if not existing.is_dir():
        raise InputError(f"{out}: {existing} is a file; give a folder for --out.")
    if place == Path(place.anchor) or place in (here, *here.parents):
        raise InputError(f"{out}: the current folder lies there, so no other can take its place; give a folder in it.")
    if os.path.ismount(place):
        raise InputError(f"{out}: a disk is mounted there; give a folder in it, such as --out {out / 'scene'}.")
    above = existing if existing != place else place.parent
    if not os.access(above, os.W_OK | os.X_OK):
        raise InputError(
            f"{out}: {above} may not be written to, where a run works beside its result; give another --out"
            + (f", such as {out / 'scene'}." if existing == place else ".")
        )
    made = [parent for parent in place.parents if not parent.exists()]
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
    except OSError as failure:
        raise cannot(out, "be made", failure) from failure
    return place, made


def finish_killed(work: Path, place: Path) -> None:
    """Ends what a run that was killed had begun: the swap, or the removal of what was replaced."""
    if read_result(aside(place)) is not None:
        mend(work, place)
    finished, standing = read_result(work), read_result(place)
    if finished is None or ((work / MARKER).is_file() and not finished.complete):
        return
    if standing is not None and standing.replaces == finished.result:
        clear_replaced(work, place)
    elif finished.whole(work) and may_replace(finished, place):
        put_in_place(work, place)


def put_in_place(work: Path, place: Path) -> None:
    """Swaps a finished result in, and clears what it replaced. Raises OSError."""
    (work / MARKER).unlink(missing_ok=True)
    sync_folder(work)
    swap_in(work, place)
    sync_folder(place.parent)
    if work.exists():
        clear_replaced(work, place)


def clear_replaced(old: Path, place: Path) -> None:
    """Moves what is not endogs's own from a replaced result over to its successor, and removes the rest by name."""
    result = read_result(old)
    if result is None:
        return
    move_over(result.foreign(old), old, place)
    remove_files(old, result.own(old))


def may_replace(new: ResultFiles, place: Path) -> bool:
    """Whether a result may take a place: it is free, or holds what the new one was allowed to replace.

    After Ctrl-C that must be an earlier state of the same run.
    """
    if not is_taken(place):
        return True
    standing = read_result(place)
    if standing is None or standing.result != new.replaces:
        return False
    return new.complete or (standing.run == new.run and not standing.complete)


def is_taken(place: Path) -> bool:
    """Whether anything but an empty folder is there."""
    return os.path.lexists(place) and not (place.is_dir() and not any(place.iterdir()))


def beside(place: Path, ending: str, hidden: bool = False) -> Path:
    """A name beside a folder's."""
    return place.with_name(f"{'.' * hidden}{place.name}{ending}")


def cannot(path: Path, what: str, failure: OSError) -> InputError:
    """The sentence for a folder that the system refuses."""
    return InputError(f"{path}: cannot {what} ({failure.strerror or failure}); give another --out.")
