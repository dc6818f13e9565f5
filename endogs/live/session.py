"""What all browsers at a scene share: time, layer, light, picked points. No browser is needed to use it."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from endogs.live.layers import Layer
from endogs.live.material import MaterialPoint
from endogs.live.timeline import Timeline
from endogs.scene.appearance import LAMP_AT_LENS, Light

MOST_TRAILS = 50
"""Points whose trajectories are kept; the oldest goes first."""


@dataclass
class Session:
    """The shared state; `changed` is called after every change that shows in the picture."""

    timeline: Timeline
    changed: Callable[[], None] = lambda: None
    layer: Layer = "Colour"
    since: float = 0.0
    """Seconds: where deformation is 0 and stretch is 1."""
    light: Light = LAMP_AT_LENS
    """How colours are lit, in scenes that know their light."""
    cameras: bool = False
    """Whether the clip's cameras are drawn over free views."""
    tracked: bool = False
    """Whether the tracker's points are drawn over the endoscope's own view."""
    trails: list[MaterialPoint] = field(default_factory=list)
    """Points whose trajectories are drawn."""
    pair: list[MaterialPoint] = field(default_factory=list)
    """The points of the distance measurement, at most two."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def choose_layer(self, layer: Layer) -> None:
        """Show another layer."""
        self.layer = layer
        self.changed()

    def show_cameras(self, shown: bool) -> None:
        """Draw the clip's cameras over free views, or not."""
        self.cameras = shown
        self.changed()

    def show_tracked(self, shown: bool) -> None:
        """Draw the tracker's points over the endoscope's own view, or not."""
        self.tracked = shown
        self.changed()

    def relight(self, light: Light) -> None:
        """Show the scene under another light."""
        self.light = light
        self.changed()

    def count_from(self, time: float) -> None:
        """Make `time` (seconds) the one that deformation and stretch refer to."""
        self.since = min(max(time, self.timeline.first), self.timeline.last)
        self.changed()

    def add_trail(self, point: MaterialPoint) -> None:
        """Draw the trajectory of another point."""
        with self._lock:
            self.trails = [*self.trails, point][-MOST_TRAILS:]
        self.changed()

    def add_end(self, point: MaterialPoint) -> None:
        """Set the next end of the measured distance; a third point starts a new one."""
        with self._lock:
            self.pair = [*self.pair, point] if len(self.pair) < 2 else [point]
        self.changed()

    def clear_points(self) -> None:
        """Forget all picked points."""
        with self._lock:
            self.trails, self.pair = [], []
        self.changed()

    def points(self) -> tuple[list[MaterialPoint], list[MaterialPoint]]:
        """Trails and pair, at one moment."""
        with self._lock:
            return list(self.trails), list(self.pair)
