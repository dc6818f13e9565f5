"""Which files of a folder are the clip's frames: names without their numbers are families, and one of them is it."""

import re
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from endogs.bounded_files import exists, listed
from endogs.clip.files.image_files import image_size, list_images, natural_key
from endogs.clip.files.picture_kinds import Kind, is_label_picture, look_alike, picture_kind
from endogs.errors import InputError
from endogs.plain_text import plain

NO_FRAMES = re.compile(
    r"masks?|labels?|seg|segmentation|annotations?|gt|groundtruth|watershed|overlay|matte|trimap|depths?|depthmaps?|disp|disparity|"
    r"normals?|flow|occlusion|thumbs?|thumbnails?|previews?|confidence|uncertainty"
)
"""Words in names that say that a file belongs to a frame and is none."""
CAMERA_WORDS = ("cam", "camera", "eye", "view", "lens")
"""Words before a number that counts cameras and not frames."""
EYES = (("left", "right"), ("l", "r"), ("imgl", "imgr"), ("imleft", "imright"))
"""Words in the names of a pair's views."""
COPY = re.compile(r"( - (copy|kopie|copie|copia|kopi|kópia|копия)( ?\(\d+\))?| ?\(\d+\)| copy( \d+)?|_copy|~)$", re.I)
"""What file managers and browsers append to the name of a copy."""
LOSSLESS = (".png", ".tif", ".tiff", ".bmp")
UNREAD = (
    *(".heic", ".heif", ".avif", ".jp2", ".j2k", ".jxl", ".jfif", ".jpe", ".dng", ".raw", ".nef", ".cr2", ".cr3"),
    *(".arw", ".gif", ".ppm", ".pgm", ".pnm", ".tga", ".psd", ".dcm", ".mpo", ".exr"),
)
"""Endings of pictures that are not read as frames of a folder."""
NAMED = 4
"""Families and jumps that a sentence names before it counts the rest."""


@dataclass(frozen=True)
class Family:
    """Files whose names differ in their numbers only."""

    pattern: str
    """Their name with # for every number; "*" as the ending where there are several."""
    paths: tuple[Path, ...]
    """In natural order."""

    @property
    def numbers(self) -> set[tuple[object, ...]]:
        """What tells the files apart: the numbers in the names."""
        return {_numbers(path) for path in self.paths}

    @property
    def is_series(self) -> bool:
        """Whether these are several numbered files."""
        return len(self.paths) > 1 and "#" in self.pattern

    @property
    def says_no_frames(self) -> bool:
        """Whether a word in the name says that these are no frames."""
        return any(NO_FRAMES.fullmatch(word) for word in re.findall(r"[a-z]+", self.pattern.rsplit(".", 1)[0]))

    @property
    def words(self) -> str:
        """How many they are, and their pattern."""
        return f"{len(self.paths)} like {plain(self.pattern)}" if len(self.paths) > 1 else plain(self.paths[0].name)


