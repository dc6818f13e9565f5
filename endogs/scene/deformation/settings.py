"""Numbers and names in a scene file's description of a deformation, checked."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

LARGEST_SETTING = 1e9
"""Largest number in a deformation's settings: seconds that last thirty years."""


def number_of(settings: Mapping[str, Any], name: str) -> float:
    """A number in a scene file's settings. Raises KeyError or ValueError when it is missing, or none that is usable."""
    return usable_number(settings[name], name)


def usable_number(value: Any, name: str) -> float:
    """`value` as a float. Raises ValueError unless it is a number within +-1e9, seconds or the like."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) <= LARGEST_SETTING:
        raise ValueError(f"'{name}' is no number within {LARGEST_SETTING:g}")
    return float(value)


def check_names(kind: str, tensors: Mapping[str, Tensor], needed: set[str], optional: frozenset[str]) -> None:
    """Raises ValueError when a tensor that is needed is missing, or one is unknown."""
    missing, unknown = needed - set(tensors), set(tensors) - needed - optional
    if missing or unknown:
        what = f"lacks '{min(missing)}'" if missing else f"does not know '{min(unknown)}'"
        raise ValueError(f"'{kind}' {what}")
