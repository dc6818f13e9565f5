"""What the values in mask files stand for: one instrument against tissue, or several classes that have to be named.

Label files of the field hold parts (EndoVis 2017: shaft 85, wrist 170, jaw 255), anatomy beside tools and a value for
"not sure" (Endoscapes: tool 6, uncertain 255), a class in every pixel (CholecSeg8k), a colour per object (DAVIS), or
the mask in the alpha channel. Only two values can be read without asking.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from endogs.errors import InputError

COLOR = 1 << 24
"""Added to a packed colour r * 65536 + g * 256 + b, so that colours and grey values are never confused."""
LEAST_SHARE = 1e-4
"""Part of the pixels looked at from which on a value counts as a class: 33 pixels of a 640 x 512 frame."""
LEAST_SOLID = 0.3
"""Part of a value's pixels whose eight neighbours have it too, from which on it is a class and not a soft edge: a disc
of 6 pixels' radius has 2/3, a smoothed edge's grey levels have hardly any."""
FEW_VALUES = 8
"""Different values up to which small areas without an inside count too, as long as they are no mixture of their
neighbours."""
NOISE = 24
"""Grey levels around black and around the brightest class that compression makes of them: JPEG at quality 70 rings by
about 20 beside an edge of 255, and by less beside a lower one."""
MANY_VALUES = 64
"""Different grey levels from which on a file that is not JPEG may have gone through a lossy codec."""
MANY_CLASSES = 16
"""Values with an inside from which on such a file holds labels after all, one per object."""
LOSSY = (".jpg", ".jpeg", ".webp")


@dataclass(frozen=True)
class MaskValues:
    """What `--mask-values` says, or what two values say by themselves."""

    instrument: tuple[int, ...] = ()
    """Values of instruments; colours as COLOR + r * 65536 + g * 256 + b."""
    unknown: tuple[int, ...] = ()
    """Values of pixels that nobody decided; neither fitted nor judged."""
    tissue: tuple[int, ...] = ()
    """Values of tissue. Where instruments are named all else is tissue, and where only tissue is, all else is not."""

    def hides(self, labels: NDArray[Any]) -> NDArray[np.bool_]:
        """bool (H, W), True where labels (H, W) are not tissue."""
        if self.instrument or not self.tissue:
            return np.isin(labels, self.instrument + self.unknown)
        return ~np.isin(labels, self.tissue)


def parse_mask_values(words: Sequence[str]) -> MaskValues:
    """`instrument=1,2,5-9 unknown=255`: numbers, ranges of them, or colours such as #ff0000; InputError for anything
    else."""
    found: dict[str, tuple[int, ...]] = {}
    for word in words:
        name, equals, listed = word.partition("=")
        if name not in ("instrument", "unknown", "tissue") or not equals or name in found:
            raise InputError(
                f"--mask-values {word}: give instrument=, unknown= or tissue=, each once, with values between commas, "
                "such as instrument=1,2 unknown=255, instrument=1-30 or instrument=#ff0000"
            )
        found[name] = tuple(value for one in listed.split(",") for value in _values(one))
    taken = Counter(value for values in found.values() for value in set(values))
    twice = [value for value, times in taken.items() if times > 1]
    if twice:
        raise InputError(f"--mask-values: {value_name(twice[0])} is said to be two things; name it once")
    if found and not ({"instrument", "tissue"} & set(found)):
        raise InputError("--mask-values: say which values are instruments, such as instrument=1,2 unknown=255")
    return MaskValues(**found)


def _values(text: str) -> tuple[int, ...]:
    """The values of `7`, `5-9` or `#ff0000`."""
    first, dash, last = text.partition("-")
    if not dash:
        return (_value(text),)
    low, high = _value(first), _value(last)
    if not low <= high < COLOR:
        raise InputError(f"--mask-values: {text!r} is no range of numbers: give the smaller one first, such as 1-30")
    return tuple(range(low, high + 1))


def _value(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65535:
        return int(text)
    if len(text) == 7 and text[0] == "#":
        try:
            return COLOR + int(text[1:], 16)
        except ValueError:
            pass
    raise InputError(f"--mask-values: {text!r} is neither a number from 0 to 65535 nor a colour such as #ff0000")


def value_name(value: int) -> str:
    """How `--mask-values` names a value: 85, or #ff0000."""
    return f"#{value - COLOR:06x}" if value >= COLOR else str(value)


def mask_labels(raw: NDArray[Any]) -> NDArray[np.int32]:
    """int32 (H, W) labels of a decoded mask file, uint8 or uint16, (H, W) or OpenCV's (H, W, 3 or 4).

    Grey values stay; colours are packed above COLOR, but black is 0. Transparent pixels are 0; where all pixels that
    are not transparent have one colour, and there are transparent ones, the mask is the alpha channel itself. An alpha
    channel of one value tells nothing, and is not looked at where the colours tell something.
    """
    if raw.ndim == 2:
        return raw.astype(np.int32)
    if raw.shape[2] == 2:  # grey and alpha
        raw = np.concatenate([raw[..., :1]] * 3 + [raw[..., 1:]], axis=2)
    color = raw[..., :3].astype(np.int32)
    if raw.shape[2] == 4 and (raw[..., 3] != np.iinfo(raw.dtype).max).any():
        alpha = raw[..., 3].astype(np.int32)
        opaque = color[alpha > 0]
        if (alpha == alpha[0, 0]).all() and not (color == color[0, 0]).all():
            alpha[:] = 1
        elif opaque.size == 0 or (opaque == opaque[0]).all():
            return alpha
        color = np.where(alpha[..., None] > 0, color, 0)
    blue, green, red = color[..., 0], color[..., 1], color[..., 2]
    if (blue == green).all() and (green == red).all():
        return red
    if raw.dtype != np.uint8:
        red, green, blue = red >> 8, green >> 8, blue >> 8
    packed = (red << 16) + (green << 8) + blue
    return np.where(packed > 0, COLOR + packed, 0).astype(np.int32)


