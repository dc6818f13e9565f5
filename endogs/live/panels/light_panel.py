"""The lamp of a scene that knows its light: moved, dimmed, without highlights, or replaced by even light."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from endogs.live.studio import Studio
from endogs.scene.appearance import LAMP_AT_LENS

if TYPE_CHECKING:
    import viser

AXES = ("Lamp right", "Lamp down", "Lamp forward")
"""Of the camera that looks, which the lamp goes along with."""
BRIGHTEST = 4.0
"""Largest multiple of the fitted lamp's light."""


class LightPanel:
    """Controls of the light, for scenes fitted with `--colors lit`."""

    def __init__(self, server: "viser.ViserServer", studio: Studio) -> None:
        self._session = studio.session
        colors = studio.scene.appearance.lit
        assert colors is not None
        gui, reach = server.gui, float(f"{colors.distance:.1g}")  # round numbers at the sliders' ends
        unit = "mm" if studio.scene.units == "mm" else "the scene's units"
        with gui.add_folder("Light", expand_by_default=False):
            self._lamp: list[Any] = [
                gui.add_slider(axis, -reach, reach, reach / 200, 0.0, hint=f"From the lens, in {unit}.")
                for axis in AXES
            ]
            self._intensity: Any = gui.add_slider(
                "Brightness", 0.0, BRIGHTEST, 0.05, 1.0, hint="Multiple of the lamp's light."
            )
            self._specular: Any = gui.add_checkbox("Highlights", True)
            self._ambient_only: Any = gui.add_checkbox(
                "Even light", False, hint="From everywhere, without the lamp: the albedo."
            )
            self._reset: Any = gui.add_button("As it was filmed")
        for control in (*self._lamp, self._intensity, self._specular, self._ambient_only):
            control.on_update(self._chosen)
        self._reset.on_click(self._as_filmed)

    # Coroutines run one after the other, in the order of the messages: in a pool of threads an older light could win.
    async def _chosen(self, event: Any) -> None:
        if event.client is not None:
            x, y, z = (float(slider.value) for slider in self._lamp)
            intensity, even = float(self._intensity.value), bool(self._ambient_only.value)
            light = replace(LAMP_AT_LENS, offset=(x, y, z), intensity=intensity, ambient_only=even)
            self._session.relight(replace(light, specular=bool(self._specular.value)))

    async def _as_filmed(self, event: Any) -> None:
        for slider in self._lamp:
            slider.value = 0.0
        self._intensity.value, self._specular.value, self._ambient_only.value = 1.0, True, False
        self._session.relight(LAMP_AT_LENS)
