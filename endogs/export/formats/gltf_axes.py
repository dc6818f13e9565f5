"""From the scene's axes (x right, y down, z forward) to glTF's (x right, y up, z backward): half a turn about x."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from endogs.export.units import METRES_PER_MM, about
from endogs.scene import Scene


def turned(vectors: NDArray) -> NDArray[np.float32]:
    """Vectors (N, 3) in glTF's axes."""
    return np.asarray(vectors * np.array([1, -1, -1]), np.float32)


def turned_quats(quats_wxyz: NDArray) -> NDArray[np.float32]:
    """Orientations (N, 4) wxyz in glTF's axes, and in glTF's order xyzw: i q, with i half a turn about x."""
    w, x, y, z = quats_wxyz.T
    return np.stack([w, -z, y, -x], 1).astype(np.float32)


def metres(scene: Scene) -> float:
    """Metres per world unit where it is known; 1 for a relative scene."""
    return METRES_PER_MM if scene.units == "mm" else 1.0


def gltf_about(scene: Scene, time: float | None) -> dict[str, Any]:
    """The `asset` entry of a glTF file: units in words."""
    vertices = about(scene, time) | {"axes": "x right, y up, z backward of the first camera's world (glTF)"}
    vertices["units"] = f"vertices in {vertices['units']}"
    if scene.units == "mm":
        vertices["units"] += "; the node's scale makes metres of millimetres"
    return {"extras": vertices}
