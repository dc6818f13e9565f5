"""Nothing outside of a case's folder is written, renamed or removed by Python while the case runs.

An attack names `/etc/passwd` and `/dev/full` as places for results, and may run with every right: what would be written
there is refused as the system refuses those who have no right to. Libraries in C write to files only that endogs has
made for them under a name of its own, so that they do not come that far.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
BY_EVENT: dict[str, tuple[tuple[int, int | None], ...]] = {
    "os.remove": ((0, 1),),
    "os.rmdir": ((0, 1),),
    "os.mkdir": ((0, 2),),
    "os.rename": ((0, 2), (1, 3)),
    "os.link": ((1, 3),),
    "os.symlink": ((1, 2),),
    "os.truncate": ((0, None),),
    "os.chmod": ((0, 2),),
    "os.chown": ((0, 3),),
    "os.utime": ((0, 3),),
}
"""Of Python's audit events that change something: which arguments are paths, and which the folders they start in."""


def fence(inside: tuple[Path, ...]) -> list[str]:
    """From here on refuse all changes but those in the folders `inside`; the list grows by every attempt."""
    attempts: list[str] = []
    roots = tuple(os.path.realpath(folder) for folder in inside)

    def check(path: str) -> None:
        if path == os.devnull or any(path == root or path.startswith(root + os.sep) for root in roots):
            return
        attempts.append(path)
        raise PermissionError(13, "Permission denied", path)

    sys.addaudithook(_hook(check))
    return attempts


def _hook(check: Callable[[str], None]) -> Callable[[str, tuple[Any, ...]], None]:
    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if isinstance(path, str | bytes) and isinstance(flags, int) and flags & WRITES:
                check(os.path.realpath(os.fsdecode(path)))
        elif event in BY_EVENT:
            for at, start in BY_EVENT[event]:
                if isinstance(arguments[at], str | bytes):
                    check(_place(os.fsdecode(arguments[at]), -1 if start is None else arguments[start]))

    return hook


def _place(path: str, start: int) -> str:
    """Where a name is, without following a link that it may be itself; `start` is an open folder, or -1."""
    if start != -1:
        path = os.path.join(os.readlink(f"/proc/self/fd/{start}"), path)
    folder, name = os.path.split(path.rstrip(os.sep) or os.sep)
    return os.path.join(os.path.realpath(folder or os.curdir), name)


def unasked(attempts: list[str], arguments: list[str]) -> list[str]:
    """The attempts that no argument of the command line asked for: they lie in no folder where one of them is."""
    folders = {os.path.dirname(os.path.realpath(os.path.expanduser(word))) for word in arguments if "\0" not in word}
    return [path for path in attempts if not any(path.startswith(folder) for folder in folders)]
