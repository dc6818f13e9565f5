"""Poses in TUM's form: a row with time, position and quaternion for each pose, and which row belongs to which frame."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from endogs.bounded_files import read_text
from endogs.clip.files.number_files import finite_numbers
from endogs.errors import InputError
from endogs.geometry import invert_rigid, rigid, rotation_from_quaternion

Array = NDArray[np.float64]


LONG_STEP = 5.0
"""Seconds between frames from which it is asked whether they are milliseconds: 200 frames per second would be 5 ms."""


_searching = threading.local()


@contextmanager
def poses_are_searched_for() -> Iterator[None]:
    """While entered, this thread reads clips whose cameras are to be found: frames need no poses of files."""
    before = are_poses_searched_for()
    _searching.here = True
    try:
        yield
    finally:
        _searching.here = before


def are_poses_searched_for() -> bool:
    """Whether `poses_are_searched_for` is entered."""
    return bool(getattr(_searching, "here", False))


@dataclass(frozen=True)
class Trajectory:
    """The poses of a file."""

    file: Path
    times: Array | None
    """(N,) the first column, None where rows have none."""
    world_to_camera: Array
    """(N, 4, 4)."""
    notes: list[str]
    """Sentences a user should read."""

    def __len__(self) -> int:
        return len(self.world_to_camera)


def read_trajectory(path: Path) -> Trajectory:
    """The rows of a TUM trajectory, which place the camera in the world: t x y z qx qy qz qw, or the same without t.

    A comment that names the columns with qw before qx says that w comes first. Raises InputError for rows that are not
    seven or eight finite numbers, zero quaternions and times that do not increase.
    """
    rows: list[list[float]] = []
    names: list[str] = []
    columns = 8
    for number, line in enumerate(read_text(path).splitlines(), 1):
        text, _, comment = line.partition("#")
        names = re.findall(r"\w+", comment.lower()) if "qw" in comment.lower() else names
        words = re.split(r"[,;\s]+", text.strip(" ,;\t"))
        if words == [""]:
            continue
        if not rows and {"qw", "qx"} <= {word.lower() for word in words}:
            names = [word.lower() for word in words]
            continue
        row = finite_numbers(text, words)
        columns = len(row) if not rows and len(row) in (7, 8) else columns
        if len(row) != columns or not any(row[-4:]):
            wanted = "t x y z qx qy qz qw" if columns == 8 else "x y z qx qy qz qw"
            raise InputError(f"{path}: line {number} is not {wanted} with finite numbers: correct it.")
        rows.append(row)
    if not rows:
        raise InputError(f"{path}: holds no poses: remove it if the camera stands still.")
    table = np.array(rows, np.float64)
    notes = []
    times = table[:, 0] if columns == 8 else None
    if times is None:
        notes.append(f"{path.name} has no times: its rows are taken in the order of the frames.")
    elif (np.diff(times) <= 0).any():
        table = table[_first_of_repeated(table)]
        dropped, times = len(rows) - len(table), table[:, 0]
        if (np.diff(times) <= 0).any():
            late = int(np.argmax(np.diff(times) <= 0)) + 1
            raise InputError(
                f"{path}: times must increase, but {times[late]:.9g} comes after {times[late - 1]:.9g}: sort the rows "
                "by time if they were mixed up, and keep one of each time."
            )
        notes.append(f"{path.name}: {dropped} of {len(rows)} rows repeat the one before and are left out.")
    quaternions = table[:, -4:]
    if "qw" in names and "qx" in names and names.index("qw") < names.index("qx"):
        notes.append(f"{path.name} says that its quaternions begin with w, and they are read so.")
    else:
        quaternions = quaternions[:, [3, 0, 1, 2]]
    camera_to_world = rigid(rotation_from_quaternion(quaternions), table[:, -7:-4])
    return Trajectory(path, times, invert_rigid(camera_to_world), notes)


def in_seconds(times: Array, file: Path, notes: list[str]) -> Array:
    """Times (N,) that are seconds, or by their steps cannot be: nano- or microseconds, which a note says.

    Steps of milliseconds could be seconds of a time-lapse: a note asks.
    """
    step = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    name, factor = ("nanoseconds", 1e-9) if step >= 1e6 else ("microseconds", 1e-6) if step >= 1e3 else ("", 1.0)
    if name:
        notes.append(f"{file.name}: its times step by {step:.6g} and are taken for {name}.")
    elif step >= LONG_STEP:
        notes.append(
            f"{file.name}: its times step by {step:.4g} and are taken for seconds; if they are milliseconds, --fps "
            f"{1000 / step:.4g} makes it so."
        )
    return np.asarray(times * factor if factor != 1 else times, np.float64)


def _first_of_repeated(table: Array) -> NDArray[np.bool_]:
    """(N,) False for rows that are the same as the row before."""
    return np.concatenate([[True], (np.diff(table, axis=0) != 0).any(1)])


def rows_of_frames(
    count: int, times: Array | None, images: list[Path], fps: float | None, file: Path, notes: list[str]
) -> NDArray[np.intp]:
    """Which of `count` rows belongs to each of the images (F,), -1 where none does.

    As many rows as images belong together in order. Otherwise whole numbers in the `times` (count,) are the numbers in
    the images' names, and times that are none are matched with those of frames at `fps`, to half a frame; and rows
    without times are counted from 0 by the images' numbers. Raises InputError, naming the `file`, when nothing matches.
    """
    if count == len(images):
        return np.arange(count)
    numbers = [frame_number(image) for image in images]
    found = np.full(len(images), -1)
    if all(number is not None for number in numbers) and len(set(numbers)) == len(numbers):
        if times is None:
            rows = dict(zip(range(count), range(count), strict=True)) if max(map(int, numbers)) < count else {}  # type: ignore[arg-type]
        else:
            whole = bool((times == np.rint(times)).all())
            rows = {int(time): row for row, time in enumerate(times)} if whole else {}
        found = np.array([rows.get(number, -1) for number in numbers])  # type: ignore[arg-type]
    if (found < 0).all() and times is not None and fps is not None:
        times, at = in_seconds(times, file, notes), np.arange(len(images)) / fps
        nearest = np.abs(times[None] - at[:, None]).argmin(1)
        found = np.where(np.abs(times[nearest] - at) <= 0.5 / fps, nearest, -1)
    if (found < 0).all():
        raise InputError(
            f"{file}: {count} poses for {len(images)} images, and neither their times nor the images' numbers tell "
            "which belongs to which: one row is needed per image."
        )
    lost, unused = int((found < 0).sum()), count - len(set(found[found >= 0].tolist()))
    parts = [f"{lost} of {len(images)} images have none and are left out"] if lost else []
    parts += [f"{unused} of {count} rows belong to no image"] if unused else []
    notes.append(f"poses: rows of {file.name} are matched with the frames by number or time; {'; '.join(parts)}.")
    return found


def frame_number(image: Path) -> int | None:
    """The last number in an image's name, None without one."""
    numbers = re.findall(r"\d+", image.name.split(".")[0])
    return int(numbers[-1]) if numbers else None
