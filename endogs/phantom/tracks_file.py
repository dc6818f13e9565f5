"""truth/tracks.npz, written frame by frame."""

import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

CHUNK = 1 << 20
"""Bytes that are copied at once."""


class TracksWriter:
    """Takes the tracks of one frame after the other. What numpy.savez_compressed would write of all together, byte by
    byte, without holding more than one frame."""

    def __init__(self, positions: IO[bytes], visible: IO[bytes]) -> None:
        self._positions, self._visible = positions, visible

    def add(self, positions: NDArray[np.float32], visible: NDArray[np.bool_]) -> None:
        """World positions (P, 3), mm, and which of them the frame shows (P,)."""
        self._positions.write(np.ascontiguousarray(positions, np.float32).tobytes())
        self._visible.write(np.ascontiguousarray(visible, bool).tobytes())


@contextmanager
def tracks_file(path: Path, frames: int, points: int, times: NDArray[np.float64]) -> Iterator[TracksWriter]:
    """An .npz of positions (F, P, 3), visible (F, P) and times (F,), complete at the end of the block."""
    aside = path.with_suffix(".visible")  # members of an archive are written one after the other
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, allowZip64=True) as archive:
        with archive.open("positions.npy", "w", force_zip64=True) as positions, aside.open("wb") as visible:
            _header(positions, (frames, points, 3), np.dtype(np.float32))
            yield TracksWriter(positions, visible)
        with archive.open("visible.npy", "w", force_zip64=True) as member, aside.open("rb") as source:
            _header(member, (frames, points), np.dtype(bool))
            shutil.copyfileobj(source, member, CHUNK)
        with archive.open("times.npy", "w", force_zip64=True) as member:
            np.lib.format.write_array(member, times)
    aside.unlink()


def _header(file: IO[bytes], shape: tuple[int, ...], kind: np.dtype) -> None:
    description = {"descr": np.lib.format.dtype_to_descr(kind), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, description)
