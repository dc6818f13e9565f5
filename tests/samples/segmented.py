"""A chain of segments that was fitted to a tiny clip."""

from pathlib import Path
from typing import Any

from samples.sliding_clip import write_sliding_clip

from endogs.clip.config import ClipOptions
from endogs.pipeline.options import Reconstruct

FRAMES, MOST = 56, 24
"""Of the clip, and of its segments."""


def long_clip(folder: Path) -> Path:
    """Tissue that slides to the right for FRAMES frames, slowly enough to stay in view."""
    return write_sliding_clip(folder, FRAMES)


def segmented(clip: Path, out: Path, **options: Any) -> Reconstruct:
    """Options of a quick fit of three segments."""
    given: dict[str, Any] = {
        "preset": "fast",
        "clip": ClipOptions(focal=50.0, fps=10.0),
        "iterations": 180,
        "gaussians": 400,
        "segment_frames": MOST,
        "device": "cpu",
        "masks": "none",
        "camera": "still",
    }
    return Reconstruct(clip, out=out, **(given | options))
