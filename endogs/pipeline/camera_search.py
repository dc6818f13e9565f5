"""Where a clip's camera is, before anything is fitted: as its files say, at rest, or searched for in its pictures."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from endogs.clip import Clip
from endogs.clip.cameras.guessed_camera import still_poses
from endogs.clip.view.framing import Framing
from endogs.errors import InputError
from endogs.evaluate.metrics.pose_errors import path_length
from endogs.geometry import interpolate_rigid, invert_rigid
from endogs.pipeline.breathing import with_breathing_said
from endogs.pipeline.fused_path import fused
from endogs.pipeline.options import CameraChoice
from endogs.pipeline.pose_prior import PosePrior
from endogs.pipeline.spans import spans
from endogs.pipeline.tissue_path import path_doubt, path_extent, path_left
from endogs.priors.depth.pair_doubt import checked_pair, pair_doubt
from endogs.progress import Progress
from endogs.scene.origin import FittedCameras
from endogs.tracking.begun_again import track_by_light
from endogs.tracking.camera_motion import CameraMotion, camera_motion
from endogs.tracking.colmap_poses import colmap_clip
from endogs.tracking.focal_length import find_focal_length, focal_length_seen, with_focal
from endogs.tracking.light_side import against_light, depth_by_light
from endogs.tracking.tracker import DepthSource
from endogs.tracking.trajectory import Trajectory
from endogs.tracking.turning import turning_path

Array = NDArray[np.float64]

TURNS = (
    "the camera's directions were found and its place is held, as turning shows no parallax: how far tissue is comes "
    "from brightness or a model, and motion that all tissue shares cannot be told from turning"
)
LEAST_FOUND = 0.1
"""Share of the frames whose pose must be found for a path to be worth anything."""
STILL_ADVICE = "reconstruct --camera still takes it to stand still"
SMALL_PICTURE = 300
"""Pixels of the longer side below which too few corners are a matter of the picture's size."""


@dataclass(frozen=True)
class FoundCameras:
    """A clip with the poses that are taken, and where they come from."""

    clip: Clip
    source: FittedCameras
    notes: tuple[str, ...] = ()
    """What was found or assumed, a sentence each."""
    trajectory: Trajectory | None = None
    """What the search found; None where nothing was searched for."""

    def record(self) -> dict[str, Any]:
        """For run.json."""
        about: dict[str, Any] = {"source": self.source, "frames": len(self.clip), "notes": list(self.notes)}
        if self.trajectory is not None:
            about |= {"found": int(self.trajectory.found.sum()), "milliseconds": self.trajectory.milliseconds}
        return about


def find_cameras(
    clip: Clip,
    choice: CameraChoice,
    held_out: Sequence[int] = (),
    prior: PosePrior | None = None,
    depth: DepthSource | None = None,
) -> FoundCameras:
    """The clip with the cameras that `choice` asks for; nothing of frames that are `held_out` changes others' poses.

    Whether the camera moves at all is asked of all frames, and COLMAP takes all. `auto` takes poses that came with the
    clip. Where none came, it asks what the pictures say of the camera: one that stands still is left as it is, and one
    that moves is tracked. With a `prior` the camera is tracked in any case, since the prior tells what the pictures
    leave open. `depth` is where a search takes distances from, by default the best that there is. Raises InputError for
    given poses that are not there, for COLMAP with a clip whose depth has a unit, where a search that was asked for
    finds nothing, and as `fused` does.
    """
    if prior is not None:
        if choice == "auto" and clip.poses_are_given:
            raise InputError(
                f"{clip.source}: it comes with poses, which --camera auto takes as they are; use --camera track for "
                "--pose-prior"
            )
        choice = "track"
    if choice == "given" or (choice == "auto" and clip.poses_are_given):
        if not clip.poses_are_given:
            raise InputError(
                f"{clip.source}: --camera given, but nothing says where the camera is; use --camera auto or track"
            )
        return FoundCameras(clip, "given")
    if choice == "still":
        still = clip if clip.static_camera else clip.with_cameras(still_poses(len(clip)))
        return FoundCameras(still, "still")
    if len(clip) == 1 and choice == "auto":
        return FoundCameras(
            clip, "still", ("one frame alone shows no motion of the camera: it is taken to stand still",)
        )
    refuse_one_frame(clip)
    if choice == "track":
        focused, notes = with_focal_length(clip, held_out)
        trajectory = tracked(focused, held_out, depth)
        if prior is None and (turning := turned_path(focused, trajectory, held_out)) is not None:
            return placed(focused, turning, (*notes, TURNS))
        if prior is None:
            return placed(focused, with_breathing_said(trajectory), notes)
        return placed(focused, with_prior(focused, trajectory, prior, held_out), notes)
    if choice == "colmap":
        if clip.has_depth or clip.baseline is not None:
            raise InputError(
                f"{clip.source}: COLMAP's path has no unit, and the clip's depth or right views have one, so that they "
                "would not fit together; use --camera track"
            )
        trajectory, factor = colmap_clip(clip)
        notes = ("COLMAP took the held-out frames too, so their scores are not of frames it never saw",) * bool(
            held_out
        )
        return placed(with_focal(clip, factor), trajectory, notes, "colmap")
    motion = camera_motion(clip)
    if motion.verdict == "still":
        return FoundCameras(clip, "still", (f"the camera stands still, for all that can be seen: {motion.evidence}",))
    return _auto(clip, motion, held_out, depth)


