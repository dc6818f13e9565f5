"""Pick points on the tissue: a distance over time, and trajectories."""

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from endogs.live.downloads import offer
from endogs.live.measurement import Measurement, measurement_csv
from endogs.live.studio import Studio

if TYPE_CHECKING:
    import viser

MEASURE, FOLLOW, NOTHING = "measures a distance", "follows a point", "does nothing"
AGAIN_SECONDS = 2.0
"""A measurement on a scene that is being fitted is repeated after so long."""
AXIS: Any = {"stroke": "#c9c9c9", "grid": {"stroke": "#3b3b3b", "width": 1}, "ticks": {"stroke": "#3b3b3b", "width": 1}}
"""Axes of a plot on a dark ground."""


class MeasurePanel:
    """The distance between two points of the tissue, and points that leave trajectories."""

    def __init__(self, server: "viser.ViserServer", studio: Studio) -> None:
        self._server, self._studio, self._session = server, studio, studio.session
        self._measurement: Measurement | None = None
        self._made_of: object = None
        self._made_at, self._renewals = 0.0, studio.renewals
        gui = server.gui
        unit = "mm" if studio.scene.units == "mm" else "relative"
        self._unit = unit
        with gui.add_folder("Measure"):
            self._mode = gui.add_dropdown("A click", (MEASURE, FOLLOW, NOTHING), initial_value=MEASURE)
            self._told = gui.add_markdown("")
            times = studio.scene.times
            flat = (times, np.zeros(len(times)))
            series: Any = ({"label": "s"}, {"label": unit, "stroke": "#5cc8ff", "width": 2})
            scales: Any = {"x": {"time": False}}
            self._plot = gui.add_uplot(flat, series, scales=scales, axes=(AXIS, AXIS), height=190, visible=False)
            self._csv = gui.add_button("Save the curve as CSV", visible=False)
            self._clear = gui.add_button("Forget all points", visible=False)
        self._mode.on_update(lambda event: self._tell())
        self._csv.on_click(self._save)
        self._clear.on_click(lambda event: self._forget(event.client_id))
        server.scene.on_click()(self._clicked)
        for label, key, mode in (("A click measures", "M", MEASURE), ("A click follows a point", "T", FOLLOW)):
            command: Any = gui.add_command(label, hotkey=key)  # type: ignore[arg-type]
            command.on_trigger(lambda event, mode=mode: setattr(self._mode, "value", mode))
        forget: Any = gui.add_command("Forget all points", hotkey="C")
        forget.on_trigger(lambda event: self._forget(event.client_id))
        self._tell()

    def refresh(self) -> None:
        """Bring the measurement up to date. Call only from where the studio ticks."""
        trails, pair = self._session.points()
        made_of = (tuple(pair), self._session.since)
        renewed = len(pair) == 2 and self._studio.renewals != self._renewals
        if made_of != self._made_of or (renewed and time.monotonic() - self._made_at > AGAIN_SECONDS):
            self._made_of, self._made_at, self._renewals = made_of, time.monotonic(), self._studio.renewals
            self._measurement = self._studio.measured()
            if self._measurement is not None:
                self._plot.data = (self._measurement.times, self._measurement.distances)
            self._plot.visible = self._csv.visible = self._measurement is not None
        self._clear.visible = bool(trails or pair)
        self._tell()

    def _tell(self) -> None:
        trails, pair = self._session.points()
        measurement = self._measurement
        if self._mode.value == MEASURE and len(pair) == 1:
            text = "Click the second point."
        elif measurement is not None:
            now = self._session.timeline.now()
            distance = measurement.distance_at(now)
            reference = measurement.reference_distance
            stretch = f"{distance / reference:.3f}" if reference > 0 else "undefined"
            text = (
                f"**{distance:.2f} {self._unit}** straight, stretch **{stretch}** "
                f"since {measurement.reference_time:.2f} s"
                f"\n\nbetween {measurement.distances.min():.2f} and {measurement.distances.max():.2f} over the clip, "
                "by seconds:"
            )
        elif self._mode.value == MEASURE:
            text = "Click two points on the tissue."
        elif self._mode.value == FOLLOW:
            text = f"Click points on the tissue; {len(trails)} followed."
        else:
            text = ""
        if self._unit != "mm" and text:
            text += "\n\nThe scene's units are relative (median depth of the first frame = 100), not millimetres."
        self._told.content = text

    def _clicked(self, event: Any) -> None:
        mode, (x, y), browser = self._mode.value, event.screen_pos, event.client_id
        if mode == NOTHING:
            return

        def act() -> None:
            point = self._studio.pick(browser, x, y)
            if point is None:
                self._told.content = "There is no tissue where you clicked."
                return
            if mode == MEASURE:
                self._session.add_end(point)
            else:
                self._session.add_trail(point)
            self.refresh()

        self._studio.do(act, browser)

    def _forget(self, browser: int | None) -> None:
        self._session.clear_points()
        self._studio.do(self.refresh, browser)

    def _save(self, event: Any) -> None:
        if self._measurement is not None and event.client is not None:
            content = measurement_csv(self._measurement).encode()
            offer(self._server, event.client, "distance.csv", content)
