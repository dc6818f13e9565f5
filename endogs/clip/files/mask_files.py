"""Instrument masks in files, with the meaning of their values checked."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from endogs.clip.files.image_files import check_sizes, read_raw
from endogs.clip.files.mask_classes import (
    MaskValues,
    brightness,
    classes,
    mask_labels,
    parse_mask_values,
    value_name,
)
from endogs.clip.files.whole_jpegs import check_whole
from endogs.errors import InputError

SAMPLES = 12
"""Masks that are looked at when a clip is opened."""
MOST_NAMED = 12
"""Values that an example names."""
HIDDEN_LIMIT = 0.9
"""A larger share of hidden pixels means that the masks are the wrong way round."""
HIDDEN_SUSPICIOUS = 0.6
"""A larger share may mean it, and is worth a note."""


class MaskFiles:
    """Instrument masks that are decoded when read."""

    def __init__(
        self,
        paths: list[Path],
        bright_is_instrument: bool,
        threshold: int,
        size: tuple[int, int] | None = None,
        values: MaskValues | None = None,
    ) -> None:
        """Masks of two values, told apart at `threshold`, or of the classes that `values` names.

        `size` (width, height) is what masks of other sizes become.
        """
        self.paths = paths
        self.bright_is_instrument = bright_is_instrument
        self.threshold = threshold
        self.size = size
        self.values = values

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
            return ~self.values.hides(labels)
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
    brightest value, with a note where that is not the type's largest. `named` are the words of --mask-values, which
    masks of more values, or of two of which none is 0, need. With `resize` masks of other sizes are brought to the
    images' size.

    Raises InputError when a mask has another size, is damaged, holds several classes that nobody named, lacks the
    named ones, or when the masks hide more than 90 % of the pixels of the sampled frames; from 60 % on there is a note,
    as there is when all of them are empty.
    """
    if not resize:
        check_sizes(paths, *size, Path("its image"))
    check_whole(paths, notes)
    looked_at = [(paths[i], mask_labels(read_raw(paths[i]))) for i in sampled(len(paths))]
    shares = classes(looked_at)
    different = len({value for _, labels in looked_at for value in np.unique(labels).tolist()})
    folder = paths[0].parent
    if named:
        masks = _of_named_classes(paths, parse_mask_values(named), shares, notes, size if resize else None)
    else:
        masks = _of_two_values(paths, instrument_value == 255, shares, different, notes, size if resize else None)
    hidden = 1 - float(np.mean([masks.tissue(labels).mean() for _, labels in looked_at]))
    other = f"--mask-instrument-value {255 - instrument_value}"
    if hidden > HIDDEN_LIMIT:
        raise InputError(f"{folder}: the masks hide {100 * hidden:.0f} % of the clip{_remedy(named, shares, other)}.")
    if hidden == 0:
        notes.append(
            f"{folder.name}/ calls nothing instrument in the {len(looked_at)} of {len(paths)} masks looked at: if "
            "instruments are seen, reconstruct --masks color looks for them."
        )
    if hidden > HIDDEN_SUSPICIOUS:
        remedy = "--mask-values names other values" if named else f"if that is the tissue, use {other}"
        notes.append(f"the masks hide {100 * hidden:.0f} % of the clip: {remedy}.")
    return masks


def listed(shares: dict[int, float]) -> str:
    """Classes with their shares of the pixels, most frequent first: "0 (91 %), 85 (5 %), 255 (4 %)"."""
    most = sorted(shares, key=lambda value: -shares[value])
    words = [f"{value_name(value)} ({100 * shares[value]:.2g} %)" for value in most[:12]]
    return ", ".join(words) + (f" and {len(most) - 12} more" if len(most) > 12 else "")


def _of_named_classes(
    paths: list[Path],
    values: MaskValues,
    shares: dict[int, float],
    notes: list[str],
    size: tuple[int, int] | None,
) -> MaskFiles:
    asked = values.instrument + values.unknown + values.tissue
    folder = paths[0].parent
    if not set(asked) & set(shares):
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
    return MaskFiles(paths, True, 0, size, values)


def _of_two_values(
    paths: list[Path],
    bright_is_instrument: bool,
    shares: dict[int, float],
    different: int,
    notes: list[str],
    size: tuple[int, int] | None,
) -> MaskFiles:
    """`different` values are in the masks that were looked at, those of soft edges and noise included."""
    bright = sorted(value for value in shares if value > 0)
    folder = paths[0].parent
    if len(bright) > 1 or (bright and 0 not in shares and bright[0] not in (255, 65535)):
        example = bright[:MOST_NAMED] if shares.get(0, 0) > 0.5 else [min(bright, key=lambda value: shares[value])]
        raise InputError(
            f"{folder}: the masks hold the classes {listed(shares)}, of which only you know which are instruments: say "
            f"so, for example with --mask-values instrument={','.join(map(value_name, example))}; values "
            "after unknown= instead are left out, and all others are tissue."
        )
    top = int(brightness(np.array(bright[:1], np.int32))[0]) if bright else 255
    if bright and bright[0] not in (255, 65535):
        meaning = "instrument" if bright_is_instrument else "tissue"
        name = value_name(bright[0])
        others = different - 2
        what = f"0 and {name} only" if others <= 0 else f"0, {name} and {others} values taken for edges and noise"
        notes.append(f"{folder.name}/ holds {what}: {name} is {meaning}.")
    return MaskFiles(paths, bright_is_instrument, top // 2, size)


def _remedy(named: Sequence[str], shares: dict[int, float], other: str) -> str:
    """What to do about masks that hide nearly everything, as the end of a sentence."""
    if named:
        return f", which hold {listed(shares)}: name other values with --mask-values"
    if len(shares) == 1:
        return (
            f", because they hold nothing but {value_name(next(iter(shares)))} and tell no instrument from tissue: "
            f"write them again, or use {other} to take everything for tissue"
        )
    return f", so they seem to be the other way round: use {other}"