def refuse_one_frame(clip: Clip) -> None:
    """Raises InputError for a clip of a single frame, of which no path can be found."""
    if len(clip) == 1:
        raise InputError(
            f"{clip.source}: one frame alone shows no motion of the camera; take more of the clip, by --start, --end "
            "and --stride, or reconstruct it with --camera still"
        )


def _auto(clip: Clip, motion: CameraMotion, held_out: Sequence[int], depth: DepthSource | None) -> FoundCameras:
    """Cameras of a clip whose camera does not clearly stand still."""
    focused, notes = with_focal_length(clip, held_out)
    trajectory = tracked(focused, held_out, depth)
    found = trajectory.found
    if motion.verdict == "turning" and (turning := turned_path(focused, trajectory, held_out, motion)) is not None:
        return placed(focused, turning, (f"the camera only turns ({motion.evidence})", *notes, TURNS))
    doubt = None
    if found.sum() < 2 or found.mean() < LEAST_FOUND:
        why = "; ".join([lost_reasons(trajectory), *size_advice(clip)])
        doubt = f"its pose was found in {found.mean():.0%} of the frames only ({why})"
    elif motion.verdict != "moving":
        doubt = path_doubt(motion, *path_extent(trajectory), path_left(trajectory))
    if doubt is None:
        said = "the camera moves" if motion.verdict == "moving" else "the camera moves, by the path that was found"
        return placed(focused, with_breathing_said(trajectory), (f"{said} ({motion.evidence})", *notes))
    said = f"the camera may move ({motion.evidence}), but {doubt}"
    rest = "it is taken to stand still, so that all motion is explained as tissue's"
    return FoundCameras(clip, "still", (said, rest))


def turned_path(
    clip: Clip, trajectory: Trajectory, held_out: Sequence[int] = (), motion: CameraMotion | None = None
) -> Trajectory | None:
    """The path of a camera that only turns, where one eye found no parallax (`trajectory`); None where it does more, or
    too few of its frames tell."""
    metric = clip.has_depth or trajectory.units == "mm"
    if metric or (trajectory.found.sum() >= 2 and trajectory.found.mean() >= LEAST_FOUND):
        return None
    motion = motion or camera_motion(clip)
    if motion.verdict != "turning":
        return None
    with Progress("frame", bar="turns") as progress:
        found = turning_path(clip, frozenset(held_out), progress)
    return found if found.found.sum() >= 2 and found.found.mean() >= LEAST_FOUND else None


