"""COLMAP's cameras.txt or cameras.bin as a calibration of its own, without the images that were registered."""

import re
from pathlib import Path
from typing import Any

from endogs.bounded_files import read_text
from endogs.clip.cameras.colmap_model import read_cameras
from endogs.clip.cameras.lenses import Brown, KannalaBrandt
from endogs.errors import InputError

LONGEST = 1 << 20
"""Bytes of a text that may be COLMAP's list of cameras."""


def _is_camera(words: list[str]) -> bool:
    """CAMERA_ID MODEL WIDTH HEIGHT and parameters."""
    return len(words) > 4 and words[0].isdecimal() and re.fullmatch(r"[A-Z_]{3,}", words[1]) is not None


def colmap_entries(file: Path) -> dict[str, Any] | None:
    """The entries of a calibration.json that say what COLMAP's camera says; None for a file that is not COLMAP's.

    COLMAP too puts pixel centres at +0.5. Raises InputError for cameras that differ, and as `read_cameras`.
    """
    if file.suffix.lower() not in (".bin", ".txt"):
        return None
    if file.suffix.lower() == ".txt":
        lines = (line.split() for line in read_text(file, LONGEST).splitlines())
        rows = [words for words in lines if words and not words[0].startswith("#")]
        if not rows or not all(_is_camera(words) for words in rows):
            return None
    cameras = read_cameras(file)
    if len({(camera.model, camera.width, camera.height, camera.parameters) for camera in cameras.values()}) != 1:
        raise InputError(
            f"{file}: holds {len(cameras)} cameras, and a calibration is of one: leave only the line of the camera "
            "that took these images, or give the folder of the whole COLMAP model."
        )
    camera = next(iter(cameras.values()))
    (fx, _, cx), (_, fy, cy), _ = camera.K.tolist()
    entries: dict[str, Any] = {"fx": fx, "fy": fy, "cx": cx, "cy": cy, "width": camera.width, "height": camera.height}
    lens = camera.lens()
    if isinstance(lens, KannalaBrandt):
        return {**entries, "model": "fisheye", "distortion": list(lens.k)}
    return {**entries, "distortion": list(lens.distortion)} if isinstance(lens, Brown) else entries
