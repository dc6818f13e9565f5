"""The camera's path by COLMAP, for those who trust it, or whose clip is rigid and full of texture."""

import json
import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.clip.clip import Clip
from endogs.errors import InputError
from endogs.tracking import colmap_process
from endogs.tracking.trajectory import State, TrackedFrame, Trajectory

DISTANCE = 100.0
"""World units from the first camera to its tissue, as of every scene without a unit."""
RIM = 7
"""Pixels: side of the square by which the tissue is eroded, at whose edges features belong to the edge."""


def colmap_clip(clip: Clip) -> tuple[Trajectory, float]:
    """The path of the largest model that COLMAP makes of the clip, and the factor on the clip's focal length.

    All frames are used, those that are held out too, as COLMAP takes pictures together, and lie meanwhile as files in
    the machine's temporary folder. Lengths are relative. Raises InputError where pycolmap is not installed or ends in
    an error, and where that folder takes no more.
    """
    if find_spec("pycolmap") is None:
        raise InputError(
            "--camera colmap needs pycolmap, which is not installed; `pip install 'endogs[colmap]'`, or use --camera "
            "track"
        )
    with tempfile.TemporaryDirectory(prefix="endogs-colmap-") as name:
        folder = Path(name)
        _write(clip, folder)
        # By its path and from its own folder: -m would import what lies in the user's current folder.
        done = subprocess.run(
            [sys.executable, colmap_process.__file__, str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd=folder,
            env={**os.environ, "PYTHONSAFEPATH": "1"},
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode != 0 or not (folder / "poses.json").is_file():
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise InputError(f"{clip.source}: COLMAP failed ({last[:200]}); use --camera track")
        found = json.loads((folder / "poses.json").read_text())
    return _trajectory(clip, found), float(found.get("focal", clip.K[0, 0, 0]) / clip.K[0, 0, 0])


def _write(clip: Clip, folder: Path) -> None:
    """The clip's pictures, masks and camera as `colmap_process` reads them."""
    for part in ("images", "masks"):
        (folder / part).mkdir()
    for i in range(len(clip)):
        tissue = cv2.erode(clip.tissue_mask(i).astype(np.uint8), np.ones((RIM, RIM), np.uint8))
        pictures = {f"images/{_name(i)}": clip.image(i)[..., ::-1], f"masks/{_name(i)}.png": 255 * tissue}
        for name, picture in pictures.items():
            if not cv2.imwrite(str(folder / name), picture):
                raise InputError(
                    f"{folder / name} cannot be written, so COLMAP gets no pictures: make room there, or name another "
                    "temporary folder in TMPDIR"
                )
    K = clip.K[0]
    camera = {"fx": K[0, 0], "fy": K[1, 1], "cx": K[0, 2], "cy": K[1, 2], "focal_is_guess": clip.K_is_guess}
    (folder / "camera.json").write_text(json.dumps(camera))


def _name(index: int) -> str:
    return f"{index:06d}.png"


def _trajectory(clip: Clip, found: dict[str, Any]) -> Trajectory:
    images = found["images"]
    points = np.array(found.get("points", []), np.float64).reshape(-1, 3)
    poses = {i: _pose(images[_name(i)]["pose"]) for i in range(len(clip)) if _name(i) in images}
    scale = 1.0
    if poses and len(points):
        first = poses[min(poses)]
        depth = points @ first[2, :3] + first[2, 3]
        scale = DISTANCE / float(np.median(depth[depth > 0])) if (depth > 0).any() else 1.0
    error = float(found.get("error", np.nan))
    frames = []
    for i in range(len(clip)):
        time = float(clip.times[i])
        if i not in poses:
            frames.append(TrackedFrame(i, time, None, State.LOST, "not in COLMAP's largest model"))
            continue
        poses[i][:3, 3] *= scale
        inliers = int(images[_name(i)]["points"])
        frames.append(TrackedFrame(i, time, poses[i], State.TRACKED, "", inliers, error, keyframe=True))
    notes = []
    if found["models"] > 1:
        notes.append(f"COLMAP made {found['models']} models that do not hang together; the largest is taken")
    return Trajectory(tuple(frames), tuple(frames), "relative", tuple(notes))


def _pose(matrix: list[list[float]]) -> NDArray[np.float64]:
    return np.concatenate([np.array(matrix, np.float64), [[0.0, 0, 0, 1]]])
