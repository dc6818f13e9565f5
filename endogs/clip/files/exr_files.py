"""Depth maps in OpenEXR files, read with OpenEXR's own library, since OpenCV's wheels come without it."""

import io
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from endogs.bounded_files import open_file
from endogs.clip.files.decoder_words import decoder_words
from endogs.clip.files.exr_header import LONGEST_HEADER, check_exr_header
from endogs.errors import InputError
from endogs.exr_library import import_openexr
from endogs.plain_text import is_text, plain

DEPTH_NAMES = ("z", "depth", "y", "v", "r")
"""Names of a depth channel, the most certain first, without the layer's name before a dot."""
LONGEST = 2**30
"""Bytes of a file: 16384 x 16384 depths in single precision."""
OF_THE_LIBRARY = "Warning: Exception raised reading pixel data"
"""How the line begins that the library prints for a damaged part, before it leaves the part out."""


def read_exr(path: Path) -> NDArray[Any]:
    """The depth channel (H, W) of an EXR file in its own type: float32, float16 or uint32.

    Scan lines or tiles, any compression, one part or several, of which the first with a depth channel counts.

    Raises InputError without OpenEXR, and for a file that is damaged, deep, too large or without such a channel.
    """
    try:
        with open_file(path, LONGEST) as (file, _):
            check_exr_header(path, file.read(LONGEST_HEADER))
            parts = _parts(path, str(path) if is_text(path) else f"/dev/fd/{file.fileno()}")
        chosen = next((found for part in parts if (found := _depth_channel(list(part))) is not None), None)
        if chosen is None:
            names = ", ".join(name for part in parts for name in part)
            raise ValueError(f"none of its channels ({names}) is named like depth")
        return next(part[chosen] for part in parts if chosen in part)
    except (RuntimeError, TypeError, ValueError) as error:  # the library's own are of all these kinds
        raise InputError(
            f"{path}: not a readable EXR depth map ({plain(error, 200)}); write it again, or as .npy or 16-bit PNG"
        ) from error


def _parts(path: Path, name: str) -> list[dict[str, NDArray[Any]]]:
    """The channels of every part by name; the library opens the file by `name`.

    Raises ValueError for damage, and what the library raises."""
    library, printed = import_openexr(f"{path}: an EXR file"), io.StringIO()
    try:
        with (
            decoder_words() as words,  # whose lock keeps two threads apart
            redirect_stdout(printed),
            library.File(name, separate_channels=True) as found,
        ):
            parts = [{name: np.array(c.pixels) for name, c in part.channels.items()} for part in found.parts]
    finally:
        lines = printed.getvalue().splitlines(keepends=True)
        sys.stdout.writelines(line for line in lines if not line.startswith(OF_THE_LIBRARY))
    if words.lines or not parts or any(line.startswith(OF_THE_LIBRARY) for line in lines):
        raise ValueError(words.lines[-1].rpartition(") ")[2] if words.lines else "its pixels are damaged")
    return parts


def _depth_channel(names: list[str]) -> str | None:
    if len(names) == 1:
        return names[0]
    for wanted in DEPTH_NAMES:
        for name in names:
            if name.lower().rpartition(".")[2] == wanted:
                return name
    return None
