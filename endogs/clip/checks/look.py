"""One look at every clip before anyone relies on it: do its camera, its views, its depth and its poses agree?"""

import numpy as np

from endogs.clip.cameras.baselines import baseline_notes
from endogs.clip.cameras.pose_conventions import poses_in_file
from endogs.clip.checks.followed_points import LookingView, followed_pairs
from endogs.clip.checks.packing import check_packing
from endogs.clip.checks.pair_check import check_pair
from endogs.clip.checks.pose_check import check_poses
from endogs.clip.checks.pose_jumps import pose_jump_note
from endogs.clip.checks.seams import seam_note
from endogs.clip.checks.shots import shot_notes
from endogs.clip.checks.still_check import check_still
from endogs.clip.checks.verdicts import PairCheck, PoseCheck
from endogs.clip.clip import Clip
from endogs.clip.config import ClipOptions
from endogs.clip.recording import Recording

SAME_LENGTH = 1.7
"""Factor between two lengths that may come from tissue which moves itself."""
ROUND = 0.05
"""How near to a round number a measured unit is taken for it: what a short baseline leaves open."""
CONTRADICTION = 3.0
"""Factor between two lengths from which a fit would be wrong: half of the way, in powers, to a decimal unit."""
UNITS_MM = {1000.0: "metres", 100.0: "decimetres", 10.0: "centimetres", 1.0: "millimetres", 0.001: "micrometres"}
"""Units that files count in, in millimetres."""
DEPTH_RANGE_MM = (1.0, 500.0)
"""Where the median depth of an endoscopic view lies, from a capsule that touches the wall to an open cavity."""


def look_at(clip: Clip, recording: Recording, options: ClipOptions) -> None:
    """Compare what the clip's files say with its pictures; what is found stands in the clip's checks and notes.

    What would make a fit wrong stands in `clip.contradictions` too, unless an option says that it is meant so. Takes
    a second or two for frames of any size: a few places of the clip are looked at, in small pictures.
    """
    view = LookingView(clip, original=clip.has_right or not clip.static_camera)
    pairs = followed_pairs(view)
    if clip.static_camera and clip.poses_are_given:
        still = check_still(pairs, view.full[0], clip.original_K if view.is_original else clip.K)
        clip.notes += still.notes if still is not None else []
    if recording.packed is not None and options.stereo is not None:
        packing = clip.packing_check = check_packing(recording.packed, len(clip), options.stereo)
        clip.notes += packing.notes
        clip.contradictions += [packing.contradiction] if packing.contradiction is not None else []
    poses = clip.pose_check = check_poses(clip, recording, view, pairs)
    pair = clip.pair_check = check_pair(clip, view, pairs)
    found = poses.notes if poses is not None else []
    if poses is not None and poses.remedy is not None and options.pose_convention == "auto":
        as_it_is = poses_in_file(recording)[1]
        clip.contradictions.append(f"{poses.remedy.rstrip('.')}; --pose-convention {as_it_is} keeps them as they are.")
    if not found:  # lengths by poses that do not fit mean nothing
        found = _lengths(clip, recording, options, poses, pair)
    if not found and (pair is None or pair.over_given is None) and options.depth_unit_mm is None:
        found = _odd_depth(clip, recording)
    if not found and not clip.has_depth and pair is None and options.pose_unit_mm is None:
        found = _odd_path(clip, recording, poses)
    off = _depth_unit(recording, pair) if pair is not None else None
    if off is not None and options.depth_unit_mm is None:
        clip.contradictions.append(
            f"{off.rstrip('.')}; --depth-unit-mm {recording.depth_unit:.4g} keeps the files as they are."
        )
    by_pair = pair.notes if pair is not None else []
    found += [] if clip.static_camera else pose_jump_note(clip.world_to_camera)
    clip.notes += [*found, *(by_pair if off is None else [f"stereo: {off}"]), *shot_notes(clip)]
    if not any("two views" in note for note in clip.notes):
        looked_at = [clip.image(i) for i in view.starts] if len(clip) > 1 else []
        clip.notes += seam_note(looked_at, clip.ignored, clip.options.crop or (0, 0, *clip.original_size))


