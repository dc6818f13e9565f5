"""When a clip that was done before is the same: its pictures and what came with them, whatever it is called."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from endogs.bounded_files import read_bytes
from endogs.clip.files.depth_files import DEPTH_SUFFIXES
from endogs.clip.load import VIDEO_SUFFIXES

if TYPE_CHECKING:
    from endogs.clip import Clip

LONGEST_FILE = 64 << 20
"""Bytes of a file that an option names."""
MOST_FILES = 200_000
"""Files of one clip whose sizes and times are compared; of more, none are, and the clip is opened."""

PICTURES = {*DEPTH_SUFFIXES, *VIDEO_SUFFIXES}
"""Endings of files of which a fingerprint sees a few frames only."""


@dataclass(frozen=True)
class Identity:
    """What a result was made from."""

    pictures: str
    """`clip_fingerprint`: size, times and pixels of 16 frames."""
    given: str
    """`given_fingerprint`, of cameras, and masks and depth of those frames; with the sizes of all pictures, and the
    files that options name."""
    options: str
    """`Job.digest`."""

    def as_json(self) -> dict[str, str]:
        """For a record."""
        return {"pictures": self.pictures, "given": self.given, "options": self.options}


def identity_of(clip: "Clip", place: Path, digest: str, files: Sequence[Path] = ()) -> Identity:
    """The identity of a clip as it was opened from its `place`, with the digest of its options and the `files` that
    they name.

    Raises InputError where a file is larger than LONGEST_FILE or cannot be read.
    """
    from endogs.clip.fingerprint import clip_fingerprint, given_fingerprint

    digests = [hashlib.blake2b(read_bytes(file, LONGEST_FILE), digest_size=16).hexdigest() for file in files]
    return Identity(clip_fingerprint(clip), _digest([given_fingerprint(clip), sizes_of(place), *digests]), digest)


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
    found = _files_of(clip)
    try:
        named = [(str(file), about.st_size, about.st_mtime_ns) for file in files for about in [file.stat()]]
    except OSError:
        return None
    return None if found is None else _digest([*named, *found])


def sizes_of(clip: Path) -> str:
    """32 hexadecimal digits of the sizes, and within a folder the names, of the pictures and videos of a clip; empty
    where they cannot be told. They differ where a frame was edited that is not among those of the fingerprint.
    """
    found = _files_of(clip)
    if found is None:
        return ""
    if not clip.is_dir():
        return _digest([size for _, size, _ in found])
    return _digest([(name, size) for name, size, _ in found if Path(name).suffix.lower() in PICTURES])


def _files_of(clip: Path) -> list[tuple[str, int, int]] | None:
    """Name in the clip, bytes and time of modification (ns) of its files, in order; None where they cannot be told."""
    found: list[tuple[str, int, int]] = []
    waiting = [clip]
    try:
        if not clip.is_dir():
            about = clip.stat()
            return [(clip.name, about.st_size, about.st_mtime_ns)]
        while waiting:
            for entry in sorted(os.scandir(waiting.pop()), key=lambda entry: entry.name):
                if entry.is_dir():
                    waiting.append(Path(entry.path))
                else:
                    about = entry.stat()
                    found.append((os.path.relpath(entry.path, clip), about.st_size, about.st_mtime_ns))
            if len(found) > MOST_FILES:
                return None
    except OSError:
        return None
    return found


def _digest(found: Any) -> str:
    return hashlib.blake2b(repr(found).encode(errors="surrogateescape"), digest_size=16).hexdigest()
