"""What a step is trained on: one image with its weights and depth."""

from dataclasses import dataclass, fields, replace
from functools import cached_property

import torch
from torch import Tensor

from endogs.camera import Camera


@dataclass(frozen=True)
class View:
    """One image to match."""

    time: float
    """Seconds."""
    camera: Camera
    image: Tensor
    """(H, W, 3) uint8 sRGB."""
    weight: Tensor
    """(H, W) uint8, 255 = full weight in the colour loss. Bytes, because a clip has many views."""
    frame: int | None
    """Index into the training frames; None for a virtual frame."""
    depth: Tensor | None = None
    """(H, W) float16 or float32, in the prior's own kind; 0 where its weight is 0."""
    depth_weight: Tensor | None = None
    """(H, W) uint8, 255 = full weight in the depth loss."""
    occluded: Tensor | None = None
    """(H, W) uint8, 1 = an instrument hides the tissue; None where nothing is known to be hidden."""
    surface: Tensor | None = None
    """(H, W) uint8, 1 = tissue that is asked to be opaque; None where its colours alone ask for that."""

    def seen_from(self, camera: Camera) -> "View":
        """The same image, taken by another camera; what is known of its pixels is not counted again."""
        moved, own = replace(self, camera=camera), {entry.name for entry in fields(self)}
        vars(moved).update({name: value for name, value in vars(self).items() if name not in own})
        return moved

    @property
    def opaque(self) -> Tensor | None:
        """(H, W) uint8, 1 where no light may pass: `occluded` and `surface`; None where there is neither."""
        if self.occluded is None or self.surface is None:
            return self.surface if self.occluded is None else self.occluded
        return self.occluded | self.surface

    @cached_property
    def opaque_pixels(self) -> int:
        """How many pixels may let no light pass."""
        opaque = self.opaque
        return 0 if opaque is None else int(opaque.sum(dtype=torch.int64))

    @property
    def color_weight(self) -> Tensor:
        """(H, W) float32, 0 to 1, in the colour loss."""
        return self.weight.to(torch.float32) / 255

    @cached_property
    def weight_sum(self) -> float:
        """Sum of the colour weights, 1 = one fully weighted pixel."""
        return float(self.weight.sum(dtype=torch.float64)) / 255

    @cached_property
    def depth_weight_sum(self) -> float:
        """Sum of the depth weights; 0 without depth."""
        return 0.0 if self.depth_weight is None else float(self.depth_weight.sum(dtype=torch.float64)) / 255

    @cached_property
    def median_depth(self) -> float:
        """Median depth where it has a weight, in the prior's own kind; 0 without depth."""
        if self.depth is None or self.depth_weight is None or not bool((self.depth_weight > 0).any()):
            return 0.0
        return float(self.depth[self.depth_weight > 0].float().median())
