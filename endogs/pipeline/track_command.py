"""`endogs track`: find the camera of a clip in its pictures, and write its path."""

import sys
from pathlib import Path

from endogs.clip import load_clip
from endogs.clip.cameras.trajectory_files import poses_are_searched_for
from endogs.errors import InputError
from endogs.evaluate.path_chart import write_path_chart
from endogs.evaluate.writable import check_outputs
from endogs.pipeline.breathing import breathing_in, without_breathing
from endogs.pipeline.camera_search import (
    TURNS,
    placed,
    refuse_one_frame,
    tracked,
    turned_path,
    unfit_pair,
    with_focal_length,
    with_prior,
)
from endogs.pipeline.config import Track
from endogs.pipeline.pose_prior import read_pose_prior
from endogs.pipeline.track_picture import track_picture
from endogs.plain_text import plain
from endogs.priors.instruments.choose import with_instrument_masks
from endogs.tracking.trajectory import Trajectory, write_trajectory


def run_track(config: Track) -> Trajectory:
    """Track the clip's camera, print what was found, write the files, and return the path.

    Poses that came with the clip are never looked at. Raises InputError for bad input, depth that is not there, and a
    clip in which hardly any frame's pose is found.
    """
    config.prior.check()
    if config.breathing == "keep" and config.prior.pose_prior is not None:
        raise InputError(
            f"{config.prior.pose_prior}: poses of --pose-prior tell breathing from the camera, so --breathing keep "
            "would change nothing; leave one of them out"
        )
    out = config.out
    if out is not None:
        if out.suffix.lower() != ".tum":
            raise InputError(f"{out}: the path is a TUM file; give a name in .tum.")
        _check(out, config.input)
    with poses_are_searched_for():
        clip = load_clip(config.input, config.clip)
    if out is None:
        out = Path(f"{clip.name}-trajectory.tum")
        _check(out, config.input)
    if config.depth == "given" and not clip.has_depth:
        raise InputError(f"{clip.source}: the clip has no depth files in a known unit; use --depth auto or none")
    if config.depth == "stereo" and not clip.has_right:
        raise InputError(f"{clip.source}: the clip has no right views; use --depth auto or none")
    if config.depth == "stereo" and (unfit := unfit_pair(clip)) is not None:
        raise InputError(f"{clip.source}: {unfit}; use --depth auto or none")
    refuse_one_frame(clip)
    for note in clip.notes:
        print(f"note: {plain(note)}", file=sys.stderr)
    said = set(clip.notes)
    clip = with_instrument_masks(clip, config.masks, config.sam2)
    for note in (note for note in clip.notes if note not in said):
        print(f"note: {plain(note)}", file=sys.stderr)
    prior = read_pose_prior(config.prior, clip)
    clip, notes = with_focal_length(clip)
    trajectory = tracked(clip, depth=None if config.depth == "auto" else config.depth)
    turning = turned_path(clip, trajectory) if prior is None and config.depth in ("auto", "none") else None
    if turning is not None:
        trajectory, notes = turning, (*notes, TURNS)
    trajectory = with_prior(clip, trajectory, prior, depth=config.depth != "none")
    rhythm = breathing_in(trajectory) if prior is None and config.breathing == "auto" else None
    if rhythm is not None:
        trajectory = without_breathing(trajectory, rhythm)
    found = placed(clip, trajectory, notes, advice="reconstruct --camera still fits it as one that stands still")
    for note in found.notes:
        print(plain(note))
    total = sum(one.milliseconds for one in trajectory.frames)
    print(f"{total / len(clip):.1f} ms a frame; by stage, ms: {_stages(trajectory, len(clip))}")
    out.parent.mkdir(parents=True, exist_ok=True)
    for path in write_trajectory(trajectory, out.parent, out.stem):
        print(f"wrote {plain(path)}")
    picture = out.with_suffix(".png")
    write_path_chart(picture, track_picture(trajectory))
    print(f"wrote {plain(picture)}")
    return trajectory


def _check(out: Path, source: Path) -> None:
    """Raises InputError where the path or what comes beside it cannot be written."""
    check_outputs({"--out": out} | {f"its {end}": out.with_suffix(end) for end in (".json", ".png")}, (source,))


def _stages(trajectory: Trajectory, frames: int) -> str:
    shares = sorted(trajectory.milliseconds.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {value / frames:.1f}" for name, value in shares)
