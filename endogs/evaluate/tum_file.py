"""Trajectories in TUM's form, one pose a line: time tx ty tz qx qy qz qw.

https://cvg.cit.tum.de/data/datasets/rgbd-dataset/file_formats; the poses are T_world_camera.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from endogs.clip.files.number_files import finite_numbers, read_text
from endogs.errors import InputError
from endogs.evaluate.metrics.pose_alignment import Poses
from endogs.geometry import rotation_from_quaternion

UNIT = 0.05
"""By how much the length of a quaternion may miss 1: two decimals miss it by a hundredth."""
NO_NUMBERS = frozenset({"nan", "-nan", "+nan", "inf", "-inf", "+inf"})


@dataclass(frozen=True)
class TumFile:
    """What a file holds, sorted by time."""

    times: NDArray[np.float64]
    """(n,) seconds, increasing."""
    poses: Poses
    """(n, 4, 4) T_world_camera."""
    lost: int
    """Lines with a time and NaN for the pose, as some programs mark frames they are lost in; left out."""
    notes: list[str]
    """Sentences a user should read."""


def read_tum(path: Path, lost_allowed: bool = False) -> TumFile:
    """Poses of a TUM file; blanks, commas or semicolons separate, and `#` begins a comment.

    A comment "# time_offset SECONDS", as `endogs export cameras` writes it, is added to the times, and one that names
    the columns with qw before qx says that w comes first. Raises InputError for a file that is none, for quaternions
    that are no rotations, times that stand twice, and NaN unless `lost_allowed`.
    """
    rows: list[list[float]] = []
    offset, w_first, lost = 0.0, False, 0
    for number, line in enumerate(read_text(path).splitlines(), 1):
        text, _, comment = line.partition("#")
        words = re.split(r"[,;\s]+", text.strip(" ,;\t"))
        said = comment.split()
        if words == [""] and len(said) == 2 and said[0] == "time_offset":
            if len(seconds := finite_numbers(said[1], said[1:])) != 1:
                raise _none(path, number)
            offset += seconds[0]
        names = re.findall(r"q[wxyz]", comment.lower())
        w_first = names.index("qw") < names.index("qx") if {"qw", "qx"} <= set(names) else w_first
        if words == [""]:
            continue
        if len(words) == 8 and NO_NUMBERS & {word.lower() for word in words[1:]}:
            if not lost_allowed:
                raise InputError(
                    f"{path}: line {number} holds NaN or infinity, which is no pose; leave the line out where the "
                    "camera is not known."
                )
            lost += 1
            continue
        row = finite_numbers(text, words)
        if len(row) != 8:
            raise _none(path, number)
        rows.append(row)
    if not rows:
        raise _none(path, None)
    table = np.array(rows, np.float64)
    table = table[np.argsort(table[:, 0], kind="stable")]
    times = table[:, 0] + offset
    if (again := np.flatnonzero(np.diff(times) <= 0)).size:
        raise InputError(f"{path}: the time {times[again[0]]:.9g} stands twice; give one pose for each time.")
    quaternions = table[:, 4:] if w_first else table[:, [7, 4, 5, 6]]
    _check_quaternions(path, times, quaternions)
    poses = np.tile(np.eye(4), (len(table), 1, 1))
    poses[:, :3, :3] = rotation_from_quaternion(quaternions)
    poses[:, :3, 3] = table[:, 1:4]
    notes = [f"{path.name} says that its quaternions begin with w, and they are read so"] if w_first else []
    return TumFile(times, poses, lost, notes)


def _check_quaternions(path: Path, times: NDArray[np.float64], quaternions: NDArray[np.float64]) -> None:
    length = np.linalg.norm(quaternions, axis=1)
    bad = np.flatnonzero(~(np.abs(length - 1) <= UNIT))
    if not bad.size:
        return
    what = "a quaternion of zeros" if length[bad[0]] < 1e-6 else f"a quaternion of length {length[bad[0]]:.4g}"
    raise InputError(
        f"{path}: at time {times[bad[0]]:.9g} stands {what}, which is no rotation ({len(bad)} of {len(times)} lines "
        "hold such a one); give tx ty tz, then qx qy qz qw of length 1."
    )


def _none(path: Path, number: int | None) -> InputError:
    where = "it holds no poses" if number is None else f"line {number} is not eight finite numbers"
    return InputError(f"{path} is not a TUM trajectory: {where}; give time tx ty tz qx qy qz qw, one pose a line.")
