"""A tracked path and the poses of `--pose-prior` made one, in mm and in the prior's world, and what to say of it."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from endogs.clip import Clip
from endogs.clip.cameras.pose_conventions import CONVENTIONS, world_to_camera
from endogs.errors import InputError
from endogs.geometry import invert_rigid
from endogs.pipeline.pose_prior import FEWEST, PosePrior
from endogs.pipeline.spans import spans
from endogs.tracking.outcome import APART
from endogs.tracking.prior_alignment import Alignment, aligned
from endogs.tracking.prior_fusion import DOUBTED, EXCESS, Fusion, Rows, start_of
from endogs.tracking.trajectory import State as FrameState
from endogs.tracking.trajectory import TrackedFrame, Trajectory

Array = NDArray[np.float64]
OTHER_UNIT = 1.5
"""Factor between the lengths of depth and of the prior from which units are the likelier reason than errors."""
SURELY = 8.0
"""Standard deviations that such a factor must be away from 1: breathing repeats itself, and so looks like a short path
by more than chance, which reaches 4.5 on a path of 13 mm beside breathing of 4."""
WILD_TURN, WILD_MOTION = 30.0, 0.35
"""Degrees, and share of the tissue's distance, by which all tissue would have to move for both to be right, from which
that is not believed."""
BETTER = 0.8
"""Another convention is named where it leaves less than so much of the distances."""
VAGUE, LOOSE = 0.5, 0.25
"""Standard deviation of a scale, as a share of it, from which a clip's is refused, and a smaller map stays apart."""


def fused(clip: Clip, trajectory: Trajectory, prior: PosePrior, held_out: Sequence[int] = ()) -> Trajectory:
    """The path with the prior: maps are joined in its world, lengths are mm, and tissue's common motion is taken off.

    Frames that are `held_out` change nothing for the others. A frame without a pose in the pictures that has a row gets
    none, but the state "prior", and the row stands beside it. From one eye, frames of maps that the prior does not
    place lose theirs, which would have no unit. Raises InputError where the prior does not tell where the maps are or
    how large, and where it and the pictures contradict each other.
    """
    if not trajectory.found.any():
        return replace(
            trajectory, frames=tuple(with_rows(trajectory.frames, prior)), notes=(*trajectory.notes, *prior.notes)
        )
    metric = trajectory.units == "mm"
    maps, alignments = _alignments(trajectory, prior, set(held_out), metric)
    map_of = {number: k for k, number in enumerate(maps)}
    mine = np.array(
        [map_of.get(one.sub_map, -1) if one.world_to_camera is not None else -1 for one in trajectory.frames]
    )
    there = np.flatnonzero(mine >= 0)
    seen, covariance = _seen(trajectory, there)
    counts = prior.known[there] & ~np.isin(there, list(held_out))
    at = there[counts]
    rows = Rows(mine[at], seen[counts], covariance[counts], prior.camera_to_world[at])
    points = trajectory.landmarks.points if trajectory.landmarks is not None else np.zeros((0, 3))
    first = alignments[0].similarity
    tissue = first.points(points if len(points) else seen[mine[there] == 0][:, :3, 3])
    middle = np.median(tissue, axis=0)
    _check_alignment(clip, prior, alignments[0], rows, metric)

    def solved(start: list[Alignment], metric: bool) -> Fusion:
        similarities = start_of([one.similarity for one in start])
        found = Fusion(trajectory.times, rows, at, prior.noise, similarities, middle, metric)
        found.solve()
        return found

    doubt = []
    if metric and not 1 / OTHER_UNIT < alignments[0].free_scale < OTHER_UNIT:
        free = solved(_alignments(trajectory, prior, set(held_out), False)[1], False)
        doubt = _unit_doubt(prior, free, rows)
    fusion = solved(alignments, metric)
    distance = float(np.median(np.linalg.norm(tissue - np.median(rows.given[:, :3, 3], axis=0), axis=1)))
    _check_motion(clip, prior, alignments[0], fusion, rows, metric, distance)
    open_scales = [0.0 if metric else fusion.scale_deviation(k) for k in range(len(maps))]
    if open_scales[0] > VAGUE:
        raise InputError(
            f"{prior.file}: how long the path is stays open by {open_scales[0]:.0%}, as its positions tell too little "
            f"beside their noise of {prior.noise.place:g} mm; give poses of a longer path or truer ones, or leave "
            "--pose-prior out"
        )
    joined = np.array([k == 0 or open_scales[k] < LOOSE for k in range(len(maps))])
    frames = with_rows(trajectory.frames, prior)
    kept = joined[mine[there]]
    for i, pose, own in zip(
        there[kept], *_poses(fusion, prior, mine[there], seen, covariance, there, kept), strict=True
    ):
        one = frames[i]
        world_to_camera = invert_rigid(pose)
        frames[i] = replace(one, world_to_camera=world_to_camera, covariance=own, sub_map=trajectory.sub_map)
    similarities = fusion.state.similarities
    causal = []
    for one in trajectory.causal:
        k = map_of.get(one.sub_map, -1)
        if one.world_to_camera is not None and k >= 0 and joined[k]:
            pose = invert_rigid(similarities[k].carried(invert_rigid(one.world_to_camera)[None])[0])
            one = replace(one, world_to_camera=pose, covariance=None, sub_map=trajectory.sub_map)
        elif not metric:
            one = replace(one, world_to_camera=None, covariance=None)
        causal.append(one)
    if not metric:
        frames = [_without_unit(one) if one.sub_map != trajectory.sub_map else one for one in frames]
    landmarks = trajectory.landmarks
    if landmarks is not None:
        landmarks = replace(landmarks, points=similarities[0].points(landmarks.points))
    notes = _notes(frames, prior, fusion, at, open_scales[0], metric, int(joined.sum()))
    apart = len({one.sub_map for one in frames if one.world_to_camera is not None}) > 1
    before = [note for note in trajectory.notes if apart or not note.startswith(APART)]
    return Trajectory(
        tuple(frames),
        tuple(causal),
        "mm",
        (*before, *prior.notes, *notes, *doubt),
        trajectory.milliseconds,
        landmarks,
        trajectory.sub_map,
    )


