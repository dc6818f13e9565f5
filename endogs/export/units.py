"""What every exported file says of itself: units, time, axes."""

from typing import Any

from endogs.scene import Scene
from endogs.scene.units import units_phrase

AXES = "x right, y down, z forward of the first camera's world"
"""The scene's own axes, which most formats keep."""
METRES_PER_MM = 0.001


def time_phrase(time: float | None) -> str:
    """A time in seconds, or None for the canonical Gaussians, in words."""
    return "canonical" if time is None else f"{time:.6f} s since the clip's first frame"


def header_lines(scene: Scene, time: float | None) -> tuple[str, ...]:
    """What the file is, its units, time and axes, one line each, for comments in a header."""
    return ("endogs", f"units {units_phrase(scene)}", f"time {time_phrase(time)}", f"axes {AXES}")


def about(scene: Scene, time: float | None = None) -> dict[str, Any]:
    """The same as JSON entries, for sidecars and glTF extras."""
    entries: dict[str, Any] = {"generator": "endogs", "units": units_phrase(scene), "axes": AXES}
    return entries if time is None else entries | {"time_seconds": time}
