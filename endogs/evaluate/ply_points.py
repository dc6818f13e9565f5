"""The points of a PLY file.

Format: G. Turk, "The PLY polygon file format", 1994. Only the vertices' x, y and z are read, so a mesh is its corners.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from endogs.bounded_files import read_bytes
from endogs.errors import InputError

LONGEST = 2**30
"""Bytes of a file."""
LONGEST_HEADER = 2**16
TYPES = {
    **dict.fromkeys(("char", "int8"), "i1"),
    **dict.fromkeys(("uchar", "uint8"), "u1"),
    **dict.fromkeys(("short", "int16"), "i2"),
    **dict.fromkeys(("ushort", "uint16"), "u2"),
    **dict.fromkeys(("int", "int32"), "i4"),
    **dict.fromkeys(("uint", "uint32"), "u4"),
    **dict.fromkeys(("float", "float32"), "f4"),
    **dict.fromkeys(("double", "float64"), "f8"),
}
ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}


def read_ply_points(path: Path) -> NDArray[np.float64]:
    """Positions (P, 3) of the vertices. Raises InputError for a file that is no PLY, has none, or is cut off."""
    data = read_bytes(path, LONGEST)
    head, found, body = data[:LONGEST_HEADER].partition(b"end_header")
    lines = head.decode("ascii", "replace").split("\n")
    if not found or lines[0].strip() != "ply":
        raise InputError(f"{path}: not a PLY file: copy it again.")
    order, count, names = _header(path, lines)
    start = len(head) + len(found) + (2 if body[:2] == b"\r\n" else 1)
    kinds = [(name, order + TYPES[kind] if order else "f8") for name, kind in names]
    if order:
        size = np.dtype(kinds).itemsize
        if len(data) - start < count * size:
            raise InputError(f"{path}: cut off: {count} points need {count * size} bytes, {len(data) - start} follow.")
        table = np.frombuffer(data, kinds, count, start)
        points = np.stack([table[axis].astype(np.float64) for axis in "xyz"], 1)
    else:
        rows = data[start:].split(b"\n", count)[:count]
        try:
            values = np.array([row.split()[: len(names)] for row in rows], np.float64)
        except ValueError as error:
            raise InputError(f"{path}: a vertex does not hold {len(names)} numbers: copy the file again.") from error
        if values.shape != (count, len(names)):
            raise InputError(f"{path}: cut off: {count} points are named, and {len(values)} follow.")
        points = values[:, [[name for name, _ in names].index(axis) for axis in "xyz"]]
    return points[np.isfinite(points).all(1)]


def _header(path: Path, lines: list[str]) -> tuple[str, int, list[tuple[str, str]]]:
    """Byte order ("" for text), number of vertices, and (name, type) of their properties."""
    order, count, names, element = None, None, [], ""
    for line in lines[1:]:
        words = line.split()
        if words[:1] == ["format"] and len(words) > 1:
            order = ORDERS.get(words[1])
        elif words[:1] == ["element"] and len(words) == 3 and words[2].isdecimal():
            if words[1] == "vertex" and element:
                raise InputError(f"{path}: its vertices are not the first thing in it: write them first.")
            element = words[1]
            count = int(words[2]) if element == "vertex" else count
        elif words[:1] == ["property"] and element == "vertex":
            if len(words) != 3 or words[1] not in TYPES:
                raise InputError(f"{path}: its vertices hold {' '.join(words[1:])[:60]}: write plain numbers.")
            names.append((words[2], words[1]))
    distinct = len({name for name, _ in names}) == len(names)
    if order is None or not count or not distinct or not {"x", "y", "z"} <= {name for name, _ in names}:
        raise InputError(f"{path}: a PLY file without points: it needs vertices with x, y and z.")
    return order, count, names
