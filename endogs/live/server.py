"""The web server that browsers open: on this machine only, or behind a token; always behind a gate."""

import errno
import logging
import os
import socket
import sys
import warnings
from contextlib import redirect_stdout, suppress

from endogs.errors import InputError
from endogs.live.gate import Gate, TokenGate
from endogs.live.request_head import is_loopback
from endogs.plain_text import plain

TRIES = 100
"""Ports that are tried, from the one asked for upwards."""


class LiveServer:
    """A running viser server with the URL to open."""

    def __init__(self, host: str, port: int) -> None:
        """Listens at host:port, or the next free port, said on standard error.

        Raises InputError when viser is missing or too new, the port is out of range, or the address is not this
        machine's.
        """
        try:
            from endogs.live.backend import Backend
            from endogs.live.door import Door
        except ImportError as failure:
            raise InputError(f"the viewer needs viser ({failure}); pip install 'viser>=1.1'") from failure
        # Browsers that leave, even while something is sent to them, are no news.
        logging.getLogger("websockets").setLevel(logging.CRITICAL)
        warnings.filterwarnings("ignore", message="Queued a .* on a closed connection")
        free = free_port(host, port)
        if free != port and port != 0:
            print(f"note: port {port} is taken; serving at {free} instead", file=sys.stderr)
        with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):  # its banner names a port that is not there
            self.backend = Backend("endogs")
        self.viser = self.backend.viser
        gui = self.viser.gui
        gui.configure_theme(dark_mode=True, show_logo=False, show_share_button=False, brand_color=(34, 139, 230))
        gui.main_panel.dock_right()
        gate = Gate() if is_loopback(host) else TokenGate(free)
        try:
            self._door = Door(listeners(host, free), gate, self.backend)
        except OSError as failure:
            self._stop_viser()
            raise InputError(f"--host {plain(host)} --port {free}: {failure.strerror}; choose another.") from failure
        token = f"/?token={gate.token}" if isinstance(gate, TokenGate) else ""
        self.url = f"http://{reachable_name(host)}:{free}{token}"
        """The address to open, token included."""

    def stop(self) -> None:
        """Closes the port; browsers see that the connection is lost."""
        self._door.close()
        self._stop_viser()

    def _stop_viser(self) -> None:
        with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), suppress(RuntimeError):
            self.viser.stop()


def listeners(host: str, port: int) -> list[socket.socket]:
    """Sockets bound to `port` at every address of `host`. Raises OSError when there is none."""
    bound: list[socket.socket] = []
    refusal: OSError | None = None
    for family, kind, protocol, _, address in dict.fromkeys(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)):
        try:
            listener = socket.socket(family, kind, protocol)
        except OSError as failure:  # localhost may have an IPv6 address on a machine without IPv6
            refusal = failure
            continue
        try:
            if os.name == "posix":
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind(address)
            bound.append(listener)
        except OSError as failure:
            listener.close()
            refusal = failure
    if not bound:
        raise refusal or OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
    return bound


def reachable_name(host: str) -> str:
    """What others write in a URL to reach a server that listens at `host`."""
    if host in ("0.0.0.0", "::"):
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host


def free_port(host: str, port: int) -> int:
    """`port`, or the next one that is free at `host`; 0 asks for any.

    Raises InputError when the port is out of range, no port near it is free, or the address is not this machine's.
    """
    if not 0 <= port <= 65_535:
        raise InputError(f"--port {port} is out of range; give 0 (any) to 65535.")
    try:
        if not host:
            raise ValueError("an empty name means every address")
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as failure:  # UnicodeError is a ValueError, and so is a null character's
        raise InputError(f"--host {plain(host)} is not an address of this machine; try 127.0.0.1.") from failure
    family, _, _, _, address = found[0]
    refusal: OSError | None = None
    for candidate in range(port, min(port + TRIES, 65_536)):
        with socket.socket(family, socket.SOCK_STREAM) as trial:
            if os.name == "posix":  # a port whose last connections are still winding down is free
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind((address[0], candidate, *address[2:]))
                return int(trial.getsockname()[1])
            except OSError as failure:
                refusal = failure
                if failure.errno not in (errno.EADDRINUSE, errno.EACCES):  # taken or reserved: try the next one
                    break
    reason = refusal.strerror if refusal is not None else "no port left"
    raise InputError(f"--host {plain(host)} --port {port} cannot be served at ({reason}); choose another.")
