"""Frames placed in time, whatever their timestamps: none is dropped, and no number in a file sets a clip's length."""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

import numpy as np

T = TypeVar("T")

PAUSE = 10.0
"""Seconds without a frame that are a pause or a jump of the clock, if they are also PAUSE_STEPS usual steps."""
PAUSE_STEPS = 20
CLOSED_PAUSE = 1.0
"""Seconds that are left of a pause."""
UNSETTLED = 16
"""Frames with stamps that do not fit that are kept back until it shows what the clock does; they hold memory."""
REMEMBERED = 31
"""Steps whose median is the usual one."""


class Timeline(Generic[T]):
    """Gives the frames of a video, in the order in which they are shown, times that strictly increase from 0.

    A stamp fits that comes after the last one that did, by less than a pause. Frames whose stamps repeat, are missing
    or do not fit are placed evenly between the fitting ones around them. Two frames in a row that agree with each
    other and not with the frames before mean that the clock restarted (time goes on by one usual step) or that the
    recording paused (CLOSED_PAUSE is left of it).
    """

    def __init__(self, default_step: float) -> None:
        self.default_step = default_step
        """Seconds between frames until stamps tell; may be set until the first frame comes."""
        self.frames = 0
        """Frames placed so far."""
        self.misplaced = 0
        """Of them, those without a stamp of their own that fits."""
        self.restarts: list[float] = []
        """Times of the last frames before the clock went back."""
        self.pauses: list[tuple[float, float]] = []
        """Times of the last frames before a pause, and the seconds that it took."""
        self._steps: deque[float] = deque(maxlen=REMEMBERED)
        self._stamp: float | None = None
        self._time = 0.0
        self._waiting: list[tuple[float | None, T]] = []

    def placed(self, stamped: Iterable[tuple[float | None, T]]) -> Iterator[tuple[float, T]]:
        """(seconds since the first frame, frame) of each of `stamped`, which has seconds on the file's clock or None.

        At most UNSETTLED frames are kept back.
        """
        for stamp, frame in stamped:
            if self._stamp is None:
                yield from self._start(stamp, frame)
            elif not self._waiting and stamp is not None and self._fits(stamp, self._stamp):
                yield self._fitting(stamp, frame)
            else:
                yield from self._unsettled(stamp, frame)
        yield from self._spread(self._waiting, None)
        self._waiting = []

    def notes(self) -> list[str]:
        """What a user should know, with numbers."""
        found = []
        if self.misplaced == self.frames > 1:
            return ["the video has no timestamps: frames are taken at its average rate."]
        if self.restarts:
            found.append(
                f"the video's clock restarts {_times(len(self.restarts))}, first after {self.restarts[0]:.3f} s, as "
                "where recordings were joined: time goes on from there, and no frame is left out."
            )
        if self.pauses:
            after, seconds = self.pauses[0]
            found.append(
                f"the video pauses {_times(len(self.pauses))}, first after {after:.3f} s for {seconds:.1f} s: "
                f"{CLOSED_PAUSE:g} s is left of each pause; --end {after + CLOSED_PAUSE / 2:.3f} or --start "
                f"{after + CLOSED_PAUSE / 2:.3f} read the part before or after it."
            )
        if self.misplaced:
            found.append(
                f"{self.misplaced} of {self.frames} frames have no timestamp of their own, or one that does not fit: "
                "they are placed between their neighbours."
            )
        return found

    @property
    def step(self) -> float:
        """Seconds from frame to frame, usually."""
        return float(np.median(self._steps)) if self._steps else self.default_step

    def _fits(self, stamp: float, before: float) -> bool:
        return before < stamp <= before + max(PAUSE, PAUSE_STEPS * self.step)

    def _start(self, stamp: float | None, frame: T) -> Iterator[tuple[float, T]]:
        """The first frames, as soon as one of them has a stamp."""
        if stamp is None and len(self._waiting) < UNSETTLED:
            self._waiting.append((stamp, frame))
            return
        strays, self._waiting = self._waiting, []
        if strays and stamp is not None:
            # The clock as it would have stood one step before the first frame, whose time is 0.
            self._stamp, self._time = stamp - (len(strays) + 1) * self.step, -self.step
            yield from self._spread(strays, stamp)
        elif strays:
            yield from self._spread(strays, None)
            yield from self._unsettled(stamp, frame)
            return
        if self._stamp is None:
            assert stamp is not None
            self._stamp, self.frames = stamp, 1
            yield 0.0, frame
        else:
            assert stamp is not None
            yield self._fitting(stamp, frame)

    def _fitting(self, stamp: float, frame: T) -> tuple[float, T]:
        assert self._stamp is not None
        self._steps.append(stamp - self._stamp)
        self._time += stamp - self._stamp
        self._stamp, self.frames = stamp, self.frames + 1
        return self._time, frame

    def _unsettled(self, stamp: float | None, frame: T) -> Iterator[tuple[float, T]]:
        assert self._stamp is not None
        before = self._waiting[-1][0] if self._waiting else None
        if stamp is not None and self._waiting and self._fits(stamp, self._stamp):
            strays, self._waiting = self._waiting, []
            yield from self._spread(strays, stamp)
            yield self._fitting(stamp, frame)
        elif stamp is not None and before is not None and self._is_slow(before, stamp):
            strays, slow = self._waiting[:-1], self._waiting[-1]
            self._waiting = []
            yield from self._spread(strays, None)
            yield self._fitting(before, slow[1])
            yield self._fitting(stamp, frame)
        elif stamp is not None and before is not None and self._fits(stamp, before):
            strays, other_clock = self._waiting[:-1], self._waiting[-1]
            self._waiting = []
            yield from self._spread(strays, None)
            yield self._on_another_clock(before, other_clock[1])
            yield self._fitting(stamp, frame)
        else:
            self._waiting.append((stamp, frame))
            if len(self._waiting) > UNSETTLED:
                yield from self._spread([self._waiting.pop(0)], None)

    def _is_slow(self, before: float, stamp: float) -> bool:
        """Whether the last two steps are long but alike: frames are far apart, and nothing jumped."""
        assert self._stamp is not None
        one, two = before - self._stamp, stamp - before
        return one > 0 and 0.5 < two / one < 2

    def _on_another_clock(self, stamp: float, frame: T) -> tuple[float, T]:
        assert self._stamp is not None
        if self.frames == 1:  # it was the first frame's stamp that did not fit
            self.misplaced += 1
            self._time += self.step
        elif stamp > self._stamp:
            self.pauses.append((self._time, stamp - self._stamp))
            self._time += max(CLOSED_PAUSE, self.step)
        else:
            self.restarts.append(self._time)
            self._time += self.step
        self._stamp, self.frames = stamp, self.frames + 1
        return self._time, frame

    def _spread(self, strays: list[tuple[float | None, T]], until: float | None) -> Iterator[tuple[float, T]]:
        """The strays, evenly up to the fitting stamp `until`, or one usual step apart."""
        if strays and self._stamp is None:
            self._stamp, self._time = -self.step, -self.step
        for index, (_, frame) in enumerate(strays):
            assert self._stamp is not None
            step = self.step if until is None else (until - self._stamp) / (len(strays) - index + 1)
            self._stamp += step
            self._time += step
            self.frames += 1
            self.misplaced += 1
            yield max(self._time, 0.0), frame


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
