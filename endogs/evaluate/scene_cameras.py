"""A scene's cameras beside the true ones, as `endogs evaluate --trajectory` measures them."""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from endogs.clip import Clip
from endogs.errors import InputError
from endogs.evaluate.keyframe_times import keyframe_flags
from endogs.evaluate.matched_paths import MatchedPaths, match_paths
from endogs.evaluate.metrics.pose_alignment import Poses, align
from endogs.evaluate.metrics.pose_association import match_times
from endogs.evaluate.metrics.pose_errors import centre_distances, path_length
from endogs.evaluate.metrics.trajectory import compare_paths
from endogs.evaluate.path_doubts import (
    OTHER_LENGTH,
    convention_doubt,
    line_doubt,
    sameness_doubt,
    shift_doubt,
    stillness_doubt,
    tremble_doubt,
)
from endogs.evaluate.pose_files import CameraPath, read_path
from endogs.geometry import invert_rigid
from endogs.plain_text import plain
from endogs.scene import Scene

SAME_TIME = 0.02
"""Seconds by which a pose's time may miss a frame's."""
FORGOTTEN_UNITS = {1e-3: "micrometres", 10.0: "centimetres", 1000.0: "metres"}
"""What positions are in when those in mm are so many times as far apart."""
NEAR = 3.0
"""Factor by which a ratio may miss these; for centimetres half of that."""


@dataclass(frozen=True)
class SceneCameras:
    """The matched cameras of one scene, and what else is known of them."""

    matched: MatchedPaths
    keyframes: NDArray[np.bool_] | None
    """(n,) True at keyframes; None where nobody named any."""
    units: str
    """The scene's: "mm" or "relative"."""
    notes: list[str]
    """What is doubtful, in sentences."""

    def errors(self) -> dict[str, Any]:
        """A JSON object: the headline after the alignment that the scene's units ask for, then the whole comparison.

        A scene in mm is compared with a reference in mm after a rigid alignment, any other after a similarity.
        """
        matched = self.matched
        found = compare_paths(matched.estimated, matched.true, self.keyframes, matched.frames).as_dict()
        metric = self.units == "mm"
        best, scaled = ("se3", "") if metric else ("sim3", "_scaled")
        aligned = align(matched.estimated, matched.true, "rigid" if metric else "similarity")
        headline: dict[str, Any] = {
            "alignment": "rigid" if metric else "similarity",
            "poses": found["poses"],
            "ate_rmse": found["absolute"][best]["rmse"],
            "ate_median": found["absolute"][best]["median"],
            "rpe_translation_rmse": found["relative"][0][f"translation_rmse{scaled}"],
            "rpe_rotation_degrees_rmse": found["relative"][0]["rotation_degrees_rmse"],
            "per_pose": centre_distances(aligned.poses, matched.true).tolist(),
            "frames": matched.expected,
            "lost": matched.lost,
            "share_lost": matched.lost / matched.expected,
            "notes": self.notes,
        }
        return headline | found


def read_reference(trajectory: Path | str, clip: Clip) -> CameraPath:
    """The true path in a file, or for "clip" in what came with the clip. Raises InputError where there is none."""
    if trajectory != "clip":
        return read_path(Path(trajectory))
    if clip.static_camera:
        raise InputError(
            f"{clip.source}: it comes with no poses, or with one for all frames, so there is no path to compare with; "
            "give --trajectory a TUM file, or leave it out."
        )
    return CameraPath(Path(clip.source), clip.times + clip.time_offset, invert_rigid(clip.world_to_camera), 0, [])


def scene_cameras(
    scene: Scene, path: Path, reference: CameraPath, clip: Clip, keyframes: Path | None = None
) -> SceneCameras:
    """The scene's cameras matched with the reference's.

    Frames for which the scene found no pose count as lost. Says on standard error what is doubtful about them. Raises
    InputError for a reference that never moves or has other times, which count from the input's first frame, while a
    clip's count from the first that is read.
    """
    times, placed = clip.times + clip.time_offset, np.flatnonzero(scene.placed)
    own = CameraPath(path, times[placed], invert_rigid(scene.world_to_camera[placed]), 0, [])
    advice = "give the reference's times in seconds from the input's first frame"
    matched = match_paths(own, reference, SAME_TIME, advice, estimate_is_whole=True)
    expected = len(match_times(times, reference.times, SAME_TIME)[0])
    matched = replace(matched, frames=placed[matched.frames], expected=expected)
    flags = None if keyframes is None else keyframe_flags(keyframes, matched.times, SAME_TIME)
    notes = [*reference.notes, *matched.notes, *_doubts(matched, scene.units)]
    for note in notes:
        print(f"note: {plain(path)} against {plain(reference.source)}: {plain(note)}", file=sys.stderr)
    return SceneCameras(matched, flags, scene.units, notes)


def forgotten_unit(estimated: Poses, true: Poses) -> str | None:
    """What to say of a reference whose path is not in mm as cameras (n, 4, 4) are; None where there is no doubt."""
    ours, theirs = path_length(estimated), path_length(true)
    if min(ours, theirs) <= 0 or 1 / OTHER_LENGTH < ours / theirs < OTHER_LENGTH:
        return None
    for ratio, unit in FORGOTTEN_UNITS.items():
        near = NEAR if ratio != 10 else NEAR / 2
        if 1 / near < ours / theirs / ratio < near:
            return f"its positions seem to be in {unit} (a path of {theirs:.3g}), not in mm as the cameras ({ours:.3g})"
    return (
        f"the reference's path is {theirs:.3g} long and that of the cameras {ours:.3g} mm: only Sim(3) tells how good "
        "its shape is"
    )


def _doubts(matched: MatchedPaths, units: str) -> list[str]:
    estimated, true = matched.estimated, matched.true
    found = [stillness_doubt(estimated), sameness_doubt(estimated, true), line_doubt(true)]
    if doubt := convention_doubt(estimated, true, ("reference",)):
        found.append(
            f"they fit far better if the reference's poses are {doubt.convention} (motions over {doubt.frames} frames "
            f"wrong by {doubt.then:.1%} of their length instead of {doubt.as_read:.1%}); give T_world_camera with "
            "OpenCV's axes"
        )
    else:
        found += [tremble_doubt(true, "reference"), shift_doubt(matched.times, estimated, true)]
    if units == "mm" and doubt is None:
        found.append(forgotten_unit(estimated, true))
    return [sentence for sentence in found if sentence is not None]
