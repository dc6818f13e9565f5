"""A pinhole camera: intrinsics, pose and image size."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Camera:
    """A pinhole camera in OpenCV axes (x right, y down, z forward), pixel centres at +0.5."""

    K: Tensor
    """(3, 3) intrinsics in pixels."""
    world_to_camera: Tensor
    """(4, 4) rigid transform; gradients reach it through the rasterizer."""
    width: int
    """Image width in pixels."""
    height: int
    """Image height in pixels."""
    near: float = 1e-2
    """Gaussians whose centre has a z-depth below this are not drawn, in world units."""

    @staticmethod
    def from_numpy(K: np.ndarray, world_to_camera: np.ndarray, width: int, height: int, near: float = 1e-2) -> "Camera":
        """A float32 CPU camera from arrays (3, 3) and (4, 4)."""
        return Camera(
            torch.as_tensor(np.asarray(K), dtype=torch.float32),
            torch.as_tensor(np.asarray(world_to_camera), dtype=torch.float32),
            int(width),
            int(height),
            near,
        )

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "Camera":
        """The same camera on another device or in another precision."""
        return replace(self, K=self.K.to(device, dtype), world_to_camera=self.world_to_camera.to(device, dtype))

    def scaled(self, factor: float) -> "Camera":
        """The camera of the same view resampled to `factor` times the size (rounded to whole pixels)."""
        width, height = max(1, round(self.width * factor)), max(1, round(self.height * factor))
        size = torch.tensor([width / self.width, height / self.height, 1.0], dtype=self.K.dtype, device=self.K.device)
        return replace(self, K=self.K * size[:, None], width=width, height=height)
