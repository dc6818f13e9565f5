"""Files beside the frames that tell of cameras, depth or masks: what was not used of them is said."""

import os
import re
from collections.abc import Collection
from fnmatch import fnmatch
from pathlib import Path

from endogs.bounded_files import listed
from endogs.clip.files.telling_contents import held
from endogs.plain_text import plain

TELLING = (
    (
        "poses",
        r"pose|traj|ground_?truth|extrinsic|kinematic|savedposition|savedrotation|^transforms.*\.json$|odometry|^tum\b"
        r"|camera_?motion|^se3|cam2world|world2cam|^c2w|^w2c|^sfm_data|^reconstruction.*\.json$|\.sfm$|^bundle.*\.out$"
        r"|(camera|cam|tracker)_?positions?|^R_?T\.",
    ),
    (
        "a calibration",
        r"calib|intrinsic|^cam(era)?s?\d*([^a-z].*)?\.\w+$|^config\.ini$|^settings\.ya?ml$|camchain|geometrical"
        r"|^K\.(txt|csv|npy|json)$|^(left|right|stereo)\.(ya?ml|ini|xml)$|^ost\.(ya?ml|ini|txt)$|^(cam_?)?K\.\w+$"
        r"|^(cam(era)?|stereo|lens|fisheye|endoscope)_?(param|matri)",
    ),
    ("times", r"time_?stamps?|^(frame_?)?times?\."),
    ("depth", r"depth|disparit|distmap|scene_points|^disp(_|s?$|\d)|pointcloud"),
    ("masks", r"mask|segment|^labels?$|annotation|^(surgical_?)?(instruments?|tools?)$|^seg$"),
    ("a COLMAP model", r"^(sparse\w*|colmap|dense|distorted|meta-?data|(images|cameras|points3D)\.(bin|txt))$"),
)
"""What a file or folder seems to hold, by a pattern of its name."""
WRITTEN_HERE = ("*-inspect.png", "*_endogs")
"""What endogs writes itself."""
NAMED = 6
"""How many a note names before it counts the rest."""
MOST_OPENED = 50
"""Files whose first bytes are looked at; of numbered ones the first stands for all."""
FRAMES_BY_NAME = (
    r"images?|rgb|colou?rs?|frames?|left|right|img|imgs|input|(images?|img|rgb|frames)_?(left|right|0|1|2|3)"
)
"""Names of folders that hold one part of a data set."""
VIDEOS = (".mp4", ".mkv", ".avi", ".mov", ".mpg", ".mpeg", ".ts", ".webm", ".m4v")
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".exr")


def telling(folder: Path) -> list[tuple[str, str]]:
    """Names in `folder`, folders with a slash, that seem to tell something, and what; pictures and videos do not."""
    found = []
    for entry in sorted(listed(folder)):
        is_picture = entry.suffix.lower() in (*PICTURES, *VIDEOS)
        if is_picture or entry.name.startswith(".") or _is_written_here(entry.name):
            continue
        what = _what(entry.name)
        if what is not None:
            found.append((entry.name + ("/" if entry.is_dir() else ""), what))
    return found


def telling_by_content(folder: Path) -> list[tuple[str, str]]:
    """Names in `folder`, with # for numbers where there are several, whose contents tell something and no name does."""
    families: dict[str, list[Path]] = {}
    for entry in sorted(listed(folder)):
        if _what(entry.name) is None and not entry.name.startswith(".") and not _is_written_here(entry.name):
            families.setdefault(re.sub(r"\d+", "#", entry.name), []).append(entry)
    found = []
    for pattern, files in list(families.items())[:MOST_OPENED]:
        what = held(files[0]) if files[0].is_file() else None
        if what is not None:
            found.append((files[0].name if len(files) == 1 else pattern, what))
    return found


def _what(name: str) -> str | None:
    return next((what for what, pattern in TELLING if re.search(pattern, name, re.I)), None)


def _is_written_here(name: str) -> bool:
    return any(fnmatch(name, pattern) for pattern in WRITTEN_HERE)


