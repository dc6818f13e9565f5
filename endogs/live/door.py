"""Where browsers connect: reads the head of each connection's one request, asks the gate, and hands it on."""

import asyncio
import errno
import logging
import os
import socket
import time
from collections import Counter
from contextlib import suppress
from functools import partial
from typing import cast

from endogs.live.backend import Backend
from endogs.live.browser_connection import BrowserConnection
from endogs.live.gate import NOT_YOURS, Gate, answer
from endogs.live.peer_owner import belongs_to_another
from endogs.live.request_head import LONGEST_HEAD, BadHead, RequestHead, read_head

log = logging.getLogger("endogs.live")
PATIENCE = 10.0
"""Seconds that a request's head may take."""
PARTING_SECONDS = 1.0
"""Time to read a refusal before the connection is cut."""
MOST_NEWCOMERS = 64
"""Connections that have not asked for anything yet; the oldest of whoever has most gives way."""
MOST_GUESTS, MOST_OF_ONE_PEER = 64, 48
"""Connections that were let in, in all and from one address. One that has not looked gives way to a new one."""
ON_THE_WAY = 262_144
"""Bytes that the system keeps for a browser that is slow: a second's pictures, of which only the last is wanted."""
BACKLOG = 64
REST_SECONDS = 0.5
"""Time to wait when no connection can be taken, for want of file handles above all."""
AGAIN_SECONDS = 60.0
"""The same trouble is told again after so long."""
PASSED_ON = (
    "host",
    "upgrade",
    "connection",
    "accept-encoding",
    "sec-websocket-key",
    "sec-websocket-version",
    "sec-websocket-protocol",
)
"""Fields that viser needs. Cookies, and with them the token, are not among them."""


class Door:
    """Listens where browsers are sent. All but `close` runs in the backend's event loop."""

    def __init__(self, listeners: list[socket.socket], gate: Gate, backend: Backend) -> None:
        """Takes over bound sockets. Raises OSError when they cannot listen."""
        self._gate, self._backend, self._listeners = gate, backend, listeners
        self._newcomers: dict[Newcomer, None] = {}  # in the order of their arrival
        self._guests: dict[BrowserConnection, str] = {}
        self._told = -AGAIN_SECONDS
        self._tasks: list[asyncio.Task[None]] = []
        for listener in listeners:
            listener.setblocking(False)
            listener.listen(BACKLOG)
        asyncio.run_coroutine_threadsafe(self._open(), backend.loop).result(timeout=10)

    def close(self) -> None:
        """Cuts every connection and closes the port. From any other thread."""
        asyncio.run_coroutine_threadsafe(self._close(), self._backend.loop).result(timeout=10)

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._take(listener)) for listener in self._listeners]

    async def _close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for listener in self._listeners:
            listener.close()
        for newcomer in list(self._newcomers):
            newcomer.cut()
        for guest in list(self._guests):
            guest.transport.abort()

    async def _take(self, listener: socket.socket) -> None:
        # Not asyncio's server: out of file handles, its _accept_connection (Python 3.11) tries BACKLOG times in a row,
        # logs a traceback and plans another round for each.
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, address = await loop.sock_accept(listener)
            except OSError as failure:
                if failure.errno != errno.ECONNABORTED:  # who connected has left again
                    self._tell(failure)
                    await asyncio.sleep(REST_SECONDS)
                continue
            if not self._gate.asks_for_token and belongs_to_another(connection):
                with suppress(OSError):
                    connection.send(answer("403 Forbidden", NOT_YOURS))
                connection.close()
                continue
            try:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, ON_THE_WAY)
                await loop.connect_accepted_socket(partial(Newcomer, self, str(address[0])), connection)
            except OSError:
                connection.close()

    def _tell(self, failure: OSError) -> None:
        now = time.monotonic()
        if now - self._told >= AGAIN_SECONDS:
            self._told = now
            reason = os.strerror(failure.errno or 0)
            log.warning("no more browsers can be served for the moment (%s); those that are there stay", reason)

    def arrive(self, newcomer: "Newcomer") -> None:
        """A connection has been made."""
        self._newcomers[newcomer] = None
        if len(self._newcomers) > MOST_NEWCOMERS:
            most = Counter(other.peer for other in self._newcomers).most_common(1)[0][0]
            next(other for other in self._newcomers if other.peer == most).cut()

    def leave(self, newcomer: "Newcomer") -> None:
        """A connection is over, or has been let in."""
        self._newcomers.pop(newcomer, None)

    def judge(self, newcomer: "Newcomer", raw: bytes, rest: bytes) -> bytes | None:
        """The answer to the head `raw`, or None when the connection was handed to the backend."""
        try:
            head = read_head(raw)
            if rest and not head.upgrades:
                raise BadHead("400 Bad Request")  # one request a connection
        except BadHead as bad:
            return answer(bad.status, "This is not a request of a browser's.")
        verdict = self._gate.judge(head)
        if verdict is None and not self._has_room(newcomer.peer):
            verdict = answer("503 Service Unavailable", "Too many browsers look at this view.", (("Retry-After", "5"),))
        if verdict is None:
            self._let_in(newcomer, passed_on(head) + rest)
        return verdict

    def _has_room(self, peer: str) -> bool:
        peers = list(self._guests.values())
        if len(peers) < MOST_GUESTS and peers.count(peer) < MOST_OF_ONE_PEER:
            return True
        crowd = peer if peers.count(peer) >= MOST_OF_ONE_PEER else None
        for guest, its_peer in self._guests.items():
            if not guest.looks and crowd in (None, its_peer):
                del self._guests[guest]
                guest.transport.abort()
                return True
        return False

    def _let_in(self, newcomer: "Newcomer", received: bytes) -> None:
        guest = self._backend.adopt(newcomer.hand_over(), received, self._say_goodbye)
        self._guests[guest] = newcomer.peer

    def _say_goodbye(self, guest: BrowserConnection) -> None:
        self._guests.pop(guest, None)


