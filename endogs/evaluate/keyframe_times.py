"""Which poses are keyframes, by a file with their times."""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from endogs.clip.files.number_files import finite_numbers, read_text
from endogs.errors import InputError
from endogs.evaluate.metrics.pose_association import match_times
from endogs.plain_text import plain

FEWEST = 3
"""Keyframes: two centres lie over each other after any alignment."""


def keyframe_flags(path: Path, times: NDArray[np.float64], most: float, offset: float = 0.0) -> NDArray[np.bool_]:
    """True (n,) at those of the sorted `times` (n,) that the first numbers of the file's lines, plus `offset`, name.

    Raises InputError for lines that do not begin with a number, and where fewer than FEWEST fit within `most` seconds.
    """
    rows = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        words = re.split(r"[,;\s]+", line.split("#")[0].strip(" ,;\t"))
        if words == [""]:
            continue
        if len(found := finite_numbers(words[0], words[:1])) != 1:
            raise InputError(f"{path}: line {number} does not begin with a time; give one time in seconds a line.")
        rows.append(found[0] + offset)
    named = np.unique(np.array(rows, np.float64))
    found_at = match_times(named, times, most)[1] if len(named) else np.zeros(0, np.intp)
    flags = np.zeros(len(times), bool)
    flags[found_at] = True
    if flags.sum() < FEWEST:
        covered = f"{named[0]:.9g} to {named[-1]:.9g} s" if len(named) else "nothing"
        raise InputError(
            f"{path}: {flags.sum()} of its {len(named)} times, which cover {plain(covered)}, are those of the "
            f"{len(times)} compared poses ({times[0]:.9g} to {times[-1]:.9g} s); give {FEWEST} keyframes or more, in "
            "seconds."
        )
    return flags
