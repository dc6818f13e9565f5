"""The head of an HTTP request, read strictly: what two readers could understand differently is refused."""

import ipaddress
import re
from dataclasses import dataclass

LONGEST_HEAD = 16_384
"""Bytes of a request's head; browsers send a few hundred."""
REQUEST_LINE = re.compile(rb"([A-Z]{1,16}) (/[!-~]*) HTTP/1\.1")
"""Method, target in origin form, version (RFC 9112, section 3)."""
FIELD = re.compile(rb"([-!#$%&'*+.^_`|~0-9A-Za-z]+):[ \t]*([\t -~\x80-\xff]*?)[ \t]*")
"""A field line: a token, a colon at once, a value without control characters (RFC 9110, section 5.5). A folded line
begins with a space and therefore is none."""
HOST = re.compile(r"(\[[0-9a-f:.]{2,45}\]|[0-9a-z](?:[0-9a-z_.-]{0,251}[0-9a-z])?)(?::([0-9]{1,5}))?")
"""An IPv6 address in brackets, an IPv4 address or a name; a port may follow."""


class BadHead(ValueError):
    """A request that is not answered; `status` is the HTTP status line's code and reason."""

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = status


@dataclass(frozen=True)
class RequestHead:
    """What a request asks for, and the fields that it came with."""

    path: str
    """Begins with a slash; percent signs are as they came."""
    query: str
    """After the question mark; empty without one."""
    fields: dict[str, str]
    """Values by name in small letters. No name comes twice."""

    @property
    def upgrades(self) -> bool:
        """Whether it asks for a websocket."""
        return self.fields.get("upgrade", "").lower() == "websocket"


def read_head(raw: bytes) -> RequestHead:
    """The request whose head `raw` is, from its first byte to the empty line. Raises BadHead.

    Refused are: other methods than GET, other versions than 1.1, targets that are no path, lines that end in anything
    but CR LF, folded lines, control characters, names that come twice, bodies (Content-Length, Transfer-Encoding), and
    a host that is missing or malformed.
    """
    if not raw.endswith(b"\r\n\r\n") or len(raw) > LONGEST_HEAD:
        raise BadHead("400 Bad Request")
    first, *lines = raw[:-4].split(b"\r\n")
    request = REQUEST_LINE.fullmatch(first)
    if request is None:
        raise BadHead("400 Bad Request")
    if request[1] != b"GET":
        raise BadHead("405 Method Not Allowed")
    fields: dict[str, str] = {}
    for line in lines:
        field = FIELD.fullmatch(line)
        if field is None:
            raise BadHead("400 Bad Request")
        name = field[1].decode("ascii").lower()
        if name in fields:  # a second host or origin hides the first from one of two readers
            raise BadHead("403 Forbidden")
        fields[name] = field[2].decode("latin-1")
    if "transfer-encoding" in fields or fields.get("content-length", "0") != "0":
        raise BadHead("400 Bad Request")
    host_name(fields.get("host", ""))
    path, _, query = request[2].decode("ascii").partition("?")
    return RequestHead(path, query, fields)


def host_name(host: str) -> str:
    """The name or address in a Host field, in small letters, without port and brackets. Raises BadHead."""
    found = HOST.fullmatch(host.lower())
    if found is None or int(found[2] or 0) > 65_535:
        raise BadHead("400 Bad Request")
    name = found[1]
    if name.startswith("["):
        try:
            ipaddress.IPv6Address(name[1:-1])
        except ValueError:
            raise BadHead("400 Bad Request") from None
    return name.strip("[]")


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`, a name or an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
