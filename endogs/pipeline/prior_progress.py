"""Progress of what is guessed before the fit: a bar on a terminal, a plain line now and then elsewhere."""

import sys
import time
from collections.abc import Callable
from typing import TextIO

PLAIN_SECONDS = 5.0
"""Time between plain lines; what takes less says nothing."""


class PriorProgress:
    """Call with (done, total) frames; prints how far `what` is and how long it will take."""

    def __init__(self, what: str, stream: TextIO | None = None) -> None:
        """`what` is done to frames, such as "stereo depth"; `stream` is standard error unless given."""
        self._what = what
        self._stream = stream if stream is not None else sys.stderr
        self._terminal = self._stream.isatty()
        self._begin = self._last = time.monotonic()
        self._show: Callable[[int, int], None] | None = None
        self._close: Callable[[], None] | None = None

    def __enter__(self) -> "PriorProgress":
        return self

    def __exit__(self, *exception: object) -> None:
        if self._close is not None:
            self._close()

    def __call__(self, done: int, total: int) -> None:
        """`done` of `total` frames are there."""
        if self._terminal:
            if self._show is None:
                self._open(total)
            assert self._show is not None
            self._show(done, total)
            return
        now = time.monotonic()
        if now - self._last < PLAIN_SECONDS:
            return
        self._last = now
        left = (now - self._begin) / done * (total - done)
        print(f"{self._what}: frame {done}/{total}  {left:.0f} s left", file=self._stream, flush=True)

    def _open(self, total: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        bar = Progress(*columns, console=Console(file=self._stream), transient=True)
        task = bar.add_task(self._what, total=total)
        bar.start()
        self._show = lambda done, total: bar.update(task, completed=done, total=total)
        self._close = bar.stop
