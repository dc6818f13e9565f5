"""What became of a case, and whether the sentence that a refusal is told in is one."""

import os
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from endogs.plain_text import plain

KINDS = (
    "ok",
    "refused",
    "traceback",
    "hang",
    "over-memory",
    "crash",
    "network",
    "changed",
    "code",
    "wrong",
    "litter",
    "attacker",
)
"""`wrong` is a page that a stranger's text broke, `attacker` a fault of the attack itself."""
FAULTS = KINDS[2:]
MOST_GROWTH = 1.2e9
"""Bytes by which a case's memory may grow; inputs have at most a few MB, so more was promised by a number in a file."""
LONGEST_SENTENCE = 600
SHOWN = 30
"""Letters of a name that must be shown; a long one may be cut."""
GARBAGE = re.compile(
    r"<class |Traceback| object at 0x|PosixPath\(|dtype\(|np\.float|np\.int|array\(\[|\[Errno |<built-in|lambda"
)
NO_MEMORY = re.compile(
    r"can.t allocate memory|bad_alloc|(?:Unable to|Cannot) allocate|(?:not enough|Insufficient) memory|out of memory",
    re.I,
)
LISTED = re.compile(r"^  \S.*: ")
"""A line below the sentence: of a list of layouts, each with its reason."""


@dataclass
class Finding:
    """A case's end."""

    number: int
    family: str
    about: str
    arguments: list[str]
    outcome: str
    place: str = ""
    """Of a traceback: the exception's type and the innermost line of endogs; of a crash the signal."""
    sentence: str = ""
    words: list[str] = field(default_factory=list)
    """What is wrong with what was said; empty when nothing is."""
    seconds: float = 0.0
    growth: float = 0.0
    """Bytes by which memory grew at most."""


def judge(
    number: int,
    family: str,
    told: Mapping[str, Any],
    ended: int | None,
    seconds: float,
    said: tuple[str, str],
    harmed: Iterable[str],
    called: Iterable[str],
    code_ran: bool,
) -> Finding:
    """The finding from what the child told, how it ended (a wait status, None where it had to be killed), what it said
    on stdout and stderr, which foreign files it harmed, who it called, and whether a stranger's code ran."""
    found = Finding(number, family, str(told.get("about", "?")), list(told.get("arguments", [])), "ok", seconds=seconds)
    found.growth = float(told.get("growth", 0.0))
    if "unprepared" in told:
        found.outcome, found.place = "attacker", str(told["unprepared"]).strip().splitlines()[-1]
        return found
    harmed, called = (
        [*harmed, *(f"{path} (outside)" for path in told.get("outside", []))],
        [*told.get("called", []), *called],
    )
    shown = "\n".join(said)
    exception, code = told.get("exception"), told.get("code")
    if code_ran:
        found.outcome, found.place = "code", "a stranger's code ran"
    elif harmed:
        found.outcome, found.place = "changed", ", ".join(harmed)[:300]
    elif called and not told.get("may_call"):
        found.outcome, found.place = "network", ", ".join(sorted(set(map(str, called))))[:300]
    elif ended is None:
        found.outcome, found.place = "hang", str(told.get("stuck", ""))
    elif ended != 0:
        signal = ended & 0x7F
        memory = NO_MEMORY.search(shown)
        found.outcome, found.place = (
            ("over-memory" if memory else "crash"),
            f"signal {signal} {told.get('stuck', '')}" if signal else f"exit {ended >> 8}",
        )
    elif exception is not None and ("MemoryError" in exception or NO_MEMORY.search(str(told.get("reason", "")))):
        found.outcome, found.place = "over-memory", exception
    elif exception is not None:
        found.outcome, found.place = "traceback", exception
        found.sentence = str(told.get("reason", ""))[:300]
    elif found.growth > MOST_GROWTH:
        found.outcome, found.place = "over-memory", f"grew by {found.growth / 1e9:.1f} GB"
    elif "Traceback (most recent call last)" in shown:
        found.outcome, found.place = "traceback", f"printed, {last_frame(shown)}"
    elif told.get("wrong"):
        found.outcome, found.place = "wrong", ", ".join(told["wrong"])[:300]
    elif told.get("litter"):
        found.outcome, found.place = "litter", ", ".join(told["litter"])[:300]
    elif code not in (0, None):
        found.outcome = "refused"
    if found.outcome in ("ok", "refused"):
        found.words = wrong_words(said[0], said[1], code, told.get("names", []))
        found.sentence = sentence_of(said[1])[:1000]
    return found


def last_frame(text: str) -> str:
    """The innermost line of endogs of a printed traceback, and the exception."""
    frames = re.findall(r'File "[^"]*?(endogs/[^"]+)", line (\d+)', text)
    kinds = re.findall(r"^(\w+(?:\.\w+)*(?:Error|Exception|Interrupt|Warning))\b", text, re.M)
    where = f"{frames[-1][0]}:{frames[-1][1]}" if frames else "elsewhere"
    return f"{kinds[-1] if kinds else 'exception'} at {where}"


def sentence_of(stderr: str) -> str:
    """What stands on stderr from `endogs:` on; empty without."""
    lines = stderr.split("\n")
    first = next((i for i, line in enumerate(lines) if line.startswith("endogs:")), None)
    return "" if first is None else "\n".join(lines[first:]).rstrip("\n")


def wrong_words(stdout: str, stderr: str, code: int | None, names: Iterable[str]) -> list[str]:
    """What is wrong with what was said: control characters anywhere, and of a refusal whatever makes it no sentence."""
    wrong = []
    bad = sorted({letter for letter in stdout + stderr if steers(letter)})
    if bad:
        wrong.append(f"control characters {bad[:4]!r}")
    noise = [
        line for line in stderr.split("\n") if re.search(r"Warning:|^\[ ?(?:WARN|ERROR)|^\[\w+ @ 0x|^terminate", line)
    ]
    if noise:
        wrong.append(f"noise: {noise[0][:120]}")
    if code in (0, None, 130):
        return wrong
    if is_usage(stderr):
        return wrong + ([f"garbage {GARBAGE.search(stderr).group()!r}"] if GARBAGE.search(stderr) else [])  # type: ignore[union-attr]
    sentences = [line for line in stderr.split("\n") if line.startswith("endogs:")]
    if len(sentences) != 1:
        return [*wrong, f"{len(sentences)} lines begin with endogs:"]
    lines = sentence_of(stderr).split("\n")
    if any(not LISTED.match(line) for line in lines[1:]):
        wrong.append(f"{len(lines)} lines")
    if max(map(len, lines)) > LONGEST_SENTENCE:
        wrong.append(f"{max(map(len, lines))} characters")
    if found := GARBAGE.search("\n".join(lines)):
        wrong.append(f"garbage {found.group()!r}")
    if not names_something(lines[0], names):
        wrong.append("names neither file nor option")
    return wrong


def is_usage(stderr: str) -> bool:
    """Whether the command line itself was not understood, which tyro tells in a box."""
    return "For full helptext, " in stderr or ("╭─" in stderr and "endogs" in stderr)


def names_something(sentence: str, names: Iterable[str]) -> bool:
    """Whether an option stands in the sentence, or the beginning of one of the names as it may be shown."""
    if re.search(r"--[a-z]", sentence):
        return True
    forms = (form for name in names if name for form in (name, os.path.normpath(name), os.path.expanduser(name)))
    return any(plain(form, 10_000)[:SHOWN] in sentence for form in forms)


def steers(letter: str) -> bool:
    """Whether a terminal obeys the letter instead of showing it; line breaks and tabs are layout."""
    return letter not in "\n\t" and unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp")
