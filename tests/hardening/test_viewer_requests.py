"""What strangers may say to the viewer: heads of requests, messages of browsers, texts; no server is needed."""

import math
import os
from types import SimpleNamespace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from endogs.live.browser_messages import LARGEST_MESSAGE, WIDEST_CANVAS, heard
from endogs.live.door import passed_on
from endogs.live.gate import Gate, TokenGate
from endogs.live.markdown_text import as_markdown
from endogs.live.request_head import BadHead, host_name, read_head

MANY = 4_000 if os.environ.get("ENDOGS_ATTACK") else 200
OWN = "127.0.0.1:8080"


def head(target: str = "/", host: str | None = OWN, **fields: str) -> bytes:
    named = {} if host is None else {"Host": host}
    named |= {name.replace("_", "-"): value for name, value in fields.items()}
    lines = [f"GET {target} HTTP/1.1", *(f"{name}: {value}" for name, value in named.items())]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


def verdict(gate: Gate, raw: bytes) -> int:
    """The status that a request is answered with; 0 when it passes."""
    try:
        said = gate.judge(read_head(raw))
    except BadHead as bad:
        return int(bad.status.split()[0])
    return 0 if said is None else int(said.split()[1])


# Heads


@pytest.mark.parametrize(
    "raw",
    [
        b"GET / HTTP/1.1\nHost: 127.0.0.1\n\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\nX: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n folded\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : 127.0.0.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://127.0.0.1\r\nOrigin: http://evil.example\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n",
        b"GET / HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET / HTTP/2\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET  / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET http://127.0.0.1/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"get / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"CONNECT 127.0.0.1:80 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\r\n\r\n",
    ],
)
def test_what_two_readers_could_understand_differently_is_refused(raw):
    assert verdict(Gate(), raw) in (400, 403, 405)


@pytest.mark.parametrize(
    "host",
    [
        "", "evil.example", "127.0.0.1#.evil.example", "127.0.0.1.evil.example", "[::1", "::1", "[::1]evil", "[]",
        "[::g]", "user@127.0.0.1", "127.0.0.1@evil.example", "127.0.0.1:", "127.0.0.1:99999", "127.0.0.1:8o80",
        "127.0.0.1:80:80", "127.0.0.1/", "127.0.0.1\\evil.example", "127.0.0.1 evil.example", "127.0.0.1,evil.example",
        "localhost.", "localhost.evil.example", "evil.localhost", "0.0.0.0", "0", "127.1", "2130706433", "0x7f000001",
        "[::ffff:10.0.0.1]", "[fe80::1%25lo]", "127.0.0.1\x80", "ⅼocalhost".encode().decode("latin-1"), "a" * 300,
    ],
)  # fmt: skip
def test_odd_hosts_are_no_names_of_this_machine(host):
    assert verdict(Gate(), head(host=host)) in (400, 403)


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost:9000", "LOCALHOST", "[::1]:8080", "127.0.0.1"])
def test_a_page_of_ones_own_passes_under_every_name_of_the_loopback(host):
    assert verdict(Gate(), head(host=host)) == 0
    assert verdict(Gate(), head(host=host, Origin=f"http://{host}")) == 0


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example", "https://127.0.0.1:8080", "http://127.0.0.1", "http://127.0.0.1:8081",
        "http://localhost:8080", "null", "", "http://127.0.0.1:8080.evil.example", "http://127.0.0.1:8080/",
        "http://x@127.0.0.1:8080", "http://127.0.0.1:8080 http://evil.example", "//127.0.0.1:8080", "http://[::1",
        "file://", "chrome-extension://abc", "ws://127.0.0.1:8080",
    ],
)  # fmt: skip
def test_a_foreign_origin_never_passes_with_cookie_or_without(origin):
    gate, token_gate = Gate(), TokenGate(8080)
    cookie = f"{token_gate.cookie}={token_gate.token}"
    assert verdict(token_gate, head(Cookie=cookie)) == 0
    assert verdict(gate, head(Origin=origin)) == 403
    assert verdict(token_gate, head(Origin=origin, Cookie=cookie)) == 403
    assert verdict(token_gate, head(f"/?token={token_gate.token}", Origin=origin)) == 403


def test_other_sites_may_link_here_but_not_load_from_here():
    follows = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
    assert verdict(Gate(), head(**follows)) == 0
    for other in ({"Sec_Fetch_Dest": "iframe"}, {"Sec_Fetch_Mode": "no-cors"}, {"Sec_Fetch_Dest": "image"}):
        assert verdict(Gate(), head(**(follows | other))) == 403
        assert verdict(Gate(), head(**(follows | other | {"Sec_Fetch_Site": "same-site"}))) == 403


