"""When a clip that was done before is the same: its pictures and what came with them, whatever it is called."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from endogs.clip import Clip

MOST_FILES = 200_000
"""Files of one clip whose sizes and times are compared; of more, none are, and the clip is opened."""


@dataclass(frozen=True)
class Identity:
    """What a result was made from."""

    pictures: str
    """`clip_fingerprint`: size, times and pixels of 16 frames."""
    given: str
    """`given_fingerprint`: cameras, and masks and depth of those frames."""
    options: str
    """`Job.digest`."""

    def as_json(self) -> dict[str, str]:
        """For a record."""
        return {"pictures": self.pictures, "given": self.given, "options": self.options}


def identity_of(clip: "Clip", digest: str) -> Identity:
    """The identity of a clip as it was opened, with the digest of its options."""
    from endogs.clip.fingerprint import clip_fingerprint, given_fingerprint

    return Identity(clip_fingerprint(clip), given_fingerprint(clip), digest)


def identity_from(values: Any) -> Identity | None:
    """What `Identity.as_json` wrote; None for anything else."""
    names = ("pictures", "given", "options")
    if not isinstance(values, dict) or not all(isinstance(values.get(name), str) for name in names):
        return None
    return Identity(*(values[name] for name in names))


def files_signature(clip: Path) -> str | None:
    """32 hexadecimal digits of the names, sizes and times of the files of a clip; None where they cannot be told.

    As long as it stays the same, a clip need not be opened to see that it is the same, as Git's index does it. A clip
    that was moved or touched has another, and is then opened. Of a video its whole folder does not count, only itself.
    """
    digest, count, waiting = hashlib.blake2b(digest_size=16), 0, [clip]
    try:
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
