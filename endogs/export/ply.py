"""Binary PLY files of one vertex list."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

_TYPES = {"f4": "float", "u1": "uchar"}
"""PLY names of the column types written here."""


def write_ply(path: Path, columns: Mapping[str, np.ndarray], comments: Sequence[str] = ()) -> None:
    """Writes columns (N,), float32 or uint8, as the vertices of a little-endian binary PLY, in their order.

    `comments` become comment lines of the header. Raises ValueError for columns of different lengths or another type.
    """
    arrays = {name: np.asarray(column) for name, column in columns.items()}
    kinds = {name: f"{array.dtype.kind}{array.dtype.itemsize}" for name, array in arrays.items()}
    lengths = {array.shape for array in arrays.values()}
    if len(lengths) != 1 or len(next(iter(lengths))) != 1 or not set(kinds.values()) <= set(_TYPES):
        raise ValueError("PLY columns must be float32 or uint8 vectors of one length")
    (count,) = next(iter(lengths))
    rows = np.empty(count, [(name, "<" + kind) for name, kind in kinds.items()])
    for name, array in arrays.items():
        rows[name] = array
    header = ["ply", "format binary_little_endian 1.0", *(f"comment {line}" for line in comments)]
    header += [f"element vertex {count}", *(f"property {_TYPES[kind]} {name}" for name, kind in kinds.items())]
    with open(path, "wb") as file:
        file.write(("\n".join([*header, "end_header"]) + "\n").encode("ascii"))
        file.write(rows.tobytes())