def test_the_page_cannot_be_sent_to_another_server():
    assert verdict(Gate(), head("/?websocket=ws://evil.example")) == 400, "viser's page would go there"
    for path in ("/../../etc/passwd", "/%2e%2e/x", "/C:/Windows/win.ini", "//evil.example", "/x?token=y"):
        assert verdict(Gate(), head(path)) == 404


def test_the_token_is_traded_for_a_strict_cookie_of_this_port_and_is_not_passed_on():
    gate = TokenGate(8080)
    assert verdict(gate, head()) == 403
    assert verdict(gate, head("/?token=")) == 403
    assert verdict(gate, head("/?token=%ff%00é".replace("é", "%e9"))) == 403
    said = gate.judge(read_head(head(f"/?token={gate.token}"))).decode()
    assert said.startswith("HTTP/1.1 302 ")
    assert "\r\nLocation: /\r\n" in said
    assert "\r\nReferrer-Policy: no-referrer\r\n" in said
    assert f"\r\nSet-Cookie: endogs_token_8080={gate.token}; Path=/; HttpOnly; SameSite=Strict\r\n" in said
    from_elsewhere = head(f"/?token={gate.token}", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate",
                          Sec_Fetch_Dest="document")  # fmt: skip
    page = gate.judge(read_head(from_elsewhere))
    assert page.startswith(b"HTTP/1.1 200 "), "the page's own request for / has the strict cookie, a redirect's has not"
    assert gate.token.encode() not in page.partition(b"\r\n\r\n")[2]
    good = head(Cookie=f'odd="x; a{{}}=1;; {gate.cookie}={gate.token}; b=2')
    assert verdict(gate, good) == 0
    assert gate.token.encode() not in passed_on(read_head(good))
    for cookie in (f"endogs_token={gate.token}", f"endogs_token_8081={gate.token}", f"{gate.cookie}={gate.token}x"):
        assert verdict(gate, head(Cookie=cookie)) == 403


@settings(max_examples=MANY, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 120), st.integers(0, 40))
def test_no_bytes_confuse_the_gate(noise, place, dropped):
    good = head(Origin=f"http://{OWN}", Upgrade="websocket", Connection="Upgrade")
    raw = good[:place] + noise + good[place + dropped :]
    for whole in (raw, raw.rstrip(b"\r\n") + b"\r\n\r\n"):
        for gate in (Gate(), TokenGate(8080)):
            assert verdict(gate, whole) in (0, 400, 403, 404, 405)
        if verdict(Gate(), whole) == 0:
            again = read_head(passed_on(read_head(whole)))
            assert again.fields["host"] == read_head(whole).fields["host"], "both readers see the same"
            assert host_name(again.fields["host"]) in ("localhost", "::1") or again.fields["host"].startswith("127.")


# Messages

CONTROLS = {
    "slider": SimpleNamespace(value=0.5, min=0.0, max=2.0, disabled=False),
    "box": SimpleNamespace(value=True, disabled=False),
    "choice": SimpleNamespace(value="a", options=("a", "b"), disabled=False),
    "dead": SimpleNamespace(value=0.5, min=0.0, max=2.0, disabled=True),
    "text": SimpleNamespace(value="a", disabled=False),
}
CAMERA = {
    "type": "ViewerCameraMessage", "wxyz": (1.0, 0.0, 0.0, 0.0), "position": (0.0, 0.0, 0.0), "fov": 0.9, "near": 0.1,
    "far": 1000.0, "image_width": 320, "image_height": 240, "look_at": (0.0, 0.0, 60.0),
    "up_direction": (0.0, -1.0, 0.0),
}  # fmt: skip
CLICK = {
    "type": "ScenePointerMessage", "event_type": "click", "ray_origin": (0.0, 0.0, 0.0),
    "ray_direction": (0.0, 0.0, 1.0), "screen_pos": ((0.5, 0.5),), "modifier": None,
}  # fmt: skip


def said(message: object) -> dict | None:
    """What is heard of a message."""
    raw = heard(msgspec.msgpack.encode(message), CONTROLS.get)
    return None if raw is None else msgspec.msgpack.decode(raw)


