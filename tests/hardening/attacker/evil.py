"""Values that no honest file or command line holds, and how they are put in the place of honest ones."""

import copy
import re
import struct
from random import Random
from typing import Any

NUMBERS: tuple[str, ...] = (
    *(
        "0",
        "-1",
        "1",
        "-0.0",
        "0.5",
        "1e308",
        "-1e308",
        "1e-320",
        "1e400",
        "nan",
        "-nan",
        "inf",
        "-inf",
        "NaN",
        "Infinity",
    ),
    *("1" + "0" * 29, "9" * 400, "9" * 5000, "2147483647", "2147483648", "4294967296", "9223372036854775807"),
    *("9223372036854775808", "18446744073709551616", "-9223372036854775809", "65536", "16384", "1e5", "1e19", "1e-12"),
    *(
        "²",
        "٣",
        "１２",
        "½",
        "1_000",
        "0x10",
        "0b1",
        "1,5",
        "1.5.2",
        "--1",
        "+",
        "-",
        "e",
        "1e",
        ".",
        "1j",
        "True",
        "None",
    ),
)
"""As they stand in text files and on command lines."""

TEXTS: tuple[str, ...] = (
    *(
        "",
        " ",
        "\t",
        "\x1b]0;owned\x07",
        "\x1b[2J\x1b[31mred",
        "\x9b31m",
        "\u202egnp.exe",
        "\ufeff",
        "\u0000",
        "\x7f\x08\x08",
    ),
    *(
        "../../../../etc/passwd",
        "/etc/passwd",
        "/dev/zero",
        "/dev/full",
        "/dev/stdin",
        "/proc/self/mem",
        "~",
        "~nobody/x",
    ),
    *(
        "file:///etc/passwd",
        "concat:a|b",
        "-",
        "--help",
        "-rf",
        "con",
        "a" * 300,
        "a" * 100_000,
        "<!--",
        "</script><b>",
    ),
    *(
        "<script>alert(1)</script>",
        "[bold red]x[/bold red]",
        "[/]",
        "%s%n%d",
        "{0.__class__}",
        "$(touch x)",
        "'; x",
        '"',
    ),
    *("line\nbreak", "carriage\rreturn", "\ud800", "🫀" * 50, "x/y", "x\\y", ".", "..", "null", "nan"),
)
"""Names, titles, kinds and other texts."""


def json_values(random: Random) -> Any:
    """A value of a kind or size that nobody expects, as JSON knows it; also what only Python's JSON knows."""
    deep: Any = []
    for _ in range(random.choice((3, 70, 900))):
        deep = [deep] if random.random() < 0.5 else {"a": deep}
    return random.choice(
        (
            *(None, True, False, 0, -1, 1, 0.5, -0.0, 1e308, -1e308, 1e-320, float("nan"), float("inf"), float("-inf")),
            *(10**29, 10**400, 2**31, 2**32, 2**63, 2**64, -(2**63) - 1, 65536, 16384, 100_000_000),
            *([], {}, [[]], [0] * 10_000, [1, 2, 3], [None], ["a"], [[1, 2], [3]], {"a": 1}, deep),
            *(random.choice(TEXTS), random.choice(TEXTS), random.choice(NUMBERS), "1", "true"),
        )
    )


def place_in(random: Random, value: Any) -> tuple[Any, Any] | None:
    """A holder and its key, found by going down: what stands at the top is met as often as all that lies deep."""
    holder, key = None, None
    while isinstance(value, dict | list) and value and (holder is None or random.random() < 0.6):
        holder, key = value, random.choice(sorted(value) if isinstance(value, dict) else range(len(value)))
        value = holder[key]
    return None if holder is None else (holder, key)