def with_focal_length(clip: Clip, held_out: Sequence[int] = ()) -> tuple[Clip, tuple[str, ...]]:
    """The clip with the focal length that its motion tells, where that was a guess; and what to say of it."""
    if not clip.K_is_guess:
        return clip, ()
    guess = original_focal(clip)
    print("looking for the focal length", file=sys.stderr, flush=True)
    found = find_focal_length(clip, held_out)
    remedy = "--focal or --calibration says it"
    open_to = "" if found is None else found.left_open(guess)
    if found is not None and found.known:
        return with_focal(clip, found.factor), (
            f"the focal length is {found.factor * guess:.0f} pixels by the camera's motion, which does not exclude "
            f"{open_to}, in place of a guess of {guess:.0f}; {remedy} exactly",
        )
    if found is not None and not found.low <= 1 <= found.high:
        return with_focal(clip, found.factor), (
            f"the focal length is taken as {found.factor * guess:.0f} pixels: the camera's motion excludes the guess "
            f"of {guess:.0f}, but leaves open {open_to}: depth along the view may be off by as much; {remedy}",
        )
    left_open = "" if found is None else f", which leaves open {open_to}"
    return clip, (
        f"the focal length of {guess:.0f} pixels is a guess, and the motion does not tell it{left_open}: depth "
        f"along the view may be off by as much; {remedy}",
    )


def original_focal(clip: Clip) -> float:
    """The first frame's focal length in pixels of the original, as --focal counts it, whatever --max-size is."""
    return float(Framing.of(*clip.original_size, clip.options).original_intrinsics(clip.K)[0, 0, 0])


def tracked(clip: Clip, held_out: Sequence[int] = (), depth: DepthSource | None = None) -> Trajectory:
    """The camera's path, found in the clip's pictures, and its depth or right views where it has any it can trust."""
    unfit = unfit_pair(clip) if depth is None and not clip.has_depth else None
    with Progress("frame", bar="camera") as progress:
        trajectory = track_by_light(clip, frozenset(held_out), "none" if unfit else depth, progress)
    said = [f"camera: the right views are not used, as {unfit}"] if unfit is not None else []
    if trajectory.units == "mm":
        given = depth == "given" or (depth is None and clip.has_depth)
        said.append(f"camera: its distances are those of the {'depth files' if given else 'right views'}")
    said += focal_doubt(clip, trajectory)
    said += light_doubt(clip, trajectory)
    return replace(trajectory, notes=(*trajectory.notes, *said)) if said else trajectory


def focal_doubt(clip: Clip, trajectory: Trajectory) -> list[str]:
    """A sentence where the clip has a focal length that is no guess, and the motion excludes it; else nothing."""
    seen = None if clip.K_is_guess else focal_length_seen(trajectory, clip.K[0])
    if seen is None or not seen.known or seen.low <= 1 <= seen.high:
        return []
    focal = original_focal(clip)
    best, low, high = (f"{factor * focal:.0f}" for factor in (seen.factor, seen.low, seen.high))
    return [
        f"the focal length of {focal:.0f} pixels does not fit the camera's motion, which says {best} ({low} to "
        f"{high}): see whether calibration and frames have the same size and crop, and the lens no distortion, or "
        "depth along the view is off by as much"
    ]


def light_doubt(clip: Clip, trajectory: Trajectory) -> list[str]:
    """A sentence where the path of one eye lies inside out, by the light; else nothing."""
    light = None if trajectory.units == "mm" else depth_by_light(clip, trajectory)
    if light is None or not against_light(light):
        return []
    return [
        f"the path seems to be inside out: what is bright comes out far (rank correlation {light:.2f} with depth by "
        "brightness), as where the focal length is far off; do not trust it, and give --focal or --calibration"
    ]


def with_prior(
    clip: Clip, trajectory: Trajectory, prior: PosePrior | None, held_out: Sequence[int] = (), depth: bool = True
) -> Trajectory:
    """The path `fused` with a prior, where there is one; `depth` says whether the clip's depth was looked at.

    Raises InputError as `fused` does, and for depth without a unit.
    """
    if prior is None:
        return trajectory
    if depth and clip.has_depth and trajectory.units != "mm" and trajectory.found.any():
        raise InputError(
            f"{clip.source}: its depth has no unit, and poses of --pose-prior are in mm, so that they would not fit "
            "together; leave --pose-prior out"
        )
    return fused(clip, trajectory, prior, held_out)


