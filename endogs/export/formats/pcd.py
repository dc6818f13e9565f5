"""PCD files, the point clouds of the Point Cloud Library: version 0.7, binary."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_NORMALS = {"nx": "normal_x", "ny": "normal_y", "nz": "normal_z"}
_KINDS = {"f": "F", "u": "U"}


def write_pcd(path: Path, columns: Mapping[str, NDArray], comments: Sequence[str]) -> None:
    """Writes columns (N,) of the names that `endogs.export.points.point_columns` gives them.

    Red, green and blue become PCL's `rgb`: the bytes 0, r, g, b of a 32-bit word that is declared to be a float.
    """
    red, green, blue = (columns[name].astype(np.uint32) for name in ("red", "green", "blue"))
    fields: dict[str, NDArray] = {}
    for name, column in columns.items():
        if name == "red":
            fields["rgb"] = (red << 16 | green << 8 | blue).view(np.float32)
        elif name not in ("green", "blue"):
            fields[_NORMALS.get(name, name)] = column
    rows = np.empty(len(red), [(name, column.dtype.newbyteorder("<")) for name, column in fields.items()])
    for name, column in fields.items():
        rows[name] = column
    header = [
        "# .PCD v0.7 - Point Cloud Data file format",
        *(f"# {line}" for line in comments),
        "VERSION 0.7",
        "FIELDS " + " ".join(fields),
        "SIZE " + " ".join(str(column.dtype.itemsize) for column in fields.values()),
        "TYPE " + " ".join(_KINDS[column.dtype.kind] for column in fields.values()),
        "COUNT " + " ".join("1" for _ in fields),
        f"WIDTH {len(rows)}",
        "HEIGHT 1",
        "VIEWPOINT 0 0 0 1 0 0 0",
        f"POINTS {len(rows)}",
        "DATA binary",
    ]
    with open(path, "wb") as file:
        file.write(("\n".join(header) + "\n").encode("ascii"))
        file.write(rows.tobytes())
