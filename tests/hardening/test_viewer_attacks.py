"""A served view under attack on the loopback: who may not come in stays out, who misbehaves stops nobody else.

With ENDOGS_ATTACK=1 more of everything.
"""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from attacked_view import UPGRADE, all_of, ask, connected, frame, is_served, request, served, websocket
from samples.live_client import CANVAS, LookingClient, picture, until

from endogs.errors import InputError
from endogs.live import backend, browser_connection, door
from endogs.live.downloads import offer
from endogs.live.peer_owner import belongs_to_another, owner
from endogs.live.server import LiveServer, free_port

MORE = 10 if os.environ.get("ENDOGS_ATTACK") else 1
EVIL = "http://evil.example"


@pytest.fixture(scope="module")
def view():
    with served() as (server, studio, port):
        yield server, studio, port


@pytest.fixture(autouse=True)
def silence(capfd, caplog):
    """Whatever is attacked, nothing is said in tracebacks."""
    yield
    said = capfd.readouterr()
    assert "Traceback" not in said.out + said.err + caplog.text
    assert len((said.err + caplog.text).splitlines()) < 20


# Who may not come in


def listening():
    """Ports and paths at which this process listens: {(family, address)}."""
    own = set()
    for handle in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            own.add(os.readlink(handle))
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A" and f"socket:[{words[9]}]" in own:
                found.add((table, int(words[1].split(":")[1], 16)))
    for line in Path("/proc/net/unix").read_text().splitlines()[1:]:
        words = line.split()
        if words[5] == "01" and words[3] == "00010000" and f"socket:[{words[6]}]" in own:
            found.add(("unix", words[7] if len(words) > 7 else ""))
    return found


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="needs Linux to list what listens")
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_no_other_port_listens_and_none_answers_a_foreign_page(host):
    before = listening()
    with served(host) as (_, _, port):
        assert listening() - before == {("tcp", port)}, "viser has a port of its own"
        for _, number in listening() - before:
            for fields in ({"Origin": EVIL}, {"Host": "evil.example"}, {"Origin": EVIL, "Host": "evil.example"}):
                for more in ({}, UPGRADE):
                    answer = ask(number, request(number, **(more | fields)))
                    assert answer.startswith(b"HTTP/1.1 403 "), answer[:80]
    assert listening() == before


def test_every_answer_forbids_frames_referrers_and_foreign_loads(view):
    port = view[2]
    page = urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=5)
    assert f"connect-src 'self' ws://127.0.0.1:{port} " in page.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    for headers in (bytes(page.headers), ask(port, request(port, Origin=EVIL)), ask(port, request(port, "/x"))):
        for field in (
            b"Referrer-Policy: no-referrer",
            b"X-Frame-Options: DENY",
            b"Cross-Origin-Resource-Policy: same-",
        ):
            assert field in headers


def test_later_requests_of_a_connection_are_judged_or_not_heard(view):
    port = view[2]
    own, foreign = request(port), request(port, Origin=EVIL, **UPGRADE)
    assert ask(port, own + foreign).startswith(b"HTTP/1.1 400 "), "two at once"
    late = ask(port, own, foreign, pause=0.2)
    assert late.count(b"HTTP/1.1 ") == 1
    refused_first = ask(port, request(port, **(UPGRADE | {"Sec-WebSocket-Version": "12"})), foreign, pause=0.2)
    assert refused_first.count(b"HTTP/1.1 ") == 1
    assert b" 101 " not in refused_first
    is_served(view)


