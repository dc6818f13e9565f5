"""Save what is seen: the picture, the tissue as points, the camera."""

from functools import partial
from typing import TYPE_CHECKING, Any

from endogs.live.downloads import camera_bytes, offer, png_bytes, points_bytes
from endogs.live.layers import in_light
from endogs.live.studio import SAVED_PIXELS, Studio, within

if TYPE_CHECKING:
    import viser


class SavePanel:
    """Buttons whose files the browser saves where it saves downloads."""

    def __init__(self, server: "viser.ViserServer", studio: Studio) -> None:
        self._studio, self._offer = studio, partial(offer, server)
        gui = server.gui
        with gui.add_folder("Save", expand_by_default=False):
            gui.add_button("Picture (PNG)").on_click(self._picture)
            gui.add_button("Point cloud at this time (PLY)").on_click(self._points)
            gui.add_button("Camera (JSON)").on_click(self._camera)

    def _picture(self, event: Any) -> None:
        def act() -> None:
            where = self._studio.schedule.look(event.client_id)
            if where is not None:
                shown = self._studio.picture(where[1], within(where[0], SAVED_PIXELS))
                self._send(event, f"view_{shown.time:.3f}s.png", png_bytes(shown.image))

        self._studio.do(act, event.client_id)

    def _points(self, event: Any) -> None:
        def act() -> None:
            now = self._studio.session.timeline.now()
            scene = in_light(self._studio.scene, self._studio.session.light)
            self._send(event, f"points_{now:.3f}s.ply", points_bytes(scene, now))

        self._studio.do(act, event.client_id)

    def _camera(self, event: Any) -> None:
        def act() -> None:
            where = self._studio.schedule.look(event.client_id)
            if where is not None:
                session, now = self._studio.session, self._studio.session.timeline.now()
                size = within(where[0], SAVED_PIXELS)
                view = self._studio.painter.viewpoint(where[1], session.layer, now, size)
                self._send(event, f"camera_{now:.3f}s.json", camera_bytes(view, now, self._studio.scene.units))

        self._studio.do(act, event.client_id)

    def _send(self, event: Any, name: str, content: bytes) -> None:
        if event.client is not None and not self._offer(event.client, name, content):
            self._studio.on_error("The last files are still on their way; try again in a while.")
