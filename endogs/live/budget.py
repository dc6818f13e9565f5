"""Time for looking, as a share of the time for fitting."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SHARE = 0.05
"""Part of a fit's time that pictures may take. The server's own thread takes a little more, which nobody can plan."""
SAVED = 0.25
"""Seconds of looking that may be saved up while nobody looks."""


class TimeBudget:
    """Fills at `share` of the passing time and is emptied by work; work waits until it pays for the work expected."""

    def __init__(self, share: float = SHARE, saved: float = SAVED, clock: Callable[[], float] = time.monotonic) -> None:
        """`share` in (0, 1); at most `saved` seconds are kept."""
        self._share, self._saved, self._clock = share, saved, clock
        self._filled = clock()
        self._credit = 0.0
        self._expected = 0.0
        self.spent = 0.0
        """Seconds of work so far."""

    def allows(self) -> bool:
        """Whether work as long as the last one is affordable now. The first work of all is affordable at once."""
        now = self._clock()
        self._credit = min(self._saved, self._credit + self._share * (now - self._filled))
        self._filled = now
        return self._credit >= min(self._expected, self._saved)

    @contextmanager
    def working(self) -> Iterator[None]:
        """Charges the time inside."""
        begin = self._clock()
        try:
            yield
        finally:
            took = self._clock() - begin
            self.spent += took
            self._credit -= took
            self._expected = took

    def forget(self, seconds: float) -> None:
        """Time that belongs to nobody, such as a pause, neither fills nor empties."""
        self._filled += seconds
