"""When a fit saves a checkpoint: often enough that little is lost, seldom enough that it costs next to nothing."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

from endogs.errors import InputError
from endogs.fit.checkpoint import Checkpoint, save_checkpoint

COST = 60
"""Times what saving took that pass until the next time: a share of 1.6 %."""


class CheckpointClock:
    """Saves a fit's state every `seconds`, or, where saving is slow, after COST times as long as it took."""

    def __init__(self, folder: Path | None, seconds: float) -> None:
        """Saves nothing without a folder."""
        self.folder, self.seconds = folder, seconds
        self.cost = 0.0
        """Seconds that the last save took."""
        self._last = time.monotonic()
        self._told = False

    @property
    def due(self) -> bool:
        """Whether it is time."""
        return self.folder is not None and time.monotonic() - self._last > max(self.seconds, COST * self.cost)

    def save(self, state: Callable[[], Checkpoint]) -> None:
        """Saves now. Raises InputError when the place is not writable."""
        if self.folder is None:
            return
        begin = time.monotonic()
        save_checkpoint(state(), self.folder)
        self._last = time.monotonic()
        self.cost = self._last - begin

    def save_if_due(self, state: Callable[[], Checkpoint]) -> None:
        """Saves when it is time; where that fails, says so once and the fit goes on: it may end before it matters."""
        if not self.due:
            return
        try:
            self.save(state)
        except InputError as error:
            self._last = time.monotonic()
            if not self._told:
                self._told = True
                print(f"note: no checkpoint for now: {error} The fit goes on.", file=sys.stderr, flush=True)
