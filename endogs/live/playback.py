"""The thread that draws while nothing is being fitted."""

import threading

from endogs import native
from endogs.live.studio import Studio

IDLE_SECONDS = 0.05
"""Longest wait between looks for work; a picture at rest may be due without anything having happened."""


class Playback:
    """Runs a studio in a thread of its own until it is stopped."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="endogs-playback", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread after the picture it is at."""
        self._stop.set()
        self._studio.schedule.woken.set()
        self._thread.join(timeout=30)

    @native.cores_for_kernels()
    def _run(self) -> None:
        woken = self._studio.schedule.woken
        while not self._stop.is_set():
            woken.clear()
            if not self._studio.tick():
                # While playing, the next picture is due sooner than anything wakes this thread.
                woken.wait(0.004 if self._studio.session.timeline.playing else IDLE_SECONDS)
