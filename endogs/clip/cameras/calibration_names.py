"""Names in calibrations that are not understood, with the one that may be meant, and names that change nothing."""

import re
from collections.abc import Iterable
from difflib import SequenceMatcher
from typing import Any

CAMERA = ("fx", "fy", "cx", "cy", "distortion")
"""Entries of one camera, `right` included."""
# fmt: off
OWN = (
    *CAMERA, "width", "height", "fps", "depth_unit_mm", "depth_along", "model", "xi", "skew", "polynomial", "stretch",
    "baseline_mm", "translation_mm", "rotation", "right", "first_frame_time", "camera_in_ecm",
)
# fmt: on
"""Entries of a calibration.json."""
TEXTS = ("comment", "comments", "note", "notes", "description", "name", "source", "date")
"""Names under which people write to each other; those that begin with _ or $ too."""
OTHER_WORDS = {
    **dict.fromkeys(("w", "image_width"), "width"),
    **dict.fromkeys(("h", "image_height"), "height"),
    **dict.fromkeys(("baseline", "b", "bf"), "baseline_mm"),
    **dict.fromkeys(("T", "t", "translation"), "translation_mm"),
    **dict.fromkeys(("K", "intrinsics", "f", "focal", "focal_length"), "fx"),
    **dict.fromkeys(("dist", "dist_coeffs", "k1", "k2", "k3", "k4", "p1", "p2"), "distortion"),
    "R": "rotation",
}
"""What other programs call entries of a calibration.json."""
ALIKE = 0.75
"""Share of letters in common, twice their number over both lengths, from which one name may be meant for another."""
SHORT = 5
"""Names with fewer letters are all alike: only capitals and strokes may differ."""
NOT_MEANT = re.compile(r"(error|errors|std|stddev|covariance)$", re.I)
"""Endings of names that say how sure another entry is."""


def not_understood(names: Iterable[Any], known: Iterable[str], file: str, elsewhere: Iterable[str] = ()) -> list[str]:
    """A sentence that lists the `names` that are not `known`, each with the name that may be meant.

    That is one of the `known`, or of those that are known `elsewhere`, in other forms of such files.
    """
    known = tuple(known)
    unknown = [str(name) for name in names if name not in known and not _is_text(str(name))]
    if not unknown:
        return []
    said = []
    for name in unknown:
        meant = OTHER_WORDS.get(name)
        if meant not in known:
            meant = nearest_name(name, (*known, *elsewhere))
        said.append(f"{name[:60]} (is {meant} meant?)" if meant is not None else name[:60])
    return [f"not understood of {file}, and not used: {', '.join(said)}."]


def nearly_known(names: Iterable[Any], known: Iterable[str], others: Iterable[str] = ()) -> list[str]:
    """The `names` that are nearly, but not quite, `known`; `others` are known to mean something else."""
    known, apart = tuple(known), {*known, *others}
    texts = (str(name) for name in names if str(name) not in apart)
    return [name for name in texts if not NOT_MEANT.search(name) and nearest_name(name, known) is not None]


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` is most like, None when it is like none of them."""
    # Of names that are as like, such as mask_path and file_path for mask_file_path, the one that begins so is meant.
    best = max(known, key=lambda other: _likeness(name, other) + 0.1 * (name[:1] == other[:1]), default="")
    return best if _likeness(name, best) >= ALIKE else None


def unused_entries(calibration: dict[str, Any], has_right: bool, file: str) -> list[str]:
    """A sentence for entries of a calibration.json that other entries leave without use."""
    model, is_turned = calibration.get("model", "pinhole"), has_right and "translation_mm" in calibration
    idle: dict[str, str] = {}
    if has_right and not is_turned and "baseline_mm" in calibration:
        idle |= dict.fromkeys(("rotation", "right"), "baseline_mm says that the views are rectified")
    if is_turned:
        idle["baseline_mm"] = "translation_mm says where the right camera is"
    if model == "pinhole":
        idle |= dict.fromkeys(("xi", "skew"), 'model is "pinhole" and not "omnidir"')
        idle |= dict.fromkeys(("polynomial", "stretch"), 'model is "pinhole" and not "scaramuzza"')
    elif model == "scaramuzza":
        idle |= dict.fromkeys(("fx", "fy", "distortion", "xi", "skew"), 'model is "scaramuzza"')
    elif model == "fisheye":
        idle |= dict.fromkeys(("xi", "skew", "polynomial", "stretch"), 'model is "fisheye"')
    found = [name for name in idle if name in calibration and _says_something(calibration[name])]
    return [f"{file}: {name} is not used, since {idle[name]}." for name in found]


def _says_something(value: Any) -> bool:
    """Whether a value is more than zeros, ones and nothing, which are written for completeness."""
    return value not in (None, 0, [], {}, "")


def _likeness(one: str, other: str) -> float:
    """0 to 1 for two names; of such as Camera.fx what stands before the last point must be the same."""
    (place, name), (other_place, other_name) = (
        (_letters(text.rpartition(".")[0]), _letters(text.rpartition(".")[2])) for text in (one, other)
    )
    if not name or not other_name or place != other_place:
        return 0.0
    if min(len(name), len(other_name)) < SHORT:
        return float(name == other_name)
    return SequenceMatcher(None, name, other_name).ratio()


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _is_text(name: str) -> bool:
    return name.startswith(("_", "$")) or name.lower() in TEXTS
