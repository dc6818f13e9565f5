"""How far a long work is: a bar or a line that renews itself on a terminal, a plain line now and then elsewhere."""

import sys
import time
from collections.abc import Callable
from typing import TextIO

PLAIN_SECONDS = 5.0
"""Time between plain lines."""
REFRESHES = 4.0
"""Times a second that a terminal's line renews itself."""


class Progress:
    """Call it as the work goes on, between entering and leaving it."""

    def __init__(
        self,
        counted: str,
        bar: str | None = None,
        rate: str | None = None,
        start: int = 0,
        stream: TextIO | None = None,
    ) -> None:
        """`counted` is what is counted, such as "step", of which `start` are done; `rate` is the unit to tell it in.

        A `bar`, by its name, goes when the work is done, and work that is done before the first plain line says
        nothing. Without one a terminal shows the plain line, and the last one stays. `stream` is standard error unless
        given.
        """
        self._counted, self._bar, self._rate, self._start = counted, bar, rate, start
        self._stream = stream if stream is not None else sys.stderr
        self._terminal = self._stream.isatty()
        self._begin = self._last = time.monotonic()
        self._show: Callable[[int, int, str], None] | None = None
        self._close: Callable[[], None] | None = None

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *exception: object) -> None:
        if self._close is not None:
            self._close()

    def __call__(self, done: int, total: int, words: str = "") -> None:
        """`done` of `total` are there, and `words` say more of them."""
        now = time.monotonic()
        is_end = self._bar is None and done >= total
        if not self._terminal and now - self._last < PLAIN_SECONDS and not is_end:
            return
        self._last = now
        rate = (done - self._start) / max(now - self._begin, 1e-9)
        text = f"{self._counted} {done}/{total}{words}"
        text = text if self._bar is None else f"{self._bar}: {text}"
        text = text if self._rate is None else f"{text}  {rate:.1f} {self._rate}"
        text = f"{text}  {(total - done) / max(rate, 1e-9):.0f} s left"
        if not self._terminal:
            print(text, file=self._stream, flush=True)
            return
        if self._show is None:
            self._open()
        assert self._show is not None
        self._show(done, total, text)

    def _open(self) -> None:
        from rich import progress
        from rich.console import Console
        from rich.table import Column

        # A text column of rich's own cuts what is longer than the terminal is wide.
        columns: list[progress.ProgressColumn] = [
            progress.TextColumn("{task.description}", markup=False, table_column=Column())
        ]
        if self._bar is not None:
            columns += [progress.BarColumn(), progress.MofNCompleteColumn(), progress.TimeRemainingColumn()]
        transient = self._bar is not None
        shown = progress.Progress(
            *columns, console=Console(file=self._stream), transient=transient, refresh_per_second=REFRESHES
        )
        task = shown.add_task("", total=None)
        shown.start()
        self._show = lambda done, total, text: shown.update(
            task, completed=done, total=total, description=self._bar or text
        )
        self._close = shown.stop


def duration(seconds: float) -> str:
    """A time in the largest unit that it has at least two of: "40 s", "12 min", "3 h"."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
