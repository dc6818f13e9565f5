"""When a clip that was done before is the same: its pictures and what came with them, whatever it is called."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from endogs.bounded_files import read_bytes

if TYPE_CHECKING:
    from endogs.clip import Clip

LONGEST_FILE = 64 << 20
"""Bytes of a file that an option names."""
MOST_FILES = 200_000
"""Files of one clip whose sizes and times are compared; of more, none are, and the clip is opened."""


@dataclass(frozen=True)
class Identity:
    """What a result was made from."""

    pictures: str
    """`clip_fingerprint`: size, times and pixels of 16 frames."""
    given: str
    """`given_fingerprint`, of cameras, and masks and depth of those frames; with the files that options name."""
    options: str
    """`Job.digest`."""

    def as_json(self) -> dict[str, str]:
        """For a record."""
        return {"pictures": self.pictures, "given": self.given, "options": self.options}


def identity_of(clip: "Clip", digest: str, files: Sequence[Path] = ()) -> Identity:
    """The identity of a clip as it was opened, with the digest of its options and the `files` that they name.

    Raises InputError where a file is larger than LONGEST_FILE or cannot be read.
    """
    from endogs.clip.fingerprint import clip_fingerprint, given_fingerprint

    given = given_fingerprint(clip)
    if files:
        digests = [hashlib.blake2b(read_bytes(file, LONGEST_FILE), digest_size=16).hexdigest() for file in files]
        given = hashlib.blake2b(" ".join([given, *digests]).encode(), digest_size=16).hexdigest()
    return Identity(clip_fingerprint(clip), given, digest)


def identity_from(values: Any) -> Identity | None:
    """What `Identity.as_json` wrote; None for anything else."""
    names = ("pictures", "given", "options")
    if not isinstance(values, dict) or not all(isinstance(values.get(name), str) for name in names):
        return None
    return Identity(*(values[name] for name in names))


def files_signature(clip: Path, files: Sequence[Path] = ()) -> str | None:
    """32 hexadecimal digits of the names, sizes and times of the files of a clip, and of `files` that its options name;
    None where they cannot be told.

    As long as it stays the same, a clip need not be opened to see that it is the same, as Git's index does it. A clip
    that was moved or touched has another, and is then opened. Of a video its whole folder does not count, only itself.
    """
    digest, count, waiting = hashlib.blake2b(digest_size=16), 0, [clip]
    try:
        for file in files:
            about = file.stat()
            _digest(digest, [(str(file), about.st_size, about.st_mtime_ns)])
        if not clip.is_dir():
            about = clip.stat()
            return _digest(digest, [(clip.name, about.st_size, about.st_mtime_ns)])
        while waiting:
            folder = waiting.pop()
            found = []
            for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
                if entry.is_dir():
                    waiting.append(Path(entry.path))
                else:
                    about = entry.stat()
                    found.append((os.path.relpath(entry.path, clip), about.st_size, about.st_mtime_ns))
            count += len(found)
            if count > MOST_FILES:
                return None
            _digest(digest, found)
    except OSError:
        return None
    return digest.hexdigest()


def _digest(digest: Any, found: list[tuple[str, int, int]]) -> str:
    digest.update(repr(found).encode(errors="surrogateescape"))
    return str(digest.hexdigest())
