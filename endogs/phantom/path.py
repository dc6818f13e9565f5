"""The camera's path through a phantom: today's drift, or a trajectory from a file, placed in the anatomy."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from endogs.clip.cameras.trajectory_files import read_trajectory
from endogs.errors import InputError
from endogs.geometry import invert_rigid
from endogs.phantom.config import Phantom
from endogs.phantom.motion import camera_at

Array = NDArray[np.float64]

TRAJECTORY = "trajectory.tum"
"""Copy of --trajectory in the folder truth/ of a clip, from which the path can be worked out again."""
LONGEST_GAP = 1.0
"""Seconds between two rows of a trajectory, beyond which nobody knows what the camera did."""
FASTEST_MM, FASTEST_DEGREES = 500.0, 500.0
"""Per second: no endoscope is moved faster, so that such a step is a jump."""
JUMP_MM, JUMP_DEGREES, JUMP_FACTOR = 2.5, 5.0, 5.0
"""A step between two rows is a jump, too, where it is longer than this and this many times longer than the
median of the three before and after it."""
SHORTEST_MM = 1.0
"""A path shorter than this may be in metres."""
JUMPED_MM, JUMPED_DEGREES = 10.0, 15.0
"""How far --jump takes the camera at least, where its path allows it."""


@dataclass(frozen=True)
class Jump:
    """Where a camera skips ahead on its path."""

    frame: int
    """The first one that is elsewhere."""
    seconds: float
    """How much of the path is skipped."""
    millimetres: float
    degrees: float
    """From the frame before to this one."""


@dataclass(frozen=True)
class CameraPath:
    """Where the camera is at every frame."""

    world_to_camera: Array
    """(F, 4, 4)."""
    whole: Array
    """(N, 4, 4) camera to world of all of the path, also where the clip does not go: what it is placed by."""
    jump: Jump | None
    notes: list[str]
    """Sentences a user should read."""


def camera_path(config: Phantom) -> CameraPath:
    """The path that the options ask for, about the world's origin.

    A trajectory is turned so that its mean view is along z and moved so that its mean place is the origin. Raises
    InputError for a file that is none, holds too little for the frames, jumps, or has gaps.
    """
    notes: list[str] = []
    if config.trajectory is None:
        whole = np.stack([drift(config, 7.0 * i / 28) for i in range(28)]) if config.camera_moves else np.eye(4)[None]
        duration = math.inf

        def at(time: Array) -> Array:
            return np.stack([drift(config, float(t)) for t in time])
    else:
        times, rows = read_rows(config, notes)
        whole = placed(rows)
        duration = float(times[-1])

        def at(time: Array) -> Array:
            return interpolated(times, whole, time)

        needed = (config.frames - 1) / config.fps
        if needed > duration + 0.5 / config.fps:
            raise InputError(
                f"--frames {config.frames} at --fps {config.fps:g} last {needed:.2f} s, but {config.trajectory} lasts "
                f"{duration:.2f} s: give --frames {int(duration * config.fps + 1e-6) + 1}."
            )
    time = np.arange(config.frames) / config.fps
    jump = None
    if config.jump is not None:
        jump = _jump(config, at, duration)
        time[config.jump :] += jump.seconds
    if config.trajectory is None:
        # Not by way of `drift`: to invert twice changes the last digits.
        return CameraPath(np.stack([camera_at(config, float(t)) for t in time]), whole, jump, notes)
    poses = at(time)
    _describe(config, times, whole, poses, notes)
    return CameraPath(invert_rigid(poses), whole, jump, notes)


def eyes(config: Phantom, camera_to_world: Array) -> Array:
    """(N, 3) places of cameras at poses (N, 4, 4); of a pair those of both, (2 N, 3)."""
    left = camera_to_world[:, :3, 3]
    if config.view == "mono":
        return left
    return np.concatenate([left, left + config.baseline * camera_to_world[:, :3, 0]])


def drift(config: Phantom, time: float) -> Array:
    """Camera to world (4, 4) at `time` seconds of an endoscope that drifts, the identity at 0; always, when still."""
    return invert_rigid(camera_at(config, time))


def read_rows(config: Phantom, notes: list[str]) -> tuple[Array, Array]:
    """Times (N,) from 0, seconds, and camera to world (N, 4, 4), mm, of --trajectory; InputError where it is none."""
    file = config.trajectory
    assert file is not None
    try:
        read = read_trajectory(file)
    except InputError as problem:
        if "holds no poses" in str(problem):
            raise InputError(f"{file}: holds no poses; give rows of time tx ty tz qx qy qz qw.") from problem
        raise
    if read.times is None:
        raise InputError(f"{file}: its rows have no times; give rows of time tx ty tz qx qy qz qw.")
    if len(read) < 2:
        raise InputError(f"{file}: holds one pose, which is no path; leave --trajectory out for a still camera.")
    notes += read.notes
    poses = invert_rigid(read.world_to_camera)
    poses[:, :3, 3] *= config.trajectory_scale
    times = read.times - read.times[0]
    _check_steps(config, times, poses)
    return times, poses


def _check_steps(config: Phantom, times: Array, poses: Array) -> None:
    file, gaps = config.trajectory, np.diff(times)
    used = (times[:-1] < (config.frames - 1) / config.fps) | (config.jump is not None)
    if (gaps[used] > LONGEST_GAP).any():
        row = int(np.argmax(used & (gaps > LONGEST_GAP)))
        raise InputError(
            f"{file}: nothing is known for {gaps[row]:.1f} s after row {row + 1}, and it would be invented: cut the "
            "file there."
        )
    steps = np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1)
    turns = np.degrees(turned(poses[:-1], poses[1:]))
    for lengths, most, fastest, unit in (
        (steps, JUMP_MM, FASTEST_MM, "mm"),
        (turns, JUMP_DEGREES, FASTEST_DEGREES, "degrees"),
    ):
        padded = np.pad(lengths, 3, constant_values=np.nan)
        near = np.stack([padded[3 + k : len(lengths) + 3 + k] for k in (-3, -2, -1, 1, 2, 3)])
        around = np.nanmedian(near, axis=0) if len(lengths) > 1 else lengths
        jumps = (lengths > fastest * gaps) & (lengths > most) | (lengths > most) & (lengths > JUMP_FACTOR * around)
        if jumps.any():
            row = int(np.argmax(jumps))
            scale = ", or lower --trajectory-scale" if config.trajectory_scale > 1 else ""
            raise InputError(
                f"{file}: the camera jumps by {lengths[row]:.4g} {unit} in {gaps[row]:.3g} s after row {row + 1}: cut "
                f"the file there, and make jumps with --jump{scale}."
            )


def turned(first: Array, second: Array) -> Array:
    """Angles (N,), radians, between the rotations of transforms (N, 4, 4)."""
    trace = np.einsum("nij,nij->n", first[:, :3, :3], second[:, :3, :3])
    difference = first[:, :3, :3] - second[:, :3, :3]
    chord = np.sqrt((difference**2).sum((1, 2)) / 8)  # sin of half the angle: exact for small ones
    return np.where(trace > 0, 2 * np.arcsin(np.minimum(chord, 1)), np.arccos(np.clip((trace - 1) / 2, -1, 1)))


def placed(poses: Array) -> Array:
    """Camera to world (N, 4, 4), moved as a whole so that the mean place is the origin and the mean view along z.

    The mean of the rotations is the nearest one to their sum (Moakher, "Means and averaging in the group of rotations",
    2002).
    """
    left, _, right = np.linalg.svd(poses[:, :3, :3].sum(0))
    mean = left @ np.diag([1.0, 1.0, np.linalg.det(left @ right)]) @ right
    forward = poses[:, :3, 2].sum(0)
    if np.linalg.norm(forward) > 1e-6 * len(poses):
        forward /= np.linalg.norm(forward)
        across = np.cross(forward, mean[:, 0])
        down = across / np.linalg.norm(across)
        mean = np.stack([np.cross(down, forward), down, forward], 1)
    move = np.eye(4)
    move[:3, :3] = mean.T
    move[:3, 3] = -mean.T @ poses[:, :3, 3].mean(0)
    return move @ poses


def interpolated(times: Array, poses: Array, at: Array) -> Array:
    """Transforms (K, 4, 4) at times (K,): on lines between positions, along the shortest turns between rotations."""
    from scipy.spatial.transform import Rotation, Slerp

    at = np.clip(at, times[0], times[-1])
    result = np.tile(np.eye(4), (len(at), 1, 1))
    result[:, :3, :3] = Slerp(times, Rotation.from_matrix(poses[:, :3, :3]))(at).as_matrix()
    result[:, :3, 3] = np.stack([np.interp(at, times, poses[:, axis, 3]) for axis in range(3)], -1)
    return result


def _jump(config: Phantom, at: Callable[[Array], Array], duration: float) -> Jump:
    """The shortest way ahead that is long enough; InputError where the path leaves none."""
    assert config.jump is not None
    before = (config.jump - 1) / config.fps
    left = min(duration - (config.frames - 1) / config.fps, 60.0)
    skips = np.arange(1, max(2, int(left / 0.05) + 1)) * 0.05
    skips = skips[skips <= left]
    if not skips.size:
        raise InputError(
            f"--jump {config.jump}: {config.trajectory} ends with the clip and leaves nothing to skip; lower --frames."
        )
    start = at(np.array([before]))
    ends = at(np.asarray(config.jump / config.fps + skips, np.float64))
    moved = np.linalg.norm(ends[:, :3, 3] - start[0, :3, 3], axis=1)
    degrees = np.degrees(turned(np.repeat(start, len(ends), 0), ends))
    share = np.maximum(moved / JUMPED_MM, degrees / JUMPED_DEGREES)
    best = int(np.argmax(share >= 1)) if (share >= 1).any() else int(np.argmax(share))
    if share[best] < 0.2:
        raise InputError(
            f"--jump {config.jump}: the rest of the path gets only {moved[best]:.2f} mm and {degrees[best]:.1f} degrees"
            " away; choose an earlier frame, or lower --frames so that more of the path is left."
        )
    return Jump(config.jump, float(skips[best]), float(moved[best]), float(degrees[best]))


def _describe(config: Phantom, times: Array, whole: Array, poses: Array, notes: list[str]) -> None:
    """What was made of the trajectory, in numbers."""
    rate = (len(times) - 1) / times[-1]
    length = float(np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1).sum())
    possible = int(times[-1] * config.fps + 1e-6) + 1
    assert config.trajectory is not None
    how = "its own times" if abs(rate - config.fps) < 1e-3 * rate else f"interpolated from {rate:.4g} rows a second"
    notes.append(
        f"{config.trajectory.name}: {config.frames} of {possible} frames at {config.fps:g} a second, {how}; the camera "
        f"travels {length:.4g} mm."
    )
    widest = float(np.linalg.norm(np.ptp(whole[:, :3, 3], axis=0)))
    if widest < SHORTEST_MM:
        notes.append(
            f"{config.trajectory.name}: all places of the camera lie within {widest:.3g} mm; a file in metres needs "
            "--trajectory-scale 1000."
        )
