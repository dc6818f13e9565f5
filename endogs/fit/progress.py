"""Progress of a fit: one line that renews itself on a terminal, a plain line now and then elsewhere."""

import sys
import time
from collections.abc import Callable
from typing import TextIO

PLAIN_SECONDS = 5.0
"""Time between plain lines."""
REFRESH_SECONDS = 0.25


class FitProgress:
    """Prints step, loss, PSNR, Gaussians, steps per second and time left."""

    def __init__(self, total: int, start: int = 0, stream: TextIO | None = None) -> None:
        """`total` steps, of which `start` are done; `stream` is standard error unless given."""
        self._total, self._start = total, start
        self._stream = stream if stream is not None else sys.stderr
        self._terminal = self._stream.isatty()
        self._begin = self._last = time.monotonic()
        self._live: Callable[[str], None] | None = None
        self._close: Callable[[], None] | None = None

    def __enter__(self) -> "FitProgress":
        if self._terminal:
            from rich.console import Console
            from rich.live import Live
            from rich.text import Text

            live = Live("", console=Console(file=self._stream), auto_refresh=False)
            live.start()
            self._live = lambda text: live.update(Text(text), refresh=True)
            self._close = live.stop
        return self

    def __exit__(self, *exception: object) -> None:
        if self._close is not None:
            self._close()

    def update(self, step: int, loss: float, psnr: float, gaussians: int) -> None:
        """Call after every step; prints when it is time to, and after the last step."""
        now = time.monotonic()
        wait = REFRESH_SECONDS if self._terminal else PLAIN_SECONDS
        if now - self._last < wait and step < self._total:
            return
        self._last = now
        rate = (step - self._start) / max(now - self._begin, 1e-9)
        left = (self._total - step) / max(rate, 1e-9)
        text = (
            f"step {step}/{self._total}  loss {loss:.4f}  PSNR {psnr:.2f} dB  {gaussians} Gaussians  "
            f"{rate:.1f} it/s  {left:.0f} s left"
        )
        if self._live is not None:
            self._live(text)
        else:
            print(text, file=self._stream, flush=True)
