"""How far a scene's cameras are from the poses that its clip gives: nobody is to be misled by what they add to PSNR."""

from typing import Any

import numpy as np

from endogs.clip import Clip
from endogs.clip.splits import Split
from endogs.evaluate.metrics.pose_errors import rotation_degrees
from endogs.gaussians import MEANS
from endogs.geometry import Array, invert_rigid, project
from endogs.scene import Scene

MOST_FRAMES = 64
"""Frames, evenly taken, at which the motion in the picture is looked at."""


def pose_corrections(scene: Scene, clip: Clip, split: Split) -> dict[str, Any] | None:
    """A JSON object with `units`, `training` and `held_out` frames; None where all poses are the clip's, and where the
    scene's came from elsewhere than its clip's files, in a world of their own: `--trajectory` compares such paths.

    Of each: how many `frames` there are and how many have another pose (`moved`), the mean of its turn (`mean_degrees`)
    and shift (`mean_shift`, world units), and the mean over frames of the scene's median motion in the picture
    (`mean_pixels`).
    """
    given = np.asarray(clip.world_to_camera, np.float64)
    elsewhere = scene.origin.cameras in ("tracked", "colmap", "still") and not clip.poses_are_found
    if elsewhere or (scene.world_to_camera == given).all():
        return None
    parts = {"training": split.train, "held_out": split.unseen}
    found: dict[str, Any] = {name: _of(scene, given, list(frames)) for name, frames in parts.items() if len(frames)}
    return {"units": scene.units, **found}


def pose_lines(found: dict[str, Any] | None) -> list[str]:
    """The sentence about `pose_corrections`; nothing where there are none."""
    if found is None:
        return []
    units = "mm" if found["units"] == "mm" else "units"
    said = {
        name: f"{part['mean_pixels']:.2f} pixels ({part['mean_degrees']:.3f} degrees, {part['mean_shift']:.3g} {units})"
        for name, part in found.items()
        if name != "units"
    }
    line = f"poses are not the clip's: those of training frames were refined by {said['training']} in the mean"
    if "held_out" in found:
        part = found["held_out"]
        line += (
            f"; those of {part['moved']} of {part['frames']} held-out frames, each aligned to the finished scene by "
            f"its own picture, by {said['held_out']}"
        )
    return [line]


def _of(scene: Scene, given: Array, frames: list[int]) -> dict[str, Any]:
    own = scene.world_to_camera[frames]
    motion = own @ invert_rigid(given[frames])
    looked_at = np.unique(np.linspace(0, len(frames) - 1, min(len(frames), MOST_FRAMES)).round().astype(int))
    pixels = [_picture_motion(scene, given, frames[k]) for k in looked_at]
    known = [value for value in pixels if np.isfinite(value)]
    return {
        "frames": len(frames),
        "moved": int((own != given[frames]).any((1, 2)).sum()),
        "mean_degrees": float(rotation_degrees(motion[:, :3, :3]).mean()),
        "mean_shift": float(np.linalg.norm(motion[:, :3, 3], axis=1).mean()),
        "mean_pixels": float(np.mean(known)) if known else 0.0,
    }


def _picture_motion(scene: Scene, given: Array, frame: int) -> float:
    """Median motion, pixels, of the Gaussians in a frame's picture from the clip's camera to the scene's."""
    means = scene.packed_at(float(scene.times[frame]))[:, MEANS].double().cpu().numpy()
    before, near = project(means, scene.K[frame], given[frame])
    after, _ = project(means, scene.K[frame], scene.world_to_camera[frame])
    inside = (near > 0) & (before >= 0).all(1) & (before < (scene.width, scene.height)).all(1)
    return float(np.median(np.linalg.norm(after - before, axis=1)[inside])) if inside.any() else np.nan
