"""What a user points at for SAM 2: clicks, boxes and masks, each on one frame."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from endogs.errors import InputError
from endogs.priors.instruments.config import Sam2Options
from endogs.priors.instruments.masks import Mask

if TYPE_CHECKING:
    from endogs.clip import Clip

BACKGROUND, FOREGROUND, BOX_START, BOX_END = 0, 1, 2, 3
"""Labels of SAM's points."""


@dataclass(frozen=True)
class Prompt:
    """One instrument on one frame: points in pixels of the clip's frames, or a mask."""

    frame: int
    """Index into the clip."""
    instrument: int
    """Prompts of the same number are one instrument."""
    points: NDArray[np.float32] | None = None
    """(P, 2) x, y."""
    labels: tuple[int, ...] = ()
    """Of each point: on the instrument, beside it, or a box's corner."""
    mask: Mask | None = None
    """(H, W), True = instrument."""


def read_prompts(options: Sam2Options, clip: "Clip") -> list[Prompt]:
    """The prompts of `options`, each click, box and mask an instrument of its own.

    Raises InputError for words that are not F:X,Y or F:X0,Y0,X1,Y1, frames and pixels outside the clip, and masks that
    are unreadable, empty or of another size.
    """
    found: list[Prompt] = []
    for text in options.sam2_click:
        frame, x, y = _numbers("--sam2-click", text, 2, clip)
        found.append(Prompt(int(frame), len(found), np.array([[x, y]], np.float32), (FOREGROUND,)))
    for text in options.sam2_box:
        frame, x0, y0, x1, y1 = _numbers("--sam2-box", text, 4, clip)
        if not (x0 < x1 and y0 < y1):
            raise InputError(f"--sam2-box {text}: the box is empty; give F:X0,Y0,X1,Y1 with X0 < X1 and Y0 < Y1.")
        corners = np.array([[x0, y0], [x1, y1]], np.float32)
        found.append(Prompt(int(frame), len(found), corners, (BOX_START, BOX_END)))
    for text in options.sam2_mask:
        found.append(_mask_prompt(text, len(found), clip))
    return found


def _mask_prompt(text: str, instrument: int, clip: "Clip") -> Prompt:
    from endogs.clip.files.image_files import read_gray

    number, colon, name = text.partition(":")
    frame = _frame(number)
    if not colon or not 0 <= frame < len(clip):
        raise InputError(f"--sam2-mask {text} is not F:FILE with a frame F from 0 to {len(clip) - 1}.")
    mask = read_gray(Path(name)) > 0
    if mask.shape != (clip.height, clip.width):
        raise InputError(
            f"{name}: the mask is {mask.shape[1]} x {mask.shape[0]} but frames are read as {clip.width} x "
            f"{clip.height}; draw it on a frame of that size."
        )
    if not mask.any():
        raise InputError(f"{name}: the mask is empty; instruments must not be zero in it.")
    return Prompt(frame, instrument, mask=mask)


def _frame(text: str) -> int:
    """The frame that the digits name; -1 for anything else, and for more digits than any clip needs."""
    return int(text) if text.isdecimal() and len(text) < 10 else -1


def _numbers(option: str, text: str, count: int, clip: "Clip") -> list[float]:
    """[frame, coordinates...] of "F:a,b,...", checked against the clip."""
    form = "F:" + ",".join(("X", "Y") if count == 2 else ("X0", "Y0", "X1", "Y1"))
    number, colon, rest = text.partition(":")
    try:
        values = [float(word) for word in rest.split(",")]
    except ValueError:
        values = []
    frame = _frame(number)
    if not colon or frame < 0 or len(values) != count or not np.isfinite(values).all():
        raise InputError(f"{option} {text} is not {form} with a frame and pixels.")
    if frame >= len(clip):
        raise InputError(f"{option} {text}: there is no frame {frame}; the clip has frames 0 to {len(clip) - 1}.")
    xs, ys = values[::2], values[1::2]
    if min(values) < 0 or max(xs) > clip.width or max(ys) > clip.height:
        raise InputError(f"{option} {text} lies outside the frames of {clip.width} x {clip.height}.")
    return [float(frame), *values]
