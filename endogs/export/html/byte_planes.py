"""Integers as planes of bytes, which deflate packs far better than interleaved words."""

import numpy as np
from numpy.typing import NDArray

MAX_BYTES = 4
"""Bytes of the widest row."""


def pack_rows(rows: NDArray[np.int32]) -> tuple[bytes, list[int]]:
    """Signed integers (R, N) as bytes, and the bytes per number that each row took: 0 for a row of zeros, up to 4.

    Zigzag first (0, -1, 1, -2... become 0, 1, 2, 3...), so that small numbers of either sign have empty high bytes;
    then, row by row, all lowest bytes, all second bytes and so on.
    """
    parts, widths = [], []
    for row in np.asarray(rows, np.int64):
        zigzag = np.where(row >= 0, 2 * row, -2 * row - 1)
        largest = int(zigzag.max(initial=0))
        width = (largest.bit_length() + 7) // 8
        if width > MAX_BYTES:
            raise ValueError(f"{largest} does not fit {MAX_BYTES} bytes")
        parts += [(zigzag >> 8 * byte & 255).astype(np.uint8).tobytes() for byte in range(width)]
        widths.append(width)
    return b"".join(parts), widths


def unpack_rows(data: bytes, widths: list[int], count: int) -> NDArray[np.int32]:
    """The rows (R, `count`) that `pack_rows` packed. Raises ValueError when the bytes are too few or too many."""
    if len(data) != sum(widths) * count:
        raise ValueError(f"{len(data)} bytes do not make {len(widths)} rows of {count}")
    planes = np.frombuffer(data, np.uint8).reshape(-1, count).astype(np.int64)
    rows, first = np.zeros((len(widths), count), np.int64), 0
    for row, width in zip(rows, widths, strict=True):
        for byte in range(width):
            row |= planes[first + byte] << 8 * byte
        first += width
    return np.where(rows & 1, -(rows + 1) // 2, rows // 2).astype(np.int32)
