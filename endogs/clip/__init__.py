"""Clips and their readers, one file per layout.

The names are loaded when first used, so that `endogs.clip.config` can be imported without numpy or OpenCV.
"""

from typing import TYPE_CHECKING

from endogs.late_names import late_names

if TYPE_CHECKING:
    from endogs.clip.clip import Clip
    from endogs.clip.config import ClipOptions
    from endogs.clip.load import load_clip
    from endogs.clip.splits import Split, split_frames

__all__ = ["Clip", "ClipOptions", "Split", "load_clip", "split_frames"]

__getattr__ = late_names(
    __name__,
    {
        "Clip": "endogs.clip.clip",
        "ClipOptions": "endogs.clip.config",
        "Split": "endogs.clip.splits",
        "load_clip": "endogs.clip.load",
        "split_frames": "endogs.clip.splits",
    },
)
