"""Lets people watch a fit, between its steps and within a share of its time."""

import logging
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from endogs.clip import Clip
from endogs.fit.camera_poses import current_poses
from endogs.fit.interrupt import STOPS
from endogs.fit.loop import Fit
from endogs.fit.setup import finished_scene
from endogs.live.budget import TimeBudget
from endogs.live.panels.fit_panel import FitPanel
from endogs.live.playback import Playback
from endogs.live.server import LiveServer
from endogs.live.studio import Studio
from endogs.live.view_command import describe
from endogs.live.viewer_gui import ViewerGui
from endogs.plain_text import plain
from endogs.scene import Scene
from endogs.scene.origin import Origin

log = logging.getLogger("endogs.live")
RENEW_SECONDS = 0.2
"""Time between pictures of newer states of the scene."""
TELL_SECONDS = 0.5
"""Time between updates of the numbers."""


class FitWatch:
    """A view of a fit in progress. Whatever goes wrong in it is logged and shown; the fit goes on."""

    def __init__(self, host: str, port: int) -> None:
        """Serves at once, before there is anything to see. Raises InputError for a bad address."""
        self.server = LiveServer(host, port)
        print(f"the fit can be watched at {self.server.url}", flush=True)
        self._waiting = self.server.viser.gui.add_markdown("Reading the clip, guessing motion and depth…")
        self.budget = TimeBudget()
        self.studio: Studio | None = None
        self.stopped = False
        """Whether the fit was ended from the view."""
        self._paused = threading.Event()
        self._stood_still = 0.0
        self._renewed = self._told = 0.0
        self._broken = ""

    def begin(self, fit: Fit, clip: Clip, metric: bool) -> None:
        """The scene is there: show it. `metric`: its depth is in the clip's units."""
        self._clip, self._metric = clip, metric
        try:
            scene = self._scene(fit)
            if self.studio is not None:  # the next segment of a long clip
                self.studio.renew(scene)
                return
            studio = Studio(scene, clip)
            self._waiting.remove()
            self._gui = ViewerGui(self.server.viser, studio, describe(scene, clip), self._add_panel)
            self.studio = studio
        except Exception as error:
            self._complain(error)
        self.budget = TimeBudget()

    def on_step(self, fit: Fit) -> None:
        """Call after steps of the fit: draws when the budget allows, and stays here while the fit is paused."""
        if self.studio is None:
            return
        try:
            self._work(fit)
        except Exception as error:
            self._complain(error)

    def finished(self, scene: Scene, interrupted: bool) -> None:
        """The fit is over: play the scene until Ctrl-C, unless Ctrl-C is what ended it."""
        studio = self.studio
        if studio is None or (interrupted and not self.stopped):
            return
        how = "stopped and saved" if interrupted else "finished"
        playback: Playback | None = None
        try:
            self._panel.ended(f"The fit is {how}: {len(scene):,} Gaussians.")
            studio.do(lambda: studio.renew(scene))
            playback = Playback(studio)
            print(f"the view stays at {self.server.url} until Ctrl-C", flush=True)
            self.wait()
        except KeyboardInterrupt:
            pass
        finally:
            if playback is not None:
                playback.stop()

    def wait(self) -> None:
        """Until Ctrl-C."""
        threading.Event().wait()

    def stop(self) -> None:
        """Closes the port."""
        self.server.stop()

    def pause(self) -> None:
        """Pause the fit after its step, or resume it. From any thread."""
        if self._paused.is_set():
            self._paused.clear()
        else:
            self._paused.set()

    def end(self) -> None:
        """End the fit after its step, as Ctrl-C does: scene and checkpoint are saved. From any thread."""
        self.stopped = True
        self._paused.clear()

    def _add_panel(self, gui: ViewerGui) -> None:
        self._panel = FitPanel(gui.server, self.pause, self.end)

    def _work(self, fit: Fit) -> None:
        studio = self.studio
        assert studio is not None
        if self.stopped:
            if threading.current_thread() is threading.main_thread() and fit.step < fit.config.iterations:
                signal.raise_signal(signal.SIGINT)
            return
        # Density control makes new tensors: let the old ones go, looked at or not.
        if studio.scene.deformation is not fit.optimizer.deformation:
            studio.renew(self._scene(fit))
        if self._paused.is_set():
            self._stand_still(fit, studio)
        if len(studio.schedule) == 0 or not self.budget.allows():
            return
        with self.budget.working():
            now = time.monotonic()
            if now - self._told >= TELL_SECONDS:
                self._told = now
                self._panel.refresh(fit, False, self._stood_still)
            if now - self._renewed >= RENEW_SECONDS:
                self._renewed = now
                studio.renew(self._scene(fit))
            studio.tick(running=True)

    def _stand_still(self, fit: Fit, studio: Studio) -> None:
        begin = time.monotonic()
        studio.renew(self._scene(fit))
        self._panel.refresh(fit, True, self._stood_still)
        with resuming_at_interrupt(self._paused):
            while self._paused.is_set():
                studio.schedule.woken.clear()
                if not studio.tick():
                    studio.schedule.woken.wait(0.05)
        seconds = time.monotonic() - begin
        self._stood_still += seconds
        self.budget.forget(seconds)
        self._panel.refresh(fit, False, self._stood_still)

    def _scene(self, fit: Fit) -> Scene:
        # No copy: the fit changes these tensors between our turns only.
        poses = current_poses(fit.window, self._clip.world_to_camera)
        about = Origin(clip_name=self._clip.name)
        return finished_scene(fit.optimizer, self._clip, self._metric, about, world_to_camera=poses)

    def _complain(self, error: Exception) -> None:
        if str(error) != self._broken:  # once is enough: this may happen after every step
            self._broken = str(error)
            log.warning("the view of the fit failed: %s", plain(error), exc_info=log.isEnabledFor(logging.DEBUG))


@contextmanager
def resuming_at_interrupt(paused: threading.Event) -> Iterator[None]:
    """While entered, Ctrl-C and its like also end a pause, so that the loop outside sees that it was interrupted."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {stop: signal.getsignal(stop) for stop in STOPS}
    handled = [stop for stop, handler in before.items() if callable(handler)]

    def resume(number: int, frame: FrameType | None) -> None:
        paused.clear()
        handler = before[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    for stop in handled:
        signal.signal(stop, resume)
    try:
        yield
    finally:
        for stop in handled:
            signal.signal(stop, before[stop])