def unfit_pair(clip: Clip) -> str | None:
    """Why no depth is to be had of a clip's right views, half a sentence; None where it is, or there are none."""
    pair = checked_pair(clip) if clip.has_right else None
    return None if pair is None else pair.fault or pair_doubt(clip)


def placed(
    clip: Clip,
    trajectory: Trajectory,
    notes: tuple[str, ...],
    source: FittedCameras = "tracked",
    advice: str = STILL_ADVICE,
) -> FoundCameras:
    """The clip with a trajectory's poses; frames that have none get one that lies between those of others.

    Raises InputError where hardly any frame has a pose, with `advice`.
    """
    found = trajectory.found
    if found.sum() < 2 or found.mean() < LEAST_FOUND:
        why = lost_reasons(trajectory) or "; ".join(trajectory.notes)
        raise InputError(
            f"{clip.source}: the camera's pose was found in {int(found.sum())} of {len(clip)} frames only ({why}); "
            + "; ".join([*size_advice(clip), advice, "--start and --end choose another part"])
        )
    poses = without_gaps(trajectory.world_to_camera, clip.times)
    placed_clip = clip.with_cameras(poses, found, trajectory.units)
    said = [*notes, path_note(trajectory), *trajectory.notes]
    if not found.all():
        said.append(
            f"{int((~found).sum())} of {len(clip)} frames have no pose ({lost_reasons(trajectory)}): {spans(~found)}; "
            "they are neither fitted nor judged"
        )
    return FoundCameras(placed_clip, source, tuple(said), trajectory)


def size_advice(clip: Clip) -> list[str]:
    """What to do about corners that a picture made too small does not show; empty where it is not that small."""
    if max(clip.width, clip.height) >= SMALL_PICTURE:
        return []
    shrunken = max(clip.original_size) > max(clip.width, clip.height) and clip.options.max_size is not None
    remedy = "; a larger --max-size shows more" if shrunken else ""
    return [f"pictures of {clip.width} x {clip.height} show few corners{remedy}"]


def path_note(trajectory: Trajectory) -> str:
    """How long the path is, and how well points agree with it."""
    length = path_length(invert_rigid(trajectory.world_to_camera[trajectory.found]))
    kept = [one for one in trajectory.frames if one.world_to_camera is not None and one.sub_map == trajectory.sub_map]
    if length == 0:
        return f"camera's direction found in {len(kept)} of {len(trajectory.frames)} frames"
    residual, inliers = (
        float(np.nanmedian([getattr(one, name) for one in kept])) for name in ("residual_px", "inliers")
    )
    unit = "mm" if trajectory.units == "mm" else "units (relative: one eye does not see lengths)"
    return (
        f"camera tracked in {len(kept)} of {len(trajectory.frames)} frames, a path of {length:.4g} {unit}; "
        f"{inliers:.0f} points agree to {residual:.2f} pixels (medians)"
    )


def lost_reasons(trajectory: Trajectory) -> str:
    """Why frames have no pose: each reason and how often."""
    reasons: dict[str, int] = {}
    for one, found in zip(trajectory.frames, trajectory.found, strict=True):
        if not found:
            reason = "in another map" if one.world_to_camera is not None else one.reason or "no pose"
            reasons[reason] = reasons.get(reason, 0) + 1
    return ", ".join(f"{reason}: {count}" for reason, count in sorted(reasons.items(), key=lambda item: -item[1]))


def without_gaps(world_to_camera: Array, times: Array) -> Array:
    """Poses (F, 4, 4) with those that are NaN filled: between their neighbours in time, at the ends the nearest one."""
    known = np.flatnonzero(np.isfinite(world_to_camera[:, 0, 0]))
    filled = world_to_camera.copy()
    for i in np.flatnonzero(~np.isfinite(world_to_camera[:, 0, 0])):
        after = int(np.searchsorted(known, i))
        if after in (0, len(known)):
            filled[i] = world_to_camera[known[min(after, len(known) - 1)]]
            continue
        a, b = known[after - 1], known[after]
        part = float((times[i] - times[a]) / (times[b] - times[a])) if times[b] > times[a] else 0.5
        filled[i] = interpolate_rigid(world_to_camera[a], world_to_camera[b], part)
    return filled
