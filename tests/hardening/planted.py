"""Faults planted before the attacker, which must notice every one, and then a short slice of the attack itself.

Run by test_attack.py in a process of its own, because children of one whose kernels have drawn are another case. Prints
JSON: `planted`, by name of the fault the outcome, its place, and what is wrong with the words; `slice`, the findings.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

for folder in (Path(__file__).parents[2], Path(__file__).parents[1], Path(__file__).parent):
    sys.path.insert(0, str(folder))

from attacker.case import Case, Family, Workplace  # noqa: E402
from attacker.families import FAMILIES  # noqa: E402
from attacker.pickles import pickle_that_makes  # noqa: E402
from attacker.server import attack, import_everything  # noqa: E402

from endogs.errors import InputError  # noqa: E402

OUTSIDE = Path(tempfile.mkdtemp(prefix="outside-"))
"""Somebody's folder elsewhere."""
SLICE, SLICED = 45, frozenset({"clips", "scenes", "options", "names", "folders"})
"""Numbers and families of the slice: those that need no slow library."""
PATIENCE = 1.5
"""Seconds before a case hangs, here."""


def planted(act: Callable[[Workplace], object], **facts: object) -> Family:
    """A family whose only case does `act` in a folder that holds somebody's file."""

    def prepare(at: Workplace) -> Case:
        (at.folder / "somebody.txt").write_text("two weeks of work")
        return Case("planted", (), ("clip.mp4",), call=lambda: act(at) and None, **facts)  # type: ignore[arg-type]

    return prepare


def say(sentence: str) -> Family:
    """A refusal in these words."""

    def refuse(at: Workplace) -> None:
        raise InputError(sentence)

    return planted(refuse)


def traceback_in_endogs(at: Workplace) -> None:
    """A bug inside endogs: a camera without numbers."""
    from endogs.geometry import look_at

    look_at(None, None, None)  # type: ignore[arg-type]


def half_written(at: Workplace) -> None:
    """A refusal that leaves a part of a file behind."""
    (at.folder / ".scene.x.partial.ply").write_text("half")
    raise InputError("clip.mp4: is not readable")


def unpickle(at: Workplace) -> None:
    """A stranger's pickle, loaded."""
    import pickle

    pickle.loads(pickle_that_makes(at.canary))


def call_behind_python(at: Workplace) -> None:
    """A connection that Python's sockets know nothing of, as ffmpeg makes them."""
    import _socket

    port = int(at.url.rsplit(":", 1)[1].split("/")[0])
    _socket.socket(socket.AF_INET, socket.SOCK_STREAM).connect(("127.0.0.1", port))


def asks(at: Workplace) -> None:
    """Looks up a name and takes no for an answer."""
    with contextlib.suppress(OSError):
        socket.getaddrinfo("example.org", 80)


def write_outside(at: Workplace) -> None:
    """Writes where nobody asked it to, by a way that the folder does not show."""
    with contextlib.suppress(PermissionError):
        (OUTSIDE / "file.txt").write_text("mine")


def remove_outside(at: Workplace) -> None:
    """Removes somebody's folder elsewhere."""
    shutil.rmtree(OUTSIDE, ignore_errors=True)


def sleeps(at: Workplace) -> None:
    """Waits for what never comes."""
    time.sleep(3600)


def works(at: Workplace) -> None:
    """Never ends."""
    while True:
        pass


PLANTED: dict[str, Family] = {
    "nothing": planted(lambda at: None),
    "refusal": say("clip.mp4: is not readable: write it again."),
    "traceback": planted(traceback_in_endogs),
    "waits": planted(sleeps),
    "works": planted(works),
    "deletes": planted(lambda at: (at.folder / "somebody.txt").unlink()),
    "deletes its own": planted(lambda at: (at.folder / "somebody.txt").unlink(), owned=("somebody.txt",)),
    "changes": planted(lambda at: (at.folder / "somebody.txt").write_text("mine")),
    "deletes the folder": planted(lambda at: shutil.rmtree(at.folder)),
    "writes outside": planted(write_outside),
    "removes outside": planted(remove_outside),
    "calls": planted(lambda at: urllib.request.urlopen("http://example.org/", timeout=1)),
    "calls behind Python": planted(call_behind_python),
    "may call": planted(asks, may_call=True),
    "code": planted(unpickle),
    "memory": planted(lambda at: bytearray(3 << 30)),
    "crash": planted(lambda at: os.kill(os.getpid(), signal.SIGSEGV)),
    "litter": planted(half_written),
    "two lines": say("clip.mp4: is not\nreadable"),
    "escapes": say("clip.mp4: is called \x1b]0;owned\x07"),
    "garbage": say("clip.mp4: is <class 'dict'>"),
    "nameless": say("something is wrong: try again"),
    "long": say("clip.mp4: " + "x" * 700),
}


def main() -> None:
    """Meet every planted fault once, and the slice."""
    import_everything(())
    found = {}
    for name, family in PLANTED.items():
        (finding,) = attack([0], 1, {name: (family, 1.0)}, jobs=1, patience=PATIENCE)
        found[name] = {"outcome": finding.outcome, "place": finding.place, "words": finding.words}
    OUTSIDE.rmdir()  # it is still there, and empty
    findings = attack(range(SLICE), 7, FAMILIES, wanted=SLICED)
    print(json.dumps({"planted": found, "slice": [asdict(finding) for finding in findings]}))


if __name__ == "__main__":
    main()
