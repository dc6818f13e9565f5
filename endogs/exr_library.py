"""One way to import OpenEXR, which only those need who read or write EXR files."""

from typing import Any

from endogs.errors import InputError


def import_openexr(what: str) -> Any:
    """The module OpenEXR. Raises InputError, beginning with `what` it was wanted for, where it is not installed."""
    try:
        import OpenEXR
    except ImportError as error:
        raise InputError(f"{what} needs OpenEXR ({error}): pip install 'endogs[exr]'.") from error
    return OpenEXR
