"""Names of files and folders that are not complete yet, and their removal when whoever wrote them has died.

A name says which process writes: `.NAME.endogs-PID-HOST-RANDOM.partial.ENDING`, with a hash of the machine's name. Only
what bears such a name, of a process of this machine that is gone, is ever removed.
"""

import hashlib
import os
import platform
import re
import shutil
from pathlib import Path

LONGEST_STEM = 40
"""Letters of the final name that the temporary one repeats: file systems allow 255 bytes in all."""
_NAME = re.compile(r"\..*\.endogs-(?P<pid>[0-9]{1,10})-(?P<host>[0-9a-f]{8})-[0-9a-z_]{8}\.partial(\..*)?", re.DOTALL)
_HOST = hashlib.blake2b(platform.node().encode(errors="replace"), digest_size=4).hexdigest()
_swept: set[Path] = set()


def partial_prefix(path: Path) -> str:
    """How the temporary name of `path` begins while this process writes it; `tempfile` adds eight letters."""
    return f".{path.stem[:LONGEST_STEM]}.endogs-{os.getpid()}-{_HOST}-"


def is_partial(name: str) -> bool:
    """Whether a file's name is one that endogs gives to what it has not completed."""
    return _NAME.fullmatch(name) is not None


def remove_dead(folder: Path) -> None:
    """Removes what dead processes of this machine left half-written in `folder`; looks once per process and folder."""
    if folder in _swept:
        return
    _swept.add(folder)
    try:
        names = os.listdir(folder)
    except OSError:  # there is nothing to tidy up in a folder that cannot be read
        return
    for name in names:
        found = _NAME.fullmatch(name)
        if found is not None and found["host"] == _HOST and not _alive(int(found["pid"])):
            remove_partial(folder / name)


def remove_partial(path: Path) -> None:
    """Removes a temporary file or folder of endogs; one that cannot be removed stays."""
    try:
        path.unlink()
    except IsADirectoryError:
        shutil.rmtree(path, ignore_errors=True)
    except PermissionError:  # what macOS says of folders
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
    except OSError:
        pass


def _alive(pid: int) -> bool:
    if os.name != "posix":  # elsewhere signal 0 is no question but Ctrl-C
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