def passed_on(head: RequestHead) -> bytes:
    """The request as viser gets it, written anew, so that it cannot read it in another way than the gate did."""
    lines = [
        f"GET {head.path} HTTP/1.1",
        *(f"{name}: {head.fields[name]}" for name in PASSED_ON if name in head.fields),
    ]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


class Newcomer(asyncio.Protocol):
    """A connection until its request's head is there."""

    def __init__(self, door: Door, peer: str) -> None:
        """`peer` is the address of the other side."""
        self.peer = peer
        self._door = door
        self._received = b""
        self._answered = False
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As asyncio calls it."""
        self._transport = cast(asyncio.Transport, transport)
        self._deadline = asyncio.get_running_loop().call_later(PATIENCE, self.cut)
        self._door.arrive(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """As asyncio calls it."""
        self._forget()

    def data_received(self, data: bytes) -> None:
        """As asyncio calls it."""
        if self._answered:
            return
        self._received += data
        end = self._received.find(b"\r\n\r\n") + 4
        if end >= 4:
            refusal = self._door.judge(self, self._received[:end], self._received[end:])
        elif len(self._received) > LONGEST_HEAD:
            refusal = answer("431 Request Header Fields Too Large", "This request is too long.")
        elif not self._received[:1].isalpha() or self._received.count(b"\n") > self._received.count(b"\r\n"):
            refusal = answer("400 Bad Request", "This is not a request of a browser's.")
        else:
            return
        if refusal is not None:
            self._part(refusal)

    def cut(self) -> None:
        """End the connection at once."""
        self._forget()
        self._transport.abort()

    def hand_over(self) -> asyncio.Transport:
        """The connection, which belongs to somebody else from here on."""
        self._forget()
        return self._transport

    def _part(self, refusal: bytes) -> None:
        # To close at once, with more to read, would reset the connection, and the refusal with it.
        self._answered, self._received = True, b""
        self._transport.write(refusal)
        with suppress(OSError, RuntimeError):
            self._transport.write_eof()
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = asyncio.get_running_loop().call_later(PARTING_SECONDS, self.cut)

    def _forget(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._door.leave(self)
