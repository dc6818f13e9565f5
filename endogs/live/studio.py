"""Turns wishes of browsers into pictures, one at a time, wherever the scene may be touched. Needs no browser."""

import logging
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from endogs.clip import Clip
from endogs.live.layers import Painter
from endogs.live.material import MaterialPoint, follow, pick
from endogs.live.measurement import Measurement, measure
from endogs.live.overlay import Overlay, draw_overlay
from endogs.live.schedule import Schedule, Wish
from endogs.live.session import Session
from endogs.live.timeline import Timeline
from endogs.live.viewpoint import Orbit, Viewpoint, canvas_size
from endogs.scene import Scene

log = logging.getLogger("endogs.live")
FRAME_SECONDS = 1 / 30
"""Shortest time between two pictures while playing."""
MOVING_PIXELS, FEWEST_PIXELS, FINAL_PIXELS = 400_000, 40_000, 2_500_000
"""Pixels of a picture while something moves (at most, at least) and at rest."""
SLOW, QUICK = 0.06, 0.03
"""Seconds per moving picture above which the next ones get smaller, and below which they grow again."""


@dataclass(frozen=True)
class Shown:
    """A finished picture."""

    image: NDArray[np.uint8]
    """RGB (h, w, 3)."""
    view: Viewpoint
    time: float
    final: bool
    """Full quality."""


class Studio:
    """One scene, its session, and the browsers that look at it.

    `tick` does all work on the scene. In playback a thread calls it; during a fit the fit does, between steps.
    Everything else may be called from any thread.
    """

    def __init__(self, scene: Scene, clip: Clip | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """`clip` has the frames that the scene was fitted to."""
        self.scene, self.clip = scene, clip
        self.schedule = Schedule(clock)
        self.session = Session(Timeline(scene.times, clock), self.schedule.all_changed, since=float(scene.times[0]))
        self.painter = Painter(scene, clip)
        self.on_picture: Callable[[int, Shown], None] = lambda browser, shown: None
        """Called with every finished picture."""
        self.on_error: Callable[[str], None] = lambda sentence: None
        """Called with a sentence when something went wrong; the work goes on."""
        self.renewals = 0
        """How often the scene was replaced by a newer state."""
        self._clock = clock
        self._jobs: deque[Callable[[], None]] = deque()
        self._paths: dict[MaterialPoint, NDArray[np.float64]] = {}
        self._moving_pixels = MOVING_PIXELS
        self._played = -math.inf

    def do(self, job: Callable[[], None]) -> None:
        """Have `job` done where the scene may be touched, before any picture."""
        self._jobs.append(job)
        self.schedule.woken.set()

    def renew(self, scene: Scene) -> None:
        """Show a newer state of the scene. Call only from where `tick` is called."""
        self.scene = scene
        self.renewals += 1
        self.painter.replace_scene(scene)
        self._paths.clear()
        self.schedule.all_changed()

    def tick(self, running: bool = False) -> bool:
        """Does one piece of work: a job, or a picture; False when there is nothing to do.

        `running`: the scene is changing, so pictures stay coarse. Errors are logged and told, never raised.
        """
        try:
            if self._jobs:
                self._jobs.popleft()()
                return True
        except Exception as error:
            self._failed("could not do that", error)
            return True
        if self.session.timeline.playing and self._clock() - self._played >= FRAME_SECONDS:
            self._played = self._clock()
            self.schedule.all_changed()
        wish = self.schedule.next(running or self.session.timeline.playing)
        if wish is None:
            return False
        try:
            begin = self._clock()
            shown = self.paint(wish)
            if not wish.final:
                self._adapt(self._clock() - begin)
            self.on_picture(wish.browser, shown)
        except Exception as error:
            self._failed("could not draw the picture", error)
        finally:
            self.schedule.done(wish)
        return True

    def paint(self, wish: Wish) -> Shown:
        """The picture of a wish, with everything that is drawn over it. Call only from where `tick` is called."""
        width, height = wish.canvas
        pixels = FINAL_PIXELS if wish.final else self._moving_pixels
        longest = max(width, height) * min(1.0, math.sqrt(pixels / (width * height)))
        return self.picture(wish.look, canvas_size(width, height, longest), wish.final)

    def picture(self, look: Orbit | None, canvas: tuple[int, int], final: bool = True) -> Shown:
        """The session's layer now, on a canvas (width, height), with trajectories and the measured distance."""
        session, now = self.session, self.session.timeline.now()
        view = self.painter.viewpoint(look, session.layer, now, canvas)
        image = self.painter.draw(view, now, session.layer, session.since, session.light)
        trails, pair = session.points()
        if trails or pair:
            unit = "mm" if self.scene.units == "mm" else "(relative)"
            paths = [tuple(self._path(point) for point in points) for points in (trails, pair)]
            draw_overlay(image, view, Overlay(self.scene.times, paths[0], paths[1], unit), now)
        return Shown(image, view, now, final)

    def pick(self, browser: int, x: float, y: float) -> MaterialPoint | None:
        """The tissue at the fractions x, y in [0, 1] of a browser's canvas; None beside it, or when it has left.

        Call only from where `tick` is called.
        """
        where = self.schedule.look(browser)
        if where is None:
            return None
        canvas, look = where
        now = self.session.timeline.now()
        size = canvas_size(*canvas, max(canvas) * min(1.0, math.sqrt(FINAL_PIXELS / (canvas[0] * canvas[1]))))
        view = self.painter.viewpoint(look, self.session.layer, now, size)
        return pick(view, *self.painter.depth(view, now), x, y, now)

    def measured(self) -> Measurement | None:
        """The distance between the two ends, None while there are not two. Call only from where `tick` is called."""
        pair = self.session.points()[1]
        return measure(self.scene, pair[0], pair[1], self.session.since) if len(pair) == 2 else None

    def _path(self, point: MaterialPoint) -> NDArray[np.float64]:
        if point not in self._paths:
            self._paths[point] = follow(self.scene, point, self.scene.times)
        return self._paths[point]

    def _adapt(self, seconds: float) -> None:
        if seconds > SLOW:
            self._moving_pixels = max(FEWEST_PIXELS, round(self._moving_pixels * 0.7))
        elif seconds < QUICK:
            self._moving_pixels = min(MOVING_PIXELS, round(self._moving_pixels * 1.2))

    def _failed(self, what: str, error: Exception) -> None:
        log.warning("the view %s: %s", what, error, exc_info=log.isEnabledFor(logging.DEBUG))
        self.on_error(f"The view {what}: {error}")
