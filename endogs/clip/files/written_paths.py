"""Paths as other machines wrote them into a data set's files, found beside those files here."""

from pathlib import Path, PureWindowsPath

from endogs.bounded_files import listed


def resolved(folder: Path, written: str) -> Path:
    """The file that `written` means, seen from `folder`; where nothing is there, the path as it stands.

    What was written on Windows has backslashes, drives and other letter case; what was absolute elsewhere is looked for
    by its last parts, the longest that are there.
    """
    plain = folder / written
    if plain.exists():
        return plain
    # A backslash separates folders on Windows and is an ordinary letter elsewhere.
    parts = [part for part in PureWindowsPath(written).parts if part not in (".", "/", "\\") and ":" not in part]
    if ".." in parts:
        return plain
    for first in range(len(parts)):
        found = _in_any_case(folder, parts[first:])
        if found is not None:
            return found
    return plain


def _in_any_case(folder: Path, parts: list[str]) -> Path | None:
    """The entry of `folder` along `parts` whatever the case of letters, None when there is none or more than one."""
    here = folder
    for part in parts:
        exact = here / part
        if exact.exists():
            here = exact
            continue
        alike = [entry for entry in listed(here) if entry.name.lower() == part.lower()] if here.is_dir() else []
        if len(alike) != 1:
            return None
        here = alike[0]
    return here
