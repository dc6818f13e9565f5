"""A lock that the system releases when its holder dies, however it dies.

flock(2) on POSIX: it belongs to the open file, so it excludes threads of one process too; Windows locks a byte of the
file. The file holds a line about the holder, for the sentence that others read.
"""

import errno
import json
import os
import platform
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from endogs.bounded_files import parse_json
from endogs.errors import InputError

_FORMAT = "endogs-lock-1"
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
_LONGEST = 1000


class FileLock:
    """Held from `acquire` to `release`."""

    def __init__(self, path: Path) -> None:
        """`path` is made when the lock is taken, and removed when it is released."""
        self.path = path
        self._file: BinaryIO | None = None

    def acquire(self) -> str | None:
        """Takes the lock and returns None, or returns who holds it.

        Where the file system knows no locks it is taken all the same. Raises OSError when the file cannot be made, and
        InputError when there is a file of that name that is no lock.
        """
        while True:
            file = os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o644), "r+b")
            try:
                written = file.read(_LONGEST)
                if written and not written.startswith(b'{"format": "' + _FORMAT.encode()):
                    raise InputError(f"{self.path}: not a lock of endogs; move that file, or give another --out")
                if not _lock(file):
                    file.close()
                    return _holder(written)
                if self._is_current(file):
                    self._file = file
                    self._write_holder(file)
                    return None
            except BaseException:
                file.close()
                raise
            file.close()  # its last holder removed it between our opening and locking it

    def release(self) -> None:
        """Gives the lock back and removes its file; does nothing when it is not held."""
        file, self._file = self._file, None
        if file is None:
            return
        if self._is_current(file):
            # While it is still held: whoever opened the file before sees that it is not the current one.
            with suppress(OSError):  # Windows removes no open file
                self.path.unlink()
        file.close()

    def _is_current(self, file: BinaryIO) -> bool:
        try:
            return os.path.samestat(os.stat(self.path), os.fstat(file.fileno()))
        except FileNotFoundError:
            return False

    def _write_holder(self, file: BinaryIO) -> None:
        about = {
            "format": _FORMAT,
            "pid": os.getpid(),
            "host": platform.node(),
            "since": time.strftime("%Y-%m-%d %H:%M"),
        }
        file.seek(0)
        file.truncate()
        file.write(json.dumps(about).encode())
        file.flush()


def _holder(written: bytes) -> str:
    """E.g. "process 123 of machine, since 2026-01-01 12:00", from a lock file's bytes."""
    try:
        about = parse_json(written)
        return f"process {int(about['pid'])} on {str(about['host'])[:60]!r}, since {str(about['since'])[:20]!r}"
    except (ValueError, KeyError, TypeError):
        return "another process"


def _lock(file: BinaryIO) -> bool:
    """Whether the file is locked by us now."""
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(_LONGEST)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if sys.platform == "win32" and error.errno in (errno.EACCES, errno.EDEADLK):
            return False
        if error.errno not in _NO_LOCKS:
            raise
    return True
