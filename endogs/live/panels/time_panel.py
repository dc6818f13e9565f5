"""Play, pause, scrub, speed, loop, and frame by frame."""

import math
from typing import TYPE_CHECKING, Any

from endogs.live.studio import Studio
from endogs.live.timeline import SPEEDS
from endogs.live.tracked_overlay import points_state
from endogs.scene.origin import Origin

if TYPE_CHECKING:
    import viser

BACK, PLAY, PAUSE, ON = "◀ frame", "▶ play", "❚❚ pause", "frame ▶"


class TimePanel:
    """The timeline's controls."""

    def __init__(self, server: "viser.ViserServer", studio: Studio) -> None:
        self._studio, self._timeline = studio, studio.session.timeline
        timeline, gui = self._timeline, server.gui
        still = timeline.last <= timeline.first
        with gui.add_folder("Time"):
            self._slider: Any = gui.add_slider(
                "Seconds",
                min=timeline.first,
                max=math.ceil(timeline.last * 1000) / 1000 if not still else timeline.first + 1e-3,
                step=1e-3,
                initial_value=timeline.first,
                disabled=still,
                hint="Drag to any moment, between frames too.",
            )
            self._frame = gui.add_markdown("")
            self._buttons = gui.add_button_group("", (BACK, PLAY, ON), disabled=still)
            speeds = tuple(f"{speed:g} x" for speed in SPEEDS)
            self._speed = gui.add_dropdown("Speed", speeds, initial_value="1 x", disabled=still)
            self._loop = gui.add_checkbox("Loop", True, disabled=still)

        self._slider.on_update(self._scrubbed)
        self._buttons.on_click(self._pressed)
        self._speed.on_update(lambda event: self._by_hand(event, lambda: self._set_speed(str(event.target.value))))
        self._loop.on_update(lambda event: self._by_hand(event, lambda: setattr(timeline, "loop", event.target.value)))
        # Arrows and W A S D Q E move the free camera; J and L are what video editors use.
        for label, key, action in (
            ("Play or pause", "space", self.toggle),
            ("Next frame", "L", lambda: self.step(1)),
            ("Previous frame", "J", lambda: self.step(-1)),
            ("Go to the beginning", "home", lambda: self.seek(timeline.first)),
            ("Go to the end", "end", lambda: self.seek(timeline.last)),
        ):
            command: Any = gui.add_command(label, hotkey=key)  # type: ignore[arg-type]
            command.on_trigger(lambda event, action=action: action())
        self.refresh()

    def toggle(self) -> None:
        """Play or pause."""
        if self._timeline.playing:
            self._timeline.pause()
        else:
            self._timeline.play()
        self._changed()

    def step(self, frames: int) -> None:
        """Pause and go some frames on."""
        self._timeline.step(frames)
        self._changed()

    def seek(self, time: float) -> None:
        """Pause and go to `time`, seconds."""
        self._timeline.pause()
        self._timeline.seek(time)
        self._changed()

    def refresh(self) -> None:
        """Show where the timeline is."""
        now, timeline = self._timeline.now(), self._timeline
        self._slider.value = now
        state = "playing" if timeline.playing else "paused"
        camera = camera_state(self._studio.scene.origin, timeline.frame)
        camera += ", **no tissue**" if timeline.frame in (self._studio.scene.origin.tissueless_frames or ()) else ""
        camera += points_state(self._studio.tracked, timeline.frame)
        self._frame.content = f"frame **{timeline.frame}** of {len(timeline.times) - 1}, {now:.3f} s, {state}{camera}"
        labels = (BACK, PAUSE if timeline.playing else PLAY, ON)
        if tuple(self._buttons.options) != labels:
            self._buttons.options = labels

    def _changed(self) -> None:
        self._studio.schedule.all_changed()
        self.refresh()

    def _scrubbed(self, event: Any) -> None:
        self._by_hand(event, lambda: self.seek(float(event.target.value)))

    def _pressed(self, event: Any) -> None:
        action = {BACK: lambda: self.step(-1), ON: lambda: self.step(1)}.get(event.target.value, self.toggle)
        action()

    def _set_speed(self, label: str) -> None:
        self._timeline.speed = float(label.split()[0])

    @staticmethod
    def _by_hand(event: Any, action: Any) -> None:
        if event.client is not None:  # our own updates of a control come back as events without a client
            action()


def camera_state(origin: Origin, frame: int) -> str:
    """How the camera of a frame was found, where it was searched for."""
    found = {"tracked": ", camera tracked", "colmap": ", camera by COLMAP"}.get(origin.cameras or "", "")
    return ", **no pose was found**" if found and frame in (origin.unplaced_frames or ()) else found
