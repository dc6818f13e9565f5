"""`endogs inspect --masks --edit`: instrument masks corrected by clicks in the browser."""

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from endogs.live.markdown_text import as_markdown
from endogs.live.mask_session import MaskSession
from endogs.live.panels.mask_panel import MaskPanel
from endogs.live.server import LiveServer
from endogs.live.studio import FINAL_PIXELS, within
from endogs.plain_text import plain
from endogs.priors.instruments.corrections import Corrections

if TYPE_CHECKING:
    import viser

log = logging.getLogger("endogs.live")
QUALITY = 92
"""Of the JPEG that a browser is sent."""
IDLE_SECONDS = 0.2
"""Time after which a browser that was busy is looked at again."""


class BrowserEditor:
    """Serves the editor until Ctrl-C."""

    def __init__(self, host: str, port: int, wait: Callable[[], object] | None = None) -> None:
        """Serves at once, before there is anything to see. Raises InputError for a bad address.

        `wait` returns, or is interrupted, when the user has done; by default nothing but Ctrl-C ends it.
        """
        self.server = LiveServer(host, port)
        self._waiting = self.server.viser.gui.add_markdown("Reading the clip, looking for instruments…")
        self._wait = wait or threading.Event().wait

    def edit(self, corrections: Corrections, saving: Callable[[], str]) -> None:
        """Stays until the user has done."""
        self._waiting.remove()
        canvases = _Canvases(self.server.viser, MaskSession(corrections, saving))
        try:
            print(f"correct the masks at {self.server.url}, press Save there, and end with Ctrl-C here", flush=True)
            self._wait()
        except KeyboardInterrupt:
            pass
        finally:
            canvases.stop()

    def stop(self) -> None:
        """Closes the port."""
        self.server.stop()


class _Canvases:
    """Every browser's picture, its clicks, and the thread that does the work."""

    def __init__(self, server: "viser.ViserServer", session: MaskSession) -> None:
        self._server, self._session = server, session
        server.gui.add_markdown(f"**{as_markdown(session.corrections.clip.name, 100)}** · instrument masks")
        self._panel = MaskPanel(server, session)
        self._lock = threading.Lock()
        self._sizes: dict[int, tuple[int, int]] = {}
        self._stale: set[int] = set()
        self._ends = False
        session.changed = self._all_stale
        server.on_client_connect(self._connected)
        server.on_client_disconnect(self._left)
        server.scene.on_click()(self._clicked)
        self._thread = threading.Thread(target=self._run, name="endogs-masks", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread; a click that is being carried is let through first."""
        self._ends = True
        self._session.woken.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ends:
            self._session.woken.clear()
            if not (self._show() or self._session.work()):
                self._session.woken.wait(IDLE_SECONDS if self._stale else None)

    def _all_stale(self) -> None:
        with self._lock:
            self._stale |= set(self._sizes)
        if threading.current_thread() is self._thread:  # between the frames of a click that is being carried
            self._show()
        self._session.woken.set()

    def _show(self) -> bool:
        """Sends pictures to the browsers that show older ones; False when there is none, or none takes any."""
        from endogs.live.backend import is_busy

        with self._lock:
            waiting = [number for number in self._stale if not is_busy(self._server, number)]
            self._stale -= set(waiting)
            sizes = dict(self._sizes)
        if not waiting:
            return False
        try:
            self._panel.refresh()
            clients = self._server.get_clients()
            for number in waiting:
                canvas = within(sizes.get(number, (0, 0)), FINAL_PIXELS) if min(sizes.get(number, (0, 0))) > 0 else None
                if canvas is not None and number in clients:
                    picture = self._session.picture(canvas)
                    clients[number].scene.set_background_image(picture, format="jpeg", jpeg_quality=QUALITY)
        except Exception as error:
            log.warning("the picture of a frame: %s", plain(error), exc_info=log.isEnabledFor(logging.DEBUG))
        return True

    async def _connected(self, client: "viser.ClientHandle") -> None:
        # Coroutines run in the server's loop, in the order of the messages.
        @client.camera.on_update
        async def moved(camera: "viser.CameraHandle") -> None:
            self._resized(client.client_id, (camera.image_width, camera.image_height))

        self._resized(client.client_id, (client.camera.image_width, client.camera.image_height))

    async def _left(self, client: "viser.ClientHandle") -> None:
        with self._lock:
            self._sizes.pop(client.client_id, None)
            self._stale.discard(client.client_id)

    def _resized(self, browser: int, size: tuple[int, int]) -> None:
        with self._lock:
            if self._sizes.get(browser) == size:
                return
            self._sizes[browser] = size
            self._stale.add(browser)
        self._session.woken.set()

    def _clicked(self, event: "viser.SceneClickEvent") -> None:
        with self._lock:
            size = self._sizes.get(event.client_id)
        if size is not None and min(size) > 0:
            self._session.press(*event.screen_pos, size)
