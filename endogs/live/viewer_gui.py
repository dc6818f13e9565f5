"""The browser's side of a studio: viser shows its pictures and passes on what the user does."""

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from endogs.live.browsers import Browsers
from endogs.live.layers import in_light
from endogs.live.markdown_text import as_markdown
from endogs.live.panels.light_panel import LightPanel
from endogs.live.panels.measure_panel import MeasurePanel
from endogs.live.panels.save_panel import SavePanel
from endogs.live.panels.time_panel import TimePanel
from endogs.live.panels.view_panel import ViewPanel
from endogs.live.splats import splat_buffer
from endogs.live.studio import Shown, Studio

if TYPE_CHECKING:
    import viser

log = logging.getLogger("endogs.live")
REFRESH_SECONDS = 0.1
"""Time between updates of numbers beside the picture."""
MOVING_QUALITY, FINAL_QUALITY = 75, 95
"""JPEG qualities."""
SPLATS = "/splats"


class ViewerGui:
    """Panels, picture and pointer of every browser."""

    def __init__(
        self,
        server: "viser.ViserServer",
        studio: Studio,
        title: str,
        before: Callable[["ViewerGui"], None] = lambda gui: None,
    ) -> None:
        """`title` is shown on top, in markdown; `before` adds panels above the others."""
        from endogs.live.backend import is_busy

        self.server, self.studio = server, studio
        self._refreshed = 0.0
        self._splats: dict[int, Any] = {}
        self._lock = threading.Lock()
        studio.on_picture, studio.on_error = self.show, self.tell
        studio.schedule.is_busy = partial(is_busy, server)
        server.gui.add_markdown(title)
        self._message = server.gui.add_markdown("", visible=False)
        before(self)
        self.browsers = Browsers(server, studio)
        self._time = TimePanel(server, studio)
        self._view = ViewPanel(server, studio, self.browsers)
        if studio.scene.appearance.lit is not None:
            LightPanel(server, studio)
        self._measure = MeasurePanel(server, studio)
        SavePanel(server, studio)
        server.on_client_disconnect(self._left)

    def show(self, browser: int, shown: Shown) -> None:
        """Sends a finished picture to its browser, and brings the numbers up to date now and then."""
        client = self.server.get_clients().get(browser)
        if client is not None:
            where = self.studio.schedule.look(browser)
            free = where is not None and where[1] is not None
            if self._view.in_browser and free and self.studio.session.layer == "Colour":
                self._show_splats(client, shown)
            else:
                self._hide_splats(browser)
                quality = FINAL_QUALITY if shown.final else MOVING_QUALITY
                client.scene.set_background_image(shown.image, format="jpeg", jpeg_quality=quality)
        if time.monotonic() - self._refreshed >= REFRESH_SECONDS or shown.final:
            self._refreshed = time.monotonic()
            self.refresh()

    def refresh(self) -> None:
        """Brings the numbers beside the picture up to date."""
        self._time.refresh()
        self._measure.refresh()

    def tell(self, sentence: str) -> None:
        """Shows a sentence above the panels, as it is, until the next one; an empty one goes away."""
        self._message.content = f"⚠ {as_markdown(sentence)}"
        self._message.visible = bool(sentence)

    def _show_splats(self, client: "viser.ClientHandle", shown: Shown) -> None:
        scene = in_light(self.studio.scene, self.studio.session.light)
        packed = scene.shown_at(shown.time, shown.view.camera)
        with self._lock:
            handle = self._splats.get(client.client_id)
            if handle is not None and len(handle.buffer) != len(packed):  # another segment of a long clip
                handle.remove()
                handle = None
            if handle is None:
                client.scene.set_background_image(None)
                count = len(packed)
                # One handle, whose buffer is replaced from then on: adding splats anew would sort and upload twice.
                self._splats[client.client_id] = handle = client.scene.add_gaussian_splats(
                    SPLATS,
                    centers=np.zeros((count, 3)),
                    covariances=np.zeros((count, 3, 3)),
                    rgbs=np.zeros((count, 3)),
                    opacities=np.zeros((count, 1)),
                )
            handle.buffer = splat_buffer(packed)

    def _hide_splats(self, browser: int) -> None:
        with self._lock:
            handle = self._splats.pop(browser, None)
            if handle is not None:
                handle.remove()

    def _left(self, client: "viser.ClientHandle") -> None:
        with self._lock:
            self._splats.pop(client.client_id, None)
