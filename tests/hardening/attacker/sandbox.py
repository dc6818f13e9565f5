"""The child that meets one case: prepares it, takes away network, memory and time, runs it, and tells what happened."""

import contextlib
import faulthandler
import json
import os
import resource
import shutil
import signal
import socket
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from attacker.case import Case, Family, Workplace
from attacker.fence import fence, unasked
from attacker.outcome import MOST_GROWTH
from attacker.pages import page_faults
from attacker.samples import Samples

ROOM = 1_600_000_000
"""Bytes of address space beyond what the process has at its start: MOST_GROWTH, and what threads reserve unused."""
LARGEST_FILE = 2 << 30
CODINGS = ("utf-8", "cp1252")
"""Of standard output: what is usual, and what older terminals and pipes on Windows have."""
assert ROOM > MOST_GROWTH


def snapshot(folder: Path) -> dict[str, str]:
    """What lies below `folder`: by relative name, what must not change."""
    found = {}
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = os.path.join(parent, name)
            status = os.lstat(path)
            told = f"{status.st_mode:o}"
            if os.path.islink(path):
                told += os.readlink(path)
            elif os.path.isfile(path):
                told += f" {status.st_size}"
                if status.st_size < 1 << 22:
                    with contextlib.suppress(OSError), open(path, "rb") as file:
                        told += f" {hash(file.read()):x}"
            found[os.path.relpath(path, folder)] = told
    return found


def run_case(number: int, seed: int, family: Family, samples: Samples, place: Path, url: str, tell: int) -> None:
    """Runs in the forked child and never returns; what happened goes as JSON lines to the file descriptor `tell`."""
    told: dict[str, Any] = {}

    def send() -> None:
        os.write(tell, json.dumps(told).encode("utf-8", "surrogatepass") + b"\n")

    os.setsid()
    folder, canary = place / "case", place / "canary"
    folder.mkdir()
    _redirect(place, Random(f"{seed}:{number}:coding").choices(CODINGS, (0.9, 0.1))[0])
    stack = (place / "stack").open("w")
    faulthandler.enable(stack)
    faulthandler.register(signal.SIGUSR1, stack)
    try:
        workplace = Workplace(Random(f"{seed}:{number}"), folder, samples, canary, url)
        (place / "tmp").mkdir()
        os.environ["TMPDIR"] = tempfile.tempdir = str(place / "tmp")
        os.chdir(folder)
        case = family(workplace)
        told |= {
            "about": case.about,
            "arguments": list(case.arguments),
            "names": list(case.names),
            "owned": list(case.owned),
            "may_call": case.may_call,
        }
        told["before"] = snapshot(folder)
    except BaseException:
        told["unprepared"] = traceback.format_exc()[-1500:]
        send()
        os._exit(0)
    send()
    for stream in (1, 2):  # what the preparation said is not the command's
        os.ftruncate(stream, 0)
        os.lseek(stream, 0, os.SEEK_SET)
    try:
        told |= _meet(case, told["before"], folder)
    except BaseException:
        told["unprepared"] = traceback.format_exc()[-1500:]
    told.pop("before")
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    send()
    os._exit(0)


def _meet(case: Case, before: dict[str, str], folder: Path) -> dict[str, Any]:
    """Run the command line; what it returned or raised, whom it called, how much memory it took, what it left."""
    from endogs.cli import main

    told: dict[str, Any] = {"called": _without_network()}
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))
    space = _status("VmSize") + ROOM
    resource.setrlimit(resource.RLIMIT_AS, (space, resource.RLIM_INFINITY))
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins here
    start = _status("VmRSS")
    attempts = fence((folder.parent, Path(os.environ["HOME"])))
    if case.view_seconds:
        signal.signal(signal.SIGALRM, _press_ctrl_c)
        signal.setitimer(signal.ITIMER_REAL, case.view_seconds)
    try:
        told["code"] = told_in_a_sentence(case.call) if case.call is not None else main(list(case.arguments))
    except SystemExit as end:
        told["code"] = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException as error:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        told["exception"] = f"{type(error).__name__} at {innermost(error)}"
        told["reason"] = f"{type(error).__name__}: {str(error)[:400]}"
        traceback.print_exc()
    signal.setitimer(signal.ITIMER_REAL, 0)
    told["growth"] = _status("VmHWM") - start
    told["outside"] = unasked(attempts, list(case.arguments))
    with contextlib.suppress(OSError, UnicodeDecodeError):
        told["wrong"] = [fault for page in folder.rglob("*.html") if page.is_file() and (fault := page_faults(page))]
    if told.get("code") not in (0, None, 130):
        new = set(snapshot(folder)) - set(before)
        told["litter"] = sorted(name for name in new if ".partial" in name)
    return told


def told_in_a_sentence(call: Callable[[], None]) -> int:
    """The exit code of a call from Python, with bad input told as the command line tells it."""
    from endogs.errors import InputError

    try:
        call()
    except InputError as error:
        print(f"endogs: {error}", file=sys.stderr)
        return 2
    return 0


def innermost(error: BaseException) -> str:
    """The innermost line of endogs that an exception went through, as `endogs/clip/layouts/video.py:12 read`."""
    found = "elsewhere"
    for frame in traceback.extract_tb(error.__traceback__):
        parts = Path(frame.filename).parts
        if "endogs" in parts and "hardening" not in parts:
            inner = "/".join(parts[len(parts) - 1 - parts[::-1].index("endogs") :])
            found = f"{inner}:{frame.lineno} {frame.name}"
    return found


def _press_ctrl_c(*_: object) -> None:
    raise KeyboardInterrupt


def _redirect(place: Path, coding: str) -> None:
    """Words to files, stdout strictly in `coding`; whoever asks on standard input is told yes."""
    answers = place / "answers"
    answers.write_text("y\n" * 100)
    for descriptor, name, mode in ((0, "answers", os.O_RDONLY), (1, "stdout", os.O_WRONLY), (2, "stderr", os.O_WRONLY)):
        opened = os.open(place / name, mode | os.O_CREAT, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 (for the rest of the process)
    sys.stdout = open(1, "w", encoding=coding, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False, buffering=1)  # noqa: SIM115


def _without_network() -> list[str]:
    """From here on names are not looked up and nobody is called; the list grows by every attempt."""
    called: list[str] = []

    def refuse(what: str) -> Callable[..., Any]:
        def attempt(*arguments: Any, **_: Any) -> Any:
            called.append(f"{what} {[a for a in arguments if not isinstance(a, socket.socket)]!r}"[:200])
            raise OSError(101, "Network is unreachable")

        return attempt

    real = socket.getaddrinfo

    def look_up(host: Any, *arguments: Any, **options: Any) -> Any:
        if host in (None, "", "localhost", "127.0.0.1", "::1", "0.0.0.0", "::"):
            return real(host, *arguments, **options)
        return refuse("getaddrinfo")(host, *arguments)

    real_connect = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> Any:
        if self.family == socket.AF_UNIX:
            return real_connect(self, address)
        return refuse("connect")(address)

    for name in ("connect_ex", "sendto", "sendmsg"):
        setattr(socket.socket, name, refuse(name))
    socket.socket.connect = connect  # type: ignore[method-assign]
    socket.getaddrinfo = look_up
    socket.gethostbyname = refuse("gethostbyname")
    return called


def _status(entry: str) -> int:
    """Bytes of a line of /proc/self/status."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(entry + ":"):
            return int(line.split()[1]) * 1024
    raise KeyError(entry)


def clear(place: Path) -> None:
    """Remove a case's folder, whatever became of its permissions."""
    shutil.rmtree(place, ignore_errors=True)
