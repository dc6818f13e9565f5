"""A served view, and what attacks it: raw requests and raw websocket frames over the loopback."""

import socket
import time
import urllib.request
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

import viser
from samples.live_client import CANVAS, LookingClient, picture, until
from samples.live_scene import stretching_scene

from endogs.live.playback import Playback
from endogs.live.server import LiveServer
from endogs.live.studio import Studio
from endogs.live.viewer_gui import ViewerGui

UPGRADE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Protocol": f"viser-v{viser.__version__}",
}


@contextmanager
def served(host="127.0.0.1"):
    """A view: (server, studio, port)."""
    studio = Studio(stretching_scene())
    server = LiveServer(host, 0)
    playback = None
    try:
        ViewerGui(server.viser, studio, "sheet")
        playback = Playback(studio)
        yield server, studio, urlsplit(server.url).port
    finally:
        if playback is not None:
            playback.stop()
        server.stop()


def request(port, target="/", **fields):
    named = {"Host": f"127.0.0.1:{port}"} | {name.replace("_", "-"): value for name, value in fields.items()}
    lines = [f"GET {target} HTTP/1.1", *(f"{name}: {value}" for name, value in named.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def connected(port):
    line = socket.create_connection(("127.0.0.1", port), timeout=5)
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return line


def ask(port, *parts, pause=0.0):
    """All that comes back for some bytes, until the other side ends it."""
    with connected(port) as line:
        with suppress(OSError):
            for part in parts:
                line.sendall(part)
                time.sleep(pause)
        return all_of(line)


def all_of(line):
    got = b""
    with suppress(OSError):
        while part := line.recv(65_536):
            got += part
    return got


def websocket(port):
    """A raw websocket, open."""
    line = connected(port)
    line.sendall(request(port, **UPGRADE))
    got = b""
    while b"\r\n\r\n" not in got:
        got += line.recv(1)
    assert got.startswith(b"HTTP/1.1 101 ")
    return line


def frame(opcode, content=b"", final=True, length=None):
    """A masked websocket frame with a mask of zeros; `length` may be said longer than it is."""
    size = len(content) if length is None else length
    first = bytes([opcode | 0x80 * final])
    if size < 126:
        return first + bytes([0x80 | size]) + bytes(4) + content
    return first + b"\xff" + size.to_bytes(8, "big") + bytes(4) + content


def is_served(view):
    """A good browser comes, and gets the page and a picture."""
    _, studio, port = view
    assert urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=5).status == 200
    client = LookingClient(f"http://127.0.0.1:{port}")
    client.look(size=CANVAS)
    assert picture(client).shape == (CANVAS[1], CANVAS[0], 3)
    client.close()
    until(lambda: len(studio.schedule) == 0)
