"""The TUM RGB-D benchmark: rgb.txt, depth.txt and groundtruth.txt with time stamps, files in rgb/ and depth/.

Sturm et al. 2012; formats: https://cvg.cit.tum.de/data/datasets/rgbd-dataset/file_formats. Lists hold `time file`;
groundtruth.txt `time tx ty tz qx qy qz qw`, the colour camera's place in the world in metres; depth is 16-bit PNG with
5000 per metre, 0 = unknown, registered to the colour image. Colour, depth and poses are taken at their own times and
belong together when these differ by 20 ms at most, as the benchmark's associate.py has it, the nearest first.

The cameras are those of the benchmark's page on intrinsic calibration, found by the sequence's name. A folder of
another camera in this layout says so in calibration.json: fx, fy, cx, cy (pixel centres at +0.5) and perhaps
depth_unit_mm.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from endogs.bounded_files import is_file
from endogs.clip.cameras.focal_lengths import set_focal_length
from endogs.clip.cameras.guessed_camera import still_poses
from endogs.clip.cameras.lenses import Brown
from endogs.clip.cameras.undistortion import undistort
from endogs.clip.config import ClipOptions
from endogs.clip.files.depth_files import depth_files
from endogs.clip.files.frame_folders import read_frame_files
from endogs.clip.files.number_files import entry, finite_numbers, read_json, read_table, read_text
from endogs.clip.recording import Recording
from endogs.errors import InputError
from endogs.geometry import invert_rigid, rigid, rotation_from_quaternion

KIND = "tum-rgbd"
LANDMARKS: tuple[str, ...] = ("rgb.txt",)

Array = NDArray[np.float64]

DEPTH_UNIT_MM = 1000 / 5000
APART = 0.02
"""Seconds between what still belongs together."""
METRE = 1000.0
"""Millimetres."""
CAMERAS = {
    "freiburg1": (517.3, 516.5, 318.6, 255.3, (0.2624, -0.9531, -0.0054, 0.0026, 1.1633)),
    "freiburg2": (520.9, 521.0, 325.1, 249.7, (0.2312, -0.7849, -0.0033, -0.0001, 0.9172)),
    "freiburg3": (535.4, 539.2, 320.1, 247.6, (0.0, 0.0, 0.0, 0.0, 0.0)),
}
"""fx, fy, cx, cy with pixel centres at integers and OpenCV's distortion, by what the sequence's name holds."""


def why_not(path: Path, options: ClipOptions) -> str | None:
    """Why `path` has not this layout, None when it has."""
    if not path.is_dir():
        return "not a folder"
    return None if (path / "rgb.txt").is_file() else "no rgb.txt"


def read(path: Path, options: ClipOptions) -> Recording:
    """The colour images that have depth and a pose, as far as there are any; mm. Distorted cameras are undistorted."""
    notes: list[str] = []
    times, images = read_list(path / "rgb.txt")
    keep = np.ones(len(times), bool)
    depth_of = pose_of = np.full(len(times), -1)
    depths: list[Path] = []
    world_to_camera = still_poses(len(times))
    if (path / "depth.txt").is_file():
        depth_times, depths = read_list(path / "depth.txt")
        depth_of = associate(times, depth_times)
        keep &= depth_of >= 0
    if (path / "groundtruth.txt").is_file():
        pose_times, poses = read_poses(path / "groundtruth.txt")
        pose_of = associate(times, pose_times)
        world_to_camera = poses[pose_of.clip(0)]
        keep &= pose_of >= 0
    else:
        notes.append("groundtruth.txt is not there, so the camera is taken to stand still.")
    chosen = np.flatnonzero(keep)
    if not chosen.size:
        raise InputError(
            f"{path / 'rgb.txt'}: no image has depth and a pose within {1000 * APART:g} ms: the time stamps of "
            "rgb.txt, depth.txt and groundtruth.txt must be of one clock."
        )
    if chosen.size < len(times):
        notes.append(
            f"{len(times) - chosen.size} of {len(times)} images have no depth or no pose within {1000 * APART:g} ms "
            "and are left out."
        )
    frames = read_frame_files(path, [images[i] for i in chosen], options, fps=None, times=times[chosen])
    width, height = frames.width, frames.height
    kept = chosen[frames.kept]
    K, distortion, unit = _camera(path, width, height, notes)
    if not any(distortion):  # otherwise it is that of the undistorted view
        set_focal_length(K, options.focal)
    depth_reader, quantized = None, False
    if depths:
        depth_reader, quantized = depth_files(
            [depths[depth_of[i]] for i in kept], (width, height), notes, options.depth_is
        )
    recording = replace(
        frames.recording(path, KIND, K, world_to_camera[kept]),
        poses_are_given=(path / "groundtruth.txt").is_file(),
        depths=depth_reader,
        depth_unit=options.depth_unit_mm or unit,
        units="mm",
        pose_unit_mm=METRE,
        poses_are_quaternions=True,
        depth_is_quantized=quantized,
        notes=[*frames.notes, *notes],
    )
    return undistort(recording, Brown(K, distortion), options) if any(distortion) else recording


def read_list(path: Path) -> tuple[Array, list[Path]]:
    """Times (N,) in seconds and files of rgb.txt or depth.txt; InputError for other lines and missing files."""
    times: list[float] = []
    names: list[str] = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        words = line.split("#")[0].split()
        if not words:
            continue
        time = finite_numbers(words[0], words[:1])
        if len(words) != 2 or not time:
            raise InputError(f"{path}: line {number} is not a time and a file: correct it.")
        times += time
        names.append(words[1])
    if not times:
        raise InputError(f"{path}: names no files: copy it again.")
    files = [path.parent / name for name in names]
    missing = [name for name, file in zip(names, files, strict=True) if not is_file(file)]
    if missing:
        raise InputError(
            f"{path}: {missing[0][:200]} is not there ({len(missing)} of {len(files)} files are "
            "missing): unpack the sequence again."
        )
    if (np.diff(times) <= 0).any():
        raise InputError(f"{path}: times must increase: sort its lines.")
    return np.array(times), files


def read_poses(path: Path) -> tuple[Array, Array]:
    """Times (N,) in seconds and `world_to_camera` (N, 4, 4) in mm of groundtruth.txt."""
    table = read_table(path, 8)
    if not np.abs(table[:, 4:]).sum(1).all():
        raise InputError(f"{path}: holds a quaternion of zeros: correct it.")
    camera_to_world = rigid(rotation_from_quaternion(table[:, [7, 4, 5, 6]]), METRE * table[:, 1:4])
    return table[:, 0], invert_rigid(camera_to_world)


def associate(times: Array, others: Array) -> NDArray[np.intp]:
    """Index (N,) into `others` (M,) of what belongs to each of `times` (N,), -1 for none: pairs at most 20 ms apart.

    The nearest pairs first, and nothing twice, as the benchmark's associate.py has it.
    """
    order = np.argsort(others)
    place = np.searchsorted(others[order], times)
    pairs = []
    for i, at in enumerate(place):
        for j in range(max(0, at - 2), min(len(others), at + 2)):
            apart = abs(times[i] - others[order[j]])
            if apart <= APART:
                pairs.append((apart, i, int(order[j])))
    found = np.full(len(times), -1)
    taken: set[int] = set()
    for _, i, j in sorted(pairs):
        if found[i] < 0 and j not in taken:
            found[i] = j
            taken.add(j)
    return found


def _camera(path: Path, width: int, height: int, notes: list[str]) -> tuple[Array, tuple[float, ...], float]:
    """K (3, 3) with centres at +0.5, distortion, and mm per unit of depth."""
    file = path / "calibration.json"
    if file.is_file():
        stated = read_json(file)
        fx, fy, cx, cy = (float(entry(stated, name, (), file)) for name in ("fx", "fy", "cx", "cy"))
        unit = float(entry(stated, "depth_unit_mm", (), file)) if "depth_unit_mm" in stated else DEPTH_UNIT_MM
        if min(fx, fy, unit) <= 0:
            raise InputError(f"{file}: fx, fy and depth_unit_mm must be positive: correct it.")
        return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]), (), unit
    known = [name for name in CAMERAS if name in path.resolve().name]
    if not known:
        raise InputError(
            f"{path}: its name holds none of {', '.join(CAMERAS)}, so its camera is unknown: write fx, fy, cx, cy into "
            f"{file}."
        )
    if (width, height) != (640, 480):
        raise InputError(
            f"{path}: the camera {known[0]} is known for images of 640 x 480, but these are {width} x {height}: write "
            f"fx, fy, cx, cy of these into {file}."
        )
    fx, fy, cx, cy, distortion = CAMERAS[known[0]]
    return np.array([[fx, 0, cx + 0.5], [0, fy, cy + 0.5], [0, 0, 1]]), distortion, DEPTH_UNIT_MM
