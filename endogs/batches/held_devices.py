"""Cores and GPUs of this machine that one process has for itself, whichever worker or batch started it.

Each core and each GPU is a file in a folder of the user's, locked by whoever computes there; the system gives it free
when that process dies. A process that holds cores is kept to them, so that every library in it counts only those.
"""

import hashlib
import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from endogs.errors import InputError
from endogs.file_lock import FileLock

POLL_SECONDS = 0.5
VISIBLE = "CUDA_VISIBLE_DEVICES"


class HeldDevices:
    """Cores, and perhaps a GPU, that are this process's until it ends or releases them."""

    def __init__(self) -> None:
        self._locks: list[FileLock] = []
        self.cores: list[int] = []
        """By the system's numbers; none where it keeps no process to cores (macOS, Windows)."""

    def hold_cores(self, count: int, waiting: Callable[[], None] | None = None) -> None:
        """Holds so many cores, and keeps this process to them; waits until they are free.

        `waiting` is called now and then meanwhile. More than there are counts as all.
        """
        if not hasattr(os, "sched_setaffinity"):
            return
        allowed = sorted(os.sched_getaffinity(0))
        # In the same order everywhere, so that two that wait do not hold what the other lacks.
        self.cores = [int(name) for name in self._hold("core", [str(core) for core in allowed], count, waiting)]
        os.sched_setaffinity(0, self.cores)

    def hold_gpu(self, waiting: Callable[[], None] | None = None) -> str:
        """Holds one of the GPUs that this process may see, and lets it see no other; returns how CUDA knows it."""
        [gpu] = self._hold("gpu", visible_gpus() or ["0"], 1, waiting)
        os.environ[VISIBLE] = gpu
        return gpu

    def release(self) -> None:
        """Gives everything free."""
        while self._locks:
            self._locks.pop().release()

    def _hold(self, kind: str, names: list[str], count: int, waiting: Callable[[], None] | None) -> list[str]:
        folder, wanted = locks_folder(), min(count, len(names))
        while True:
            taken: list[tuple[str, FileLock]] = []
            for name in names:
                if len(taken) == wanted:
                    break
                lock = FileLock(folder / f"{kind}-{name}")
                if lock.acquire() is None:
                    taken.append((name, lock))
            if len(taken) == wanted:
                self._locks += [lock for _, lock in taken]
                return [name for name, _ in taken]
            for _, lock in taken:
                lock.release()
            if waiting is not None:
                waiting()
            time.sleep(POLL_SECONDS)


def visible_gpus() -> list[str]:
    """The NVIDIA GPUs that this process may use, as CUDA knows them: those that CUDA_VISIBLE_DEVICES names, else all
    that the driver lists (Linux); none where there is none.
    """
    named = os.environ.get(VISIBLE)
    if named is not None:
        return [name.strip() for name in named.split(",") if name.strip() not in ("", "-1", "NoDevFiles")]
    listed = Path("/proc/driver/nvidia/gpus")
    return [str(number) for number, _ in enumerate(listed.iterdir())] if listed.is_dir() else []


def locks_folder() -> Path:
    """The folder of the locks, which only this user may write. Raises InputError where somebody else made it."""
    user = os.getuid() if hasattr(os, "getuid") else 0
    machine = hashlib.blake2b(platform.node().encode(errors="replace"), digest_size=4).hexdigest()
    folder = Path(tempfile.gettempdir()) / f"endogs-devices-{user}-{machine}"
    folder.mkdir(mode=0o700, exist_ok=True)
    about = folder.lstat()
    if os.name == "posix" and (about.st_uid != user or folder.is_symlink() or about.st_mode & 0o022):
        raise InputError(
            f"{folder}: not yours alone, so cores cannot be shared out there; set TMPDIR to a folder of yours."
        )
    return folder