def _without_unit(one: TrackedFrame) -> TrackedFrame:
    """A frame of a map that the prior does not place, whose pose would stand in a path in mm and is not."""
    if one.world_to_camera is None:
        return one
    state = FrameState.LOST if one.prior_world_to_camera is None else FrameState.PRIOR
    reason = "in a map that the prior does not place"
    return replace(one, world_to_camera=None, covariance=None, state=state, reason=reason)


def with_rows(frames: Sequence[TrackedFrame], prior: PosePrior) -> list[TrackedFrame]:
    """The frames with the prior's rows beside them; those without a pose that have a row have the state "prior"."""
    found = []
    for one, known, pose in zip(frames, prior.known, prior.camera_to_world, strict=True):
        if known:
            state = FrameState.PRIOR if one.world_to_camera is None else one.state
            one = replace(one, state=state, prior_world_to_camera=invert_rigid(pose))
        found.append(one)
    return found


def _alignments(
    trajectory: Trajectory, prior: PosePrior, held_out: set[int], metric: bool
) -> tuple[list[int], list[Alignment]]:
    """The maps that enough rows are of, the largest first, and where each lies in the prior's world."""
    of_map: dict[int, list[int]] = {trajectory.sub_map: []}
    for k, one in enumerate(trajectory.frames):
        if one.world_to_camera is not None and prior.known[k] and k not in held_out:
            of_map.setdefault(one.sub_map, []).append(k)
    if len(of_map[trajectory.sub_map]) < FEWEST:
        raise InputError(
            f"{prior.file}: {len(of_map[trajectory.sub_map])} of its poses are of frames whose pose was found in the "
            f"pictures, and {FEWEST} are needed; give more of them, or leave --pose-prior out"
        )
    maps = [number for number, frames in of_map.items() if len(frames) >= FEWEST]
    found = []
    for number in maps:
        seen = np.stack([invert_rigid(_pose(trajectory.frames[k])) for k in of_map[number]])
        found.append(aligned(seen, prior.camera_to_world[of_map[number]], metric))
    return maps, found