def harm_json(random: Random, value: Any) -> tuple[Any, str]:
    """A copy with one place made worse, and what was done."""
    value = copy.deepcopy(value)
    place = place_in(random, value)
    if place is None or random.random() < 0.03:
        return json_values(random), "the whole value replaced"
    holder, key = place
    act = random.choice(
        ("replace", "replace", "replace", "replace", "drop", "rename", "list", "longer", "shorter", "text")
    )
    old = holder[key]
    if act == "drop":
        del holder[key]
    elif act == "rename" and isinstance(holder, dict):
        holder[random.choice((f"{key}_", "x", key.upper(), *TEXTS[:12]))] = holder.pop(key)
    elif act == "list":
        holder[key] = [old]
    elif act == "longer" and isinstance(old, list):
        holder[key] = old * random.choice((2, 3)) + old[:1]
    elif act == "shorter" and isinstance(old, list):
        holder[key] = old[:-1]
    elif act == "text":
        holder[key] = str(old)
    else:
        holder[key] = json_values(random)
        act = f"became {str(holder[key])[:60]!r}"
    return value, f"{str(key)[:40]!r}: {act}"


NUMBER = re.compile(r"[-+]?\d+\.?\d*(?:[eE][-+]?\d+)?")


def harm_text(random: Random, text: str) -> tuple[str, str]:
    """A text file made worse at one place."""
    lines = text.split("\n")
    act = random.choice(
        (
            "number",
            "number",
            "number",
            "number",
            "word",
            "line",
            "twice",
            "swap",
            "cut",
            "insert",
            "long",
            "join",
            "bom",
            "many",
        )
    )
    if act == "number":
        found = list(NUMBER.finditer(text))
        if found:
            place = random.choice(found)
            new = random.choice(NUMBERS)
            return text[: place.start()] + new + text[place.end() :], f"number {place.group()} became {new[:40]!r}"
    if act == "word":
        words = list(re.finditer(r"[A-Za-z_][\w.-]*", text))
        if words:
            place = random.choice(words)
            new = random.choice(TEXTS)
            return text[: place.start()] + new + text[place.end() :], f"word {place.group()[:30]} became {new[:40]!r}"
    index = random.randrange(len(lines))
    if act == "line":
        del lines[index]
    elif act == "twice":
        lines.insert(index, lines[index])
    elif act == "swap":
        other = random.randrange(len(lines))
        lines[index], lines[other] = lines[other], lines[index]
    elif act == "cut":
        return text[: random.randrange(len(text) + 1)], "cut off"
    elif act == "long":
        lines[index] += random.choice((" 0", ",", "x", "[", "\u00b2")) * 20_000
    elif act == "join":
        return text.replace("\n", random.choice(("", " ", "\r", "\x0b", "\x00", "\u2028"))), "line breaks replaced"
    elif act == "bom":
        return "\ufeff" + text, "a byte order mark"
    elif act == "many":
        return text * 50, "fifty times"
    else:
        place = random.randrange(len(text) + 1)
        new = random.choice((*TEXTS, *NUMBERS))
        return text[:place] + new + text[place:], f"{new[:40]!r} inserted"
    return "\n".join(lines), f"line {index}: {act}"


def harm_bytes(random: Random, content: bytes) -> tuple[bytes, str]:
    """Bytes with flips, holes, additions, or cut off."""
    changed = bytearray(content)
    act = random.choice(("flip", "flip", "header", "cut", "hole", "add", "words", "words", "floats", "empty", "double"))
    if not changed or act == "empty":
        return b"", "emptied"
    if act in ("flip", "header"):
        reach = min(len(changed), 64) if act == "header" else len(changed)
        for _ in range(random.choice((1, 2, 8, 40))):
            changed[random.randrange(reach)] = random.randrange(256)
    elif act == "cut":
        del changed[random.randrange(len(changed)) :]
    elif act == "hole":
        start = random.randrange(len(changed))
        del changed[start : start + random.randrange(1, 200)]
    elif act == "add":
        start = random.randrange(len(changed) + 1)
        changed[start:start] = random.randbytes(random.randrange(1, 200))
    elif act == "words":
        value = random.choice((0xFFFFFFFF, 0x7FFFFFFF, 0x80000000, 0x10000, 0))
        start = random.randrange(max(len(changed) - 8, 1))
        changed[start : start + 4] = value.to_bytes(4, random.choice(("little", "big")))
    elif act == "floats":
        start = random.randrange(max(len(changed) - 8, 1))
        value = random.choice((float("nan"), float("inf"), -1e300, 1e300, 1e-310, 0.0))
        changed[start : start + 8] = struct.pack("<d", value)
    else:
        changed += content
    return bytes(changed), f"bytes: {act}"
