"""How much memory there is, and a refusal in a sentence before something is allocated that would not fit."""

import ctypes
import os
import sys
from functools import cache
from pathlib import Path

from endogs.errors import InputError

USABLE = 0.9
"""Share of the available memory that one allocation may take; the rest is for what comes with it."""


def machine_bytes() -> float:
    """This machine's memory, or the part of it that this process may have; infinite where the system does not tell.

    A container's limit (cgroup v2 memory.max) and the process's own (RLIMIT_AS) count.
    """
    try:
        found = float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):
        found = float("inf")
    return min(found, _cgroup_limit(), _address_space_limit())


def available_bytes() -> float:
    """Memory that can be had now without swapping (Linux: MemAvailable); `machine_bytes` where that is not told."""
    limits = [machine_bytes()]
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                limits.append(float(line.split()[1]) * 1024)
    except (OSError, ValueError, IndexError):
        pass
    space = _address_space_limit()
    if space != float("inf"):
        limits.append(max(space - _address_space_used(), 0.0))
    return min(limits)


def require_memory(needed: float, what: str, remedy: str) -> None:
    """Raises InputError when `needed` bytes are more than can be had: "{what} needs 5.1 GB ... : {remedy}."

    Call it before the allocation; `what` names the file or option, `remedy` says what would work.
    """
    free = available_bytes()
    if needed > USABLE * free:
        raise InputError(f"{what} needs {needed / 1e9:.1f} GB of memory and {free / 1e9:.1f} GB can be had: {remedy}.")


def return_freed_memory() -> None:
    """Give memory that was freed back to the system, where the C library is glibc (malloc_trim); a matter of
    milliseconds.

    Short-lived arrays of many threads otherwise leave hundreds of megabytes in its pools, which the fit's own large
    arrays then come on top of.
    """
    trim = getattr(_c_library(), "malloc_trim", None)
    if trim is not None:
        trim(0)


@cache
def _c_library() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if sys.platform == "linux" else None


def _cgroup_limit() -> float:
    try:
        word = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        return float("inf") if word == "max" else float(word)
    except (OSError, ValueError):
        return float("inf")


def _address_space_limit() -> float:
    try:
        import resource
    except ImportError:  # Windows
        return float("inf")
    soft = resource.getrlimit(resource.RLIMIT_AS)[0]
    return float("inf") if soft == resource.RLIM_INFINITY else float(soft)


def _address_space_used() -> float:
    try:
        return float(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError, AttributeError):
        return 0.0
