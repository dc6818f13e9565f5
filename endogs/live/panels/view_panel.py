"""What is shown, and from where."""

from typing import TYPE_CHECKING, Any

from endogs.live.browsers import Browsers
from endogs.live.layers import layers_of
from endogs.live.studio import Studio

if TYPE_CHECKING:
    import viser

ENDOSCOPE, RESET, OUTSIDE = "Endoscope", "Reset free view", "Outside view"


class ViewPanel:
    """Layers and cameras."""

    def __init__(self, server: "viser.ViserServer", studio: Studio, browsers: Browsers) -> None:
        self._studio, self._browsers, self._session = studio, browsers, studio.session
        gui = server.gui
        self._layers = layers_of(studio.clip, studio.scene.appearance.lit is not None)
        self.in_browser = False
        """Whether a free camera's splats are drawn by the browser instead of being streamed."""
        with gui.add_folder("View"):
            self._layer: Any = gui.add_dropdown("Layer", self._layers, initial_value=self._session.layer)
            self._cameras = gui.add_button_group("Camera", (ENDOSCOPE, RESET, OUTSIDE))
            gui.add_markdown(
                "Drag to turn the view freely, right-drag to move, scroll to zoom. Keys: ctrl+K lists them."
            )
            self._path = gui.add_checkbox(
                "Camera path",
                self._session.cameras,
                hint="Over a free view: where the clip's cameras were and what they looked at, the present one yellow, "
                "keyframes of the tracker white dots.",
            )
            self._tracked: Any = None
            if studio.tracked is not None and len(studio.tracked.pixels):
                self._tracked = gui.add_checkbox(
                    "Tracked points",
                    self._session.tracked,
                    hint="Through the endoscope: the points by which the camera was found, green where they agree with "
                    "the frame's pose and red where they do not.",
                )
            self._since = gui.add_button(
                "Count deformation and stretch from now",
                hint="The time at which deformation is 0 and stretch is 1; at first the clip's beginning.",
            )
            self._told = gui.add_markdown("")
            self._splats = gui.add_checkbox(
                "Splats in browser",
                False,
                hint="A free view in colour is drawn by the browser's own graphics card: smoother over slow networks, "
                "less exact, and without points and cameras drawn over it. Everything else is always rendered here.",
            )
        self._layer.on_update(self._chosen)
        self._cameras.on_click(self._camera)
        self._since.on_click(lambda event: self._count_from_now())
        self._splats.on_update(self._toggled)
        self._path.on_update(self._path_toggled)
        if self._tracked is not None:
            self._tracked.on_update(self._tracked_toggled)
        for label, key, action in (
            ("Look through the endoscope", "V", browsers.endoscope),
            ("Reset the free view", "R", browsers.reset),
            ("Look at the whole map from outside", "O", self._outside),
        ):
            command: Any = gui.add_command(label, hotkey=key)  # type: ignore[arg-type]
            command.on_trigger(lambda event, action=action: action(event.client_id))
        for number, layer in enumerate(self._layers, 1):
            command = gui.add_command(f"Layer: {layer}", hotkey=str(number))  # type: ignore[arg-type]
            command.on_trigger(lambda event, layer=layer: self._show(layer))
        self._tell_since()

    def _show(self, layer: Any) -> None:
        self._layer.value = layer
        self._session.choose_layer(layer)

    def _chosen(self, event: Any) -> None:
        if event.client is not None:
            self._session.choose_layer(event.target.value)

    def _camera(self, event: Any) -> None:
        if event.target.value == ENDOSCOPE:
            self._browsers.endoscope(event.client_id)
        elif event.target.value == OUTSIDE:
            self._outside(event.client_id)
        else:
            self._browsers.reset(event.client_id)

    def _outside(self, browser: int) -> None:
        # It looks at the scene, so it waits for when that may be touched.
        self._studio.do(lambda: self._browsers.outside(browser), browser)

    def _count_from_now(self) -> None:
        self._session.count_from(self._session.timeline.now())
        self._tell_since()

    def _tell_since(self) -> None:
        self._told.content = f"Counted from {self._session.since:.3f} s."

    def _path_toggled(self, event: Any) -> None:
        if event.client is not None:
            self._session.show_cameras(bool(event.target.value))

    def _tracked_toggled(self, event: Any) -> None:
        if event.client is not None:
            self._session.show_tracked(bool(event.target.value))

    def _toggled(self, event: Any) -> None:
        self.in_browser = bool(event.target.value)
        self._studio.schedule.all_changed()