def unused_note(path: Path, used: Collection[Path], said: Collection[str], is_calibrated: bool = False) -> list[str]:
    """A note naming what lies in `path`, or in data/ in it, tells something and is none, or holds none, of `used`.

    What one of the sentences `said` calls not used is not named again, nor are calibrations where the user gave one
    (`is_calibrated`). Beside a video file only when it is the only one
    there, since files beside several need not be its own.
    """
    folder = path if path.is_dir() else path.parent
    if films := _films_of(path):
        return [
            f"not used: {', '.join(films[:NAMED])}, by the name films of what {plain(path.name)} shows, not frames."
        ]
    if path.is_file() and sum(other.suffix.lower() in VIDEOS for other in listed(folder)) > 1:
        return []
    opened = {place for file in map(_whole, used) for place in (file, *file.parents)}
    places = [("", folder), *([("data/", folder / "data")] if path.is_dir() and (folder / "data").is_dir() else [])]
    named = " ".join(sentence for sentence in said if "not used" in sentence)
    by_content = telling_by_content(folder) if path.is_dir() else []
    unread = [
        (name, what)
        for name, what in by_content
        if _whole(folder / name) not in opened
        and not any(re.sub(r"\d+", "#", file.name) == name for file in opened if file.parent == _whole(folder))
        and not (is_calibrated and what == "a calibration")
    ]
    unused = [
        (f"{inside}{name}", what)
        for inside, place in places
        for name, what in [*telling(place), *_telling_pictures(place, opened)]
        if not {_whole(place / name), _whole(place / _unpacked(name))} & opened
        and _whole(path) != _whole(place / name)
        and name not in named
        and not (is_calibrated and what == "a calibration")
    ]
    return [*_said("not used", unused), *_said("not used", unread, "by what is in it")]


def _films_of(path: Path) -> list[str]:
    """Names of films beside the film `path` that begin as its name does and go on with a word for masks or depth."""
    if not path.is_file() or path.suffix.lower() not in VIDEOS:
        return []
    stem = path.stem.lower()
    films = (file for file in listed(path.parent) if file.suffix.lower() in VIDEOS and file.name != path.name)
    begun = (file for file in films if file.stem.lower().startswith(stem))
    return sorted(plain(file.name) for file in begun if _what(file.stem[len(stem) :]) in ("masks", "depth"))


def _unpacked(name: str) -> str:
    """The name of the folder that an archive is unpacked to; other names as they are."""
    return re.sub(r"(\.tar(\.\w+)?|\.tgz|\.zip|\.7z)$", "", name)


def _telling_pictures(folder: Path, opened: Collection[Path]) -> list[tuple[str, str]]:
    """Names of pictures that seem to be depth or masks, with # for numbers, where none with such a name is `opened`."""
    families: dict[str, list[str]] = {}
    for entry in listed(folder):
        if entry.suffix.lower() in PICTURES and not entry.name.startswith(".") and not _is_written_here(entry.name):
            families.setdefault(re.sub(r"\d+", "#", entry.name), []).append(entry.name)
    found = []
    for pattern, names in sorted(families.items()):
        what = _what(pattern)
        if what in ("depth", "masks") and not any(_whole(folder / name) in opened for name in names):
            found.append((names[0] if len(names) == 1 else pattern, what))
    return found


def _whole(path: Path) -> Path:
    return Path(os.path.abspath(path))


def beside_note(path: Path) -> list[str]:
    """A note when a folder of frames by its name, such as images/, lies beside poses, cameras or a model of them."""
    if not path.is_dir() or not re.fullmatch(FRAMES_BY_NAME, path.resolve().name, re.I):
        return []
    kinds = ("poses", "a calibration", "a COLMAP model", "times")
    parent = path.resolve().parent
    how = f"beside {path.resolve().name}/ and not used"
    by_name, by_content = (
        [(name, what) for name, what in found if what in kinds]
        for found in (telling(parent), telling_by_content(parent))
    )
    return [*_said(how, by_name), *_said(how, by_content, "by what is in it")]


def _said(how: str, unused: list[tuple[str, str]], why: str = "by the name") -> list[str]:
    if not unused:
        return []
    named = ", ".join(plain(name, 60) for name, _ in unused[:NAMED])
    rest = f" and {len(unused) - NAMED} more" if len(unused) > NAMED else ""
    kinds = ", ".join(sorted({what for _, what in unused}))
    return [f"{how}: {named}{rest}, {why} {kinds}: docs/usage/CALIBRATION.md says what is read."]


def has_landmark(path: Path, landmarks: tuple[str, ...]) -> bool:
    """Whether something in the folder `path` matches one of the patterns that only one layout has."""
    return path.is_dir() and any(next(iter(path.glob(pattern)), None) is not None for pattern in landmarks)
