"""PLY files: a vertex list, and triangles for a mesh."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_TYPES = {"f4": "float", "u1": "uchar", "u2": "ushort"}
"""PLY names of the column types written here."""


def write_ply(
    path: Path,
    columns: Mapping[str, np.ndarray],
    comments: Sequence[str] = (),
    triangles: NDArray[np.int32] | None = None,
    ascii: bool = False,
) -> None:
    """Writes columns (N,), float32, uint8 or uint16, as the vertices of a PLY, in their order.

    Little-endian binary, or text with `ascii`; `triangles` (T, 3) become the faces; `comments` lines of the header.
    Raises ValueError for columns of different lengths or another type.
    """
    arrays = {name: np.asarray(column) for name, column in columns.items()}
    kinds = {name: f"{array.dtype.kind}{array.dtype.itemsize}" for name, array in arrays.items()}
    lengths = {array.shape for array in arrays.values()}
    if len(lengths) != 1 or len(next(iter(lengths))) != 1 or not set(kinds.values()) <= set(_TYPES):
        raise ValueError("PLY columns must be float32, uint8 or uint16 vectors of one length")
    (count,) = next(iter(lengths))
    rows = np.empty(count, [(name, "<" + kind) for name, kind in kinds.items()])
    for name, array in arrays.items():
        rows[name] = array
    form = "ascii" if ascii else "binary_little_endian"
    header = ["ply", f"format {form} 1.0", *(f"comment {line}" for line in comments)]
    header += [f"element vertex {count}", *(f"property {_TYPES[kind]} {name}" for name, kind in kinds.items())]
    if triangles is not None:
        header += [f"element face {len(triangles)}", "property list uchar int vertex_indices"]
    with open(path, "wb") as file:
        file.write(("\n".join([*header, "end_header"]) + "\n").encode("ascii"))
        if ascii:
            formats = ["%.9g" if kind == "f4" else "%d" for kind in kinds.values()]
            np.savetxt(file, np.stack([rows[name].astype(np.float64) for name in kinds], 1), fmt=formats)
        else:
            file.write(rows.tobytes())
        if triangles is not None:
            faces = np.empty(len(triangles), [("count", "u1"), ("corners", "<i4", 3)])
            faces["count"], faces["corners"] = 3, triangles
            if ascii:
                np.savetxt(file, np.column_stack([faces["count"], triangles]), fmt="%d")
            else:
                file.write(faces.tobytes())
