"""Forks a child per case from a process that imported endogs and never drew, some at a time, and judges each."""

import contextlib
import gc
import json
import os
import re
import select
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any

from attacker.case import Family
from attacker.outcome import Finding, judge
from attacker.samples import Samples
from attacker.sandbox import clear, run_case, snapshot

PATIENCE = 20.0
"""Seconds after which a case that has worked for half of them hangs."""
LAST_PATIENCE = 90.0
"""Seconds after which it hangs even if other processes took the processor."""
BESIDE = ("cv2", "av", "scipy.stats", "scipy.ndimage", "scipy.spatial", "viser", "torch._dynamo")
"""Libraries that verbs import when they need them."""


@dataclass
class Running:
    """A child at work."""

    number: int
    family: str
    process: int
    told_at: int
    place: Path
    listener: socket.socket
    token: str
    started: float
    told: bytes = b""
    closed: bool = False
    """Whether it has closed its end of the pipe: it ended, or is about to."""


def import_everything(beside: Iterable[str] = BESIDE) -> None:
    """Import what a verb imports when it runs, and the libraries `beside`, so that no child has to.

    Nothing may draw here: children of a process whose kernels have worked are another case.
    """
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    cli = import_module("endogs.cli")
    for runner in cli.RUNNERS.values():
        import_module(runner.split(":")[0])
    for name in (*beside, "endogs._native"):
        with contextlib.suppress(ImportError):
            import_module(name)
    cli.parse(["inspect", "x"], cli.Verb)  # reads all docstrings once
    gc.collect()
    gc.freeze()  # a child's collector would touch, and so copy, all that was imported


def attack(
    numbers: Iterable[int],
    seed: int,
    families: dict[str, tuple[Family, float]],
    jobs: int = 2,
    keep: Path | None = None,
    wanted: frozenset[str] = frozenset(),
    patience: float = PATIENCE,
    seen: Callable[[Finding], None] = lambda _: None,
) -> list[Finding]:
    """Meet the cases of these numbers, `jobs` at a time; `families` holds for each its share of them.

    A case depends on `seed` and its number alone. With `keep` its folders stay there; `wanted` leaves others out.
    """
    found = []
    with tempfile.TemporaryDirectory(prefix="attack-") as made:
        root = Path(made)
        os.environ |= {
            "HOME": str(root / "home"),
            "HF_HOME": str(root / "home" / "hub"),
            "XDG_CACHE_HOME": str(root / "home" / "cache"),
            "COLUMNS": "200",
        }
        (root / "home").mkdir()
        samples = Samples(root / "samples")
        todo = _chosen(numbers, seed, families, wanted)
        with contextlib.ExitStack() as listeners:
            free = [listeners.enter_context(_listener()) for _ in range(jobs)]
            running: list[Running] = []
            more = True
            while more or running:
                while more and free:
                    try:
                        number, name = next(todo)
                    except StopIteration:
                        more = False
                        break
                    place = (keep or root) / f"{number}"
                    running.append(_start(number, name, seed, families[name][0], samples, place, free.pop()))
                for child in _ready(running, patience):
                    running.remove(child)
                    free.append(child.listener)
                    finding = _ended(child)
                    found.append(finding)
                    seen(finding)
                    if keep is None:
                        clear(child.place)
    return sorted(found, key=lambda finding: finding.number)


def _chosen(
    numbers: Iterable[int], seed: int, families: dict[str, tuple[Family, float]], wanted: frozenset[str]
) -> Iterator[tuple[int, str]]:
    names, shares = list(families), [share for _, share in families.values()]
    for number in numbers:
        name = Random(f"{seed}:{number}:family").choices(names, shares)[0]
        if not wanted or name in wanted:
            yield number, name


def _listener() -> socket.socket:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(16)
    listener.setblocking(False)
    return listener


def _start(
    number: int, name: str, seed: int, family: Family, samples: Samples, place: Path, listener: socket.socket
) -> Running:
    clear(place)
    place.mkdir(parents=True)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/{number}"
    read, write = os.pipe()
    sys.stdout.flush()
    process = os.fork()
    if process == 0:
        os.close(read)
        try:
            run_case(number, seed, family, samples, place, url, write)
        finally:
            os._exit(77)
    os.close(write)
    os.set_blocking(read, False)
    return Running(number, name, process, read, place, listener, url, time.monotonic())


def _ready(running: list[Running], patience: float) -> list[Running]:
    """The children that ended, or were ended because they hang; waits a moment for one."""
    readable, _, _ = select.select([child.told_at for child in running], [], [], 0.5)
    done = []
    for child in running:
        child.closed = child.told_at in readable and not _listen(child)
        if child.closed or _hangs(child, patience):
            done.append(child)
    return done


def _listen(child: Running) -> bool:
    """Read on; False when the child has closed its end."""
    while True:
        try:
            block = os.read(child.told_at, 1 << 20)
        except BlockingIOError:
            return True
        if not block:
            return False
        if not child.told:
            child.started = time.monotonic()  # the case begins when it is prepared
        child.told += block


def _hangs(child: Running, patience: float) -> bool:
    waited = time.monotonic() - child.started
    if waited < patience:
        return False
    worked = _processor_seconds(child.process)
    return waited > max(LAST_PATIENCE, patience) or not 0.2 < worked < patience / 2


def _processor_seconds(process: int) -> float:
    try:
        words = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError, ValueError):
        return float("inf")


def _ended(child: Running) -> Finding:
    """Wait for the child, end what it left running, and judge what became of the case."""
    seconds = time.monotonic() - child.started
    status: int | None = None
    if child.closed:
        status = os.waitpid(child.process, 0)[1]
    else:
        os.kill(child.process, signal.SIGUSR1)  # it writes down where it is
        time.sleep(0.3)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.process, signal.SIGKILL)
    if not child.closed:
        os.waitpid(child.process, 0)
        _listen(child)
    os.close(child.told_at)
    told: dict[str, Any] = {}
    for line in child.told.split(b"\n"):
        with contextlib.suppress(ValueError):
            told |= json.loads(line.decode("utf-8", "surrogatepass")) if line else {}
    called = []
    with contextlib.suppress(BlockingIOError):
        while True:
            child.listener.accept()[0].close()
            called.append(f"somebody called {child.token}")
    said = tuple(
        (child.place / name).read_text("utf-8", "replace") if (child.place / name).exists() else ""
        for name in ("stdout", "stderr")
    )
    told["stuck"] = _stuck(child.place / "stack")
    harmed = _harmed(told, child.place / "case")
    code_ran = (child.place / "canary").exists()
    return judge(child.number, child.family, told, status, seconds, said, harmed, called, code_ran)  # type: ignore[arg-type]


def _stuck(stack: Path) -> str:
    """Where a process that hung or crashed was, as faulthandler wrote it: innermost first."""
    text = stack.read_text("utf-8", "replace") if stack.exists() else ""
    frames = re.findall(r'File "[^"]*?(endogs/(?!tests/)[^"]+)", line (\d+) in (\w+)', text)
    return f"at {frames[0][0]}:{frames[0][1]} {frames[0][2]}" if frames else ""


def _harmed(told: dict[str, Any], folder: Path) -> list[str]:
    """What was there before, is no longer as it was, and was not the command's own."""
    before, owned = told.get("before", {}), told.get("owned", [])
    if not before:
        return []
    after = snapshot(folder)
    mine = lambda name: any(name == own or name.startswith(own + "/") for own in owned)
    return [
        f"{name} {'changed' if name in after else 'deleted'}"
        for name, was in before.items()
        if not mine(name) and after.get(name) != was
    ]
