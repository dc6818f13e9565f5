"""Breathing in a camera's path that was found in pictures: told to the user, and taken out of the path."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from endogs.geometry import invert_rigid
from endogs.tracking.rhythm import Rhythm, find_rhythm
from endogs.tracking.trajectory import TrackedFrame, Trajectory


def breathing_in(trajectory: Trajectory) -> Rhythm | None:
    """What comes and goes in the path of the largest map with a steady rhythm and along one line; None where that is
    not sure."""
    poses = trajectory.world_to_camera
    centres = -np.einsum("fji,fj->fi", poses[:, :3, :3], poses[:, :3, 3])
    return find_rhythm(trajectory.times, centres) if len(centres) else None


def without_breathing(trajectory: Trajectory, rhythm: Rhythm) -> Trajectory:
    """The path beside a world in which the tissue breathes, with a note; `causal` poses and landmarks stay beside the
    tissue."""
    frames = tuple(
        _moved(one, shift) if one.sub_map == trajectory.sub_map else one
        for one, shift in zip(trajectory.frames, rhythm.shift, strict=True)
    )
    note = (
        f"{_words(trajectory, rhythm)}: taken for breathing, and left out of the path (--breathing keep leaves it in)"
    )
    return replace(trajectory, frames=frames, rhythm=rhythm, notes=(*trajectory.notes, note))


def with_breathing_said(trajectory: Trajectory) -> Trajectory:
    """The same path, with a note where breathing is found in it."""
    rhythm = breathing_in(trajectory)
    if rhythm is None:
        return trajectory
    note = (
        f"{_words(trajectory, rhythm)}: breathing, more likely than the camera; the scene's cameras are beside the "
        "tissue all the same, and endogs track writes a path without it"
    )
    return replace(trajectory, notes=(*trajectory.notes, note))


def _words(trajectory: Trajectory, rhythm: Rhythm) -> str:
    unit = "mm" if trajectory.units == "mm" else "units"
    return (
        f"camera: it comes and goes along one line by {rhythm.amplitude:.2g} {unit} to either side every "
        f"{rhythm.period:.1f} s (log evidence {rhythm.evidence:.0f})"
    )


def _moved(one: TrackedFrame, shift: NDArray[np.float64]) -> TrackedFrame:
    if one.world_to_camera is None:
        return one
    pose = invert_rigid(one.world_to_camera)
    pose[:3, 3] -= shift
    return replace(one, world_to_camera=invert_rigid(pose))
