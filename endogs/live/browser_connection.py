"""One browser's connection to viser, with bounds on what it sends, how fast, and how long it may take nothing."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from websockets.asyncio.server import Server, ServerConnection
from websockets.frames import DATA_OPCODES, Frame
from websockets.server import ServerProtocol

from endogs.live.browser_messages import heard

RATE, BURST = 120.0, 240.0
"""Messages per second that are heard from a browser, and how many at once. Cameras and sliders send 50."""
MOST_FRAGMENTS = 16
"""Frames of a message. Empty ones would not count in its size."""
MOST_WAITING = 1024
"""Frames that wait to be heard: what a user does in twenty seconds. One packet can hold forty thousand."""
STALLED, LOOK_SECONDS = 20.0, 5.0
"""Seconds after which a browser that takes nothing is dropped, and time between looks."""
MOST_HEARD = 1 << 20
"""Bytes that a browser may send while it takes nothing: answers to its pings pile up."""
LEAVE_SECONDS = 2.0
"""Time for a polite end."""


class BrowserConnection(ServerConnection):
    """A websocket, or one answered request. Used in its event loop's thread, except for `busy`."""

    def __init__(self, protocol: ServerProtocol, server: Server, control: Callable[[str], Any]) -> None:
        """`control` gives viser's handle of a control by its name, or None."""
        # A ping waits behind what is being sent, so its answer may take as long as a file on a slow line.
        super().__init__(protocol, server, ping_timeout=60, close_timeout=LEAVE_SECONDS)
        self.lost: Callable[[BrowserConnection], None] = lambda connection: None
        """Called with it when the connection is over."""
        self.looks = False
        """Whether it has said anything that a viewer says."""
        self.busy = False
        """Whether it has not yet taken what it was sent."""
        self._control = control
        self._allowance, self._counted = BURST, self.loop.time()
        self._fragments = self._queued = self._heard = 0
        self._unread, self._stalled = 0, 0.0
        self._watch: asyncio.TimerHandle | None = None

    async def recv(self, decode: bool | None = None) -> Any:
        """The next message that is one, as bytes. Who sends more than `RATE` is read more slowly."""
        while True:
            raw = await super().recv(decode)
            self._queued -= 1
            if self.transport.is_closing():  # of who has left, nothing more is heard
                continue
            await self._take_turns()
            message = heard(raw, self._control) if isinstance(raw, bytes) else None
            if message is not None:
                self.looks = True
                return message

    async def _take_turns(self) -> None:
        now = self.loop.time()
        self._allowance = min(BURST, self._allowance + RATE * (now - self._counted)) - 1
        self._counted = now
        if self._allowance < 0:
            await asyncio.sleep(-self._allowance / RATE)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As asyncio calls it."""
        super().connection_made(transport)
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        """As asyncio calls it."""
        if self._watch is not None:
            self._watch.cancel()
        self.busy = False
        super().connection_lost(exc)
        self.lost(self)

    def data_received(self, data: bytes) -> None:
        """As asyncio calls it."""
        super().data_received(data)
        self._heard = self._heard + len(data) if self.busy else 0
        if self._heard > MOST_HEARD:
            self.transport.abort()

    def process_event(self, event: Any) -> None:
        """As websockets calls it, with the request and then with frames."""
        if isinstance(event, Frame) and event.opcode in DATA_OPCODES:
            self._fragments = 0 if event.fin else self._fragments + 1
            self._queued += event.fin
            if self._fragments > MOST_FRAGMENTS or self._queued > MOST_WAITING:
                self.transport.abort()
                return
        super().process_event(event)

    def pause_writing(self) -> None:
        """As asyncio calls it, when more is waiting to be sent than should."""
        self.busy, self._unread, self._stalled = True, self._waiting(), 0.0
        super().pause_writing()

    def resume_writing(self) -> None:
        """As asyncio calls it, when that has been taken."""
        self.busy = False
        super().resume_writing()

    def _waiting(self) -> int:
        return int(cast(asyncio.Transport, self.transport).get_write_buffer_size())

    def _look(self) -> None:
        """Drops a browser that has taken nothing for a while, however much it says."""
        self._watch = self.loop.call_later(LOOK_SECONDS, self._look)
        if not self.busy:
            return
        waiting = self._waiting()
        self._stalled = self._stalled + LOOK_SECONDS if waiting >= self._unread else 0.0
        self._unread = waiting
        if self._stalled >= STALLED:
            self.transport.abort()
