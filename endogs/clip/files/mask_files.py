"""Instrument masks in files, with the meaning of their values checked."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from endogs.clip.files.image_files import check_sizes, read_raw
from endogs.clip.files.mask_classes import (
    MANY_VALUES,
    MaskValues,
    brightness,
    classes,
    is_lossy,
    mask_labels,
    nearest,
    parse_mask_values,
    value_name,
)
from endogs.clip.files.mask_outlines import outline_note
from endogs.clip.files.mask_softness import STRAY, is_noisy, softness
from endogs.clip.files.mask_words import HIDDEN_SUSPICIOUS, examples, held, listed, many_values, remedy
from endogs.clip.files.whole_jpegs import check_whole
from endogs.errors import InputError

SAMPLES = 12
"""Masks that are looked at when a clip is opened."""
HIDDEN_LIMIT = 0.9
"""A larger share of hidden pixels means that the masks are the wrong way round."""
SOFT = 0.2
"""Of the instrument: a softer edge is worth a note."""


class MaskFiles:
    """Instrument masks that are decoded when read."""

    def __init__(
        self,
        paths: list[Path],
        bright_is_instrument: bool,
        threshold: int,
        size: tuple[int, int] | None = None,
        values: MaskValues | None = None,
        among: Sequence[int] = (),
        meaning: str = "",
    ) -> None:
        """Masks of two values, told apart at `threshold`, or of the classes that `values` names.

        `size` (width, height) is what masks of other sizes become. Values that compression changed count for the
        nearest one `among` the classes, where these are given. `meaning` says what the files hold.
        """
        self.paths = paths
        self.bright_is_instrument = bright_is_instrument
        self.threshold = threshold
        self.size = size
        self.values = values
        self.among = tuple(among)
        self.meaning = meaning

    def read(self, index: int) -> NDArray[np.bool_]:
        """bool (H, W), True where tissue is seen."""
        tissue = self.tissue(mask_labels(read_raw(self.paths[index])))
        if self.size is not None and tissue.shape != self.size[::-1]:
            import cv2

            tissue = cv2.resize(tissue.astype(np.uint8), self.size, interpolation=cv2.INTER_NEAREST) > 0
        return tissue

    def tissue(self, labels: NDArray[np.int32]) -> NDArray[np.bool_]:
        """bool (H, W), True where labels (H, W) mean tissue."""
        if self.values is not None:
            return ~self.values.hides(nearest(labels, self.among) if self.among else labels)
        bright = brightness(labels) > self.threshold
        return ~bright if self.bright_is_instrument else bright


def sampled(count: int, samples: int = SAMPLES) -> list[int]:
    """At most `samples` indices spread evenly over `count`, first and last included."""
    return sorted({round(i) for i in np.linspace(0, count - 1, min(count, samples))})


def mask_files(
    paths: list[Path],
    size: tuple[int, int],
    instrument_value: int,
    notes: list[str],
    resize: bool = False,
    named: Sequence[str] = (),
) -> MaskFiles:
    """The masks in `paths`, one per image of `size` (width, height); `instrument_value` is 255 or 0.

    Masks of two values, soft edges and the noise of compression apart, are told apart halfway between black and the
    brightest value, with a note where that is not the type's largest, or where much lies between. `named` are the
    words of --mask-values, which masks of more values, or of two of which none is 0, need. With `resize` masks of other
    sizes are brought to the images' size.

    Raises InputError when a mask has another size, is damaged, holds several classes that nobody named, lacks the
    named ones, or when the masks hide more than 90 % of the pixels of the sampled frames; from 60 % on there is a note,
    as there is when all of them are empty.
    """
    if not resize:
        check_sizes(paths, *size, Path("its image"), "resize the masks to their images, with the nearest neighbour")
    check_whole(paths, notes)
    looked_at = [(paths[i], mask_labels(read_raw(paths[i]))) for i in sampled(len(paths))]
    shares = classes(looked_at)
    folder = paths[0].parent
    if named:
        there = {int(value) for _, labels in looked_at for value in np.unique(labels)}
        masks = _of_named_classes(paths, parse_mask_values(named), shares, there, notes, size if resize else None)
    else:
        levels = [brightness(labels) for _, labels in looked_at]
        masks = _of_two_values(paths, instrument_value == 255, shares, levels, notes, size if resize else None)
    tissue = [masks.tissue(labels) for _, labels in looked_at]
    hidden = 1 - float(np.mean([one.mean() for one in tissue]))
    notes += outline_note(folder.name, tissue)
    other = f"--mask-instrument-value {255 - instrument_value}"
    if hidden > HIDDEN_LIMIT:
        raise InputError(f"{folder}: the masks hide {100 * hidden:.0f} % of the clip{remedy(named, shares, other)}.")
    if hidden == 0:
        notes.append(
            f"{folder.name}/ calls nothing instrument in the {len(looked_at)} of {len(paths)} masks looked at: if "
            "instruments are seen, reconstruct --masks found looks for them."
        )
    if hidden > HIDDEN_SUSPICIOUS:
        advice = "--mask-values names other values" if named else f"if that is the tissue, use {other}"
        notes.append(f"the masks hide {100 * hidden:.0f} % of the clip: {advice}.")
    return masks


def _of_named_classes(
    paths: list[Path],
    values: MaskValues,
    shares: dict[int, float],
    there: set[int],
    notes: list[str],
    size: tuple[int, int] | None,
) -> MaskFiles:
    asked = set(values.instrument + values.unknown + values.tissue)
    folder = paths[0].parent
    if not asked & (there | set(shares)):
        raise InputError(
            f"{folder}: the masks looked at hold {listed(shares)}, and --mask-values names none of them: name those "
            "that are instruments."
        )
    rest = [value_name(value) for value in sorted(shares) if value not in asked]
    if rest:
        meaning = "tissue" if values.instrument else "not tissue"
        notes.append(
            f"{folder.name}/ holds {', '.join(rest)} too, which --mask-values does not name: read as {meaning}."
        )
    among = sorted(asked | set(shares)) if any(map(is_lossy, paths)) else []
    return MaskFiles(paths, True, 0, size, values, among)


def _of_two_values(
    paths: list[Path],
    bright_is_instrument: bool,
    shares: dict[int, float],
    levels: Sequence[NDArray[np.int32]],
    notes: list[str],
    size: tuple[int, int] | None,
) -> MaskFiles:
    bright = sorted(value for value in shares if value > 0)
    folder = paths[0].parent
    if len(bright) > 1 or (bright and 0 not in shares and bright[0] not in (255, 65535)):
        raise InputError(
            f"{folder}: the masks hold the classes {listed(shares)}, of which only you know which are instruments: say "
            f"so, for example with {examples(shares)}; all others are tissue."
        )
    top = int(brightness(np.array(bright[:1], np.int32))[0]) if bright else 255
    values, numbers = np.unique(np.concatenate([one.ravel() for one in levels]), return_counts=True)
    lossy = len(values) > MANY_VALUES or any(map(is_lossy, paths)) or is_noisy(values, numbers, top)
    between = softness(levels, top, lossy)
    # Without any class beside black all that there is may be dark.
    dark = not bright and between.share >= STRAY and values[-1] <= top // 2
    if dark or not (between.is_soft or between.share < STRAY):
        raise InputError(many_values(folder, levels, lossy))
    name = value_name(bright[0]) if bright else ""
    others = f"{between.values} values between at soft edges, {100 * between.share:.2g} % of the pixels"
    meaning = "instrument" if bright_is_instrument else "tissue"
    if bright and bright[0] not in (255, 65535):
        only = (
            f"{name} is {meaning}" if between.share < STRAY else f"with {others}: what is above {top // 2} is {meaning}"
        )
        notes.append(
            f"{folder.name}/ holds 0 and {name}" + (f" only: {only}." if between.share < STRAY else f" {only}.")
        )
    elif between.share > SOFT * numbers[values > top // 2].sum() / numbers.sum():
        notes.append(f"{folder.name}/ is soft, with {others}: what is above {top // 2} is {meaning}.")
    return MaskFiles(
        paths, bright_is_instrument, top // 2, size, meaning=held(shares, between.share, bright_is_instrument)
    )
