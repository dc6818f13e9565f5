"""Save what is seen: the picture, the tissue as points, the camera."""

from typing import TYPE_CHECKING, Any

from endogs.live.downloads import camera_bytes, png_bytes, points_bytes
from endogs.live.layers import in_light
from endogs.live.studio import Studio

if TYPE_CHECKING:
    import viser


class SavePanel:
    """Buttons whose files the browser saves where it saves downloads."""

    def __init__(self, server: "viser.ViserServer", studio: Studio) -> None:
        self._studio = studio
        gui = server.gui
        with gui.add_folder("Save", expand_by_default=False):
            gui.add_button("Picture (PNG)").on_click(self._picture)
            gui.add_button("Point cloud at this time (PLY)").on_click(self._points)
            gui.add_button("Camera (JSON)").on_click(self._camera)

    def _picture(self, event: Any) -> None:
        def act() -> None:
            where = self._studio.schedule.look(event.client_id)
            if where is not None:
                shown = self._studio.picture(where[1], where[0])
                self._send(event, f"view_{shown.time:.3f}s.png", png_bytes(shown.image))

        self._studio.do(act)

    def _points(self, event: Any) -> None:
        def act() -> None:
            now = self._studio.session.timeline.now()
            scene = in_light(self._studio.scene, self._studio.session.light)
            self._send(event, f"points_{now:.3f}s.ply", points_bytes(scene, now))

        self._studio.do(act)

    def _camera(self, event: Any) -> None:
        def act() -> None:
            where = self._studio.schedule.look(event.client_id)
            if where is not None:
                session, now = self._studio.session, self._studio.session.timeline.now()
                view = self._studio.painter.viewpoint(where[1], session.layer, now, where[0])
                self._send(event, f"camera_{now:.3f}s.json", camera_bytes(view, now, self._studio.scene.units))

        self._studio.do(act)

    @staticmethod
    def _send(event: Any, name: str, content: bytes) -> None:
        if event.client is not None:
            event.client.send_file_download(name, content, save_immediately=True)
