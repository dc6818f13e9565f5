"""What is measured over the clip and not per frame, with truths that are read before anything is measured."""

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from endogs.clip import Clip
from endogs.errors import InputError
from endogs.evaluate.config import Evaluate
from endogs.evaluate.judged_frames import MaskOf
from endogs.evaluate.metrics.point_tracks import Tracks, read_tracks, track_errors
from endogs.evaluate.metrics.pose_alignment import Poses
from endogs.evaluate.metrics.temporal import temporal_errors
from endogs.evaluate.scene_cameras import SceneCameras, read_reference, scene_cameras
from endogs.evaluate.scene_depth_at_points import depth_at_points, point_poses
from endogs.evaluate.sparse_points import SparsePoints, read_sparse_points
from endogs.output import to_json
from endogs.plain_text import plain
from endogs.priors.motion.flow import ClipFlows
from endogs.scene import Scene


@dataclass(frozen=True)
class Truths:
    """What is known of a clip's points and cameras; None where nobody said."""

    tracks_path: Path | None
    tracks: Tracks | None
    cameras: dict[Path, SceneCameras]
    """By scene, its cameras with the true ones; empty where nobody said."""
    points: SparsePoints | None
    point_poses: Poses | None
    """(F, 4, 4) world to camera of the clip's frames in those points' world."""


def read_truths(config: Evaluate, clip: Clip, scenes: Sequence[Scene]) -> Truths:
    """The truths that `config` names, or the clip's own tracks.

    Says on standard error what is doubtful about a trajectory. Raises InputError for a file that is none, or whose
    truth does not fit the clip or the scenes.
    """
    own = clip.source / "truth" / "tracks.npz" if isinstance(clip.source, Path) and clip.source.is_dir() else None
    path = config.tracks
    if path is None and own is not None and "tracks" in config.measures and own.is_file():
        path = own
    tracks = None if path is None else read_tracks(path, clip)
    if tracks is not None and config.tracks is not None:
        for name, scene in zip(config.scenes, scenes, strict=True):
            if not comparable(tracks, scene, clip):
                raise InputError(f"{path}: positions need a scene in mm, and {name} is not; give pixels.")
    cameras: dict[Path, SceneCameras] = {}
    reference = None
    if config.trajectory is not None:
        reference = read_reference(config.trajectory, clip)
        for name, scene in zip(config.scenes, scenes, strict=True):
            cameras[name] = scene_cameras(scene, name, reference, clip, config.keyframes)
    points = poses = None
    if config.sparse_points is not None:
        points = read_sparse_points(config.sparse_points, clip)
        poses = point_poses(points, clip, reference, scenes)
        for note in points.notes:
            print(f"note: {plain(note)}", file=sys.stderr)
    return Truths(path, tracks, cameras, points, poses)


def comparable(tracks: Tracks, scene: Scene, clip: Clip) -> bool:
    """Whether the tracks are in pixels, or in the scene's own millimetres."""
    return tracks.in_pixels or scene.units == clip.units == "mm"


def whole_clip(
    config: Evaluate, path: Path, scene: Scene, clip: Clip, masks: MaskOf, flows: ClipFlows, truths: Truths
) -> dict[str, dict[str, Any]]:
    """What is measured over the clip of the scene in `path`; without its truth a measure is left out.

    Raises InputError for a scene whose points cannot be followed though `--tracks` asks for it.
    """
    found: dict[str, dict[str, Any]] = {}
    if "temporal" in config.measures and len(clip) > 1:
        errors = temporal_errors(scene, clip, masks, flows, config.backend)
        found["temporal"] = errors.as_dict() | asdict(errors)
    if truths.tracks is not None:
        if comparable(truths.tracks, scene, clip):
            try:
                found["tracks"] = asdict(track_errors(scene, truths.tracks, config.backend))
            except ValueError as error:
                if config.tracks is not None:
                    raise InputError(f"{path}: {error}; leave out --tracks.") from error
                print(f"note: {plain(path)}: {plain(error)}", file=sys.stderr)
        else:
            print(
                f"note: {plain(path)} is not in mm, so its points are not compared with {plain(truths.tracks_path)}",
                file=sys.stderr,
            )
    if truths.points is not None and truths.point_poses is not None:
        found["sparse_points"] = depth_at_points(
            scene, path, truths.points, truths.point_poses, clip, masks, config.backend
        )
    if path in truths.cameras:
        found["trajectory"] = truths.cameras[path].errors()
    return to_json(found)