def _pose(one: TrackedFrame) -> Array:
    assert one.world_to_camera is not None
    return one.world_to_camera


def _seen(trajectory: Trajectory, frames: NDArray[np.intp]) -> tuple[Array, Array]:
    """Camera to map (n, 4, 4) of frames, and covariances (n, 6, 6), 0 where nobody measured them."""
    chosen = [trajectory.frames[k] for k in frames]
    covariance = [np.zeros((6, 6)) if one.covariance is None else one.covariance for one in chosen]
    return invert_rigid(np.stack([_pose(one) for one in chosen])), np.stack(covariance)


def _poses(
    fusion: Fusion,
    prior: PosePrior,
    maps: NDArray[np.intp],
    seen: Array,
    covariance: Array,
    frames: NDArray[np.intp],
    kept: NDArray[np.bool_],
) -> tuple[Array, Array]:
    """Camera to world (n, 4, 4) of the frames that are kept, and covariances (n, 6, 6)."""
    rows = prior.camera_to_world[frames[kept]]
    return fusion.estimated(maps[kept], seen[kept], covariance[kept], frames[kept], rows)


def _check_alignment(clip: Clip, prior: PosePrior, found: Alignment, rows: Rows, metric: bool) -> None:
    """Raises InputError where directions do not fit."""
    width = float(np.ptp(rows.given[:, :3, 3], axis=0).max())
    off, angle = found.free_scale, np.degrees(found.turn)
    if angle > WILD_TURN:
        raise _contradiction(clip, prior, rows, metric, f"directions are {angle:.0f} degrees apart (median) at best")
    if width > 10 * prior.noise.place and off <= 0:
        raise _contradiction(clip, prior, rows, metric, "by their directions the paths go opposite ways")


def _unit_doubt(prior: PosePrior, free: Fusion, rows: Rows) -> list[str]:
    """What to say of a prior whose lengths are others than depth's, where that may be breathing; InputError where its
    unit is surely another.

    `free` is the fusion in which the scale is open: breathing alone makes the lengths of a short path differ, which its
    common motion takes up, and the scale is then near 1 or not well known.
    """
    scale, deviation = free.state.similarities[0].scale, free.scale_deviation(0)
    if 1 / OTHER_UNIT < scale < OTHER_UNIT:
        return []
    width = float(np.ptp(rows.given[:, :3, 3], axis=0).max())
    if abs(np.log(scale)) > SURELY * deviation and width > 10 * prior.noise.place:
        raise InputError(
            f"{prior.file}: lengths are {scale:.3g} times those of the clip's depth; give positions in mm"
            f"{', that is those in metres times 1000' if 0.0003 < scale < 0.003 else ''}"
        )
    return [
        f"camera: lengths of {prior.file.name} seem {scale:.2g} times those of the clip's depth, which is taken for "
        "breathing beside a short path; see whether its positions are in mm"
    ]


def _check_motion(
    clip: Clip, prior: PosePrior, found: Alignment, fusion: Fusion, rows: Rows, metric: bool, distance: float
) -> None:
    """Raises InputError where tissue would have to move too much for both to be right, and where most poses err by
    more than was said, so that few of them would say where the path lies."""
    motion = fusion.common_motion() - fusion.common_motion().mean(0)
    shift, turn = (float(np.sqrt(np.square(part).sum(1).mean())) for part in (motion[:, :3], motion[:, 3:]))
    doubted, count, excess = int((fusion.squared > DOUBTED).sum()), len(fusion.at), fusion.chosen.excess
    if shift > WILD_MOTION * distance or np.degrees(turn) > WILD_TURN:
        raise _contradiction(
            clip,
            prior,
            rows,
            metric,
            f"for both to be right, all tissue would have to move by {shift:.3g} mm and {np.degrees(turn):.0f} degrees "
            f"(root mean squares), and the poses to err by {excess:.2g} times what is said",
        )
    if excess >= EXCESS[-1] or 2 * doubted > count:
        raise _contradiction(
            clip,
            prior,
            rows,
            metric,
            f"{doubted} of {count} poses err far more than the {prior.noise.place:g} mm and "
            f"{np.degrees(prior.noise.turn):g} degrees that are said; laid over the path of the pictures they are off "
            f"by {found.place:.2g} mm and {np.degrees(found.turn):.2g} degrees (medians)",
            ", say with --pose-prior-mm and --pose-prior-deg that they err by so much",
        )


