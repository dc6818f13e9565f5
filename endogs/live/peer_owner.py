"""Whose a connection on the loopback is: other users of the machine reach 127.0.0.1 as well.

Linux tells it through a netlink socket (sock_diag(7); struct inet_diag_req_v2 and inet_diag_msg of
linux/inet_diag.h), as `ss -e` asks it. Reading /proc/net/tcp instead costs milliseconds, since the kernel walks through
its whole table.
"""

import os
import socket
import struct
from contextlib import suppress

SOCK_DIAG_BY_FAMILY = 20
NLM_F_REQUEST = 1
NETLINK_SOCK_DIAG = 4
NO_COOKIE = b"\xff" * 8
HEADER = struct.Struct("=IHHII")
"""struct nlmsghdr: length, type, flags, number, port."""
ENDS = struct.Struct("!HH16s16s4x8s")
"""struct inet_diag_sockid: ports, addresses, interface, cookie."""
BEFORE_USER = 3 * 4
"""Bytes of struct inet_diag_msg between the ends and the user's number."""


def belongs_to_another(connection: socket.socket) -> bool:
    """Whether the other end of an accepted TCP connection on the loopback is another user's of this machine.

    False where the system does not tell: on other systems than Linux, and for ends that are not in its tables. Root may
    see everything anyway, and forwards connections for others (Docker, WSL), so root is nobody else.
    """
    if not hasattr(socket, "AF_NETLINK"):
        return False
    with suppress(OSError):
        user = owner(connection.getpeername(), connection.getsockname(), connection.family)
        return user is not None and user not in (0, os.getuid())
    return False


def owner(local: tuple[str, int], remote: tuple[str, int], family: int = socket.AF_INET) -> int | None:
    """Number of the user whose TCP socket connects `local` to `remote` (address, port); None where there is none.

    Raises OSError where the system does not tell.
    """
    addresses = (socket.inet_pton(family, end[0]).ljust(16, b"\0") for end in (local, remote))
    ends = ENDS.pack(local[1], remote[1], *addresses, NO_COOKIE)
    question = struct.pack("=BBBxI", family, socket.IPPROTO_TCP, 0, 0xFFFFFFFF) + ends
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as system:
        system.settimeout(1)
        size = HEADER.size + len(question)
        system.send(HEADER.pack(size, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, 1, 0) + question)
        answer = system.recv(4096)
    if HEADER.unpack_from(answer)[1] != SOCK_DIAG_BY_FAMILY:
        return None  # an error, of which the commonest is that there is no such socket
    start = HEADER.size + 4
    if ENDS.unpack_from(answer, start)[:2] != (local[1], remote[1]):
        return None  # another's, that listens at the local port
    return int(struct.unpack_from("=I", answer, start + ENDS.size + BEFORE_USER)[0])
