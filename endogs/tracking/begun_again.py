"""A path from one eye whose map came out inside out is tracked again, from a start with more parallax."""

from collections.abc import Callable
from dataclasses import replace

from endogs.clip.clip import Clip
from endogs.tracking.config import TrackingConfig
from endogs.tracking.light_side import against_light, depth_by_light
from endogs.tracking.tracker import DepthSource, track_clip
from endogs.tracking.trajectory import Trajectory

MORE_PARALLAX = 2.0
"""Times what a start asks for at first."""
BEGUN_AGAIN = "camera: the first map lay inside out by the light; this path is of one that began with more parallax"


def track_by_light(
    clip: Clip,
    held_out: frozenset[int] = frozenset(),
    depth_source: DepthSource | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Trajectory:
    """`track_clip`, and where its map lies against the light another try, which is taken where it does not.

    A start with little parallax can be mirrored in depth (see `light_side.py`). The second try is said in the notes.
    """
    first = track_clip(clip, held_out, depth_source, progress)
    if first.units == "mm" or not first.found.any() or not against_light(depth_by_light(clip, first)):
        return first
    usual = TrackingConfig()
    config = replace(usual, start_parallax=MORE_PARALLAX * usual.start_parallax)
    again = track_clip(clip, held_out, depth_source, progress, config)
    correlation = depth_by_light(clip, again)
    if correlation is None or against_light(correlation) or again.found.mean() < first.found.mean() - 0.05:
        return first
    return replace(again, notes=(*again.notes, BEGUN_AGAIN))