def _contradiction(
    clip: Clip, prior: PosePrior, rows: Rows, metric: bool, what: str, otherwise: str = ""
) -> InputError:
    advice = "give poses of this clip, camera to world in OpenCV's axes, at the frames' times"
    convention = likelier_convention(rows) if metric else None
    if convention is not None:
        advice = f"its poses seem to be {convention}; give camera to world in OpenCV's axes"
    return InputError(
        f"{prior.file} and the pictures of {clip.source} contradict each other: {what}; {advice}{otherwise}, "
        "or leave --pose-prior out"
    )


def likelier_convention(rows: Rows) -> str | None:
    """What the poses of the prior may mean in place of camera to world in OpenCV's axes, for pictures with lengths:
    the convention under which they fit best, if that is far better; None without one."""
    mine = rows.maps == 0
    left = {}
    for name in CONVENTIONS:
        given = invert_rigid(world_to_camera(rows.given[mine], name))
        found, width = aligned(rows.seen[mine], given, True), float(np.std(given[:, :3, 3], axis=0).max())
        if name == CONVENTIONS[0] or 1 / OTHER_UNIT < found.free_scale < OTHER_UNIT:
            left[name] = found.place / max(width, 1e-9)
    best = min(left, key=lambda name: left[name])
    return best if left[best] < BETTER * left[CONVENTIONS[0]] else None


def _notes(
    frames: Sequence[TrackedFrame],
    prior: PosePrior,
    fusion: Fusion,
    at: NDArray[np.intp],
    open_scale: float,
    metric: bool,
    maps: int,
) -> list[str]:
    """What was found of the prior, a sentence each."""
    name, excess = prior.file.name, fusion.chosen.excess
    noise = f"{prior.noise.place:g} mm and {np.degrees(prior.noise.turn):g} degrees"
    scale = "" if metric else f"; one eye does not see lengths, which come from it, to {open_scale:.1%}"
    together = f", in which {maps} maps lie beside each other" if maps > 1 else ""
    notes = [
        f"camera: the path is in the world of {name}{together}, in mm, by {len(at)} of its poses, which err by "
        f"{noise}{scale}"
    ]
    motion = fusion.common_motion() - fusion.common_motion().mean(0)
    size = np.linalg.norm(motion[:, :3], axis=1)
    notes.append(
        f"camera: beside it all tissue moves by {np.sqrt(np.square(size).mean()):.2g} mm (root mean square; "
        f"{size.max():.2g} at most), which the pictures alone would take for the camera's motion"
    )
    if excess > 1:
        notes.append(
            f"camera: the poses of {name} err by {excess:.2g} times what --pose-prior-mm and --pose-prior-deg say, and "
            "are believed that much less"
        )
    doubted = np.zeros(len(frames), bool)
    doubted[at[fusion.squared > DOUBTED]] = True
    if doubted.any():
        notes.append(
            f"camera: {int(doubted.sum())} poses of {name} are far from all others' word and hardly count: "
            f"{spans(doubted)}"
        )
    offset = fusion.state.offset
    place, turn = float(np.linalg.norm(offset[:3])), float(np.linalg.norm(offset[3:]))
    if place > 2 * prior.noise.place or turn > 2 * prior.noise.turn:
        notes.append(
            f"camera: the camera of {name} seems to be another by {place:.2g} mm and {np.degrees(turn):.2g} degrees, "
            "always, as after a hand-eye calibration that is off; this is taken off"
        )
    lost = sum(one.state is FrameState.PRIOR for one in frames)
    if lost:
        notes.append(
            f"camera: {lost} frames without a pose of the path have one in {name}; it stands in the .json file "
            'with the state "prior", and is not taken for theirs'
        )
    return notes
