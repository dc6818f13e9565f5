"""Frames placed in time, whatever their timestamps: none is dropped, and no number in a file sets a clip's length."""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

import numpy as np

T = TypeVar("T")

FINEST = 1e-6
"""Seconds by which a stamp must be later than the last to be another one."""
PAUSE = 10.0
"""Seconds without a frame that are a pause or a jump of the clock, if they are also PAUSE_STEPS usual steps."""
PAUSE_STEPS = 20
SURE_STEPS = 4
"""Usual steps up to which a stamp is taken at its word; later ones wait until the next frame confirms them."""
CLOSED_PAUSE = 1.0
"""Seconds that are left of a pause."""
UNSETTLED = 16
"""Frames with stamps that do not fit that are kept back until it shows what the clock does; they hold memory."""
REMEMBERED = 31
"""Steps whose median is the usual one."""


class Timeline(Generic[T]):
    """Gives the frames of a video, in the order in which they are shown, times that strictly increase from 0.

    A stamp fits that comes after the last one that did, by less than a pause, and that the next frame confirms if it is
    later than usual. Frames whose stamps repeat, are missing
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
            elif not self._waiting and stamp is not None and FINEST < stamp - self._stamp <= SURE_STEPS * self.step:
                yield self._fitting(stamp, frame)
            else:
                yield from self._unsettled(stamp, frame)
        yield from self._end()

    def notes(self, first: float = 0.0, last: float = float("inf")) -> list[str]:
        """What a user should know of the frames from `first` to `last` (seconds), with numbers."""
        found = []
        if self.misplaced == self.frames > 1:
            return ["the video has no timestamps: frames are taken at its average rate."]
        if restarts := [after for after in self.restarts if first <= after < last]:
            found.append(
                f"the video's clock restarts {_times(len(restarts))}, first after {restarts[0]:.3f} s, as "
                "where recordings were joined: time goes on from there, and no frame is left out."
            )
        if pauses := [pause for pause in self.pauses if first <= pause[0] < last]:
            after, seconds = pauses[0]
            found.append(
                f"the video pauses {_times(len(pauses))}, first after {after:.3f} s for {seconds:.1f} s: "
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
        return FINEST < stamp - before <= max(PAUSE, PAUSE_STEPS * self.step)

    def _start(self, stamp: float | None, frame: T) -> Iterator[tuple[float, T]]:
        """The first frames, as soon as one of them has a stamp."""
        if stamp is None and len(self._waiting) < UNSETTLED:
            self._waiting.append((stamp, frame))
            return
        strays, self._waiting = self._waiting, []
        # Without a stamp the clock starts where the first one, one step a frame earlier, would have stood.
        self._stamp, self.frames = (stamp or 0.0) - len(strays) * self.step, 1
        if not strays:
            yield 0.0, frame
            return
        self.misplaced = 1
        yield 0.0, strays[0][1]
        yield from self._spread(strays[1:], stamp)
        if stamp is None:
            self._waiting.append((stamp, frame))
        else:
            yield self._fitting(stamp, frame)

    def _end(self) -> Iterator[tuple[float, T]]:
        """What is still kept back when no more frames come."""
        strays, self._waiting = self._waiting, []
        if self._stamp is None and strays:
            self._stamp, self.frames, self.misplaced = 0.0, 1, 1
            yield 0.0, strays.pop(0)[1]
        last = strays[-1][0] if strays else None
        if last is not None and self._stamp is not None and self._fits(last, self._stamp):
            yield from self._spread(strays[:-1], last)
            yield self._fitting(last, strays[-1][1])
        else:
            yield from self._spread(strays, None)

    def _fitting(self, stamp: float, frame: T) -> tuple[float, T]:
        assert self._stamp is not None
        self._steps.append(stamp - self._stamp)
        self._time += stamp - self._stamp
        self._stamp, self.frames = stamp, self.frames + 1
        return self._time, frame

    def _unsettled(self, stamp: float | None, frame: T) -> Iterator[tuple[float, T]]:
        assert self._stamp is not None
        before = self._waiting[-1][0] if self._waiting else None
        is_late = before is not None and self._fits(before, self._stamp)
        if stamp is not None and before is not None and is_late and self._fits(stamp, before):
            strays, late = self._waiting[:-1], self._waiting[-1]
            self._waiting = []
            yield from self._spread(strays, before)
            yield self._fitting(before, late[1])
            yield self._fitting(stamp, frame)
        elif stamp is not None and self._waiting and self._fits(stamp, self._stamp):
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
        return one > FINEST and 0.5 < two / one < 2

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
        for index, (_, frame) in enumerate(strays):
            assert self._stamp is not None
            step = self.step if until is None else (until - self._stamp) / (len(strays) - index + 1)
            self._stamp += step
            self._time += step
            self.frames += 1
            self.misplaced += 1
            yield self._time, frame


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
