"""Seeded damage to files and folders, as a bad copy or a stranger would do it.

`mutate_bytes` changes the content of one file, `mutate_folder` one thing in a folder: what a file holds, or the file
as such. Both say in words what they did. The same generator state gives the same damage.
"""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

Bytes = Callable[[bytes, np.random.Generator], bytes]
OnDisk = Callable[[Path, list[Path], np.random.Generator], str]

WORDS = (
    *("nan", "NaN", "inf", "-inf", "Infinity", "1e308", "-1e308", "1e-320", "1e29", "1" + "0" * 29, "-1", "0", "-0.0"),
    *("9223372036854775808", "4294967296", "2147483648", "9" * 400, "1e999", "²", "٣", "1_000", "0x10", "1,5"),
    *("true", "false", "null", '"text"', "[]", "{}", "[[[1]]]", '""', "", "\x00", "\x1b]0;owned\x07", "/dev/zero"),
)
"""What numbers in texts become."""
NUMBER = re.compile(rb"[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?")
FIELDS = tuple(
    np.array(value, kind).tobytes()
    for kind, values in (
        ("<f8", (np.nan, np.inf, 1e308, -1.0, 0.0, 5e-324)),
        ("<f4", (np.nan, np.inf, 3e38, -1.0)),
        ("<u8", (0, 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1)),
        ("<u4", (0, 1, 2**31 - 1, 2**31, 2**32 - 1)),
        (">u4", (2**31 - 1, 2**31, 16384, 65536)),
        ("<u2", (0, 1, 2**15, 2**16 - 1)),
    )
    for value in values
)
"""What a field of a binary file becomes."""


def is_text(data: bytes) -> bool:
    """Whether numbers are to be looked for as words."""
    return b"\0" not in data[:4096]


def flip_bytes(data: bytes, rng: np.random.Generator) -> bytes:
    """One to eight bytes become others; half of the time in the header."""
    changed = bytearray(data)
    end = min(len(data), 128) if rng.random() < 0.5 else len(data)
    for _ in range(int(rng.integers(1, 9))):
        changed[int(rng.integers(end))] = int(rng.integers(256))
    return bytes(changed)


def cut(data: bytes, rng: np.random.Generator) -> bytes:
    """The end is missing."""
    return data[: int(rng.integers(len(data)))]


def cut_out(data: bytes, rng: np.random.Generator) -> bytes:
    """A part in the middle is missing."""
    begin, end = sorted(int(at) for at in rng.integers(0, len(data) + 1, 2))
    return data[:begin] + data[end:]


def repeat_part(data: bytes, rng: np.random.Generator) -> bytes:
    """A part comes twice."""
    begin, end = sorted(int(at) for at in rng.integers(0, len(data) + 1, 2))
    return data[:end] + data[begin:end] + data[end:]


def append(data: bytes, rng: np.random.Generator) -> bytes:
    """Bytes follow that do not belong there."""
    return data + rng.bytes(int(rng.integers(1, 2000)))


def overwrite_field(data: bytes, rng: np.random.Generator) -> bytes:
    """A number of a binary header becomes an extreme one."""
    field = FIELDS[int(rng.integers(len(FIELDS)))]
    at = int(rng.integers(max(1, min(len(data), 512 if rng.random() < 0.7 else len(data)) - len(field) + 1)))
    return data[:at] + field + data[at + len(field) :]


def replace_number(data: bytes, rng: np.random.Generator) -> bytes:
    """A number of a text becomes one of WORDS."""
    found = list(NUMBER.finditer(data))
    if not found:
        return flip_bytes(data, rng)
    match = found[int(rng.integers(len(found)))]
    word = WORDS[int(rng.integers(len(WORDS)))].encode()
    return data[: match.start()] + word + data[match.end() :]


def replace_numbers(data: bytes, rng: np.random.Generator) -> bytes:
    """All numbers of a text become the same one of WORDS."""
    word = WORDS[int(rng.integers(len(WORDS)))].encode()
    return NUMBER.sub(lambda _: word, data)


def shuffle_lines(data: bytes, rng: np.random.Generator) -> bytes:
    """A line is missing, comes twice, or changes its place."""
    lines = data.splitlines(keepends=True)
    line = lines.pop(int(rng.integers(len(lines))))
    for _ in range(int(rng.integers(3))):
        lines.insert(int(rng.integers(len(lines) + 1)), line)
    return b"".join(lines)


def rename_word(data: bytes, rng: np.random.Generator) -> bytes:
    """A name becomes another one."""
    found = list(re.finditer(rb"[A-Za-z_]\w+", data))
    if not found:
        return flip_bytes(data, rng)
    match = found[int(rng.integers(len(found)))]
    return data[: match.start()] + b"other" + data[match.end() :]


