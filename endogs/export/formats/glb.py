"""GLB, the binary form of glTF 2.0 (Khronos, ISO/IEC 12113): one JSON chunk and one buffer."""

import json
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

COMPONENTS = {"f4": 5126, "u1": 5121, "u2": 5123, "u4": 5125}
"""glTF's numbers of the component types."""
SHAPES = {1: "SCALAR", 3: "VEC3", 4: "VEC4"}
VERTICES, INDICES = 34962, 34963
"""Targets of buffer views."""


@dataclass
class GlbBuffer:
    """The one buffer of a GLB file, and the accessors into it."""

    views: list[dict[str, Any]] = field(default_factory=list)
    accessors: list[dict[str, Any]] = field(default_factory=list)
    data: bytearray = field(default_factory=bytearray)

    def add(self, array: NDArray, *, bounds: bool = False, normalized: bool = False, indices: bool = False) -> int:
        """The number of a new accessor for `array` (N,) or (N, C), rows a multiple of four bytes.

        `bounds` adds minimum and maximum, which POSITION must have; `normalized` integers mean [0, 1].
        """
        kind = f"{array.dtype.kind}{array.dtype.itemsize}"
        columns = 1 if array.ndim == 1 else array.shape[1]
        raw = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
        self.views.append(
            {
                "buffer": 0,
                "byteOffset": len(self.data),
                "byteLength": len(raw),
                "target": INDICES if indices else VERTICES,
            }
        )
        self.data += raw + b"\0" * (-len(raw) % 4)
        accessor: dict[str, Any] = {
            "bufferView": len(self.views) - 1,
            "componentType": COMPONENTS[kind],
            "count": len(array),
            "type": SHAPES[columns],
        }
        if normalized:
            accessor["normalized"] = True
        if bounds:
            accessor |= {"min": array.min(0).tolist(), "max": array.max(0).tolist()}
        self.accessors.append(accessor)
        return len(self.accessors) - 1


def write_glb(path: Path, primitive: dict[str, Any], buffer: GlbBuffer, root: dict[str, Any], scale: float) -> None:
    """Writes a scene of one node with one mesh of one primitive; `root` joins the JSON's top level.

    The node's `scale` takes the vertices' unit to metres, glTF's unit.
    """
    asset = {"version": "2.0", "generator": "endogs", **root.pop("asset", {})}
    node: dict[str, Any] = {"mesh": 0} if scale == 1 else {"mesh": 0, "scale": [scale] * 3}
    description = {
        "asset": asset,
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [node],
        "meshes": [{"primitives": [primitive]}],
        "buffers": [{"byteLength": len(buffer.data)}],
        "bufferViews": buffer.views,
        "accessors": buffer.accessors,
        **root,
    }
    text = json.dumps(description, allow_nan=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    with open(path, "wb") as file:
        file.write(struct.pack("<4sII", b"glTF", 2, 12 + 8 + len(text) + 8 + len(buffer.data)))
        file.write(struct.pack("<I4s", len(text), b"JSON") + text)
        file.write(struct.pack("<I4s", len(buffer.data), b"BIN\0"))
        file.write(buffer.data)
