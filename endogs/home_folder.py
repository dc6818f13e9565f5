"""`~` in a path."""

from pathlib import Path

from endogs.errors import InputError


def with_home(path: str | Path) -> Path:
    """The path with `~` or `~name` replaced by that user's home folder; InputError where there is none."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:  # no HOME and no such user, as in some containers
        raise InputError(f"{path}: there is no home folder for ~ here; give the whole path.") from error
