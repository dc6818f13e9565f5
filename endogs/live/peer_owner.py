"""Whose a connection on the loopback is: other users of the machine reach 127.0.0.1 as well."""

import os
from pathlib import Path

TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
"""Linux's lists of TCP sockets, with the user of each (proc_pid_net(5))."""


def belongs_to_another(peer_port: int, own_port: int, tables: tuple[Path, ...] = TABLES) -> bool:
    """Whether the other end of a connection from `peer_port` to `own_port`, both of this machine, is another user's.

    False where the system does not tell: on other systems than Linux, and for ends that are not in its lists. Root may
    see everything anyway, and forwards connections for others (Docker, WSL), so root is nobody else.
    """
    getuid = getattr(os, "getuid", None)
    if getuid is None:  # Windows
        return False
    known = {0, getuid()}
    return any(uid not in known for table in tables for uid in _users(table, peer_port, own_port))


def _users(table: Path, local_port: int, remote_port: int) -> list[int]:
    """Users of the sockets between two ports, whatever their addresses: an own one never hides another's."""
    try:
        lines = table.read_text("ascii").splitlines()[1:]
    except (OSError, UnicodeDecodeError):
        return []
    ends = (f":{local_port:04X}", f":{remote_port:04X}")
    rows = (line.split() for line in lines if ends[0] in line)
    return [int(row[7]) for row in rows if row[1].endswith(ends[0]) and row[2].endswith(ends[1])]
