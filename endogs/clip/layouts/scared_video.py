"""SCARED as it is downloaded: rgb.mp4 with the left view on top of the right one, frame_data/ and scene_points/.

`data/` of a keyframe holds rgb.mp4, frame_data/*.json and scene_points/*.tiff, the last two after unpacking
frame_data.tar.gz and scene_points.tar.gz. A scene_points file is float32 of shape (2 x height, width, 3): X, Y, Z in mm
of each pixel in the axes of the camera that sees it, left above right, not rectified (Allan et al. 2021,
https://arxiv.org/abs/2101.01133; https://github.com/dimitrisPs/scared_toolkit, its notes on the structure). The views
are rectified here.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from endogs.clip.cameras.rectification import RectifiedDepths, rectification
from endogs.clip.cameras.scared_calibration import FrameData, read_frame_data
from endogs.clip.config import ClipOptions
from endogs.clip.files.image_files import list_images, read_raw
from endogs.clip.files.stacked_video import read_stacked_video
from endogs.clip.layouts.scared import data_folder
from endogs.clip.recording import FrameReader, Recording
from endogs.errors import InputError

KIND = "scared-video"
LANDMARKS: tuple[str, ...] = (
    *("left_depth_map.tiff", "endoscope_calibration.yaml", "data/rgb.mp4", "data/frame_data*", "data/scene_points*"),
    *("frame_data*", "scene_points*"),
)


ALONE = (
    "a keyframe without it is one pair of pictures, which images/, images_right/ and calibration.json can hold "
    "(docs/usage/CALIBRATION.md)"
)


def why_not(path: Path, options: ClipOptions) -> str | None:
    """Why `path` has not this layout, None when it has."""
    if not path.is_dir():
        return "not a folder"
    data = data_folder(path)
    if not (data / "rgb.mp4").is_file():
        alone = (path / "left_depth_map.tiff").is_file() and not (path / "data").is_dir()
        return f"data/ is not there, and {ALONE}" if alone else "no data/rgb.mp4"
    if not list_images(data / "frame_data", (".json",)):
        packed = (data / "frame_data.tar.gz").is_file()
        return "data/frame_data.tar.gz must be unpacked there" if packed else "no JSON files in data/frame_data/"
    return None


def read(path: Path, options: ClipOptions) -> Recording:
    """The views rectified, depth from scene_points/ where it is there, moving cameras; mm."""
    data = data_folder(path)
    described = list_images(data / "frame_data", (".json",))
    points = list_images(data / "scene_points", (".tiff", ".tif"))
    views = read_stacked_video(data / "rgb.mp4", options, limit=len(described))
    notes = list(views.notes)
    if options.end is None and views.total != len(described):
        few = min(views.total, len(described))
        notes.append(f"rgb.mp4 holds {views.total} frames and frame_data/ {len(described)}: the first {few} are used.")
    if points and len(points) != len(described):
        raise InputError(
            f"{data / 'scene_points'}: {len(points)} files for {len(described)} in frame_data/: unpack "
            "scene_points.tar.gz again, or remove the folder to go without depth."
        )
    frames = [read_frame_data(described[i]) for i in views.kept]
    size = (views.width, views.height)
    calibration, K = frames[0].stereo_calibration()
    turned = rectification(calibration, K, size, frames[0].path)
    if options.focal is not None:
        turned.K[[0, 1], [0, 1]] = options.focal
    _note_other_calibrations(frames, notes)

    in_files = np.stack([frame.world_to_camera for frame in frames])
    depths: FrameReader | None = None
    if points:
        scene_points = ScenePoints([points[i] for i in views.kept], size)
        scene_points.read(0)
        depths = RectifiedDepths(scene_points, turned.left, turned.depth_factor)
    else:
        packed = (data / "scene_points.tar.gz").is_file()
        notes.append("depth: unpack data/scene_points.tar.gz." if packed else "depth: data/scene_points/ is not there.")
    notes.append("stereo: the views are rectified as frame_data/ says; rows and --crop count in the result.")
    notes += turned.notes
    return replace(
        views.recording(path, KIND, turned, turned.turn @ in_files),
        depths=depths,
        depth_unit=options.depth_unit_mm or 1.0,
        pose_unit_mm=1.0,
        file_poses=in_files,
        file_pose_convention="world-to-camera-opencv",
        notes=notes,
    )


class ScenePoints:
    """Z of the left camera's points, when read."""

    def __init__(self, paths: list[Path], size: tuple[int, int]) -> None:
        """`size` (width, height) is that of one view."""
        self.paths, self.size = paths, size

    def read(self, index: int) -> NDArray[Any]:
        """float32 (H, W) z-depth in mm, 0 = unknown; InputError for a file of another form."""
        path = self.paths[index]
        raw = read_raw(path)
        width, height = self.size
        if raw.ndim != 3 or raw.shape != (2 * height, width, 3):
            raise InputError(
                f"{path}: holds {raw.dtype} of shape {raw.shape}, not points of shape {(2 * height, width, 3)} for "
                "both views: copy it again."
            )
        z = raw[:height, :, 0]  # OpenCV turns the order of three channels round: Z Y X
        return np.where(np.isfinite(z) & (z > 0), z, 0).astype(np.float32)


def _note_other_calibrations(frames: list[FrameData], notes: list[str]) -> None:
    first = frames[0]
    for name, shape in (("KL", (3, 3)), ("KR", (3, 3)), ("T", (3,))):
        if any(np.abs(frame.number(name, shape) - first.number(name, shape)).max() > 1e-3 for frame in frames):
            notes.append(f"the calibration changes between frames ({name}); the first frame's is used for all.")
            return
