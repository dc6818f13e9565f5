"""Ctrl-C, and the other requests to end, between two steps instead of in the middle of one."""

import signal
import threading
from types import FrameType

STOPS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""Ctrl-C; kill, and a machine that shuts down; a terminal that closes."""


class InterruptFlag:
    """While entered, the first signal of STOPS only sets `raised`; a second one ends the process as usual.

    Signals that are ignored, as SIGHUP is under nohup, stay so. Outside the main thread, where Python allows no signal
    handlers, it does nothing.
    """

    def __init__(self) -> None:
        self.raised: signal.Signals | None = None
        """The signal that came."""
        self._previous: dict[signal.Signals, signal._HANDLER] = {}

    def __enter__(self) -> "InterruptFlag":
        if threading.current_thread() is threading.main_thread():
            for stop in STOPS:
                if signal.getsignal(stop) not in (signal.SIG_IGN, None):
                    self._previous[stop] = signal.signal(stop, self._handle)
        return self

    def __exit__(self, *exception: object) -> None:
        for stop, handler in self._previous.items():
            signal.signal(stop, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.raised is None:
            self.raised = signal.Signals(number)
        elif number == signal.SIGINT:
            raise KeyboardInterrupt
        else:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
