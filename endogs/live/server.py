"""The web server that browsers open: on this machine only, or behind a token; always behind a gate."""

import errno
import logging
import os
import socket
import sys
import warnings
from contextlib import redirect_stdout, suppress

from endogs.errors import InputError
from endogs.live.gate import Gate, TokenGate, is_loopback

TRIES = 100
"""Ports that are tried, from the one asked for upwards."""


class LiveServer:
    """A running viser server with the URL to open."""

    def __init__(self, host: str, port: int) -> None:
        """Listens at host:port, or the next free port, said on standard error.

        Raises InputError when viser is missing, the port is out of range, or the address is not this machine's.
        """
        try:
            import viser
        except ImportError as failure:
            raise InputError(f"the viewer needs viser ({failure}); pip install 'viser>=1.1'") from failure
        # Browsers that leave, even while something is sent to them, are no news.
        logging.getLogger("websockets").setLevel(logging.CRITICAL)
        warnings.filterwarnings("ignore", message="Queued a .* on a closed connection")
        free = free_port(host, port)
        if free != port and port != 0:
            print(f"note: port {port} is taken; serving at {free} instead", file=sys.stderr)
        with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):  # its banner names only its own port
            self.viser = viser.ViserServer("127.0.0.1", 0, label="endogs", verbose=False)
        gui = self.viser.gui
        gui.configure_theme(dark_mode=True, show_logo=False, show_share_button=False, brand_color=(34, 139, 230))
        gui.main_panel.dock_right()
        try:
            self._gate = (Gate if is_loopback(host) else TokenGate)(host, free, self.viser.get_port())
        except OSError as failure:
            self.viser.stop()
            raise InputError(f"--host {host} --port {free}: {failure.strerror}; choose another.") from failure
        token = f"/?token={self._gate.token}" if isinstance(self._gate, TokenGate) else ""
        self.url = f"http://{reachable_name(host)}:{self._gate.port}{token}"
        """The address to open, token included."""

    def stop(self) -> None:
        """Closes the port; browsers see that the connection is lost."""
        self._gate.stop()
        with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), suppress(RuntimeError):
            self.viser.stop()


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
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as failure:
        raise InputError(f"--host {host} is not an address of this machine; try 127.0.0.1.") from failure
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
    raise InputError(f"--host {host} --port {port} cannot be served at ({reason}); choose another.")
