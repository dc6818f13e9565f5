"""Where a scene comes from: its clip, how that was read, and what the fit was told. Checked when a file is read.

A stranger may have written it, so nothing here is acted on by itself: `endogs.pictures.source_clip` decides which path
may be opened, and no model is ever named."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, cast, get_args

FittedMasks = Literal["given", "found", "color", "sam2", "none"]
"""Which instrument masks a fit had."""
FittedCameras = Literal["given", "still", "tracked", "colmap"]
"""Where a fit's camera poses came from: with the clip, taken to stand still, or found in its pictures."""
FittedDepth = Literal["metric", "disparity", "depth", "logdepth"]
"""What the depth of a fit was: in the clip's units, or known up to a scale in one of three forms."""
OptionValue = bool | int | float | str | None | tuple[int | float | str, ...]
LONGEST_TEXT = 4096
"""Letters of a path or a name: Linux's PATH_MAX."""
MOST_OPTIONS = 100
"""Options of a reader, and versions: endogs has about twenty of the one and ten of the other."""
MOST_FRAMES = 10**6
"""Frames of a scene: nine hours at 30 per second."""
FARTHEST = 1e9
"""Seconds: thirty years."""


@dataclass(frozen=True)
class Origin:
    """What a scene knows of its clip and its fit; None, or empty, where it does not know."""

    clip: str | None = None
    """The clip's path, as the user gave it: to be looked for, never to be trusted."""
    clip_from_scene: str | None = None
    """The clip's path from the scene's folder, where both lie on one drive; it holds when both move together."""
    clip_name: str | None = None
    """What the clip is called: its file's or folder's name, without an ending."""
    clip_fingerprint: str | None = None
    """The clip's content in a few letters, by which it is known again whatever its name."""
    clip_options: Mapping[str, OptionValue] = field(default_factory=dict)
    """Fields of `endogs.clip.config.ClipOptions` that the clip was read with, paths as text."""
    time_offset: float | None = None
    """Seconds from the first frame of the input to the first frame of the clip."""
    split: str | None = None
    """Name of the split, as in `endogs.clip.splits`, that says which frames were held out."""
    training_frames: tuple[int, ...] | None = None
    """Indices of the frames that the scene was fitted to, ascending."""
    masks: FittedMasks | None = None
    """Where the instrument masks came from."""
    cameras: FittedCameras | None = None
    """Where the camera poses came from."""
    unplaced_frames: tuple[int, ...] | None = None
    """Indices of the frames for which no pose was found, ascending: they have one that lies between others."""
    tissueless_frames: tuple[int, ...] | None = None
    """Indices of the frames that looked like no tissue, ascending: nothing was learned from them."""
    depth_kind: FittedDepth | None = None
    """What the depth was that the scene was fitted to."""
    iterations: int | None = None
    """Steps of the fit."""
    seed: int | None = None
    """Seed of everything random."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Versions of endogs and of what its numbers depend on, by name."""

    @property
    def left_out(self) -> set[int]:
        """Indices of the frames without a pose or tissue, which are neither learned from nor judged."""
        return {*(self.unplaced_frames or ()), *(self.tissueless_frames or ())}

    def lacks(self, frame: int) -> str:
        """What the frame of this index has not, in words: "no pose", "no tissue" or both; empty for all others."""
        words = [("no pose", self.unplaced_frames), ("no tissue", self.tissueless_frames)]
        return ", ".join(word for word, frames in words if frame in (frames or ()))

    def as_json(self) -> dict[str, Any]:
        """JSON's types by field, without what is not known."""
        found = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        return {name: value for name, value in found.items() if value not in (None, {})}

    @staticmethod
    def from_json(values: Any) -> "Origin":
        """The inverse of `as_json`; names that are not known are left out, so that newer files can be read.

        Raises ValueError, saying which entry should be what, for values of the wrong kind or out of range.
        """
        if not isinstance(values, Mapping):
            raise ValueError(f"its origin should be an object but is {_shown(values)}")
        known: dict[str, Any] = {}
        for name, check in _CHECKS.items():
            if values.get(name) is not None:
                known[name] = check(name, values[name])
        return Origin(**known)


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        raise ValueError(f"its origin's '{name}' should be a text of at most {LONGEST_TEXT} letters")
    return value


def _one_of(words: tuple[str, ...]) -> Callable[[str, Any], str]:
    def check(name: str, value: Any) -> str:
        if value not in words:
            raise ValueError(f"its origin's '{name}' is {_shown(value)}, none of {', '.join(words)}")
        return cast("str", value)

    return check


def _whole(name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not -(2**63) <= value < 2**63:
        raise ValueError(f"its origin's '{name}' should be a whole number of 64 bits but is {_shown(value)}")
    return value


def _seconds(name: str, value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) <= FARTHEST:
        raise ValueError(f"its origin's '{name}' should be seconds within {FARTHEST:g} but is {_shown(value)}")
    return float(value)


def _frames(name: str, value: Any) -> tuple[int, ...]:
    listed = value if isinstance(value, list | tuple) and len(value) <= MOST_FRAMES else None
    whole = listed is not None and all(type(one) is int and 0 <= one < MOST_FRAMES for one in listed)
    if listed is None or not whole:
        raise ValueError(f"its origin's '{name}' should be a list of frame indices below {MOST_FRAMES}")
    return tuple(listed)


def _options(name: str, value: Any) -> dict[str, OptionValue]:
    given = _few(name, value)
    return {option: _option(f"{name}.{option}", one) for option, one in given.items()}


def _option(name: str, value: Any) -> OptionValue:
    if isinstance(value, str):
        return _text(name, value)
    if isinstance(value, list | tuple) and len(value) <= MOST_OPTIONS:
        if not all(isinstance(one, int | float | str) and not isinstance(one, bool) for one in value):
            raise ValueError(f"its origin's '{name}' should be a list of numbers or texts")
        return tuple(_text(name, one) if isinstance(one, str) else one for one in value)
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise ValueError(f"its origin's '{name}' should be a number, a text or a list of them")


def _texts(name: str, value: Any) -> dict[str, str]:
    return {key: _text(f"{name}.{key}", one) for key, one in _few(name, value).items()}


def _few(name: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or len(value) > MOST_OPTIONS or not all(isinstance(key, str) for key in value):
        raise ValueError(f"its origin's '{name}' should be an object of at most {MOST_OPTIONS} entries")
    return value


def _shown(value: Any) -> str:
    """The start of a value, for a sentence: whoever wrote it may have written a gigabyte."""
    if isinstance(value, str | list | tuple | Mapping):
        return f"a {type(value).__name__} of {len(value)}" if len(value) > 40 else repr(value)[:80]
    return repr(value)[:80]


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "clip": _text,
    "clip_from_scene": _text,
    "clip_name": _text,
    "clip_fingerprint": _text,
    "clip_options": _options,
    "time_offset": _seconds,
    "split": _text,
    "training_frames": _frames,
    "cameras": _one_of(get_args(FittedCameras)),
    "unplaced_frames": _frames,
    "tissueless_frames": _frames,
    "masks": _one_of(get_args(FittedMasks)),
    "depth_kind": _one_of(get_args(FittedDepth)),
    "iterations": _whole,
    "seed": _whole,
    "versions": _texts,
}
