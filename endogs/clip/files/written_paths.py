"""Paths as other machines wrote them into a data set's files, found beside those files here."""

import unicodedata
from pathlib import Path, PureWindowsPath
from urllib.parse import unquote

from endogs.bounded_files import listed


def resolved(folder: Path, written: str) -> Path:
    """The file that `written` means, seen from `folder`; where nothing is there, the path as it stands.

    What was written on Windows has backslashes, drives and other letter case, what comes from a Mac accents apart from
    their letters, and what was an address %20 for blanks; what was absolute elsewhere is looked for by its last parts,
    the longest that are there.
    """
    plain = folder / written
    if plain.exists():
        return plain
    found = _by_parts(folder, written) or (_by_parts(folder, unquote(written)) if "%" in written else None)
    return plain if found is None else found


def _by_parts(folder: Path, written: str) -> Path | None:
    """The file that the last parts of `written` lead to in `folder`, None when there is none."""
    # A backslash separates folders on Windows and is an ordinary letter elsewhere.
    parts = [part for part in PureWindowsPath(written).parts if part not in (".", "/", "\\") and ":" not in part]
    if ".." in parts:
        return None
    return next((found for first in range(len(parts)) if (found := _in_any_case(folder, parts[first:]))), None)


def _in_any_case(folder: Path, parts: list[str]) -> Path | None:
    """The entry of `folder` along `parts` whatever the case of letters, None when there is none or more than one."""
    here = folder
    for part in parts:
        exact = here / part
        if exact.exists():
            here = exact
            continue
        wanted = plain_name(part)
        alike = [entry for entry in listed(here) if plain_name(entry.name) == wanted] if here.is_dir() else []
        if len(alike) != 1:
            return None
        here = alike[0]
    return here


def plain_name(name: str) -> str:
    """A name as two systems may write it differently: in small letters, with accents on them."""
    return unicodedata.normalize("NFC", name).lower()