def test_bytes_that_are_no_request_are_refused_soon(view):
    port = view[2]
    for raw in (
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET / HTTP/1.1\nHost: 127.0.0.1\n\n", b"\0" * 100,
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"y" * 40_000, b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nbody",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", request(port, Transfer_Encoding="chunked") + b"0\r\n\r\n",
        request(port, Host="[::1") , request(port, Host="127.0.0.1#.evil.example"),
    ):  # fmt: skip
        begin = time.monotonic()
        assert ask(port, raw)[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 403", b"HTTP/1.1 405", b"HTTP/1.1 431"), raw[:60]
        assert time.monotonic() - begin < 4
    is_served(view)


def test_a_viser_that_works_in_another_way_is_refused_and_leaves_no_port(monkeypatch):
    before = listening() if Path("/proc/net/tcp").exists() else set()
    monkeypatch.setattr(backend, "OPTIONS", {"another"})
    with pytest.raises(InputError, match="other options"):
        LiveServer("127.0.0.1", 0)
    monkeypatch.undo()
    monkeypatch.setattr(backend, "wire_field_names", lambda message: ("wxyz", "a_new_one"))
    with pytest.raises(InputError, match="another ViewerCameraMessage"):
        LiveServer("127.0.0.1", 0)
    monkeypatch.undo()
    # As if viser had taken `serve` into its own names when it was imported: it opens a port, and that is seen.
    monkeypatch.setattr(backend, "_StandIn", lambda module, others: module)
    with pytest.raises(InputError, match=r"opens a port of its own.*pip install 'viser==1.1.1'"):
        LiveServer("127.0.0.1", 0)
    assert (listening() if before else set()) <= before


@pytest.mark.parametrize("host", ["", "a\0b", "x" * 300, "é" * 300, "127.0.0.1\n", "[::1]", "\udcff", "\x1b[31m"])
def test_an_odd_host_is_told_in_one_plain_sentence(host):
    with pytest.raises(InputError, match="is not an address of this machine") as told:
        free_port(host, 0)
    assert str(told.value).isprintable()


AS_NOBODY = """
import encodings.idna, os, socket, sys
os.setuid(65534)
line = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=5)
try:
    line.sendall(b"GET / HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\n\\r\\n")
except OSError:
    pass
print(line.recv(100))
"""


@pytest.mark.skipif(getattr(os, "getuid", lambda: 1)() != 0, reason="only root can be somebody else")
@pytest.mark.skipif(not hasattr(socket, "AF_NETLINK"), reason="Linux tells whose a socket is")
def test_another_user_of_the_machine_is_refused(view):
    command = [sys.executable, "-S", "-c", AS_NOBODY, str(view[2])]
    for _ in range(3):
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
        assert "403 Forbidden" in done.stdout, (done.stdout, done.stderr)
    is_served(view)


@pytest.mark.skipif(not hasattr(socket, "AF_NETLINK"), reason="Linux tells whose a socket is")
@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_whose_a_connection_is(family, address):
    try:
        listener = socket.create_server((address, 0), family=family)
    except OSError:
        pytest.skip(f"no {address} here")
    with listener, socket.create_connection(listener.getsockname()[:2]) as one, listener.accept()[0] as other:
        here, there = one.getsockname(), one.getpeername()
        assert owner(here, there, family) == owner(there, here, family) == os.getuid()
        assert owner(here, (address, 1), family) is None
        assert owner(there, (address, 1), family) is None, "who listens is not who is connected"
        assert not belongs_to_another(other)
    assert not belongs_to_another(other), "what is closed is nobody's"


# Who misbehaves


def test_odd_messages_are_not_heard_and_stop_nothing(view):
    _, studio, port = view
    client = LookingClient(f"http://127.0.0.1:{port}")
    controls = {}
    while "Camera (JSON)" not in controls:
        message = client.next_message()
        if "label" in (message.get("props") or {}):
            controls[message["props"]["label"]] = message["uuid"]
    client.look(size=CANVAS)
    picture(client)
    nan, large = float("nan"), 1e300
    for size in ((2**40, 2**40), (-1, 5), (0, 0)):
        client.look(size=size)
    for number in (nan, large, -large):
        client.look(position=(number, 0.0, 0.0), size=CANVAS)
        client.look(wxyz=(number, 0.0, 0.0, 0.0), size=CANVAS)
        client.click(number, 0.5)
        for uuid in controls.values():
            client.send({"type": "GuiUpdateMessage", "uuid": uuid, "updates": {"value": number}})
    for updates in ({"update_cb": 5}, {"value": "x" * 150}, {"value": {}}, {"value": -5.0}, {"removed": True}):
        for uuid in controls.values():
            client.send({"type": "GuiUpdateMessage", "uuid": uuid, "updates": updates})
    for odd in ({"type": "ShareUrlRequest"}, {"type": "None"}, {}, [], 5, None, "x", {"type": "GuiUpdateMessage"}):
        client.send(odd)
    client._socket.send("text")
    for raw in (b"", b"\xc1", b"\x91" * 5000, os.urandom(300)):
        client._socket.send(raw)
    before = studio.session.timeline.now()
    assert before == studio.session.timeline.first, "the slider was at its end"
    client.look(size=(160, 160))
    while picture(client).shape != (160, 160, 3):
        pass
    client.close()
    assert viser_uploads(view[0]) == 0
    is_served(view)


def viser_uploads(server):
    return len(server.viser.gui._current_file_upload_states)


def test_a_message_that_is_too_large_or_has_no_end_costs_its_sender_the_line(view):
    port = view[2]
    for attack in (
        frame(2, b"", length=45_000_000) + bytes(200_000),
        frame(2, b"x" * 60_000, final=False) + frame(0, b"x" * 60_000),
        frame(2, b"", final=False) + frame(0, b"", final=False) * 1000,
        (frame(2, b"", final=False) + frame(9)) + (frame(0, b"", final=False) + frame(9)) * 1000,
        frame(3, b"unknown"), b"\x82\x05hello",
    ):  # fmt: skip
        with websocket(port) as line:
            with suppress(OSError):
                line.sendall(attack)
            line.settimeout(4)
            begin = time.monotonic()
            all_of(line)
            assert time.monotonic() - begin < 3.5, attack[:20]
    is_served(view)


def test_whoever_takes_nothing_is_passed_over_and_dropped(view, monkeypatch):
    monkeypatch.setattr(browser_connection, "STALLED", 2.0)
    monkeypatch.setattr(browser_connection, "LOOK_SECONDS", 0.5)
    server, studio, port = view
    lines = []
    for _ in range(3 * MORE):
        line = socket.socket()
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.settimeout(5)
        line.connect(("127.0.0.1", port))
        line.sendall(request(port, **UPGRADE))
        time.sleep(0.05)
        camera = {
            "type": "ViewerCameraMessage", "wxyz": (1.0, 0.0, 0.0, 0.0), "position": (0.0, 0.0, 0.0), "fov": 0.9,
            "near": 0.1, "far": 1000.0, "image_width": 320, "image_height": 240, "look_at": (0.0, 0.0, 60.0),
            "up_direction": (0.0, -1.0, 0.0),
        }  # fmt: skip
        line.sendall(frame(2, msgspec.msgpack.encode(camera)))
        lines.append(line)
    until(lambda: len(studio.schedule) == len(lines))
    large = os.urandom(6_000_000)  # more than the system takes for them; viser packs what can be packed
    for browser in studio.schedule.browsers():
        client = server.viser.get_clients()[browser]
        assert offer(server.viser, client, "large.bin", large)
        assert not offer(server.viser, client, "large.bin", large), "one file at a time"
    until(lambda: all(studio.schedule.is_busy(browser) for browser in studio.schedule.browsers()))
    studio.schedule.all_changed()
    assert studio.schedule.next() is None, "nothing is drawn for them"
    good = LookingClient(f"http://127.0.0.1:{port}")
    good.look(size=CANVAS)
    assert picture(good).shape == (CANVAS[1], CANVAS[0], 3)
    until(lambda: len(studio.schedule) == 1, seconds=8)
    good.close()
    for line in lines:
        line.close()
    until(lambda: len(studio.schedule) == 0)


def test_pings_of_one_who_takes_nothing_do_not_pile_up(view, monkeypatch):
    monkeypatch.setattr(browser_connection, "MOST_HEARD", 100_000)
    with websocket(view[2]) as line:
        line.settimeout(5)
        with pytest.raises(OSError, match=r"reset|[Pp]ipe"):
            line.sendall(frame(9, b"x" * 125) * 150_000)
    is_served(view)


def test_a_flood_of_messages_is_read_slowly_and_keeps_no_view_from_ending(monkeypatch):
    heard = []
    true = browser_connection.heard
    monkeypatch.setattr(browser_connection, "heard", lambda raw, control: heard.append(1) or true(raw, control))
    monkeypatch.setattr(browser_connection, "RATE", 20.0)
    monkeypatch.setattr(browser_connection, "BURST", 10.0)
    with served() as view:
        with websocket(view[2]) as line:
            line.sendall(frame(2, b"\xc1") * 1000)
            time.sleep(0.6)
            assert 10 <= len(heard) <= 60
        with websocket(view[2]) as line, suppress(OSError):
            line.sendall(frame(2, b"\xc1") * 30_000)
            line.settimeout(5)
            all_of(line)  # the line is cut
        is_served(view)
        begin = time.monotonic()
    assert time.monotonic() - begin < 4, "what waits to be heard of one who left is let go"


def test_those_who_only_knock_keep_nobody_out(view, monkeypatch):
    port = view[2]
    knocking = [connected(port) for _ in range(150 * MORE)]
    for line in knocking[::2]:
        with suppress(OSError):
            line.sendall(b"GET / HTTP/1.1\r\n")
    is_served(view)
    until(lambda: len(view[0]._door._newcomers) <= door.MOST_NEWCOMERS)
    for line in knocking:
        line.close()
    monkeypatch.setattr(door, "PATIENCE", 0.3)
    with connected(port) as slow:
        begin = time.monotonic()
        slow.sendall(b"GET / ")
        assert all_of(slow) == b""
        assert time.monotonic() - begin < 3
    until(lambda: len(view[0]._door._newcomers) == 0)


def test_those_who_do_not_look_make_room_and_a_crowd_is_told_so(view, monkeypatch):
    monkeypatch.setattr(door, "MOST_OF_ONE_PEER", 3)
    port = view[2]
    idle = [websocket(port) for _ in range(3)]
    lookers = [LookingClient(f"http://127.0.0.1:{port}") for _ in range(3)]
    for looker in lookers:
        looker.look(size=CANVAS)
        picture(looker)
    assert ask(port, request(port)).startswith(b"HTTP/1.1 503 ")
    for client in lookers:
        client.close()
    for line in idle:
        line.close()
    until(lambda: len(view[0]._door._guests) == 0)
    is_served(view)


OUT_OF_HANDLES = """
import os, resource, sys, time
sys.path.insert(0, sys.argv[1])
from samples.live_client import CANVAS, LookingClient, picture
from samples.live_scene import stretching_scene
from endogs.live.viewer_gui import ViewerGui
from endogs.live.playback import Playback
from endogs.live.server import LiveServer
from endogs.live.studio import Studio
studio = Studio(stretching_scene())
server = LiveServer("127.0.0.1", 0)
ViewerGui(server.viser, studio, "sheet")
playback = Playback(studio)
client = LookingClient(server.url)
client.look(size=CANVAS)
picture(client)
held = len(os.listdir("/proc/self/fd"))
resource.setrlimit(resource.RLIMIT_NOFILE, (held + 8, held + 8))
print(server.url.rsplit(":")[-1], flush=True)
sys.stdin.readline()
busy = time.process_time()
time.sleep(1.5)
busy = time.process_time() - busy
studio.session.timeline.seek(0.5)
studio.schedule.all_changed()
picture(client)
sys.stdin.readline()
LookingClient(server.url).close()
print("served", busy < 0.75, flush=True)
os._exit(0)
"""


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts handles as Linux shows them")
def test_out_of_file_handles_it_waits_and_says_so_once():
    command = [sys.executable, "-c", OUT_OF_HANDLES, str(Path(__file__).parents[1])]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        port = int(child.stdout.readline())
        lines = [connected(port) for _ in range(40)]
        child.stdin.write("\n")
        child.stdin.flush()
        time.sleep(2.2)
        for line in lines:
            line.close()
        time.sleep(1)
        out, err = child.communicate("\n", timeout=30)
    finally:
        child.kill()
    assert out.strip() == "served True", (out, err)
    assert len(err.splitlines()) == 1, err
    assert "no more browsers can be served for the moment" in err
