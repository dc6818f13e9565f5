"""Masks that are being corrected: the frame shown, what a click does, and the work, on one thread. Needs no browser."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from endogs.errors import InputError
from endogs.live.frame_on_canvas import Placement, draw
from endogs.plain_text import plain
from endogs.priors.instruments.clicks import Click
from endogs.priors.instruments.corrections import Corrections

log = logging.getLogger("endogs.live")
MOST_JOBS = 20
"""Clicks and presses that wait; what comes beyond is not done, and the user is told."""


@dataclass
class Tool:
    """What a click does."""

    adds: bool | None = True
    """Whether it adds or removes; None enlarges there."""
    brush: float = 0.0
    """Widths of the frame that it covers, 0 for the outline of what is there."""


@dataclass
class MaskSession:
    """One clip's corrections, shared by all browsers. Methods may be called from any thread, `work` from one."""

    corrections: Corrections
    saving: Callable[[], str]
    """Writes the masks, and returns the sentence that says where."""
    changed: Callable[[], None] = lambda: None
    """Called when something else is to be shown."""
    frame: int = 0
    tool: Tool = field(default_factory=Tool)
    zoom: float = 1.0
    middle: tuple[float, float] = (0.5, 0.5)
    tinted: bool = True
    told: str = ""
    """The last thing that was done, in words."""
    reached: tuple[int, int] | None = None
    """Frames that a click has reached so far, and all; None while none is carried."""
    unsaved: int = 0
    """Changes since the last save."""
    refused: int = 0
    """Clicks and presses that came while too many waited, since the last thing that was done."""

    def __post_init__(self) -> None:
        """The queue of what is to be done."""
        self._jobs: deque[Callable[[], None]] = deque()
        self.woken = threading.Event()

    @property
    def count(self) -> int:
        """Frames."""
        return len(self.corrections.clip)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of frames."""
        return self.corrections.clip.width, self.corrections.clip.height

    def go(self, frame: int) -> None:
        """Show another frame, the nearest that there is."""
        self.frame = min(max(frame, 0), self.count - 1)
        self.changed()

    def enlarge(self, zoom: float, middle: tuple[float, float] = (0.5, 0.5)) -> None:
        """Show the frame `zoom` times as large, around a place of it."""
        self.zoom, self.middle = zoom, middle
        self.changed()

    def press(self, across: float, down: float, canvas: tuple[int, int]) -> None:
        """A click at parts (0 to 1) of a canvas (width, height): does what the tool does."""
        place = self.placement(canvas).on_frame(across * canvas[0], down * canvas[1], self.size)
        if place is None:
            return
        if self.tool.adds is None:
            self.enlarge(min(4.0, 2 * self.zoom), place)
            return
        click = Click(self.frame, *place, self.tool.adds, self.tool.brush)
        self.do(lambda: self._click(click))

    def undo(self) -> None:
        """Take the last click back."""
        self.do(self._undo)

    def clear(self) -> None:
        """Take all clicks on the frame that is shown back."""
        frame = self.frame
        self.do(lambda: self._clear(frame))

    def save(self) -> None:
        """Write the masks."""
        self.do(self._save)

    def do(self, job: Callable[[], None]) -> None:
        """Have `job` done on the thread that works."""
        if len(self._jobs) < MOST_JOBS:
            self._jobs.append(job)
            self.woken.set()
        else:
            self.refused += 1

    def work(self) -> bool:
        """Does what waits longest; False when nothing does. Errors are logged and told."""
        if not self._jobs:
            return False
        try:
            self._jobs.popleft()()
        except Exception as error:
            self.told = f"⚠ {plain(error)}"
            if not isinstance(error, InputError):
                log.warning("correcting masks: %s", plain(error), exc_info=error)
        if self.refused:
            self.told += f"; {self.refused} more came while {MOST_JOBS} waited and were not done: repeat them"
            self.refused = 0
        self.reached = None
        self.changed()
        return True

    def placement(self, canvas: tuple[int, int]) -> Placement:
        """How the frame lies on a canvas (width, height)."""
        return Placement.of(canvas, self.size, self.zoom, self.middle)

    def picture(self, canvas: tuple[int, int]) -> NDArray[np.uint8]:
        """uint8 RGB (h, w, 3) of the frame on a canvas (w, h). Only on the thread that works."""
        frame = self.frame
        clicks = [click for click in self.corrections.clicks if click.frame == frame]
        mask = self.corrections.instrument(frame)
        image = self.corrections.clip.image(frame)
        return draw(image, mask, clicks, canvas, self.placement(canvas), self.tinted)

    def _click(self, click: Click) -> None:
        self.reached = (0, self.count)
        self.changed()
        edit = self.corrections.apply(click, self._count)
        self.unsaved += 1
        word = "added" if click.adds else "removed"
        if edit.patches:
            first, last = min(edit.patches), max(edit.patches)
            self.told = f"{word} in {len(edit.patches)} frames, {first} to {last}"
        else:
            there = "is masked already" if click.adds else "is not masked"
            self.told = f"nothing changed: what you clicked {there}"

    def _count(self, done: int, total: int) -> None:
        self.reached = (done, total)
        self.changed()

    def _undo(self) -> None:
        click = self.corrections.undo()
        self.unsaved += click is not None
        self.told = "there is no click to take back" if click is None else f"took back a click on frame {click.frame}"

    def _clear(self, frame: int) -> None:
        gone = self.corrections.clear(frame)
        self.unsaved += gone
        self.told = f"took back {gone} click{'s' * (gone != 1)} on frame {frame}"

    def _save(self) -> None:
        self.told = "saving…"
        self.changed()
        self.told = self.saving()
        self.unsaved = 0
