"""What the reader understood of a clip, in words."""

import numpy as np

from endogs.clip.clip import Clip
from endogs.clip.view.coverage import Coverage


def describe(clip: Clip, seen: Coverage, searched: bool = False) -> list[tuple[str, str]]:
    """Rows (name, value) in words and numbers, for people; `searched`: masks are what reconstruct would have."""
    rows = [
        ("clip", f"{clip.source} ({clip.kind})"),
        ("frames", f"{len(clip)}" + (f", from {clip.time_offset:.3f} s of the input" if clip.time_offset else "")),
        ("size", _size(clip)),
        ("time", _time(clip.times)),
        ("camera", _camera(clip)),
        ("pose", _pose(clip)),
        ("units", "millimetres" if clip.units == "mm" else "relative: the input does not say what a length is"),
        ("masks", _masks(clip, seen, searched)),
        ("depth", _depth(clip, seen)),
        ("right view", _right(clip)),
    ]
    if seen.ignored:
        rows.append(("ignored", f"{100 * seen.ignored:.1f} % of every frame, {_whose_choice(clip)}"))
    return rows


def _whose_choice(clip: Clip) -> str:
    by_hand = clip.options.ignore_rows or clip.options.ignore_mask is not None
    found = "found outside the field of view"
    if clip.options.ignore_box:
        return (
            "by --ignore-box" + ("" if clip.options.borders == "keep" else f" or {found}")
            if not by_hand
            else ("by --ignore-rows, --ignore-box or --ignore-mask")
        )
    return "by --ignore-rows or --ignore-mask" if by_hand else found


def _unit(clip: Clip) -> str:
    return "mm" if clip.units == "mm" else "units"


def _size(clip: Clip) -> str:
    size = f"{clip.width} x {clip.height}"
    original = f"{clip.original_size[0]} x {clip.original_size[1]}"
    return size if size == original else f"{size}, from {original} by --crop or --max-size"


def _time(times: np.ndarray) -> str:
    if len(times) == 1:
        return "a single instant"
    steps = np.diff(times)
    rate = f"{1 / np.median(steps):.3f} frames per second"
    if np.ptp(steps) > 0.1 * np.median(steps):
        rate += f", uneven (steps of {1000 * steps.min():.1f} to {1000 * steps.max():.1f} ms)"
    return f"{times[-1]:.3f} s at {rate}"


def _camera(clip: Clip) -> str:
    K = clip.K[0]
    field_of_view = np.degrees(np.arctan2(K[0, 2], K[0, 0]) + np.arctan2(clip.width - K[0, 2], K[0, 0]))
    text = (
        f"fx {K[0, 0]:.2f}, fy {K[1, 1]:.2f}, cx {K[0, 2]:.2f}, cy {K[1, 2]:.2f} px; {field_of_view:.1f} degrees wide"
    )
    if np.ptp(clip.K, axis=0).max() > 0:
        text += "; differs between frames, this is the first"
    return text + (" (a guess)" if clip.K_is_guess else "")


def _pose(clip: Clip) -> str:
    if not clip.poses_are_given:
        return "not known: reconstruct looks whether the camera moves, and where it is then"
    if clip.static_camera:
        return "standing still"
    moving, check = f"moving, {_path_length(clip):.4g} {_unit(clip)} in all", clip.pose_check
    if check is None:
        return f"{moving}; too little is seen to move to check it"
    return (
        f"{moving}; points are {check.error:.2f} pixels off where it allows them ({check.noise:.2f} at best; median of "
        f"{check.points} in {check.pairs} pairs of frames), {100 * check.in_front:.0f} % in front"
    )


def _right(clip: Clip) -> str:
    """Where the right view is, and how well it fits."""
    if not clip.has_right:
        return "none"
    text, check = f"yes, {clip.baseline:.4g} {_unit(clip)} to the right", clip.pair_check
    if check is None:
        return text
    if not check.is_sure:
        return f"{text}; too few points match to check it"
    text += f"; rows {check.rows:.2f} pixels apart, disparity {check.disparity:.1f} (median of {check.points} points)"
    if check.over_given is not None:
        text += f"; its depth is {check.over_given:.3f} times the files'"
    if check.poses_over is not None:
        text += f"; depth by the poses' motion is {check.poses_over:.3f} times its"
    return text


def _path_length(clip: Clip) -> float:
    rotations, translations = clip.world_to_camera[:, :3, :3], clip.world_to_camera[:, :3, 3]
    centres = -np.einsum("fji,fj->fi", rotations, translations)
    return float(np.linalg.norm(np.diff(centres, axis=0), axis=1).sum())


def _masks(clip: Clip, seen: Coverage, searched: bool) -> str:
    if seen.instruments is None and searched:
        return "none: nothing is hidden"
    if seen.instruments is None:
        return "none: reconstruct looks for instruments; --masks shows what it finds"
    low, mean, high = (100 * share for share in seen.instruments)
    meaning = ", ".join(clip.options.mask_values) or clip.mask_meaning or f"{clip.mask_instrument_value} = instrument"
    origin = meaning if clip.masks_are_given else "found, not given"
    return f"{origin}; they hide {mean:.1f} % of the frame ({low:.1f} to {high:.1f} % in {len(seen.frames)} frames)"


def _depth(clip: Clip, seen: Coverage) -> str:
    if clip.has_inverse_depth:
        return "inverse depth, known up to scale and offset; lengths cannot be trusted"
    if not clip.has_depth:
        return "none"
    if seen.depth_range is None:
        return f"given, but unknown everywhere in the {len(seen.frames)} frames looked at"
    low, median, high = seen.depth_range
    text = f"{low:.4g} to {high:.4g} {_unit(clip)} (1 to 99 %), median {median:.4g}; known in "
    return text + f"{100 * seen.depth_known:.1f} % of the pixels" + ("; 8-bit" if clip.depth_is_quantized else "")