def test_what_a_page_says_is_heard():
    assert said(CAMERA) == msgspec.msgpack.decode(msgspec.msgpack.encode(CAMERA))
    assert said(CLICK)["screen_pos"] == [[0.5, 0.5]]
    assert said({"type": "CommandTriggerMessage", "uuid": "x"})["uuid"] == "x"


@pytest.mark.parametrize(
    ("control", "value", "taken"),
    [
        ("slider", 1, 1), ("slider", 1e8, 2.0), ("slider", -3, 0.0), ("slider", math.nan, None), ("slider", "1", None),
        ("slider", math.inf, None), ("slider", True, None), ("slider", 1e300, None), ("slider", [1], None),
        ("slider", None, None), ("box", False, False), ("box", 0, None), ("box", "no", None), ("choice", "b", "b"),
        ("choice", "c", None), ("choice", 0, None), ("dead", 1.0, None), ("text", "b", None), ("nothing", True, None),
    ],
)  # fmt: skip
def test_a_control_takes_what_it_can_have(control, value, taken):
    message = said({"type": "GuiUpdateMessage", "uuid": control, "updates": {"value": value}})
    assert (message and message["updates"]["value"]) == taken


@pytest.mark.parametrize(
    "change",
    [
        {"wxyz": (0.0, 0.0, 0.0, 0.0)}, {"wxyz": (math.nan, 0.0, 0.0, 0.0)}, {"wxyz": (1.0, 0.0, 0.0)},
        {"wxyz": "abcd"},
        {"position": (math.inf, 0.0, 0.0)}, {"position": (1e300, 0.0, 0.0)}, {"fov": 0.0}, {"fov": math.nan},
        {"fov": 7.0}, {"image_width": -1}, {"image_width": WIDEST_CANVAS + 1}, {"image_width": 2**63},
        {"image_width": 10.5}, {"image_height": None}, {"near": 0.0}, {"far": math.nan}, {"type": "ShareUrlRequest"},
        {"type": "FileTransferStartUpload"}, {"type": 5}, {"type": None}, {"more": 1}, {"look_at": {}},
    ],
)  # fmt: skip
def test_a_camera_that_is_none_is_not_heard(change):
    assert said(CAMERA | change) is None


def test_nobody_reaches_past_a_controls_value():
    for updates in ({"update_cb": []}, {"value": True, "removed": True}, {"gui_api": None}, {}, {"value": {"a": 1}}):
        assert said({"type": "GuiUpdateMessage", "uuid": "box", "updates": updates}) is None
    assert said({"type": "GuiFormDirtyMessage", "uuid": "box"}) is None
    for raw in (b"", b"\xc1", b"\x91" * 60_000, b"\xdd\xff\xff\xff\xff", b"\x81\xa4type\xa1\xff", b"\x81" * 60_000):
        assert heard(raw[:LARGEST_MESSAGE], CONTROLS.get) is None
    deep = msgspec.msgpack.encode(CAMERA)
    deep = bytes([deep[0] + 1]) + deep[1:] + b"\xa1z" + b"\x91" * 60_000 + b"\x00"
    assert heard(deep, CONTROLS.get) is None, "a name too many, however deep"


numbers = st.one_of(st.floats(), st.integers(-(2**63), 2**64 - 1), st.booleans(), st.none(), st.text(max_size=5))
values = st.recursive(
    numbers, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=3)
)


@settings(max_examples=MANY, deadline=None)
@given(st.sampled_from([CAMERA, CLICK]), st.data())
def test_what_is_heard_is_finite_and_bounded(message, data):
    changed = dict(message)
    for name in data.draw(st.sets(st.sampled_from(sorted(message)), max_size=3)):
        changed[name] = data.draw(values)
    taken = said(changed)
    if taken is not None:
        for value in taken.values():
            for number in _flat(value):
                assert not isinstance(number, float | int) or abs(number) <= 1e12


def _flat(value):
    return [inner for part in value for inner in _flat(part)] if isinstance(value, list) else [value]


# Texts


@settings(max_examples=MANY, deadline=None)
@given(st.text(max_size=80))
def test_a_text_is_no_markdown(text):
    shown = as_markdown(text)
    assert not set(shown.replace("<wbr>", "")) & set("<>[](){}*_`!|~\\$\"'\n\r\x1b/@.")
    assert "www." not in shown


def test_a_scenes_name_is_text_in_the_panels():
    assert as_markdown("<img src=x onerror=y>") == "&#60;img src&#61;x onerror&#61;y&#62;"
    assert "\x1b" not in as_markdown("\x1b]0;title\x07")
    assert len(as_markdown("a" * 100_000)) < 600
