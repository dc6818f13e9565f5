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
from endogs.live.camera_path import CameraPath, draw_cameras
from endogs.live.layers import Painter
from endogs.live.material import MaterialPoint, follow, pick
from endogs.live.measurement import Measurement, measure
from endogs.live.overlay import Overlay, draw_overlay
from endogs.live.schedule import Schedule, Wish
from endogs.live.session import Session
from endogs.live.timeline import Timeline
from endogs.live.tracked_overlay import draw_keyframes, draw_points
from endogs.live.viewpoint import Orbit, Viewpoint, canvas_size, orbit_of_frame, pivot
from endogs.plain_text import plain
from endogs.scene import Scene
from endogs.tracking.tracked_points import TrackedPoints

log = logging.getLogger("endogs.live")
FRAME_SECONDS = 1 / 30
"""Shortest time between two pictures while playing."""
MOVING_PIXELS, FEWEST_PIXELS, FINAL_PIXELS = 400_000, 40_000, 2_500_000
"""Pixels of a picture while something moves (at most, at least) and at rest."""
SLOW, QUICK = 0.06, 0.03
"""Seconds per moving picture above which the next ones get smaller, and below which they grow again."""
SAVED_PIXELS = 8_300_000
"""Pixels of a picture to keep: those of a 4K screen."""
MOST_JOBS = 4
"""Jobs of one browser that wait at a time; what its user asks for beyond that is not heard."""
AGAIN_SECONDS = 60.0
"""A failure like the last is logged again after so long."""


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

    def __init__(
        self,
        scene: Scene,
        clip: Clip | None = None,
        clock: Callable[[], float] = time.monotonic,
        tracked: TrackedPoints | None = None,
    ) -> None:
        """`clip` has the frames that the scene was fitted to, and `tracked` the points that its camera was found by."""
        self.tracked = tracked
        self.scene, self.clip = scene, clip
        self.schedule = Schedule(clock)
        self.session = Session(Timeline(scene.times, clock), self.schedule.all_changed, since=float(scene.times[0]))
        # A still camera's pyramid stands between the view and the tissue.
        self.session.cameras = not scene.static_camera
        self.painter = Painter(scene, clip)
        self.on_picture: Callable[[int, Shown], None] = lambda browser, shown: None
        """Called with every finished picture."""
        self.on_error: Callable[[str], None] = lambda sentence: None
        """Called with a sentence when something went wrong; the work goes on."""
        self.renewals = 0
        """How often the scene was replaced by a newer state."""
        self._clock = clock
        self._jobs: deque[tuple[int | None, Callable[[], None]]] = deque()
        self._job_first = True
        self._camera_path: CameraPath | None = None
        self._paths: dict[MaterialPoint, NDArray[np.float64]] = {}
        self._moving_pixels = MOVING_PIXELS
        self._played = -math.inf
        self._logged = ("", -math.inf)

    def do(self, job: Callable[[], None], browser: int | None = None) -> None:
        """Have `job` done where the scene may be touched, before the next picture. `browser`: whose user asks for it;
        while `MOST_JOBS` of one browser wait, it gets no more.
        """
        if browser is None or sum(other == browser for other, _ in list(self._jobs)) < MOST_JOBS:
            self._jobs.append((browser, job))
            self.schedule.woken.set()

    def renew(self, scene: Scene) -> None:
        """Show a newer state of the scene. Call only from where `tick` is called."""
        self.scene = scene
        self.renewals += 1
        self.painter.replace_scene(scene)
        self._paths.clear()
        self._camera_path = None
        self.schedule.all_changed()

    def tick(self, running: bool = False) -> bool:
        """Does one piece of work: a job, or a picture; False when there is nothing to do.

        `running`: the scene is changing, so pictures stay coarse. Errors are logged and told, never raised.
        """
        # In turn, so that neither who asks for much nor who looks at much keeps the others waiting.
        if self._job_first:
            done = self._work() or self._draw(running)
        else:
            done = self._draw(running) or self._work()
        return done

    def _work(self) -> bool:
        if not self._jobs:
            return False
        self._job_first = False
        try:
            self._jobs.popleft()[1]()
        except Exception as error:
            self._failed("could not do that", error)
        return True

    def _draw(self, running: bool) -> bool:
        if self.session.timeline.playing and self._clock() - self._played >= FRAME_SECONDS:
            self._played = self._clock()
            self.schedule.all_changed()
        wish = self.schedule.next(running or self.session.timeline.playing)
        if wish is None:
            return False
        self._job_first = True
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
        size = within(wish.canvas, FINAL_PIXELS if wish.final else self._moving_pixels)
        return self.picture(wish.look, size, wish.final)

    def picture(self, look: Orbit | None, canvas: tuple[int, int], final: bool = True) -> Shown:
        """The session's layer now, on a canvas (width, height), with the cameras, trajectories and the measured
        distance.
        """
        session, now = self.session, self.session.timeline.now()
        view = self.painter.viewpoint(look, session.layer, now, canvas)
        image = self.painter.draw(view, now, session.layer, session.since, session.light)
        if session.cameras and view.free:
            draw_cameras(image, view, self._cameras(), session.timeline.frame)
            if self.tracked is not None:
                draw_keyframes(image, view, self._cameras().centres[self.tracked.keyframe])
        if session.tracked and self.tracked is not None and not view.free:
            frame = self.scene.nearest_frame(now)
            draw_points(image, view, self.tracked, frame, (self.scene.width, self.scene.height))
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
        if where is None or min(where[0]) <= 0:
            return None
        canvas, look = where
        now = self.session.timeline.now()
        size = within(canvas, FINAL_PIXELS)
        view = self.painter.viewpoint(look, self.session.layer, now, size)
        return pick(view, *self.painter.depth(view, now), x, y, now)

    def measured(self) -> Measurement | None:
        """The distance between the two ends, None while there are not two. Call only from where `tick` is called."""
        pair = self.session.points()[1]
        return measure(self.scene, pair[0], pair[1], self.session.since) if len(pair) == 2 else None

    def _cameras(self) -> CameraPath:
        if self._camera_path is None:
            first = float(self.scene.times[0])
            distance = float(np.linalg.norm(pivot(self.scene, first) - orbit_of_frame(self.scene, 0).position))
            self._camera_path = CameraPath.of(self.scene, max(distance, 1e-6))
        return self._camera_path

    def _path(self, point: MaterialPoint) -> NDArray[np.float64]:
        if point not in self._paths:
            trails, pair = self.session.points()
            self._paths = {known: path for known, path in self._paths.items() if known in trails or known in pair}
            self._paths[point] = follow(self.scene, point, self.scene.times)
        return self._paths[point]

    def _adapt(self, seconds: float) -> None:
        if seconds > SLOW:
            self._moving_pixels = max(FEWEST_PIXELS, round(self._moving_pixels * 0.7))
        elif seconds < QUICK:
            self._moving_pixels = min(MOVING_PIXELS, round(self._moving_pixels * 1.2))

    def _failed(self, what: str, error: Exception) -> None:
        sentence, now = plain(error), self._clock()
        if sentence != self._logged[0] or now - self._logged[1] >= AGAIN_SECONDS:
            self._logged = (sentence, now)
            log.warning("the view %s: %s", what, sentence, exc_info=log.isEnabledFor(logging.DEBUG))
        self.on_error(f"The view {what}: {sentence}")


def within(canvas: tuple[int, int], pixels: int) -> tuple[int, int]:
    """The size of a picture in the shape of a canvas (width, height) that has about `pixels` pixels at most."""
    width, height = canvas
    return canvas_size(width, height, max(canvas) * min(1.0, math.sqrt(pixels / max(width * height, 1))))
