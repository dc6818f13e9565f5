"""The part of a clip's time that a page shows."""

import math
from dataclasses import replace

import numpy as np

from endogs.errors import InputError
from endogs.scene import Scene

TOLERANCE = 1e-6
"""Seconds by which an end of the range may miss the clip's or a frame's time through rounding."""


def frames_between(scene: Scene, start: float | None, end: float | None) -> range:
    """Frames of the clip from `start` to `end`, seconds since its first frame; None is where the clip begins or ends.

    Raises InputError for an end outside the clip, a range that runs backwards, and one that holds no frame.
    """
    first, last = float(scene.times[0]), float(scene.times[-1])
    for option, time in (("--start", start), ("--end", end)):
        if time is not None and not (math.isfinite(time) and first - TOLERANCE <= time <= last + TOLERANCE):
            raise InputError(
                f"{option} {time:g} is outside the scene; its clip runs from {first:g} to {last:.6g} seconds."
            )
    begin, finish = first if start is None else start, last if end is None else end
    if (start is not None or end is not None) and not begin < finish:
        raise InputError(
            f"a page from {begin:g} to {finish:.6g} seconds holds no time; give a --start that lies before --end."
        )
    inside = np.flatnonzero((scene.times >= begin - TOLERANCE) & (scene.times <= finish + TOLERANCE))
    if not len(inside):
        near = scene.nearest_frame(begin)
        raise InputError(
            f"no frame of the clip lies from {begin:g} to {finish:g} seconds; the nearest is at "
            f"{float(scene.times[near]):.6g}."
        )
    return range(int(inside[0]), int(inside[-1]) + 1)


def part_of_time(scene: Scene, frames: range) -> Scene:
    """A scene that is in memory, with only these of its frames, at the clip's own times, and what its motion needs."""
    rows = slice(frames.start, frames.stop)
    times = scene.times[rows]
    return replace(
        scene,
        deformation=scene.deformation.within(float(times[0]), float(times[-1])),
        times=times,
        K=scene.K[rows],
        world_to_camera=scene.world_to_camera[rows],
        visibility=None,
        masks=None,
    )
