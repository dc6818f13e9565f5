"""The pictures of a folder as frames: eight bits, one page each, turned where they must be."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from endogs.clip.files.image_files import read_color, read_raw
from endogs.clip.files.mask_files import sampled
from endogs.clip.files.orientation import Turn
from endogs.clip.files.stacks import check_single_pages
from endogs.clip.files.value_range import as_rgb, is_deep, to_eight_bits, white_value
from endogs.clip.files.whole_jpegs import check_whole


class ImageFiles:
    """Colour images that are decoded when read."""

    def __init__(self, paths: list[Path], white: float | None = None, turn: Turn | None = None) -> None:
        """`white` is the value of white where the files' type does not say it; `turn` is applied to the pictures."""
        self.paths = paths
        self.white = white
        self.turn = turn or Turn()

    def read(self, index: int) -> NDArray[np.uint8]:
        """uint8 (H, W, 3) RGB."""
        if self.white is None:
            image = read_color(self.paths[index])
        else:
            image = as_rgb(to_eight_bits(read_raw(self.paths[index]), self.white))
        return self.turn.applied(image)


def image_files(paths: list[Path], notes: list[str], turn: Turn | None = None) -> ImageFiles:
    """The images in `paths`, whose range of values is found from a few of them, with a note where it was guessed.

    Raises InputError for files of several pages, for damaged JPEGs and for numbers that are no picture's.
    """
    check_single_pages(paths)
    check_whole(paths, notes, are_a_series=True)
    deep = [read_raw(paths[i]) for i in sampled(len(paths)) if is_deep(paths[i])]
    return ImageFiles(paths, white_value(deep, paths[0].parent, notes) if deep else None, turn)