def encode_otherwise(data: bytes, rng: np.random.Generator) -> bytes:
    """UTF-16, a byte order mark, or bytes that are no UTF-8."""
    kind = int(rng.integers(3))
    text = data.decode("utf-8", "replace")
    return [text.encode("utf-16"), text.encode("utf-8-sig"), data.replace(b"e", b"\xe9")][kind]


def nest(data: bytes, rng: np.random.Generator) -> bytes:
    """A number of a text stands within very many brackets."""
    found = list(NUMBER.finditer(data))
    match = found[int(rng.integers(len(found)))] if found else re.match(b"", data)
    assert match is not None
    depth = int(rng.choice([100, 5000, 200_000]))
    return data[: match.start()] + b"[" * depth + b"1" + b"]" * depth + data[match.end() :]


ANY_BYTES: tuple[Bytes, ...] = (flip_bytes, cut, cut_out, repeat_part, append, overwrite_field)
TEXT_BYTES: tuple[Bytes, ...] = (
    *(replace_number,) * 6,
    *(replace_numbers, shuffle_lines, rename_word, encode_otherwise, nest),
    *ANY_BYTES,
)


def mutate_bytes(data: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    """Damaged content of a file, and the name of the damage."""
    if not data:
        return append(data, rng), "append"
    choices = TEXT_BYTES if is_text(data) else (*ANY_BYTES, overwrite_field, overwrite_field)
    chosen = choices[int(rng.integers(len(choices)))]
    return chosen(data, rng), chosen.__name__


def remove(file: Path, others: list[Path], rng: np.random.Generator) -> str:
    file.unlink()
    return "removed"


def empty(file: Path, others: list[Path], rng: np.random.Generator) -> str:
    file.write_bytes(b"")
    return "emptied"


def become_folder(file: Path, others: list[Path], rng: np.random.Generator) -> str:
    file.unlink()
    file.mkdir()
    return "made a folder"


def become_pipe(file: Path, others: list[Path], rng: np.random.Generator) -> str:
    file.unlink()
    os.mkfifo(file)
    return "made a pipe"


def become_link(file: Path, others: list[Path], rng: np.random.Generator) -> str:
    target = ["nowhere", file.name, "/dev/zero", "/dev/full", ".."][int(rng.integers(5))]
    file.unlink()
    file.symlink_to(target)
    return f"made a link to {target}"


def become_huge(file: Path, others: list[Path], rng: np.random.Generator) -> str:
    with file.open("r+b") as opened:
        opened.truncate(12 << 30)  # sparse: takes no room
    return "made 12 GB long"


def become_other(file: Path, others: list[Path], rng: np.random.Generator) -> str:
    other = others[int(rng.integers(len(others)))]
    data = other.read_bytes()
    other.write_bytes(file.read_bytes())
    file.write_bytes(data)
    return f"exchanged with {other.name}"


def duplicate(file: Path, others: list[Path], rng: np.random.Generator) -> str:
    name = [f"copy-{file.name}", f"999999{file.suffix}", "x" * 240 + file.suffix, "\x1b[31m²" + file.suffix]
    twin = file.with_name(name[int(rng.integers(len(name)))])
    shutil.copyfile(file, twin)
    return f"copied to {twin.name[:20]!a}"


def be_renamed(file: Path, others: list[Path], rng: np.random.Generator) -> str:
    names = [f"²{file.suffix}", f"{'9' * 200}{file.suffix}", f"-{file.suffix}", f"{file.stem}.other"]
    other = file.with_name(names[int(rng.integers(len(names)))])
    file.rename(other)
    return f"renamed to {other.name[:20]!a}"


ON_DISK: tuple[OnDisk, ...] = (
    *(remove, empty, become_folder, become_pipe, become_link, become_huge, become_other, duplicate, be_renamed),
)
DISK_SHARE = 0.2
"""Of the cases; the others change what a file holds."""


def mutate_folder(root: Path, rng: np.random.Generator) -> str:
    """Damage one file below `root`, or `root` itself if it is a file; metadata as likely as the many frames."""
    files = sorted(path for path in root.rglob("*") if path.is_file()) if root.is_dir() else [root]
    kinds: dict[tuple[Path, str], list[Path]] = {}
    for file in files:
        kinds.setdefault((file.parent, file.suffix), []).append(file)
    alike = list(kinds.values())[int(rng.integers(len(kinds)))]
    file = alike[int(rng.integers(len(alike)))]
    name = file.relative_to(root.parent)
    if rng.random() < DISK_SHARE:
        return f"{name} {ON_DISK[int(rng.integers(len(ON_DISK)))](file, files, rng)}"
    damaged, how = mutate_bytes(file.read_bytes(), rng)
    file.write_bytes(damaged)
    return f"{name}: {how}"