def brightness(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """int32 (H, W): grey values as they are, of colours the largest channel."""
    packed = labels - COLOR
    largest = np.maximum(np.maximum(packed >> 16, (packed >> 8) & 255), packed & 255)
    return np.where(labels >= COLOR, largest, labels)


def classes(files: Iterable[tuple[Path, NDArray[np.int32]]]) -> dict[int, float]:
    """Shares of the pixels by class, of the masks (H, W) looked at, without soft edges and the noise of compression.

    Their pixels count for the nearest class in brightness, so the shares add up to 1.
    """
    counts: Counter[int] = Counter()
    solid: Counter[int] = Counter()
    mixed: Counter[int] = Counter()
    lossy = False
    for path, labels in files:
        lossy |= is_lossy(path)
        values, inverse = np.unique(labels, return_inverse=True)
        counts.update(dict(zip(values.tolist(), np.bincount(inverse.ravel()).tolist(), strict=True)))
        solid.update(_counted(labels[_solid(labels)]))
        mixed.update(_counted(labels[_mixed(brightness(labels))]))
    total = sum(counts.values())
    frequent = [value for value, number in counts.items() if number >= LEAST_SHARE * total]
    found = [value for value in frequent if solid[value] >= LEAST_SOLID * counts[value]]
    if len(counts) <= FEW_VALUES:
        found = [value for value in frequent if value in found or mixed[value] < 0.5 * counts[value]]
    if not found:
        found = [counts.most_common(1)[0][0]]
    if lossy or (len(counts) > MANY_VALUES and len(found) < MANY_CLASSES):
        found = _without_noise(found, counts)
    bright = np.array([_level(value) for value in found])
    shares = dict.fromkeys(sorted(found), 0.0)
    for value, number in counts.items():
        nearest = value if value in shares else found[int(np.abs(bright - _level(value)).argmin())]
        shares[nearest] += number / total
    return shares


def is_lossy(path: Path) -> bool:
    """Whether a file's ending says that its values are not what was written."""
    return path.suffix.lower() in LOSSY


def nearest(labels: NDArray[np.int32], among: Sequence[int]) -> NDArray[np.int32]:
    """int32 (H, W): for each label the one of `among` that is nearest in colour."""
    parts = _channels(labels)
    best = np.full(labels.shape, np.iinfo(np.int32).max, np.int32)
    found = np.zeros(labels.shape, np.int32)
    for value in among:
        off = sum(np.abs(one - other) for one, other in zip(parts, _channels(np.array(value, np.int32)), strict=True))
        closer = off < best
        best[closer], found[closer] = off[closer], value
    return found


def _channels(labels: NDArray[np.int32]) -> list[NDArray[np.int32]]:
    packed = labels - COLOR
    return [np.where(labels >= COLOR, (packed >> shift) & 255, labels) for shift in (16, 8, 0)]


def _counted(values: NDArray[np.int32]) -> dict[int, int]:
    found, numbers = np.unique(values, return_counts=True)
    return dict(zip(found.tolist(), numbers.tolist(), strict=True))


def _level(value: int) -> int:
    return int(brightness(np.array([value], np.int32))[0])


def _mixed(levels: NDArray[np.int32]) -> NDArray[np.bool_]:
    """bool (H, W), True where a pixel is darker than one of its neighbours and brighter than another."""
    import cv2

    plane, block = levels.astype(np.float32), np.ones((3, 3), np.uint8)
    return (cv2.erode(plane, block) < plane) & (plane < cv2.dilate(plane, block))


def _solid(labels: NDArray[np.int32]) -> NDArray[np.bool_]:
    """bool (H, W), True where all eight neighbours, inside the image, have the pixel's own value."""
    same = np.ones(labels.shape, bool)
    for axis in (0, 1):
        equal = np.diff(labels, axis=axis) == 0
        first, last = [slice(None)] * 2, [slice(None)] * 2
        first[axis], last[axis] = slice(None, -1), slice(1, None)
        same[tuple(first)] &= equal
        same[tuple(last)] &= equal
    diagonal = (labels[1:, 1:] == labels[:-1, :-1]), (labels[1:, :-1] == labels[:-1, 1:])
    same[1:, 1:] &= diagonal[0]
    same[:-1, :-1] &= diagonal[0]
    same[1:, :-1] &= diagonal[1]
    same[:-1, 1:] &= diagonal[1]
    return same


def _without_noise(found: list[int], counts: Counter[int]) -> list[int]:
    """The most frequent value of every run of values that lie within their noise of it; near black and white those."""
    total = sum(counts.values())
    brightest = max(_level(value) for value, number in counts.items() if number >= LEAST_SHARE * total)
    noise = min(NOISE, max(2, NOISE * brightest // 255))
    kept: list[int] = []
    for value in sorted(found, key=lambda value: -counts[value]):
        if all(abs(_level(value) - _level(other)) > noise for other in kept):
            kept.append(value)
    return sorted({_without_end_noise(value, noise) for value in kept})


def _without_end_noise(value: int, noise: int) -> int:
    level = _level(value)
    if level <= noise:
        return 0
    return 255 if 255 - noise <= level <= 255 else value
