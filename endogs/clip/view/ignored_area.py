"""The part of the image that never shows tissue: user interface strips, burnt-in captions."""

import numpy as np
from numpy.typing import NDArray

from endogs.clip.config import ClipOptions
from endogs.clip.view.framing import Framing
from endogs.errors import InputError

NEARLY_ALL = 0.9
"""Of the frame: more is rarely meant to be left out."""


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


def little_left(ignored: NDArray[np.bool_], framing: Framing, options: ClipOptions) -> list[str]:
    """A sentence with numbers when options leave next to nothing of frames (H, W) to fit, or nothing."""
    given = [
        name
        for name, value in (
            ("--ignore-rows", options.ignore_rows),
            ("--ignore-box", options.ignore_box),
            ("--ignore-mask", options.ignore_mask),
        )
        if value
    ]
    share = float(ignored.mean())
    if not given or share <= NEARLY_ALL:
        return []
    height, width = ignored.shape
    rows, columns = np.flatnonzero(~ignored.all(1)), np.flatnonzero(~ignored.all(0))
    x0, y0, x1, y1 = framing.original_box(
        (columns[0] / width, rows[0] / height, (columns[-1] + 1) / width, (rows[-1] + 1) / height)
    )
    return [
        f"{100 * share:.1f} % of every frame is left out and only {100 * (1 - share):.1f} % is left, in columns "
        f"{x0} to {x1}, rows {y0} to {y1}: is that what {' and '.join(given)} should do? A box says what to leave out; "
        "--crop X0 Y0 X1 Y1 says what to keep."
    ]


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
