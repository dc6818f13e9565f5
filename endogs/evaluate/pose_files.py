"""Camera paths from whatever holds poses: a TUM file, a scene, or a clip of any layout that has them."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from endogs.bounded_files import is_file
from endogs.clip.cameras import pose_conventions
from endogs.clip.config import PoseConvention
from endogs.errors import InputError
from endogs.evaluate.metrics.pose_alignment import Poses
from endogs.evaluate.tum_file import read_tum
from endogs.geometry import invert_rigid

SCENE = "scene.safetensors"


@dataclass(frozen=True)
class CameraPath:
    """Poses with their times."""

    source: Path
    times: NDArray[np.float64]
    """(n,) seconds, increasing."""
    poses: Poses
    """(n, 4, 4) T_world_camera, OpenCV axes."""
    lost: int
    """Poses that the file says are lost, besides."""
    notes: list[str]
    """Sentences a user should read."""

    def __len__(self) -> int:
        return len(self.times)

    def read_as(self, convention: PoseConvention) -> "CameraPath":
        """The same path if its poses mean what `convention` says; `auto` changes nothing."""
        if convention == "auto":
            return self
        return replace(self, poses=invert_rigid(pose_conventions.world_to_camera(self.poses, convention)))


def read_path(path: Path, lost_allowed: bool = False) -> CameraPath:
    """The camera path in a TUM file, in a scene's file or folder, or in a clip's folder, as its reader finds it.

    Times are seconds from the input's first frame, or what a TUM file says. A scene's path has the frames whose poses
    were found. Lines of NaN count as lost where that is allowed, and are refused elsewhere. Raises InputError for what
    holds no poses.
    """
    if path.suffix == ".safetensors" or (path.is_dir() and is_file(path / SCENE)):
        return _of_scene(path)
    if path.is_dir():
        return _of_clip(path)
    found = read_tum(path, lost_allowed)
    return CameraPath(path, found.times, found.poses, found.lost, found.notes)


def _of_scene(path: Path) -> CameraPath:
    from endogs.scene.scene_file import load_scene

    scene = load_scene(path)
    times = np.asarray(scene.times, np.float64) + (scene.origin.time_offset or 0.0)
    return CameraPath(path, times[scene.placed], invert_rigid(scene.world_to_camera[scene.placed]), 0, [])


def _of_clip(path: Path) -> CameraPath:
    from endogs.clip.load import load_clip

    clip = load_clip(path, look=False)
    if clip.static_camera:
        raise InputError(
            f"{path}: this {clip.kind} has no poses, or one for all frames, so there is no path to compare; give a "
            "TUM file (time tx ty tz qx qy qz qw)."
        )
    return CameraPath(path, clip.times + clip.time_offset, invert_rigid(clip.world_to_camera), 0, [])
