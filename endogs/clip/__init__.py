"""Clips and their readers, one file per layout.

The names are loaded when first used, so that `endogs.clip.config` can be imported without numpy or OpenCV.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from endogs.clip.clip import Clip
    from endogs.clip.config import ClipOptions
    from endogs.clip.load import load_clip
    from endogs.clip.splits import Split, split_frames

__all__ = ["Clip", "ClipOptions", "Split", "load_clip", "split_frames"]

_HOMES = {
    "Clip": "clip",
    "ClipOptions": "config",
    "Split": "splits",
    "load_clip": "load",
    "split_frames": "splits",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"endogs.clip.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'endogs.clip' has no attribute {name!r}")
