"""viser without a port: its web server listens nowhere, and serves only the connections that endogs hands to it.

viser opens a TCP port that asks neither for an origin nor for a password, where every page in the machine's browsers
and every user of the machine can find it. It has no option against that, so it is started with another `serve`. What
this relies on beyond viser's public interface (1.1.1, `viser/infra/_infra.py`, and websockets 13 to 16):

- `WebsockServer._background_worker` looks `websockets.asyncio.server.serve` up by the name `websockets` of its own
  module, calls it once, in its thread's event loop, enters the result with `async with`, and asks it for
  `.server.sockets` only;
- it passes the options in `OPTIONS`, of which `process_request` answers for the page;
- `ViserServer._websock_server._live_connections` maps the numbers of clients to their connections, and
  `_client_state_from_id` to what waits to be sent to each;
- `ViserServer.gui._gui_input_handle_from_uuid` maps the names of controls to their handles;
- `viser._messages` has the messages of `endogs.live.browser_messages`, with these fields.

`Backend` checks all of it at the start and refuses to serve where it does not hold: another viser may be found too
new, never open.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from importlib import metadata
from typing import Any

import viser
from viser import _messages
from viser.infra import _infra
from viser.infra._messages import wire_field_names
from websockets.asyncio.server import Server, ServerConnection
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from endogs.errors import InputError
from endogs.live.browser_connection import BrowserConnection
from endogs.live.browser_messages import LARGEST_MESSAGE, MESSAGES
from endogs.live.gate import PRIVACY
from endogs.plain_text import plain

log = logging.getLogger("endogs.live")
SENDING_SECONDS = 60.0
"""Time for the page, 0.8 MB, to be sent."""
OPTIONS = {"max_size", "compression", "process_request", "subprotocols", "select_subprotocol"}
"""What viser gives to `serve` by name."""
CONTENT = (
    "default-src 'none'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; connect-src 'self' {socket} data: "
    "blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The page's content security policy: it reaches its own server and nothing else, whatever a scene makes it say. viser
builds its own scripts and styles on the spot, hence what is unsafe here."""
AGAIN_SECONDS = 60.0
"""An error of the server's that is the same as the last is told again after so long."""
_starting = threading.Lock()


class Backend:
    """A viser server that nobody can connect to, and its event loop."""

    def __init__(self, label: str) -> None:
        """Starts viser; `label` stands above its panels. Raises InputError for a viser that works in another way."""
        self._served: _Served | None = None
        with _starting:
            websockets = _infra.websockets
            _infra.websockets = _StandIn(websockets, {"asyncio.server.serve": self._serve})  # type: ignore[assignment]
            try:
                self.viser = viser.ViserServer("127.0.0.1", 0, label=label, verbose=False)
            finally:
                _infra.websockets = websockets
        difference = self._difference()
        if difference:
            self.viser.stop()
            version = metadata.version("viser")
            raise InputError(
                f"viser {version} works in a way that endogs cannot guard ({difference}), so nothing is served; "
                "pip install 'viser==1.1.1'."
            )
        self.loop = self.viser.get_event_loop()
        """The event loop that serves, in a thread of viser's."""
        self.loop.call_soon_threadsafe(self.loop.set_exception_handler, _Complaints())

    def adopt(
        self, transport: asyncio.Transport, received: bytes, lost: Callable[[BrowserConnection], None]
    ) -> BrowserConnection:
        """Lets viser answer the request in `received`, and all that follows. Call only in `loop`.

        `lost` is called with the connection when it is over.
        """
        assert self._served is not None
        connection = self._served.connect(self._control)
        connection.lost = lost
        transport.set_protocol(connection)
        connection.connection_made(transport)
        connection.data_received(received)
        return connection

    def _serve(self, *arguments: Any, **options: Any) -> "_Served":
        """What viser calls in place of websockets' `serve`. It does not raise: viser's start would wait for ever."""
        self._served = _Served(arguments[0] if arguments else None, options)
        return self._served

    def _control(self, uuid: str) -> Any:
        return self.viser.gui._gui_input_handle_from_uuid.get(uuid)

    def _difference(self) -> str:
        """What this viser does not have of the things that this file relies on; empty where it has all."""
        if self._served is None:
            return "it opens a port of its own"
        if self._served.handler is None or set(self._served.options) != OPTIONS:
            return "other options"
        for owner, name in (
            (self.viser._websock_server, "_live_connections"),
            (self.viser._websock_server, "_client_state_from_id"),
            (self.viser.gui, "_gui_input_handle_from_uuid"),
        ):
            if not isinstance(getattr(owner, name, None), dict):
                return f"no {name}"
        for message in MESSAGES:
            theirs = getattr(_messages, message.__name__, None)
            if theirs is None or set(wire_field_names(theirs)) != set(message.__struct_fields__):
                return f"another {message.__name__}"
        return ""


