"""Known points of the tissue and which frame sees which: an npz file, a COLMAP model, or a PLY file."""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from endogs.bounded_arrays import read_npz
from endogs.clip import Clip
from endogs.clip.cameras.colmap_model import model_file, read_model, read_points
from endogs.errors import InputError
from endogs.evaluate.metrics.pose_alignment import Poses
from endogs.evaluate.ply_points import read_ply_points

MODEL_PLACES = (".", "sparse/0", "sparse")
"""Where the folder of a COLMAP model may lie in the one that is named."""


@dataclass(frozen=True)
class SparsePoints:
    """Points with the frames that see them."""

    source: Path
    points: NDArray[np.float64]
    """(P, 3) positions in the world of the poses."""
    frame: NDArray[np.intp] | None
    """(S,) clip frames; None where nothing says who sees what."""
    point: NDArray[np.intp] | None
    """(S,) which point that frame sees."""
    world_to_camera: Poses | None
    """(F, 4, 4) of the clip's frames, NaN where there is none; None where the file holds no poses."""
    notes: list[str]
    """Sentences a user should read."""


def read_sparse_points(path: Path, clip: Clip) -> SparsePoints:
    """The points in `path`: an .npz file, a .ply file, or the folder of a COLMAP model.

    Raises InputError for a file that is none of these, and for sightings of frames that the clip does not have.
    """
    if path.is_dir():
        return _of_model(path, clip)
    if path.suffix.lower() == ".ply":
        return SparsePoints(path, _enough(path, read_ply_points(path)), None, None, None, [])
    if path.suffix.lower() != ".npz":
        raise InputError(f"{path}: sparse points are an .npz file, a .ply file, or the folder of a COLMAP model.")
    arrays = read_npz(path, ("points", "frame", "point"))
    points = arrays.get("points")
    if points is None or points.ndim != 2 or points.shape[1] != 3 or not np.isfinite(points).all():
        raise InputError(f"{path}: needs an array points (P, 3) of finite numbers.")
    points = _enough(path, points.astype(np.float64))
    if "frame" not in arrays and "point" not in arrays:
        return SparsePoints(path, points, None, None, None, [])
    frame, point = (arrays.get(name, np.zeros(0)) for name in ("frame", "point"))
    if frame.ndim != 1 or frame.shape != point.shape or not all(a.dtype.kind in "iu" for a in (frame, point)):
        raise InputError(
            f"{path}: frame and point are pairs of whole numbers, as many of both: frame[i] sees point[i]."
        )
    if not len(frame) or point.min() < 0 or point.max() >= len(points) or frame.min() < 0:
        raise InputError(
            f"{path}: its pairs name points {_range(point)} of {len(points)} and frames {_range(frame)}; count both "
            "from 0."
        )
    of_input = {int(number): index for index, number in enumerate(input_frames(clip))}
    return _with_sightings(path, points, np.array([of_input.get(int(f), -1) for f in frame]), point, None, clip)


def input_frames(clip: Clip) -> NDArray[np.intp]:
    """Numbers (F,) of the clip's frames among all of the input, from 0, by their times and the stride."""
    if len(clip) < 2:
        return np.array([0 if clip.time_offset == 0 else -1])
    interval = float(np.median(np.diff(clip.times))) / clip.options.stride
    return np.rint((clip.times + clip.time_offset) / interval).astype(np.intp)


def _of_model(path: Path, clip: Clip) -> SparsePoints:
    folder = next((path / place for place in MODEL_PLACES if model_file(path / place, "images")), None)
    if folder is None:
        raise InputError(f"{path}: no COLMAP model (images.bin or images.txt, and points3D) in it or in sparse/0.")
    _, images = read_model(folder)
    points, image, point = read_points(folder)
    points = _enough(folder, points)
    order = sorted(images, key=lambda one: one.name)
    frames = _frames_of_names(folder, [one.name for one in order], clip)
    of_image = {one.identifier: frame for one, frame in zip(order, frames, strict=True)}
    poses = np.full((len(clip), 4, 4), np.nan)
    for one, frame in zip(order, frames, strict=True):
        if frame >= 0:
            poses[frame] = one.world_to_camera
    if not len(image):
        if np.isnan(poses).all():
            raise InputError(f"{folder}: none of its {len(images)} images is one of the clip's {len(clip)} frames.")
        note = f"{folder.name}: no point says which images see it, so all see what no other point hides"
        return SparsePoints(folder, points, None, None, poses, [note])
    sees = np.array([of_image.get(int(number), -1) for number in image], np.intp)
    return _with_sightings(folder, points, sees, point, poses, clip)


def _frames_of_names(folder: Path, names: list[str], clip: Clip) -> list[int]:
    """The clip's frame of each image: by its file's name, else in order where there are as many, else by its number."""
    files = clip.file_names
    if files is not None:
        places = {name: index for index, name in enumerate(files)}
        found = [places.get(PurePosixPath(name).name, -1) for name in names]
        if max(found) >= 0:
            return found
    if len(names) == len(clip):
        return list(range(len(names)))
    numbers = [re.findall(r"\d+", PurePosixPath(name).stem) for name in names]
    if not all(numbers):
        raise InputError(
            f"{folder}: {len(names)} images for {len(clip)} frames, and neither their names nor numbers in them tell "
            "which is which; give a model of this clip's images."
        )
    of_input = {int(number): index for index, number in enumerate(input_frames(clip))}
    return [of_input.get(int(found[-1]), -1) for found in numbers]


def _with_sightings(
    path: Path,
    points: NDArray[np.float64],
    frame: NDArray[np.intp],
    point: NDArray[np.integer],
    poses: Poses | None,
    clip: Clip,
) -> SparsePoints:
    known = frame >= 0
    if not known.any():
        raise InputError(f"{path}: none of its {len(frame)} sightings is in one of the clip's {len(clip)} frames.")
    notes = []
    if not known.all():
        notes.append(f"{path.name}: {(~known).sum()} of {len(frame)} sightings are in frames that the clip has not")
    return SparsePoints(path, points, frame[known], point[known].astype(np.intp), poses, notes)


def _enough(path: Path, points: NDArray[np.float64]) -> NDArray[np.float64]:
    if not len(points):
        raise InputError(f"{path}: holds no points: give the points of a reconstruction.")
    return points


def _range(numbers: NDArray[np.integer]) -> str:
    return f"{numbers.min()} to {numbers.max()}" if len(numbers) else "of none"
