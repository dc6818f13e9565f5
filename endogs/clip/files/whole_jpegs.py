"""Whether the JPEGs of a folder are whole, seen in one cheap look at each before any of them is relied on.

A decoder's words tell of most damage. Where bits that were flipped only shift the brightness or the colour, which JPEG
codes from block to block, nothing is said: then the picture agrees with its neighbours down to one row of blocks and
with none below.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from endogs.bounded_files import read_bytes
from endogs.clip.files.decoder_words import decoder_words
from endogs.clip.files.image_files import LONGEST_IMAGE, image_size, read_raw
from endogs.clip.files.picture_damage import damage, oddity
from endogs.device import usable_cores
from endogs.errors import InputError
from endogs.plain_text import plain

Blocks = NDArray[np.uint8]

JPEG_SUFFIXES = (".jpg", ".jpeg")
MOST = 1000
"""Files that are looked at, 2 ms each for 1280 x 1024; of larger folders every n-th. All are looked at when read."""
TOGETHER = 64
"""Files that are decoded together, by all cores."""
BLOCK = 8
"""Pixels per side of a block, of which the smallest decoding makes one."""
STEP = 5.0
"""Grey levels by which the rows below a damage differ from both neighbouring frames, beyond what these differ by."""
CALM = 1.5
"""Grey levels by which the rows above it may."""
ROWS = 3
"""Rows of blocks above and below which decide; fewer prove nothing."""
SPARSE = 4
"""Every which column of blocks is looked at first."""
NAMED = 4
"""Files that a sentence names besides the first."""
MOSTLY = 0.8
"""Share of the rows below, and of the columns of the first of them, that differ. Black surrounds stay black."""


def check_whole(paths: list[Path], notes: list[str], are_a_series: bool = False) -> None:
    """InputError naming the JPEGs among `paths` that are damaged or unreadable; oddities that may do harm are noted.

    Of frames that `are_a_series` those that break off from their neighbours at a row are noted too.
    """
    looked_at = [path for path in paths if path.suffix.lower() in JPEG_SUFFIXES]
    looked_at = looked_at[:: -(-len(looked_at) // MOST) or 1]
    harmed, odd = [], []
    series = _Series()
    with ThreadPoolExecutor(usable_cores()) as pool:
        for first in range(0, len(looked_at), TOGETHER):
            some = looked_at[first : first + TOGETHER]
            with decoder_words() as words:
                blocks = list(pool.map(_blocks, some))
            for path, found in zip(some, blocks, strict=True):
                if found is None:
                    read_raw(path)  # raises what is wrong
                elif are_a_series:
                    series.add(path, found)
            for path in some if words.lines else ():
                with decoder_words() as own:
                    _blocks(path)
                if harm := damage(own.lines, read_bytes(path, LONGEST_IMAGE)):
                    harmed.append((path, harm))
                elif strange := oddity(own.lines):
                    odd.append((path, strange))
    if harmed:
        path, harm = harmed[0]
        more = _and_more([other for other, _ in harmed[1:]])
        raise InputError(f"{path}: the picture is damaged ({plain(harm, 120)}){more}: copy it again, or leave it out.")
    if odd:
        path, strange = odd[0]
        notes.append(
            f"{len(odd)} of the {len(looked_at)} JPEGs looked at hold {strange}, such as {plain(path.name, 60)}: "
            "harmless if the camera wrote them so; otherwise they are damaged, and their lower part is displaced."
        )
    notes += series.notes()


class _Series:
    """Looks for pictures of a series that break off from both their neighbours; three at a time are kept."""

    def __init__(self) -> None:
        self._recent: list[tuple[Path, Blocks]] = []
        self._count = 0
        self._breaks: list[tuple[Path, int]] = []

    def add(self, path: Path, blocks: Blocks) -> None:
        """The next picture's blocks (h, w, 3)."""
        self._recent = [*self._recent[-2:], (path, blocks)]
        self._count += 1
        if self._count == 3:
            self._judge(1, 0, 2)  # the first has its neighbours on one side
        if self._count >= 3:
            self._judge(0, 1, 2)

    def _judge(self, before: int, own: int, after: int) -> None:
        row = break_row(*(self._recent[i][1] for i in (before, own, after)))
        if row is not None:
            self._breaks.append((self._recent[own][0], row * BLOCK))

    def notes(self) -> list[str]:
        """After the last picture: a note naming those that break off."""
        if self._count >= 3:
            self._judge(0, 2, 1)
        if not self._breaks:
            return []
        path, row = self._breaks[0]
        return [
            f"{plain(path.name, 60)} breaks off from the frames beside it at row {row}"
            f"{_and_more([other for other, _ in self._breaks[1:]])}: below, all has another brightness, colour or "
            "place, as in damaged JPEGs and torn frames; copy it again, or leave it out."
        ]


def _blocks(path: Path) -> Blocks | None:
    """(H / 8, W / 8, 3) mean colours of the picture's blocks; None for what cannot be decoded, as its reader says."""
    import cv2

    try:
        image_size(path)
        data = np.frombuffer(read_bytes(path, LONGEST_IMAGE), np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_REDUCED_COLOR_8 | cv2.IMREAD_IGNORE_ORIENTATION)
    except (InputError, cv2.error):
        return None
    return None if image is None else np.asarray(image, np.uint8)


def _and_more(others: list[Path]) -> str:
    """How many others there are, and the names of some, to be put into a sentence."""
    if not others:
        return ""
    names = ", ".join(plain(other.name, 60) for other in others[:NAMED])
    return f", as do {len(others)} more ({names})"


def break_row(before: Blocks, own: Blocks, after: Blocks) -> int | None:
    """The row of blocks from which on a picture differs from both others while they agree; None where there is none.

    Blocks (h, w, 3) are those of three frames of one series, two of them the picture's neighbours in time.
    """
    if not before.shape == own.shape == after.shape:
        return None
    some = _excess(before[:, ::SPARSE], own[:, ::SPARSE], after[:, ::SPARSE])
    if np.median(some, 1).max() < STEP / 2:  # as in nearly every whole picture
        return None
    excess = _excess(before, own, after)
    rows = np.median(excess, 1)
    differ = np.flatnonzero(rows > STEP)
    if not differ.size or not ROWS < differ[0] < len(rows) - ROWS - 2:
        return None
    row = int(differ[0])
    # The damage begins somewhere in one row of 16 x 16 pixels, which colour is coded in.
    above, below = rows[: row - 2], rows[row + 2 :]
    is_whole_width = float((excess[row + 2 : row + 2 + ROWS] > CALM).mean()) >= MOSTLY
    return row if above.max() < CALM and is_whole_width and float((below > CALM).mean()) >= MOSTLY else None


def _excess(before: Blocks, own: Blocks, after: Blocks) -> NDArray[np.int16]:
    """(h, w) by how much blocks differ from the nearer of both neighbours, beyond what these differ by."""
    first, middle, last = (blocks.astype(np.int16) for blocks in (before, own, after))
    apart = np.minimum(np.abs(middle - first), np.abs(middle - last))
    return np.asarray((apart - np.abs(last - first)).max(2), np.int16)
