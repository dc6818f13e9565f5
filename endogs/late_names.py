"""Names of a package that are loaded when first used, so that importing the package stays light."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def at_place(place: str) -> Any:
    """What stands at "module:name"; the module is imported now."""
    module, name = place.split(":")
    return getattr(import_module(module), name)


def late_names(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """A `__getattr__` (PEP 562) for `package`: `homes` are the modules in full, by the names that they define.

    It raises AttributeError for any other name.
    """

    def load(name: str) -> Any:
        if name in homes:
            return getattr(import_module(homes[name]), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return load
