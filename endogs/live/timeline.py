"""The clip's time as a player keeps it: playing, paused, scrubbed, looped, faster and slower."""

import threading
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

SPEEDS = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0)
"""Speeds that a viewer offers, in clip seconds per second."""


class Timeline:
    """Seconds since the clip's first frame; every method may be called from any thread."""

    def __init__(self, times: NDArray[np.float64], clock: Callable[[], float] = time.monotonic) -> None:
        """`times` (F,) of the clip's frames, ascending, F >= 1; `clock` in seconds. Raises ValueError for no frame."""
        if len(times) == 0:
            raise ValueError("a timeline needs at least one frame")
        self.times = np.asarray(times, np.float64)
        self._clock = clock
        self._lock = threading.Lock()
        self._time = self.first
        self._asked = clock()
        self._playing, self._loop, self._speed = False, True, 1.0

    @property
    def first(self) -> float:
        """Time of the first frame."""
        return float(self.times[0])

    @property
    def last(self) -> float:
        """Time of the last frame."""
        return float(self.times[-1])

    @property
    def frame_seconds(self) -> float:
        """Mean time between frames; 0 for a single frame."""
        return (self.last - self.first) / (len(self.times) - 1) if len(self.times) > 1 else 0.0

    @property
    def playing(self) -> bool:
        """Whether time runs."""
        return self._playing

    @property
    def loop(self) -> bool:
        """Whether the end is followed by the beginning."""
        return self._loop

    @loop.setter
    def loop(self, loop: bool) -> None:
        self._loop = bool(loop)

    @property
    def speed(self) -> float:
        """Clip seconds per second, above 0."""
        return self._speed

    @speed.setter
    def speed(self, speed: float) -> None:
        if not speed > 0:
            raise ValueError(f"speed must be above 0, got {speed}")
        self.now()  # the time until here ran at the old speed
        self._speed = float(speed)

    @property
    def frame(self) -> int:
        """The clip's frame nearest to now."""
        return int(np.argmin(np.abs(self.times - self.now())))

    def now(self) -> float:
        """The present time, moved on by what has passed while playing.

        The last frame is shown as long as any other. Then time starts over, or stops there.
        """
        with self._lock:
            clock = self._clock()
            passed, self._asked = clock - self._asked, clock
            if self._playing:
                reached = self._time + passed * self._speed
                period = self.last - self.first + self.frame_seconds
                if reached >= self.first + period and not self._loop:
                    reached, self._playing = self.last, False
                self._time = self.first + (reached - self.first) % period
            return min(self._time, self.last)

    def play(self) -> None:
        """Run, from the beginning when the end is reached. A single frame has nothing to play."""
        if self.last <= self.first:
            return
        at_the_end = self.now() >= self.last
        with self._lock:
            if at_the_end and not self._playing:
                self._time = self.first
            self._asked, self._playing = self._clock(), True

    def pause(self) -> None:
        """Stop where it is."""
        self.now()
        self._playing = False

    def seek(self, time: float) -> None:
        """Go to `time`, clamped to the clip; playing goes on from there."""
        with self._lock:
            self._time = min(max(float(time), self.first), self.last)
            self._asked = self._clock()

    def step(self, frames: int) -> None:
        """Pause, and go to the frame that is `frames` after the present one; round the ends when looping."""
        target = self.frame + frames
        self.pause()
        count = len(self.times)
        self.seek(float(self.times[target % count if self._loop else min(max(target, 0), count - 1)]))
