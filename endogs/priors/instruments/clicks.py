"""What a user clicked to correct instrument masks, and the file that keeps it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from endogs.bounded_files import read_json
from endogs.errors import InputError

if TYPE_CHECKING:
    from endogs.clip import Clip

FORMAT, VERSION = "endogs-clicks", 1
MOST = 10_000
"""Clicks of a file: an hour's work of a user who never rests."""
SAME_MOMENT = 1e-3
"""Seconds between two readings of the same frame's time."""
LARGEST_BRUSH = 0.5
"""Widths of the frame."""


@dataclass(frozen=True)
class Click:
    """One correction: what is at this place of this frame is an instrument that the masks lack, or is none.

    Places are parts of whole frames, so that they hold for every --max-size.
    """

    frame: int
    """Index of the frame as the clip is read."""
    x: float
    """Columns from the left edge, in parts of the frame's width, 0 to 1."""
    y: float
    """Rows from the top edge, in parts of the frame's height, 0 to 1."""
    adds: bool
    """Whether an instrument is there."""
    brush: float = 0.0
    """Radius of the disc that it means, in widths of the frame; 0 looks for the outline of what is there."""


def write_clicks(path: Path, clicks: Sequence[Click], clip: "Clip", started_from: str) -> None:
    """Writes the clicks on frames of `clip` as JSON; `started_from` says which masks they correct."""
    from endogs.output import write_json

    rows = [
        {
            "frame": click.frame,
            "time": round(clip.time_offset + float(clip.times[click.frame]), 6),
            "x": round(click.x * clip.original_size[0], 3),
            "y": round(click.y * clip.original_size[1], 3),
            "does": "add" if click.adds else "remove",
            **({"brush": round(click.brush * clip.original_size[0], 3)} if click.brush else {}),
        }
        for click in clicks
    ]
    content = {
        "format": FORMAT,
        "version": VERSION,
        "size": list(clip.original_size),
        "started_from": started_from,
        "clicks": rows,
    }
    write_json(path, content)


def read_clicks(path: Path, clip: "Clip") -> list[Click]:
    """The clicks of a file, on the frames of `clip`: those at the times that it gives, or else of these numbers.

    Raises InputError for a file that is none, clicks outside of its pictures, and frames that the clip lacks as it is
    read.
    """
    content = read_json(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT or content.get("version") != VERSION:
        raise InputError(
            f'{path}: not a file of clicks ("format": "{FORMAT}", "version": {VERSION}): give one that '
            "inspect --edit has saved."
        )
    size, rows = content.get("size"), content.get("clicks")
    if size != list(clip.original_size):
        raise InputError(
            f"{path}: its clicks are on frames of another size than those of {clip.source}, "
            f"{clip.original_size[0]} x {clip.original_size[1]}: give the clip that they were made on."
        )
    if not isinstance(rows, list) or len(rows) > MOST:
        raise InputError(f"{path}: clicks should be a list of at most {MOST}: save them again.")
    return [_click(path, number, row, clip) for number, row in enumerate(rows)]


def started_from(path: Path) -> str:
    """Which masks the clicks of a file corrected, as it says; empty where it does not."""
    content = read_json(path)
    return str(content.get("started_from", ""))[:100] if isinstance(content, dict) else ""


def _click(path: Path, number: int, row: Any, clip: "Clip") -> Click:
    row = row if isinstance(row, dict) else {}
    width, height = clip.original_size
    x, y, brush = (_number(row.get(name, default)) for name, default in (("x", None), ("y", None), ("brush", 0)))
    if not (0 <= x <= width and 0 <= y <= height):
        raise InputError(f"{path}: click {number} needs x from 0 to {width} and y from 0 to {height}.")
    if not 0 <= brush <= LARGEST_BRUSH * width:
        raise InputError(f"{path}: click {number} needs a brush from 0 to {LARGEST_BRUSH * width:g} pixels.")
    if row.get("does") not in ("add", "remove"):
        raise InputError(f'{path}: click {number} says neither "does": "add" nor "remove".')
    return Click(_frame(path, number, row, clip), x / width, y / height, row["does"] == "add", brush / width)


def _frame(path: Path, number: int, row: dict[str, Any], clip: "Clip") -> int:
    if "time" in row:
        moment = _number(row["time"]) - clip.time_offset
        nearest = int(np.argmin(np.abs(clip.times - moment))) if np.isfinite(moment) else 0
        if not abs(float(clip.times[nearest]) - moment) <= SAME_MOMENT:
            raise InputError(
                f"{path}: click {number} is on the frame at {row['time']} s, which is not among the frames that are "
                "read: give the --start, --end, --stride and --fps that the clicks were made with."
            )
        return nearest
    frame = row.get("frame")
    if type(frame) is not int or not 0 <= frame < len(clip):
        raise InputError(f"{path}: click {number} needs a frame from 0 to {len(clip) - 1}, or a time.")
    return frame


def _number(value: Any) -> float:
    return float(value) if type(value) in (int, float) and abs(value) < 1e9 else float("nan")