def _lengths(
    clip: Clip, recording: Recording, options: ClipOptions, poses: PoseCheck | None, pair: PairCheck | None
) -> list[str]:
    """A note when the poses' lengths are not those of the second view or of the depth files."""
    by_pair = pair is not None and pair.fault is None and pair.poses_over is not None
    ratio = pair.poses_over if by_pair and pair is not None else poses.depth_ratio if poses is not None else None
    if ratio is None or 1 / SAME_LENGTH < ratio < SAME_LENGTH:
        return []
    judge = "the right view" if by_pair else "the depth"
    against = "the right view" if by_pair else "the depth files"
    pose_unit = recording.pose_unit_mm
    if by_pair or (pose_unit is not None and _is_plausible(clip)):
        unit = _nearest_unit((pose_unit or 1.0) / ratio)
        named = f" ({UNITS_MM[unit]})" if unit in UNITS_MM else ""
        remedy = f"--pose-unit-mm {unit:.4g}{named} would bring the poses' lengths to those of {against}"
    else:
        remedy = f"--depth-unit-mm {recording.depth_unit * ratio:.4g} would bring the depth to the poses' lengths"
    note = (
        f"the poses and {against} disagree about lengths: by the poses' motion tissue is {ratio:.3g} times as far as "
        f"{judge} says; {remedy}."
    )
    if not 1 / CONTRADICTION < ratio < CONTRADICTION and options.pose_unit_mm is None and options.depth_unit_mm is None:
        odd = _odd_baseline(recording) if by_pair else ""
        clip.contradictions.append(
            f"{note.rstrip('.')}{odd}; --pose-unit-mm {pose_unit or 1:.4g} keeps them as they are."
        )
    return [note]


def _depth_unit(recording: Recording, pair: PairCheck) -> str | None:
    """A sentence when the depth files are of another size than what the right view measures, or None."""
    ratio = pair.over_given
    if ratio is None or pair.fault is not None or 1 / CONTRADICTION < ratio < CONTRADICTION:
        return None
    unit = _round(recording.depth_unit * ratio)
    odd = _odd_baseline(recording)
    likelier = f"{odd[2:-1]}; otherwise " if odd else ""
    doubt = "" if odd else ", or the distance between the cameras is wrong"
    return (
        f"by the right view tissue is {ratio:.3g} times as far as the depth files say; {likelier}--depth-unit-mm "
        f"{unit:.4g} would make them agree{doubt}."
    )


def _odd_baseline(recording: Recording) -> str:
    """What may be wrong with the distance between the cameras, in brackets, nothing where it is an endoscope's."""
    return "".join(f" ({note.removeprefix('stereo: ').rstrip('.')})" for note in baseline_notes(recording.baseline))


def _round(unit: float) -> float:
    """The round number within ROUND of a measured `unit`, or `unit` itself."""
    power = 10.0 ** np.floor(np.log10(unit))
    return next((float(n * power) for n in (1, 2, 2.5, 5, 10) if abs(unit / (n * power) - 1) < ROUND), unit)


def _nearest_unit(unit: float) -> float:
    """The known unit within a factor of 1.7 of `unit`, or `unit` itself."""
    return next((known for known in UNITS_MM if 1 / SAME_LENGTH < unit / known < SAME_LENGTH), unit)


def _median_depth(clip: Clip) -> float | None:
    """Of the first frame's depth file, in the unit that it is read in; None without any, and where that is no mm."""
    depth = clip.original_depth(0) if clip.units == "mm" else None
    known = depth[depth > 0] if depth is not None else np.zeros(0)
    return float(np.median(known)) if known.size else None


def _is_plausible(clip: Clip) -> bool:
    """Whether the depth files, in the unit that they are read in, put tissue where an endoscope sees it."""
    depth = _median_depth(clip)
    return depth is not None and DEPTH_RANGE_MM[0] < depth < DEPTH_RANGE_MM[1]


def _odd_path(clip: Clip, recording: Recording, poses: PoseCheck | None) -> list[str]:
    """A sentence when the poses' motion, in the unit that they are read in, puts tissue where no endoscope sees it."""
    unit = recording.pose_unit_mm
    if poses is None or poses.depth is None or unit is None or clip.units != "mm":
        return []
    if DEPTH_RANGE_MM[0] < poses.depth < DEPTH_RANGE_MM[1]:
        return []
    fitting = [
        f"--pose-unit-mm {other:g} ({name})"
        for other, name in UNITS_MM.items()
        if DEPTH_RANGE_MM[0] < poses.depth / unit * other < DEPTH_RANGE_MM[1]
    ]
    remedy = f"if they count otherwise, {' or '.join(fitting)} says so" if fitting else "--pose-unit-mm sets their unit"
    return [
        f"poses: by the camera's motion tissue is {poses.depth:.3g} mm away (median), which no endoscope sees: "
        f"{remedy}."
    ]


def _odd_depth(clip: Clip, recording: Recording) -> list[str]:
    """A sentence when the depth files put tissue where no endoscope sees it, with the units that would not."""
    depth = _median_depth(clip)
    if depth is None or DEPTH_RANGE_MM[0] < depth < DEPTH_RANGE_MM[1]:
        return []
    fitting = [
        f"--depth-unit-mm {unit:g} ({name})"
        for unit, name in UNITS_MM.items()
        if DEPTH_RANGE_MM[0] < depth / recording.depth_unit * unit < DEPTH_RANGE_MM[1]
    ]
    remedy = (
        f"if they count otherwise, {' or '.join(fitting)} says so" if fitting else "--depth-unit-mm sets their unit"
    )
    return [f"depth: by the files tissue is {depth:.4g} mm away (median), which no endoscope sees: {remedy}."]
