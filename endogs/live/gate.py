"""Keeps strangers out: other websites in the same browser always, and others on the network without the token.

The viewer's own server listens on a port of this machine that nobody is told; the gate listens where browsers are sent
and passes on what may pass.
"""

import asyncio
import hmac
import ipaddress
import secrets
import threading
from contextlib import suppress
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

LONGEST_HEAD = 16_384
"""Bytes of a request's head; browsers send a few hundred."""
PATIENCE = 10.0
"""Seconds that a request's head may take."""
COOKIE = "endogs_token"
NO_TOKEN = b"This view needs the whole URL that endogs printed, with its token.\n"
FOREIGN = b"This view answers only to its own page.\n"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Gate:
    """A TCP relay that looks at the first request of every connection, and asks of it that a page of its own sent it.

    Any website can make a browser connect to a port of the browser's own machine, or name that machine as it likes; it
    cannot choose what the browser gives as the request's origin and host.
    """

    def __init__(self, host: str, port: int, backend_port: int) -> None:
        """Listens at host:port (0: any free port) and relays to 127.0.0.1:`backend_port`. Raises OSError."""
        self._backend_port = backend_port
        self._loop = asyncio.new_event_loop()
        self._connections: set[asyncio.Task[None]] = set()
        self._server = self._loop.run_until_complete(asyncio.start_server(self._serve, host, port, limit=LONGEST_HEAD))
        self.port = int(self._server.sockets[0].getsockname()[1])
        """The port it listens at."""
        self._thread = threading.Thread(target=self._loop.run_forever, name="endogs-gate", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Closes every connection and the port."""

        async def close() -> None:
            self._server.close()
            for task in list(self._connections):
                task.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(close(), self._loop).result(timeout=5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)
            verdict = self.judge(head)
            if verdict is None:
                await self._relay(head, reader, writer)
            else:
                writer.write(verdict)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.TimeoutError):
            pass  # whoever it was left, or does not speak HTTP
        finally:
            self._connections.discard(task)
            writer.close()

    def judge(self, head: bytes) -> bytes | None:
        """The answer to a request's head, or None when it may pass."""
        said = _headers(head)
        name = urlsplit(f"//{said.get('host', '')}").hostname or ""
        own = "origin" not in said or urlsplit(said["origin"]).netloc == said.get("host")
        return None if own and is_loopback(name) else _answer("403 Forbidden", FOREIGN)

    async def _relay(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._backend_port)
        try:
            inner_writer.write(head)
            both = [asyncio.create_task(_pump(reader, inner_writer)), asyncio.create_task(_pump(inner_reader, writer))]
            # The server closes a connection after every answer, so when either side ends, the whole is over.
            _, pending = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            for task in pending:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)
        finally:
            inner_writer.close()


class TokenGate(Gate):
    """A gate for a server that others on the network can reach: a token in the URL, then a cookie."""

    def __init__(self, host: str, port: int, backend_port: int) -> None:
        """As for `Gate`; `token` is new every time."""
        self.token = secrets.token_urlsafe(24)
        super().__init__(host, port, backend_port)

    def judge(self, head: bytes) -> bytes | None:
        """The answer to a request's head, or None when it may pass.

        The token in the URL is traded for a cookie, so that it does not stay in the address bar; browsers keep the
        cookie from requests that other websites make.
        """
        request = head.decode("latin-1").split("\r\n")[0]
        target = request.split(" ")[1] if request.count(" ") >= 2 else "/"
        if any(self._is_token(value) for value in parse_qs(urlsplit(target).query).get("token", [])):
            cookie = f"{COOKIE}={self.token}; Path=/; HttpOnly; SameSite=Lax"
            return _answer("302 Found", b"", f"Location: /\r\nSet-Cookie: {cookie}\r\n")
        with suppress(CookieError):
            morsel = SimpleCookie(_headers(head).get("cookie", "")).get(COOKIE)
            if morsel is not None and self._is_token(morsel.value):
                return None
        return _answer("403 Forbidden", NO_TOKEN)

    def _is_token(self, value: str) -> bool:
        return hmac.compare_digest(value.encode(), self.token.encode())


def _headers(head: bytes) -> dict[str, str]:
    """A request's headers, names in small letters; of those that come twice, the last."""
    lines = (line.partition(":") for line in head.decode("latin-1").split("\r\n")[1:])
    return {name.strip().lower(): value.strip() for name, _, value in lines}


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()


def _answer(status: str, body: bytes, headers: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\n{headers}Content-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
    return (head + "Cache-Control: no-store\r\nConnection: close\r\n\r\n").encode() + body
