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
from endogs.evaluate.metrics.temporal import temporal_errors
from endogs.evaluate.metrics.trajectory import TrueCameras, read_true_cameras, scene_trajectory_errors, unit_doubt
from endogs.output import to_json
from endogs.plain_text import plain
from endogs.priors.motion.flow import ClipFlows
from endogs.scene import Scene


@dataclass(frozen=True)
class Truths:
    """What is known of a clip's points and cameras; None where nobody said."""

    tracks_path: Path | None
    tracks: Tracks | None
    cameras: TrueCameras | None


def read_truths(config: Evaluate, clip: Clip, scenes: Sequence[Scene]) -> Truths:
    """The truths that `config` names, or the clip's own tracks.

    Says on standard error when a trajectory seems to be in another unit than a scene. Raises InputError for a file that
    is none, or whose truth does not fit the clip or the scenes.
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
    cameras = None
    if config.trajectory is not None:
        # The file counts from the input's first frame, a clip's times from the first frame that is read.
        cameras = read_true_cameras(config.trajectory, clip.times + clip.time_offset)
        for name, scene in zip(config.scenes, scenes, strict=True):
            if doubt := unit_doubt(cameras, scene.world_to_camera, scene.units):
                print(f"note: {plain(config.trajectory)}: {doubt} of {plain(name)}", file=sys.stderr)
    return Truths(path, tracks, cameras)


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
    if truths.cameras is not None:
        found["trajectory"] = asdict(scene_trajectory_errors(truths.cameras, scene.world_to_camera, scene.units))
    return to_json(found)
