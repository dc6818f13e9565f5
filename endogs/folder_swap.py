"""One folder takes another's place in one step, so that nobody ever sees a mixture, whatever is killed when.

Linux exchanges two names at once (renameat2(2) with RENAME_EXCHANGE, since 3.15). Elsewhere, and on file systems that
cannot, two renames follow each other, and between them the earlier folder stands under the name `aside(place)`.
"""

import ctypes
import errno
import os
import sys
from pathlib import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_CANNOT = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP)


def aside(place: Path) -> Path:
    """Where the folder at `place` stands for a moment where two names cannot be exchanged at once."""
    return place.with_name(place.name + ".replaced")


def standing(place: Path) -> Path:
    """What to read where a folder or a file in it is named: itself or, when a swap was killed half-way, the earlier."""
    for folder in (place, place.parent):
        if not folder.exists() and aside(folder).is_dir():
            return aside(folder) / place.relative_to(folder)
    return place


def swap_in(new: Path, place: Path) -> None:
    """Puts the folder `new` at `place`; what stood there, unless it was nothing or an empty folder, stands at `new`.

    Both lie in the same folder. Raises OSError, with everything as it was but for what `mend` puts right.
    """
    if not place.exists() or not any(place.iterdir()):
        if os.name == "nt" and place.exists():
            place.rmdir()
        os.rename(new, place)  # POSIX replaces an empty folder in the same step
    elif not _exchanged(new, place):
        os.rename(place, aside(place))
        os.rename(new, place)
        os.rename(aside(place), new)


def mend(new: Path, place: Path) -> None:
    """Ends what `swap_in(new, place)` began when it was killed between two renames; otherwise does nothing."""
    if not aside(place).is_dir():
        return
    if not place.exists():
        os.rename(new if new.is_dir() else aside(place), place)
    if aside(place).is_dir() and not new.exists():
        os.rename(aside(place), new)


def sync_folder(folder: Path) -> None:
    """The names in `folder` survive a power cut from here on, where folders can be opened: Windows refuses it."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass  # some network file systems refuse it for folders
    finally:
        os.close(handle)


def _exchanged(one: Path, other: Path) -> bool:
    """Whether the system could exchange the two names. Raises OSError when it refuses for another reason."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2  # glibc 2.28, musl 1.2.6
    except (OSError, AttributeError):
        return False
    if rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _CANNOT:
        return False
    raise OSError(code, os.strerror(code), str(one), None, str(other))