def frames_of(folder: Path, wanted: str | None, notes: list[str]) -> list[Path]:
    """The frames among the pictures of `folder`, in natural order; what is left out is noted, with its number.

    `wanted` is --images. Raises InputError where several families could be the frames, naming them, where pictures of a
    kind that is not read stand between the frames, and when nothing is like `wanted`.
    """
    paths = list_images(folder)
    if wanted is not None:
        return _wanted(folder, paths, wanted, notes)
    notes += _dead_links(folder)
    paths = _rolled_over(_without_copies(paths, notes), notes)
    found = families(paths)
    _check_unread(folder, paths, notes)
    frames = paths if len(found) < 2 else _certain(folder, found, notes)
    if frames and is_label_picture(frames[len(frames) // 2]):
        notes.append(
            f"the frames, such as {plain(frames[0].name)}, hold few different values: are they masks or labels?"
        )
    _say_jumps(frames, notes)
    return frames


def _dead_links(folder: Path) -> list[str]:
    """A sentence about links to pictures that are not there."""
    suffixes = {path.suffix.lower() for path in list_images(folder)}
    dead = sorted(e.name for e in listed(folder) if e.suffix.lower() in suffixes and e.is_symlink() and not exists(e))
    if not dead:
        return []
    return [
        f"{len(dead)} links to pictures lead nowhere and are left out, such as {plain(dead[0])}: copy what is meant."
    ]


def _rolled_over(paths: list[Path], notes: list[str]) -> list[Path]:
    """The paths in time, where a counter of so many digits went from 9999 on to 0000 or 0001, with a note."""
    found = [match for path in paths if (match := re.fullmatch(r"(.*?)(\d{3,})", path.stem))]
    if len(paths) < 4 or len(found) < len(paths) or len({(match[1], len(match[2])) for match in found}) > 1:
        return paths
    numbers = [int(match[2]) for match in found]
    jumps = [i for i, (a, b) in enumerate(pairwise(numbers), 1) if b - a != 1]
    if len(jumps) != 1 or not _is_full(numbers[-1], numbers[0]):
        return paths
    first = jumps[0]
    notes.append(
        f"the numbers in the frames' names go on from {numbers[-1]} to {numbers[0]}, as where a counter was full: "
        f"{plain(paths[first].name)} is the first frame."
    )
    return paths[first:] + paths[:first]


def _is_full(last: int, following: int) -> bool:
    """Whether a counter that has no number after `last` begins anew."""
    return last >= 999 and set(str(last)) == {"9"} and following in (0, 1)


def _without_copies(paths: list[Path], notes: list[str]) -> list[Path]:
    """The paths without those that a file manager's name and their picture call a copy of another one, with a note."""
    there = {path.name.lower(): path for path in paths}
    copies = []
    for path in paths:
        stem = COPY.sub("", path.stem)
        original = there.get((stem + path.suffix).lower()) if stem != path.stem else None
        if original is not None and look_alike(path, original):
            copies.append(path)
    if copies:
        notes.append(
            f"{len(copies)} pictures are copies of others by their names and pixels, such as {plain(copies[0].name)}, "
            "and are left out."
        )
    return [path for path in paths if path not in copies]


def families(paths: list[Path]) -> list[Family]:
    """The families of `paths`, the largest first; endings tell files apart only where their numbers repeat."""
    groups: dict[str, list[Path]] = {}
    for path in paths:
        groups.setdefault(_pattern(path), []).append(path)
    found = []
    for pattern, group in groups.items():
        stems = Counter(path.stem.lower() for path in group)
        endings = sorted({path.suffix.lower() for path in group})
        if max(stems.values()) == 1:
            found.append(Family(pattern + (endings[0] if len(endings) == 1 else ".*"), tuple(group)))
            continue
        for ending in endings:
            found.append(Family(pattern + ending, tuple(path for path in group if path.suffix.lower() == ending)))
    return sorted(found, key=lambda family: (-len(family.paths), len(family.pattern), family.pattern))


def _certain(folder: Path, found: list[Family], notes: list[str]) -> list[Path]:
    """The frames of a folder of several families, or InputError."""
    if len(found) > max(8, sum(len(family.paths) for family in found) // 2):  # names that follow no pattern
        return sorted((path for family in found for path in family.paths), key=natural_key)
    named = [family for family in found if not family.says_no_frames] or found
    series = [family for family in named if family.is_series]
    candidates = series or named
    kinds: dict[str, Kind] = {family.pattern: picture_kind(family.paths[0]) for family in found}
    views = [family for family in candidates if kinds[family.pattern] == "pictures"] or candidates
    if len(views[0].paths) < max(len(family.paths) for family in candidates):
        raise _which(folder, candidates)
    views, twins = _without_twins(views)
    if any(one.numbers & other.numbers for i, one in enumerate(views) for other in views[:i]):
        raise _which(folder, views)
    frames = sorted((path for family in views for path in family.paths), key=natural_key)
    if len(views) > 1 and series:
        if len({image_size(family.paths[0]) for family in views}) > 1:
            raise _which(folder, views)
        names = ", ".join(family.words for family in views[:NAMED])
        notes.append(f"the frames' names are of {len(views)} kinds, read one after the other: {names}.")
    left_out = [family for family in found if family not in views]
    if left_out:
        what = ", ".join(
            f"{family.words} ({'the same pictures again' if family in twins else kinds[family.pattern]})"
            for family in left_out[:NAMED]
        )
        more = f" and {len(left_out) - NAMED} kinds more" if len(left_out) > NAMED else ""
        count = sum(len(family.paths) for family in left_out)
        depth = any(kinds[family.pattern] == "numbers" for family in left_out)
        notes.append(
            f"{len(frames)} pictures like {plain(views[0].pattern)} are the frames; {count} beside them "
            f"{'is' if count == 1 else 'are'} left out: {what}{more}. --images chooses others"
            f"{'; if the numbers are depth, it is used from a folder depth/ beside images/' if depth else ''}."
        )
    return frames


def _without_twins(views: list[Family]) -> tuple[list[Family], list[Family]]:
    """The views without those that show the same as another one: the largest and least compressed is kept."""

    def worth(family: Family) -> tuple[int, int, bool, int]:
        width, height = image_size(family.paths[0])
        lossless = family.paths[0].suffix.lower() in LOSSLESS
        return len(family.paths), width * height, lossless, -len(family.pattern)

    kept: list[Family] = []
    twins: list[Family] = []
    for family in sorted(views, key=worth, reverse=True):
        is_twin = any(family.numbers <= other.numbers and _same_pictures(family, other) for other in kept)
        (twins if is_twin else kept).append(family)
    return kept, twins


def _same_pictures(one: Family, other: Family) -> bool:
    there = {_numbers(path): path for path in other.paths}
    looked_at = (one.paths[0], one.paths[len(one.paths) // 2], one.paths[-1])
    return all(look_alike(path, there[_numbers(path)]) for path in looked_at)


def _which(folder: Path, found: list[Family]) -> InputError:
    names = ", ".join(family.words for family in found[:NAMED])
    more = f" and {len(found) - NAMED} kinds more" if len(found) > NAMED else ""
    both = (
        "; to use both eyes' views, put them into images/ and images_right/ (and depth into depth/) beside a "
        "calibration.json as docs/usage/CALIBRATION.md says"
        if _are_eyes(found)
        else ""
    )
    return InputError(
        f"{folder}: holds pictures of {len(found)} kinds, and which ones are the frames is not certain: {names}{more}; "
        f'choose with --images, such as --images "{plain(found[0].pattern)}"{both}.'
    )


def _are_eyes(found: list[Family]) -> bool:
    """Whether the names of two families differ only in the eye that they say."""
    words = [set(re.findall(r"[a-z]+", family.pattern.rsplit(".", 1)[0].lower())) for family in found]
    return any(
        one ^ other in ({left, right} for left, right in EYES) for i, one in enumerate(words) for other in words[:i]
    )


def _wanted(folder: Path, paths: list[Path], wanted: str, notes: list[str]) -> list[Path]:
    """The paths whose names are like `wanted`: # stands for a number, * for anything; the ending may be left out."""
    expression = name_pattern(wanted)
    chosen = [path for path in paths if expression.fullmatch(path.name) or expression.fullmatch(path.stem)]
    if not chosen:
        there = ", ".join(family.words for family in families(paths)[:NAMED])
        raise InputError(
            f'{folder}: no picture is like --images "{plain(wanted)}", in which # stands for a number and * for '
            f"anything; there are {there}."
        )
    if len(chosen) < len(paths):
        notes.append(f"--images leaves out {len(paths) - len(chosen)} of the {len(paths)} pictures of {folder.name}/.")
    return chosen


def name_pattern(wanted: str) -> re.Pattern[str]:
    """What --images stands for: # for a number, * for anything, in any letter case."""
    signs = {"#": r"\d+", "*": ".*"}
    return re.compile("".join(signs.get(sign, re.escape(sign)) for sign in wanted), re.IGNORECASE)


def _check_unread(folder: Path, paths: list[Path], notes: list[str]) -> None:
    """InputError for pictures of other formats that are part of the frames' series, a note for others."""
    unread = list_images(folder, UNREAD)
    if not unread:
        return
    read = {(_pattern(path), _numbers(path)) for path in paths}
    patterns = {pattern for pattern, _ in read}
    between = [path for path in unread if _pattern(path) in patterns and (_pattern(path), _numbers(path)) not in read]
    endings = ", ".join(sorted({path.suffix[1:].upper() for path in between or unread}))
    if between:
        raise InputError(
            f"{folder}: {len(between)} of its {len(paths) + len(between)} pictures are {endings} files "
            f"({plain(between[0].name)}), which are not read: save them as PNG or JPEG under the same names."
        )
    notes.append(f"{len(unread)} {endings} files in {folder.name}/ are not read.")


def _say_jumps(frames: list[Path], notes: list[str]) -> None:
    """A note when the frames' numbers do not go up evenly."""
    names = [_numbers(path) for path in frames]
    if len(frames) < 3 or len({len(numbers) for numbers in names}) > 1:
        return
    varying = [place for place in range(len(names[0])) if len({numbers[place] for numbers in names}) > 1]
    if len(varying) != 1:
        return
    counts = [number for numbers in names if isinstance(number := numbers[varying[0]], int)]
    if len(counts) < len(names):
        return
    steps = [after - before for before, after in pairwise(counts)]
    usual = Counter(steps).most_common(1)[0][0]
    jumps = [f"{a} to {b}" for a, b in pairwise(counts) if b - a != usual and not _is_full(a, b)]
    if jumps:
        shown = ", ".join(jumps[:NAMED]) + (", ..." if len(jumps) > NAMED else "")
        notes.append(
            f"the numbers in the frames' names jump {len(jumps)} times ({shown}); "
            "frames are taken as equally far apart."
        )


def _pattern(path: Path) -> str:
    """The name without its ending, with # for every number but those that count cameras."""
    return "".join("#" if is_number else part for part, is_number in _parts(path))


def _numbers(path: Path) -> tuple[object, ...]:
    """The numbers that `_pattern` leaves out; of a name without any the name, the same for a left and a right one."""
    found = tuple(int(part) for part, is_number in _parts(path) if is_number)
    return found or (re.sub("left|right", "", path.stem.lower()),)


def _parts(path: Path) -> list[tuple[str, bool]]:
    """The parts of a name, and whether each is a number that counts frames."""
    parts = re.split(r"(\d+)", path.stem.lower())
    found = []
    for place, part in enumerate(parts):
        word = re.findall(r"[a-z]+", parts[place - 1]) if place % 2 else []
        counts_cameras = bool(word) and word[-1] in CAMERA_WORDS and place + 2 < len(parts)
        found.append((part, place % 2 == 1 and not counts_cameras))
    return found
