"""Normals and albedo at the points that rays meet on the tissue's grid."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.phantom.colon.mucosa import Mucosa
from endogs.phantom.surface import Surface
from endogs.phantom.texture import Texture

Values = NDArray[np.float32]


@dataclass(frozen=True)
class Relief:
    """The grid's shape at one moment."""

    normal: NDArray[np.float64]
    """(R, C, 3) unit."""
    along_x: NDArray[np.float64]
    """(R, C, 3) derivative of the position by the flat x over its squared length: slopes per flat mm become slopes per
    stretched mm."""
    along_y: NDArray[np.float64]
    """The same by the flat y."""

    @staticmethod
    def of(surface: Surface, positions: NDArray[np.float64]) -> "Relief":
        """Of a surface whose grid is at `positions` (R, C, 3)."""
        rows, columns = positions.shape[:2]
        pitch = surface.extent[0] / (columns - 1), surface.extent[1] / (rows - 1)
        if surface.closed:
            around = np.concatenate([positions[:, -2:-1], positions, positions[:, 1:2]], 1)
            along_x = np.gradient(around, pitch[0], axis=1)[:, 1:-1]
            along_y = np.gradient(positions, pitch[1], axis=0)
        else:
            along_y, along_x = np.gradient(positions, pitch[1], pitch[0], axis=(0, 1))
        normal = np.cross(along_y, along_x)
        normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
        along_x /= (along_x**2).sum(-1, keepdims=True)
        square = (along_y**2).sum(-1, keepdims=True)
        along_y /= np.sqrt(square) if surface.closed else square  # a tube's texture runs along its wall already
        return Relief(normal, along_x, along_y)


def look_up(
    relief: Relief, texture: Texture, grid: Values, depth: Values, rays: NDArray[np.float64], focal: float
) -> tuple[Values, Values]:
    """Albedo (N, 3) and normals (N, 3), of any length, at grid coordinates (h, w, 2) that rays (h, w, 3) with z = 1
    meet at z-depth (h, w)."""
    at_x, at_y = np.ascontiguousarray(grid[..., 0]), np.ascontiguousarray(grid[..., 1])
    rows, columns = relief.normal.shape[:2]

    def sample(values: NDArray, scale_x: float = 1.0, scale_y: float = 1.0) -> Values:
        map_x = (at_x + 0.5) * scale_x - 0.5 if scale_x != 1 else at_x
        map_y = (at_y + 0.5) * scale_y - 0.5 if scale_y != 1 else at_y
        values = np.ascontiguousarray(values, np.float32)
        sampled = cv2.remap(values, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(sampled, np.float32).reshape(-1, values.shape[-1])

    if isinstance(texture, Mucosa):
        distance = depth * np.linalg.norm(rays, axis=-1).astype(np.float32)
        footprint = distance / np.float32(focal)
        albedo, slope = texture.at(at_x, at_y, footprint)
    else:
        texel_rows, texel_columns = texture.slope.shape[:2]
        scales = texel_columns / columns, texel_rows / rows
        albedo, slope = sample(texture.albedo, *scales), sample(texture.slope, *scales)
    normals = sample(relief.normal) - slope[:, :1] * sample(relief.along_x) - slope[:, 1:] * sample(relief.along_y)
    return albedo, normals
