"""What an option may be: declared beside its field, checked when its dataclass is made.

The command line and Python make the same dataclasses, so both are checked here: a number lies in its range, a text is
text, and a path can be one. What depends on a clip, a scene or another option is checked where those are known.
"""

import errno
import math
import os
from dataclasses import dataclass, fields
from functools import cache
from numbers import Integral, Real
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin, get_type_hints

from endogs.errors import InputError
from endogs.plain_text import plain

LARGEST_SEED = 2**63 - 1
"""Of the seeds that torch's and numpy's generators both take."""


@dataclass(frozen=True)
class Range:
    """The numbers that an option may be, in `Annotated[int, Range(1, 10)]`; NaN and infinity never are."""

    low: float
    """Smallest, or with `above` the number that must be exceeded."""
    high: float
    """Largest."""
    above: bool = False
    """Whether `low` itself is too small."""
    what: str = ""
    """What the number is, for the message, e.g. "an angle"."""

    def holds(self, number: Any) -> bool:
        """Whether the number is in the range."""
        return bool(self.low < number <= self.high if self.above else self.low <= number <= self.high)

    def __str__(self) -> str:
        """For a message: "0 to 1", or "a factor above 0 and up to 8"."""
        low, high = (f"{int(x)}" if x == int(x) else f"{x:g}" for x in (self.low, self.high))
        numbers = f"above {low} and up to {high}" if self.above else f"{low} to {high}"
        return f"{self.what} {numbers}".strip()


class Options:
    """Base of the dataclasses that hold options. Making one raises InputError, naming the option, for a bad value."""

    option_prefix: ClassVar[str] = ""
    """What stands before the fields' names on the command line, e.g. "light."."""
    positional: ClassVar[tuple[str, ...]] = ("input", "scene", "scenes")
    """Fields that are named by their place."""

    def __post_init__(self) -> None:
        """Checks every field."""
        made: Any = type(self)  # mypy does not see that a class can be hashed
        for name, (hint, bounds, choices) in _declared(made).items():
            option = name if name in self.positional else "--" + self.option_prefix + name.replace("_", "-")
            for value in _single_values(getattr(self, name)):
                _check(option, value, hint, bounds)
                if choices and value not in choices:
                    raise InputError(f"{option} {_shown(value)}: no such choice; use {', '.join(map(str, choices))}.")


@cache
def _declared(kind: type[Any]) -> dict[str, tuple[frozenset[Any], Range | None, tuple[Any, ...]]]:
    """By field: the types that a single value may have, its range, and its choices, empty where it may be another."""
    found = {}
    hints = get_type_hints(kind, include_extras=True)
    for name in (field.name for field in fields(kind)):
        bounds = [extra for extra in getattr(hints[name], "__metadata__", ()) if isinstance(extra, Range)]
        choices = _choices(hints[name]) or ()
        found[name] = (frozenset(_single_types(hints[name])), bounds[0] if bounds else None, choices)
    return found


def _single_types(hint: Any) -> list[Any]:
    """The types in a hint: of `Annotated[tuple[float, ...] | Literal["all"], ...]` float and str."""
    origin = get_origin(hint)
    if origin is Annotated:
        return _single_types(get_args(hint)[0])
    if origin is Literal:
        return [type(value) for value in get_args(hint)]
    if origin in (Union, UnionType, tuple):
        return [kind for part in get_args(hint) if part is not ... for kind in _single_types(part)]
    return [hint]


def _choices(hint: Any) -> tuple[Any, ...] | None:
    """The values that a hint lists; None where it allows others."""
    origin = get_origin(hint)
    if origin is Annotated:
        return _choices(get_args(hint)[0])
    if origin is Literal:
        return get_args(hint)
    if origin in (Union, UnionType, tuple):
        parts = [_choices(part) for part in get_args(hint) if part not in (..., type(None))]
        return None if None in parts else tuple(value for part in parts for value in part or ())
    return None


def as_option(value: Any, hint: Any) -> Any:
    """A value of a TOML or JSON file, in which paths are texts and tuples lists, as an option of the type `hint`.

    Raises TypeError when it is not one; None is none.
    """
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        for choice in inner:
            try:
                return as_option(value, choice)
            except TypeError:
                continue
        raise TypeError
    if origin is Literal:
        # 2.0 and True equal whole numbers, but are none.
        if any(type(value) is type(choice) and value == choice for choice in inner):
            return value
        raise TypeError
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise TypeError
        if len(inner) == 2 and inner[1] is Ellipsis:
            return tuple(as_option(item, inner[0]) for item in value)
        if len(value) != len(inner):
            raise TypeError
        return tuple(as_option(item, kind) for item, kind in zip(value, inner, strict=True))
    if hint is Path and isinstance(value, str):
        return Path(value)
    if isinstance(value, int | float) and not abs(value) < 2**63:  # NaN and infinity too
        raise TypeError
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and type(value) is hint and hint is not type(None):
        return value
    raise TypeError


def _single_values(value: Any) -> list[Any]:
    """What is to be checked: the value, or those of a list; None is an option that was left out."""
    values = value if isinstance(value, list | tuple) else [value]
    return [one for one in values if one is not None]


def _check(option: str, value: Any, kinds: frozenset[Any], bounds: Range | None) -> None:
    if bounds is not None and not (str in kinds and isinstance(value, str)):
        whole = float not in kinds
        if isinstance(value, bool) or not isinstance(value, Integral if whole else Real):
            raise InputError(f"{option} {_shown(value)} is no {'whole ' if whole else ''}number; give {bounds}.")
        if not bounds.holds(value):
            raise InputError(f"{option} {_shown(value)} is out of range; give {bounds}.")
    elif Path in kinds:
        _check_path(option, value)
    elif str in kinds and isinstance(value, str):
        _check_text(option, value)


def _check_path(option: str, value: Any) -> None:
    """InputError for what no file can be named; whether there is one is asked where it is opened."""
    problem = ""
    try:
        os.lstat(value)
    except TypeError:
        raise InputError(f"{option} {_shown(value)} is no path; give one.") from None
    except ValueError as error:  # a NUL character, or a surrogate that is no byte
        problem = "holds a character that no file name may have" if "null" in str(error) else "is not text"
    except OSError as error:  # what does not exist need not, but its name is too long where its folder is missing too
        too_long = error.errno == errno.ENAMETOOLONG or any(len(os.fsencode(x)) > 255 for x in Path(value).parts)
        problem = "is longer than a file name may be" if too_long else ""
    if problem:
        raise InputError(f"{option} {plain(value, 80)} {problem}; give another.")


def _check_text(option: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{option} {plain(text, 80)} is not text in UTF-8; give another.") from error
    if "\0" in text:
        raise InputError(f"{option} {plain(text, 80)} holds a NUL character; leave it out.")


def _shown(value: Any) -> str:
    if isinstance(value, int) and abs(value) >= 10**30:  # Python prints no number of more than 4300 digits
        return f"of {round(value.bit_length() * math.log10(2))} digits"
    return f"{value:g}" if isinstance(value, float) else plain(value, 80)
