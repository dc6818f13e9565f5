"""What an attack is: a folder that has been prepared, and the command that meets it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random


@dataclass(frozen=True)
class Case:
    """One attempt; it runs in the folder that it was prepared in."""

    about: str
    """What was done to what, for people."""
    arguments: tuple[str, ...]
    """Of the command line."""
    names: tuple[str, ...] = ()
    """One of them must stand in the sentence of a refusal: files or entries; any option is as good."""
    owned: tuple[str, ...] = ()
    """Paths, relative to the folder, that this command may replace or remove; nothing else that was there before."""
    call: Callable[[], None] | None = None
    """Runs in place of the command line, where the command line does not reach."""
    may_call: bool = False
    """Whether this command asks for the network itself, as `--depth learned` without a folder does."""
    view_seconds: float = 0.0
    """After so many seconds Ctrl-C is pressed; 0 never."""


@dataclass
class Workplace:
    """What a family is given to prepare a case."""

    random: Random
    folder: Path
    """Empty; the case's current folder."""
    sample: Callable[[str], Path]
    """A sound folder by name, made when first asked for; copy it, never change it."""
    canary: Path
    """A file that code of a stranger's would make, outside `folder`."""
    url: str
    """Where nobody should ever call: a listening address of this machine."""
    notes: list[str] = field(default_factory=list)
    """What was done, step by step."""


Family = Callable[[Workplace], Case]