def is_busy(server: viser.ViserServer, browser: int) -> bool:
    """Whether a browser has not yet taken what it was sent. From any thread."""
    connection = server._websock_server._live_connections.get(browser)
    return isinstance(connection, BrowserConnection) and connection.busy


def unsent_bytes(server: viser.ViserServer) -> dict[int, int]:
    """Bytes of files that wait to be sent, by browser; those for whom none waits are not there. From any thread."""
    found = {}
    for browser, state in list(server._websock_server._client_state_from_id.items()):
        with state.message_buffer.buffer_lock:
            waiting = list(state.message_buffer.message_from_id.values())
        size = sum(len(message.content) for message in waiting if isinstance(message, _messages.FileTransferPart))
        if size:
            found[int(browser)] = size
    return found


class _StandIn:
    """A module in which some names, also of modules inside of it, are others."""

    def __init__(self, module: Any, others: dict[str, Any]) -> None:
        self._module, self._others = module, others

    def __getattr__(self, name: str) -> Any:
        if name in self._others:
            return self._others[name]
        inside = {key.partition(".")[2]: value for key, value in self._others.items() if key.startswith(f"{name}.")}
        found = getattr(self._module, name)
        return _StandIn(found, inside) if inside else found


class _Served:
    """What viser gets from `serve`: a websockets server to enter, which has no sockets."""

    def __init__(self, handler: Any, options: dict[str, Any]) -> None:
        """The handler of websockets, and the options of `serve`."""
        self.handler, self.options = handler, options
        self._server: Server | None = None

    async def __aenter__(self) -> Server:
        self._protocol = f"viser-v{viser.__version__}"
        self._server = Server(
            self._greet,
            process_request=self.options.get("process_request"),
            process_response=_in_private,
            server_header=None,
            open_timeout=SENDING_SECONDS,
        )
        self._server.wrap(_Nowhere())  # type: ignore[arg-type]
        return self._server

    async def __aexit__(self, *failure: object) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    def connect(self, control: Callable[[str], Any]) -> BrowserConnection:
        """A connection that waits for its transport, as `serve` makes them."""
        assert self._server is not None
        protocol = ServerProtocol(
            select_subprotocol=lambda protocol, offered: next((o for o in offered if o == self._protocol), None),
            max_size=LARGEST_MESSAGE,
        )
        return BrowserConnection(protocol, self._server, control)

    async def _greet(self, connection: ServerConnection) -> None:
        if connection.subprotocol is None:
            # viser says so too, but on the terminal, in the browser's words.
            await connection.close(1002, "Version mismatch: reload the page.")
            return
        await self.handler(connection)


class _Nowhere:
    """What websockets asks of an `asyncio.Server`, of one that listens at no socket."""

    sockets: tuple[()] = ()

    def __init__(self) -> None:
        self._loop, self._serving = asyncio.get_running_loop(), True

    def close(self) -> None:
        self._serving = False

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def is_serving(self) -> bool:
        return self._serving

    async def wait_closed(self) -> None:
        return


def _in_private(connection: ServerConnection, request: Request, response: Response) -> None:
    """Adds to an answer of viser's what endogs says with all of its own."""
    if response.status_code == 101:
        return
    for name, value in (*PRIVACY, ("Connection", "close")):
        if name in response.headers:
            del response.headers[name]
        response.headers[name] = value
    response.headers["Content-Security-Policy"] = CONTENT.format(socket=f"ws://{request.headers['Host']}")


class _Complaints:
    """An event loop's exception handler that tells a kind of error once in a while, its traceback included."""

    def __init__(self) -> None:
        self._told: dict[str, float] = {}

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        kind = f"{type(error).__name__} {context.get('message', '')}"
        now = time.monotonic()
        if now - self._told.get(kind, -AGAIN_SECONDS) >= AGAIN_SECONDS:
            self._told[kind] = now
            log.error("the view's server: %s", plain(error or context.get("message", "")), exc_info=error)
