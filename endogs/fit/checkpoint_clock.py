"""When a fit saves a checkpoint: often enough that little is lost, seldom enough that it costs next to nothing."""

import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from endogs.errors import InputError
from endogs.fit.checkpoint import Checkpoint, save_checkpoint, write_checkpoint

COST = 60
"""Times what all saving takes that a fit has to last: a share of 1.7 %."""
FIRST_BYTES_PER_SECOND = 1e9
"""How fast the first one is expected to be; a page cache takes twice that from an idle machine."""


class CheckpointClock:
    """Saves a fit's state every `seconds`, or, where that is slow, as soon as it keeps within its share of the time.

    The fit waits for the system to take the bytes; that they reach the disk, and only then replace the previous
    checkpoint, is left to a thread. Leaving the context waits for it.
    """

    def __init__(self, folder: Path | None, seconds: float, expected_bytes: float = 0.0) -> None:
        """Saves nothing without a folder."""
        self.folder, self.seconds = folder, seconds
        self.cost = expected_bytes / FIRST_BYTES_PER_SECOND
        """Seconds that the last save took of the fit's time."""
        self._began = self._last = time.monotonic()
        self._spent = 0.0
        self._syncing: threading.Thread | None = None
        self._told = False

    def __enter__(self) -> "CheckpointClock":
        return self

    def __exit__(self, *exception: object) -> None:
        self._wait()

    @property
    def due(self) -> bool:
        """Whether it is time."""
        if self.folder is None or (self._syncing is not None and self._syncing.is_alive()):
            return False
        now = time.monotonic()
        return now - self._last > self.seconds and now - self._began > COST * (self._spent + self.cost)

    def save(self, state: Callable[[], Checkpoint]) -> None:
        """Saves now, to the disk. Raises InputError when the place is not writable."""
        self._wait()
        if self.folder is not None:
            save_checkpoint(state(), self.folder)

    def save_if_due(self, state: Callable[[], Checkpoint]) -> None:
        """`save_where_possible`, when it is time."""
        if self.due:
            self.save_where_possible(state)

    def save_where_possible(self, state: Callable[[], Checkpoint]) -> None:
        """Saves; where that fails, says so once and the fit goes on: it may end before it matters."""
        self._wait()
        if self.folder is None:
            return
        begin = time.monotonic()
        try:
            written = write_checkpoint(state(), self.folder)
        except InputError as error:
            self._tell(error)
        else:
            self._syncing = threading.Thread(target=self._finish, args=(written,))
            self._syncing.start()
        self._last = time.monotonic()
        self.cost = self._last - begin
        self._spent += self.cost

    def _finish(self, written: ExitStack) -> None:
        try:
            written.close()
        except InputError as error:
            self._tell(error)

    def _wait(self) -> None:
        if self._syncing is not None:
            self._syncing.join()

    def _tell(self, error: InputError) -> None:
        if not self._told:
            self._told = True
            print(f"note: no checkpoint for now: {error} The fit goes on.", file=sys.stderr, flush=True)
