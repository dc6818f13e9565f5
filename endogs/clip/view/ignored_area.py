"""The part of the image that never shows tissue: user interface strips, burnt-in captions."""

import numpy as np
from numpy.typing import NDArray

from endogs.clip.config import ClipOptions
from endogs.errors import InputError

MUCH = 0.9
"""Part of the frame from which on what is ignored deserves a note."""


def ignored_area(width: int, height: int, options: ClipOptions) -> NDArray[np.bool_]:
    """bool (height, width) in original pixels, True where one of the options excludes the pixel.

    Raises InputError for rows and boxes that are not inside the image and for an unreadable or wrongly sized mask.
    """
    ignored = np.zeros((height, width), bool)
    for rows in options.ignore_rows:
        first, last = _parse_rows(rows, height)
        ignored[first:last] = True
    for box in options.ignore_box:
        x0, y0, x1, y1 = _parse_box(box, width, height)
        ignored[y0:y1, x0:x1] = True
    if options.ignore_mask is not None:
        from endogs.clip.files.image_files import read_gray

        mask = read_gray(options.ignore_mask)
        if mask.shape != (height, width):
            raise InputError(
                f"{options.ignore_mask}: the ignore mask is {mask.shape[1]} x {mask.shape[0]} but the frames are "
                f"{width} x {height}: draw it on an original frame."
            )
        ignored |= mask > 0
    if ignored.all():
        raise InputError(
            "--ignore-rows, --ignore-box and --ignore-mask exclude every pixel: nothing would be left to fit."
        )
    return ignored


def ignored_note(ignored: NDArray[np.bool_]) -> str | None:
    """A sentence where options exclude (H, W) nearly all, for who meant the part that is to be kept; None elsewhere."""
    share = float(ignored.mean())
    if share <= MUCH:
        return None
    return (
        f"--ignore-rows, --ignore-box and --ignore-mask exclude {100 * share:.1f} % of the frame; if the rest "
        "was meant, use --crop."
    )


def _parse_rows(text: str, height: int) -> tuple[int, int]:
    """The rows of "A:B"; an empty A is 0 and an empty B the image's height."""
    left, colon, right = text.partition(":")
    try:
        first, last = int(left or 0), int(right or height)
    except ValueError:
        colon = ""
        first = last = 0
    if not colon or not 0 <= first < last <= height:
        raise InputError(
            f"--ignore-rows {text} is not a range of rows: give A:B with 0 <= A < B <= {height}, such as "
            f"{height - 1}:{height} for the last row."
        )
    return first, last


def _parse_box(text: str, width: int, height: int) -> tuple[int, int, int, int]:
    """The box of "X0,Y0,X1,Y1"."""
    try:
        x0, y0, x1, y1 = (int(number) for number in text.split(","))
    except ValueError:
        x0 = y0 = x1 = y1 = 0
    if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
        raise InputError(
            f"--ignore-box {text} is not a box in frames of {width} x {height}: give X0,Y0,X1,Y1 with "
            f"0 <= X0 < X1 <= {width} and 0 <= Y0 < Y1 <= {height}."
        )
    return x0, y0, x1, y1
