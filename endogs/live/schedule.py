"""Whose picture is drawn next, and how finely: the newest wish of every browser counts, older ones are forgotten."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from endogs.live.viewpoint import Orbit

SETTLED = 0.2
"""Seconds without a change after which a picture is drawn at full quality."""


@dataclass
class BrowserView:
    """What one browser shows."""

    canvas: tuple[int, int] = (0, 0)
    """(width, height) in pixels; nothing is drawn for an empty one."""
    look: Orbit | None = None
    """None: through the endoscope."""
    changed: float = 0.0
    version: int = 0
    """Counts this browser's changes."""
    drawn: tuple[int, int] = (-1, -1)
    """Shared and own version of the picture that it shows."""
    final: bool = False
    """Whether that picture has full quality."""


@dataclass(frozen=True)
class Wish:
    """A picture to draw."""

    browser: int
    canvas: tuple[int, int]
    look: Orbit | None
    final: bool
    """At full quality."""
    versions: tuple[int, int]


class Schedule:
    """The browsers and what each still lacks; every method may be called from any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._browsers: dict[int, BrowserView] = {}
        self._shared = 0
        self._changed = clock()
        self._last_served = -1
        self.woken = threading.Event()
        """Set whenever there may be something new to draw."""
        self.is_busy: Callable[[int], bool] = lambda browser: False
        """Whether a browser has not yet taken the picture that it was sent; it is passed over until it has."""

    def __len__(self) -> int:
        return len(self._browsers)

    def update(self, browser: int, canvas: tuple[int, int], look: Orbit | None) -> None:
        """A browser's newest canvas and camera."""
        with self._lock:
            view = self._browsers.setdefault(browser, BrowserView())
            if (view.canvas, view.look) != (canvas, look) or view.version == 0:
                view.canvas, view.look, view.changed = canvas, look, self._clock()
                view.version += 1
        self.woken.set()

    def remove(self, browser: int) -> None:
        """A browser has left."""
        with self._lock:
            self._browsers.pop(browser, None)

    def browsers(self) -> list[int]:
        """All browsers."""
        with self._lock:
            return list(self._browsers)

    def look(self, browser: int) -> tuple[tuple[int, int], Orbit | None] | None:
        """Canvas and camera of a browser, None when it has left."""
        with self._lock:
            view = self._browsers.get(browser)
            return None if view is None else (view.canvas, view.look)

    def all_changed(self) -> None:
        """Something that all browsers show has changed."""
        with self._lock:
            self._shared += 1
            self._changed = self._clock()
        self.woken.set()

    def next(self, running: bool = False) -> Wish | None:
        """The next picture to draw, in turn among browsers; None when all are up to date.

        While `running` (playing, or fitting) pictures are drawn coarsely only: the next one is about to come.
        """
        with self._lock:
            now = self._clock()
            order = sorted(self._browsers, key=lambda browser: (browser <= self._last_served, browser))
            for browser in order:
                view = self._browsers[browser]
                versions = (self._shared, view.version)
                settled = not running and now - max(view.changed, self._changed) >= SETTLED
                stale, rough = view.drawn != versions, not view.final
                wanted = min(view.canvas) > 0 and (stale or (rough and settled))
                if wanted and not self.is_busy(browser):
                    self._last_served = browser
                    return Wish(browser, view.canvas, view.look, settled, versions)
            return None

    def done(self, wish: Wish) -> None:
        """The picture of `wish` was drawn, or could not be: it is not asked for again until something changes."""
        with self._lock:
            view = self._browsers.get(wish.browser)
            if view is not None:
                view.drawn, view.final = wish.versions, wish.final
