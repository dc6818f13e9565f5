"""Instrument masks in files, with their polarity checked."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from endogs.clip.image_files import check_sizes, read_gray
from endogs.errors import InputError

SAMPLES = 12
"""Masks that are looked at when a clip is opened."""
HIDDEN_LIMIT = 0.9
"""A larger share of hidden pixels means that the masks are the wrong way round."""
HIDDEN_SUSPICIOUS = 0.6
"""A larger share may mean it, and is worth a note."""


class MaskFiles:
    """Instrument masks that are decoded when read."""

    def __init__(
        self, paths: list[Path], bright_is_instrument: bool, threshold: int, size: tuple[int, int] | None = None
    ) -> None:
        """`size` (width, height) is what masks of other sizes become."""
        self.paths = paths
        self.bright_is_instrument = bright_is_instrument
        self.threshold = threshold
        self.size = size

    def read(self, index: int) -> NDArray[np.bool_]:
        """bool (H, W), True where tissue is seen."""
        bright = read_gray(self.paths[index]) > self.threshold
        if self.size is not None and bright.shape != self.size[::-1]:
            import cv2

            bright = cv2.resize(bright.astype(np.uint8), self.size, interpolation=cv2.INTER_NEAREST) > 0
        return ~bright if self.bright_is_instrument else bright


def sampled(count: int, samples: int = SAMPLES) -> list[int]:
    """At most `samples` indices spread evenly over `count`, first and last included."""
    return sorted({round(i) for i in np.linspace(0, count - 1, min(count, samples))})


def mask_files(
    paths: list[Path], size: tuple[int, int], instrument_value: int, notes: list[str], resize: bool = False
) -> MaskFiles:
    """The masks in `paths`, one per image of `size` (width, height); `instrument_value` is 255 or 0.

    With `resize` masks of other sizes are brought to the images' size.

    In masks that hold labels or a dark palette, nothing above 127, all above 0 counts as 255, with a note. Raises
    InputError when a mask has another size, or when the masks hide more than 90 % of the pixels of the sampled frames;
    from 60 % on there is a note, as there is when all of them are empty.
    """
    if not resize:
        check_sizes(paths, *size, Path("its image"))
    looked_at = [read_gray(paths[i]) for i in sampled(len(paths))]
    threshold = 127
    brightest = max(int(mask.max()) for mask in looked_at)
    if 0 < brightest <= threshold:
        threshold = 0
        notes.append(f"{paths[0].parent.name}/ holds values up to {brightest} only: all above 0 are read as 255.")
    masks = MaskFiles(paths, instrument_value == 255, threshold, size if resize else None)
    bright = float(np.mean([(mask > threshold).mean() for mask in looked_at]))
    hidden = bright if masks.bright_is_instrument else 1 - bright
    if hidden > HIDDEN_LIMIT:
        raise InputError(
            f"{paths[0].parent}: the masks hide {100 * hidden:.0f} % of the clip, so {instrument_value} seems to mean "
            f"tissue in them: use --mask-instrument-value {255 - instrument_value}."
        )
    if hidden == 0:
        notes.append(
            f"{paths[0].parent.name}/ calls nothing instrument in the frames looked at: if instruments are seen, "
            "--masks color looks for them."
        )
    if hidden > HIDDEN_SUSPICIOUS:
        notes.append(
            f"the masks hide {100 * hidden:.0f} % of the clip: if that is the tissue, use --mask-instrument-value "
            f"{255 - instrument_value}."
        )
    return masks
