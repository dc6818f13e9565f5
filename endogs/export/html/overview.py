"""What the player needs to know about a scene as a whole: the point to turn around, and the range of depths."""

from typing import Any

import cv2
import numpy as np
import torch

from endogs.geometry import invert_rigid
from endogs.render.backends import rasterize_packed
from endogs.scene import Scene

FRAMES = 4
"""Frames looked at for the range of depths, spread over the clip."""
SEEN = 0.5
"""Pixels where at least this share of the light is stopped have a depth."""


def overview(scene: Scene) -> dict[str, Any]:
    """`pivot` (3, world) on the tissue in the middle of the first frame, `pivot_depth` (its z-depth there) and `depth`:
    `range` (2nd and 98th percentile of the clip's depths) and `colors` (turbo, 256 RGB colours in hexadecimal digits).
    """
    frames = np.unique(np.linspace(0, len(scene.times) - 1, FRAMES).round().astype(int))
    known, pivot_depth = [], 0.0
    for frame in frames:
        rendering = rasterize_packed(scene.packed_at(float(scene.times[frame])), scene.camera(int(frame)))
        depth = torch.where(rendering.alpha >= SEEN, rendering.depth, 0.0).cpu().numpy()
        known.append(depth[depth > 0])
        if frame == 0:
            middle = depth[
                scene.height // 3 : -(scene.height // 3) or None, scene.width // 3 : -(scene.width // 3) or None
            ]
            inside = middle[middle > 0] if (middle > 0).any() else known[0]
            pivot_depth = float(np.median(inside)) if len(inside) else 0.0
    depths = np.concatenate(known)
    if not pivot_depth > 0:  # the first frame shows nothing
        pivot_depth = float(np.median(depths)) if len(depths) else 1.0
    low, high = np.percentile(depths, [2, 98]) if len(depths) else (0.0, 1.0)
    ray = np.linalg.solve(scene.K[0], [scene.width / 2, scene.height / 2, 1.0])
    pivot = invert_rigid(scene.world_to_camera[0]) @ np.append(ray * pivot_depth, 1.0)
    turbo = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_TURBO)[:, 0, ::-1]
    return {
        "pivot": pivot[:3].tolist(),
        "pivot_depth": pivot_depth,
        "depth": {"range": [float(low), float(max(high, low * 1.01, low + 1e-6))], "colors": turbo.tobytes().hex()},
    }
