"""A camera's path as the tracker found it: a pose for every frame that has one, and why others have none."""

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from endogs.geometry import invert_rigid
from endogs.output import new_file, to_json, write_json
from endogs.tracking.rhythm import Rhythm

Array = NDArray[np.float64]


class State(str, Enum):
    """How a frame's pose was found."""

    TRACKED = "tracked"
    INITIAL = "initial"
    """The frame had no pose when it came, as before the map began; its pose was found afterwards."""
    LOST = "lost"
    PRIOR = "prior"
    """Lost, but poses that are known besides the pictures hold one of this frame; it is not taken for the frame's."""


@dataclass(frozen=True)
class TrackedFrame:
    """One frame of a path."""

    frame: int
    """Its index in the clip."""
    time: float
    """Seconds since the clip's first frame."""
    world_to_camera: Array | None
    """(4, 4) in OpenCV's axes, in the trajectory's units; None where it is not known."""
    state: State
    reason: str = ""
    """Why it is lost: "dark", "saturated", "blurred", "few points", "no parallax yet", ..."""
    inliers: int = 0
    """Points that agree with the pose."""
    residual_px: float = float("nan")
    """Median distance between where those points are seen and drawn, in pixels of the clip's frames."""
    covariance: Array | None = None
    """(6, 6) of translation (units) and rotation vector (radians) in the camera's frame, for independent points."""
    milliseconds: float = 0.0
    keyframe: bool = False
    sub_map: int = 0
    """Poses of different sub-maps have nothing to do with each other: place, direction and, from one eye, scale."""
    prior_world_to_camera: Array | None = None
    """(4, 4) what poses that are known besides the pictures say of this frame, with all their noise."""
    pixels: Array | None = None
    """(n, 2) where the points that were followed are, in pixels of the clip's frames, centres at +0.5."""
    agree: NDArray[np.bool_] | None = None
    """(n,) which of them agree with the pose."""


@dataclass(frozen=True)
class Landmarks:
    """Points of the map and the keyframes that saw them."""

    points: Array
    """(M, 3) world."""
    rigid: Array
    """(M,) probability that the point stands still."""
    seen_by: NDArray[np.intp]
    """(n,) frame of each observation, a keyframe."""
    point: NDArray[np.intp]
    """(n,) which point was seen."""
    pixels: Array
    """(n, 2) where, in pixels of the clip's frames, centres at +0.5."""


@dataclass(frozen=True)
class Trajectory:
    """What the tracker found of a clip. Where there are sub-maps, `frames` name them; all else is about the largest."""

    frames: tuple[TrackedFrame, ...]
    """One for each frame that was fed, in their order; poses after the last adjustment."""
    causal: tuple[TrackedFrame, ...]
    """The same as they were known when the frame came; a frame before the start is lost here."""
    units: Literal["mm", "relative"]
    """World units; relative ones are about a hundredth of the first keyframe's median depth."""
    notes: tuple[str, ...]
    """Sentences a user should read."""
    milliseconds: dict[str, float] = field(default_factory=dict)
    """Total by stage."""
    landmarks: Landmarks | None = None
    """Of the largest sub-map; None where no map was made."""
    sub_map: int = 0
    """The largest."""
    rhythm: Rhythm | None = None
    """Breathing that was taken out of the largest map's path."""

    @property
    def world_to_camera(self) -> Array:
        """(F, 4, 4), NaN where there is no pose in the largest sub-map."""
        found = np.full((len(self.frames), 4, 4), np.nan)
        for k, one in enumerate(self.frames):
            if one.world_to_camera is not None and one.sub_map == self.sub_map:
                found[k] = one.world_to_camera
        return found

    @property
    def found(self) -> NDArray[np.bool_]:
        """(F,) whether a frame has a pose in the largest sub-map."""
        return np.isfinite(self.world_to_camera[:, 0, 0]) if self.frames else np.zeros(0, bool)

    @property
    def times(self) -> Array:
        """(F,) seconds."""
        return np.array([one.time for one in self.frames], np.float64)


def write_trajectory(trajectory: Trajectory, folder: Path, stem: str = "trajectory") -> list[Path]:
    """Write STEM.tum and STEM.json into `folder`, and STEM-map1.tum and so on for other sub-maps.

    The TUM files hold camera to world; a frame without a pose is a comment, "# lost TIME REASON", or
    "# prior TIME REASON" where the JSON file has a pose of it that was not found in the pictures.
    """
    maps = sorted({one.sub_map for one in trajectory.frames if one.world_to_camera is not None} | {trajectory.sub_map})
    written = []
    for number in maps:
        name = f"{stem}.tum" if number == trajectory.sub_map else f"{stem}-map{number}.tum"
        with new_file(folder / name) as path:
            path.write_text("\n".join(_tum_lines(trajectory, number)) + "\n", encoding="utf-8")
        written.append(folder / name)
    write_json(folder / f"{stem}.json", _as_json(trajectory))
    return [*written, folder / f"{stem}.json"]


def _tum_lines(trajectory: Trajectory, sub_map: int) -> list[str]:
    from scipy.spatial.transform import Rotation

    lines = [f"# time tx ty tz qx qy qz qw (T_world_camera, {trajectory.units})"]
    for one in trajectory.frames:
        if one.world_to_camera is None:
            lines.append(f"# {one.state.value} {one.time:.9f} {one.reason}")
        elif one.sub_map != sub_map:
            lines.append(f"# other map {one.time:.9f} {one.sub_map}")
        else:
            pose = invert_rigid(one.world_to_camera)
            quaternion = Rotation.from_matrix(pose[:3, :3]).as_quat()
            lines.append(" ".join([f"{one.time:.9f}", *(f"{x:.9f}" for x in (*pose[:3, 3], *quaternion))]))
    return lines


def _as_json(trajectory: Trajectory) -> dict[str, Any]:
    frames = []
    for one, then in zip(trajectory.frames, trajectory.causal, strict=True):
        entry = {
            "frame": one.frame,
            "time": one.time,
            "state": one.state.value,
            "reason": one.reason,
            "inliers": one.inliers,
            "residual_px": one.residual_px,
            "milliseconds": one.milliseconds,
            "keyframe": one.keyframe,
            "sub_map": one.sub_map,
            "world_to_camera": _listed(one.world_to_camera),
            "causal_world_to_camera": _listed(then.world_to_camera),
            "covariance": _listed(one.covariance),
        }
        if one.prior_world_to_camera is not None:
            entry["prior_world_to_camera"] = _listed(one.prior_world_to_camera)
        frames.append(entry)
    found = {
        "units": trajectory.units,
        "sub_map": trajectory.sub_map,
        "notes": list(trajectory.notes),
        "milliseconds": trajectory.milliseconds,
        "frames": frames,
    }
    if trajectory.rhythm is not None:
        rhythm = trajectory.rhythm
        found["breathing_left_out"] = {
            "period_s": rhythm.period,
            "amplitude": rhythm.amplitude,
            "log_evidence": rhythm.evidence,
            "shift": rhythm.shift.tolist(),
        }
    return dict(to_json(found))


def _listed(matrix: Array | None) -> list[list[float]] | None:
    return None if matrix is None else matrix.tolist()
