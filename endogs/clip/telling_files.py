"""Files beside the frames that tell of cameras, depth or masks: what was not used of them is said."""

import re
from fnmatch import fnmatch
from pathlib import Path

from endogs.bounded_files import listed
from endogs.plain_text import plain

TELLING = (
    ("poses", r"pose|traj|ground_?truth|extrinsic|kinematic|savedposition|savedrotation|^transforms.*\.json$|odometry"),
    ("a calibration", r"calib|intrinsic|^cam(era)?s?\b.*\.\w+$|^config\.ini$|^settings\.ya?ml$|camchain|geometrical"),
    ("depth", r"depth|disparit|distmap|scene_points"),
    ("masks", r"mask|segment|^labels?$"),
    ("a COLMAP model", r"^(sparse\w*|colmap|dense|distorted|meta-?data)$"),
)
"""What a file or folder seems to hold, by a pattern of its name."""
WRITTEN_HERE = ("*-inspect.png", "*_endogs")
"""What endogs writes itself."""
NAMED = 6
"""How many a note names before it counts the rest."""
FRAME_FOLDERS = ("images", "images_right", "masks", "gt_masks", "depth", "gt_depth", "depths")
"""What `endogs.clip.frame_folders` reads."""
VIDEOS = (".mp4", ".mkv", ".avi", ".mov", ".mpg", ".mpeg", ".ts", ".webm", ".m4v")
PICTURES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", *VIDEOS}


def telling(folder: Path) -> list[tuple[str, str]]:
    """Names in `folder`, folders with a slash, that seem to tell something, and what; pictures and videos do not."""
    found = []
    for entry in sorted(listed(folder)):
        name = entry.name
        if (
            Path(name).suffix.lower() in PICTURES
            or name.startswith(".")
            or any(fnmatch(name, pattern) for pattern in WRITTEN_HERE)
        ):
            continue
        what = next((what for what, pattern in TELLING if re.search(pattern, name, re.I)), None)
        if what is not None:
            found.append((name + ("/" if entry.is_dir() else ""), what))
    return found


def unused_note(path: Path, uses: tuple[str, ...]) -> list[str]:
    """A note naming what lies in the folder `path`, tells something and matches none of the patterns `uses`.

    Beside a video file only when it is the only one there, since files beside several need not be its own.
    """
    folder = path if path.is_dir() else path.parent
    if path.is_file() and sum(other.suffix.lower() in VIDEOS for other in listed(folder)) > 1:
        return []
    unused = [
        (name, what)
        for name, what in telling(folder)
        if not any(fnmatch(name.rstrip("/"), pattern) for pattern in uses) and folder / name != path
    ]
    if not unused:
        return []
    named = ", ".join(plain(name, 60) for name, _ in unused[:NAMED])
    rest = f" and {len(unused) - NAMED} more" if len(unused) > NAMED else ""
    kinds = ", ".join(sorted({what for _, what in unused}))
    return [f"not used: {named}{rest}, by the name {kinds}: docs/CALIBRATION.md says what is read."]


def has_landmark(path: Path, landmarks: tuple[str, ...]) -> bool:
    """Whether something in the folder `path` matches one of the patterns that only one layout has."""
    return path.is_dir() and any(next(iter(path.glob(pattern)), None) is not None for pattern in landmarks)
