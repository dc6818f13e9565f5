"""What became of an input, and the rows that say what is right for it."""

import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from endogs.clip import Clip, ClipOptions, load_clip
from endogs.errors import InputError


@dataclass(frozen=True)
class Outcome:
    """What `endogs inspect` would have to show."""

    path: Path
    clip: Clip | None = None
    refusal: str = ""
    crash: str = ""

    def says(self, *words: str) -> bool:
        """Whether one note or the refusal holds all of the words."""
        texts = [self.refusal, *(self.clip.notes if self.clip is not None else [])]
        return any(all(word.lower() in text.lower() for word in words) for text in texts)

    def holds(self, frames: int) -> bool:
        """Whether so many frames were read."""
        return self.clip is not None and len(self.clip) == frames

    def line(self) -> str:
        """One line for the table."""
        if self.crash:
            return f"CRASH {self.crash}"
        if self.clip is None:
            return f"refused: {self.refusal}"
        notes = [note for note in self.clip.notes if not note.startswith(("the camera is unknown", "the frame rate"))]
        size = f"{len(self.clip)} frames of {self.clip.width} x {self.clip.height}"
        return "; ".join([size, *notes])


@dataclass(frozen=True)
class Row:
    """One input of a case, and what is right for it."""

    case: str
    """Folder of the case, below cases/inputs or cases/readers."""
    path: str
    """The input inside that folder."""
    right: Callable[[Outcome], bool]
    """Whether what happened is right."""
    options: ClipOptions = field(default_factory=ClipOptions)
    calibration: str = ""
    """Name of the file for --calibration, beside the input."""


def tried(path: Path, options: ClipOptions) -> Outcome:
    """Read the input as every command does; all that goes wrong is an outcome."""
    try:
        return Outcome(path, load_clip(path, options))
    except InputError as error:
        return Outcome(path, refusal=str(error))
    except Exception as error:  # the table shows crashes instead of ending with them
        return Outcome(path, crash=traceback.format_exception_only(error)[-1].strip())
