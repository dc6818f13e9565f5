"""Rendered depth maps with everything that is needed to turn them into points."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.errors import InputError
from endogs.export.config import DepthFormat
from endogs.export.formats.exr_writer import write_exr
from endogs.export.moments import requested_seconds
from endogs.export.units import about
from endogs.output import new_folder, write_json
from endogs.pictures.scene_frames import depth_picture
from endogs.scene import Scene
from endogs.scene.units import units_phrase

FINEST_LEVEL = 0.01
"""World units per level of a 16-bit PNG, where the deepest depth allows it."""


def export_depth(
    scene: Scene, times: Sequence[float] | str, path: Path, format: DepthFormat = "png", scale: float = 1.0
) -> list[Path]:
    """Writes the z-depth at each time as 000000.png (.exr, .npy), 000001... and depth.json into the new folder `path`.

    Depth is along the optical axis, 0 where the Gaussians stop less than half the light. The camera is that of the
    clip's nearest frame, scaled. depth.json holds units, the PNG's units per level, and each file's time, K and
    world_to_camera.

    Returns the maps. Raises InputError for a time outside the clip, a scale out of range, and a path that cannot be
    written or is not empty.
    """
    if not (math.isfinite(scale) and 0 < scale <= 8):
        raise InputError(f"--scale {scale:g} is out of range; give a factor above 0 and up to 8.")
    if path.suffix.lower() in (".png", ".exr", ".npy"):
        raise InputError(f"{path}: depth maps go into a folder; give a name without an ending.")
    seconds = requested_seconds(scene, times)
    level = _level(max(float(depth_picture(scene, time, scale).max()) for time in seconds)) if format == "png" else None
    writers: dict[DepthFormat, Callable[[Path, NDArray[np.float32]], None]] = {
        "png": lambda file, depth: _write_png(file, depth, level or FINEST_LEVEL),
        "exr": lambda file, depth: write_exr(file, depth, units_phrase(scene)),
        "npy": _write_npy,
    }
    frames, names = [], []
    with new_folder(path) as folder:
        for index, time in enumerate(seconds):
            names.append(f"{index:06d}.{format}")
            writers[format](folder / names[-1], depth_picture(scene, time, scale))
            camera = scene.camera(scene.nearest_frame(time)).scaled(scale)
            frames.append(
                {
                    "file": names[-1],
                    "time_seconds": time,
                    "K": camera.K.double().tolist(),
                    "world_to_camera": camera.world_to_camera.double().tolist(),
                }
            )
        described: dict[str, Any] = {
            "depth": "z along the optical axis, 0 where nothing is there",
            "units_per_level": level,
        }
        described |= {"width": camera.width, "height": camera.height, "pixel_centres": "at +0.5", "frames": frames}
        write_json(folder / "depth.json", about(scene) | described)
    return [path / name for name in names]


def _level(deepest: float) -> float:
    """World units per level: 0.01, or the smallest power of ten times it whose 65535 levels reach the deepest depth."""
    level = FINEST_LEVEL
    while deepest > level * 65535:
        level = round(level * 10, 6)
    return level


def _write_png(path: Path, depth: NDArray[np.float32], level: float) -> None:
    encoded = cv2.imencode(".png", np.round(depth / level).astype(np.uint16))[1]
    path.write_bytes(encoded.tobytes())


def _write_npy(path: Path, depth: NDArray[np.float32]) -> None:
    with open(path, "wb") as file:
        np.save(file, depth)
