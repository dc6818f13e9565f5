"""Keeps strangers out: other websites in the same browser always, and others on the network without the token.

Any website can make a browser connect to a port of the browser's own machine, or name that machine as it likes; it
cannot choose what the browser gives as the request's origin and host.
"""

import hmac
import secrets
from collections.abc import Iterable
from urllib.parse import parse_qs

from endogs.live.request_head import RequestHead, host_name, is_loopback

PATHS = ("/", "/index.html")
"""What the viewer consists of: viser's page is one file, and its websocket is at the root."""
FOREIGN = "This view answers only to its own page."
NOT_YOURS = "This view belongs to another user of this machine."
NO_TOKEN = "This view needs the whole URL that endogs printed, with its token."
NOT_HERE = "There is nothing here."
NO_QUERY = "This view takes no options in its URL."
PRIVACY = (
    ("Cache-Control", "no-store"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
)
"""Fields of every answer: nothing stays in caches, goes along to other sites, or is shown inside of their pages."""


class Gate:
    """Judges requests to a server that only this machine reaches: a page of its own must have sent them."""

    asks_for_token = False
    """Whether a token says who may come; else it is whoever uses this machine as the same user."""

    def judge(self, head: RequestHead) -> bytes | None:
        """The answer to a request, or None when it may pass."""
        if is_foreign(head) or not is_loopback(host_name(head.fields["host"])):
            return answer("403 Forbidden", FOREIGN)
        return self._judge_target(head)

    def _judge_target(self, head: RequestHead) -> bytes | None:
        if head.path not in PATHS:
            return answer("404 Not Found", NOT_HERE)
        # viser's page would connect to another server that the query names.
        return answer("400 Bad Request", NO_QUERY) if head.query else None


class TokenGate(Gate):
    """Judges requests to a server that others on the network can reach: a token in the URL, then a cookie.

    Any name of the machine will do, since tunnels and addresses give it many: a website that lets its own name point
    here (DNS rebinding) has neither token nor cookie, which browsers keep by name.
    """

    asks_for_token = True

    def __init__(self, port: int) -> None:
        """`token` is new every time; browsers share cookies among the ports of a host, so the cookie names `port`."""
        self.token = secrets.token_urlsafe(24)
        self.cookie = f"endogs_token_{port}"

    def judge(self, head: RequestHead) -> bytes | None:
        """The answer to a request, or None when it may pass.

        The token in the URL is traded for a cookie, so that it does not stay in the address bar; browsers keep the
        cookie from requests that other websites make.
        """
        if is_foreign(head):
            return answer("403 Forbidden", FOREIGN)
        if any(self._is_token(value) for value in parse_qs(head.query).get("token", [])):
            return self._trade(head)
        # Split by hand: http.cookies gives up at the first odd cookie that another server of this host has set.
        cookies = (cookie.strip().partition("=") for cookie in head.fields.get("cookie", "").split(";"))
        if any(name == self.cookie and self._is_token(value) for name, _, value in cookies):
            return self._judge_target(head)
        return answer("403 Forbidden", NO_TOKEN)

    def _trade(self, head: RequestHead) -> bytes:
        cookie = ("Set-Cookie", f"{self.cookie}={self.token}; Path=/; HttpOnly; SameSite=Strict")
        if head.fields.get("sec-fetch-site", "none") in ("none", "same-origin"):
            return answer("302 Found", "", (("Location", "/"), cookie))
        # A link on another site was followed: a redirect would be that site's request too, without the strict cookie.
        return answer("200 OK", '<meta http-equiv="refresh" content="0; url=/">', (cookie,), "text/html")

    def _is_token(self, value: str) -> bool:
        return hmac.compare_digest(value.encode(), self.token.encode())


def is_foreign(head: RequestHead) -> bool:
    """Whether another site's page made a browser send this request.

    Browsers name the origin in every websocket's request and in most others (RFC 6454), and say of the rest what sent
    them in Sec-Fetch-Site, where the host is trustworthy (https://www.w3.org/TR/fetch-metadata/). To follow a link
    from elsewhere to here is no harm; to load from here into another page is.
    """
    fields = head.fields
    if "origin" in fields and fields["origin"].lower() != f"http://{fields['host'].lower()}":
        return True
    if fields.get("sec-fetch-site", "none") in ("none", "same-origin"):
        return False
    return (fields.get("sec-fetch-mode"), fields.get("sec-fetch-dest")) != ("navigate", "document")


def answer(status: str, text: str, fields: Iterable[tuple[str, str]] = (), kind: str = "text/plain") -> bytes:
    """A whole HTTP answer, the last of its connection."""
    body = f"{text}\n".encode() if text else b""
    content = (("Content-Type", f"{kind}; charset=utf-8"), ("Content-Length", str(len(body))), ("Connection", "close"))
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in (*fields, *PRIVACY, *content))]
    return "\r\n".join(lines).encode("ascii") + b"\r\n\r\n" + body
