"""Random Gaussian scenes for the rasterizers' tests, with every awkward case the field knows."""

from dataclasses import dataclass, replace

import torch
from hypothesis import strategies as st
from torch import Tensor

from endogs.camera import Camera
from endogs.gaussians import COLORS, LOG_SCALES, MEANS, OPACITY, QUATS
from endogs.render.projection import rotation_matrices

KINDS = ("ordinary", "degenerate", "needles", "border", "opacities", "ties", "opaque")
SIZES = ((1, 1), (3, 5), (16, 16), (17, 33), (50, 31), (31, 50))
COUNTS = (0, 1, 2, 17, 300)


@dataclass(frozen=True)
class GaussianScene:
    """What a rasterizer is given; the numbers are float32, held in `dtype`, so that every precision sees the same."""

    packed: Tensor
    camera: Camera
    features: Tensor | None
    background: Tensor | None
    antialiased: bool

    def to(self, dtype: torch.dtype) -> "GaussianScene":
        """The same scene in another precision."""
        return replace(
            self,
            packed=self.packed.to(dtype),
            camera=self.camera.to(dtype=dtype),
            features=None if self.features is None else self.features.to(dtype),
            background=None if self.background is None else self.background.to(dtype),
        )


def make_scene(
    kind: str,
    count: int,
    size: tuple[int, int],
    seed: int,
    channels: int = 0,
    background: bool = True,
    antialiased: bool = False,
) -> GaussianScene:
    """A float64 scene of `count` Gaussians in an image of `size` (width, height).

    Kinds: ordinary; degenerate (each scale from 1e-6 to 100 px); needles (one axis 30 times the others); border
    (centres beside, behind and on the border); opacities (0, 1 and in between); ties (few distinct depths); opaque.
    """
    generator = torch.Generator().manual_seed(seed)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(*shape, generator=generator, dtype=torch.float64)

    width, height = size
    focal = 1.2 * max(width, height)
    centre = torch.tensor([0.45 * width, 0.55 * height], dtype=torch.float64)
    K = torch.tensor([[focal, 0, centre[0]], [0, 1.1 * focal, centre[1]], [0, 0, 1]], dtype=torch.float64)

    spread = 1.5 if kind == "border" else 0.6
    pixels = uniform(-spread, spread, count, 2) * torch.tensor([width, height]) + centre
    depth = uniform(2.0, 6.0, count)
    if kind == "ties":
        depth = 2.0 + depth.floor() / 2
    if kind == "border":
        depth = torch.where(uniform(0, 1, count) < 0.3, -depth, depth)
        border = uniform(0, 1, count) < 0.2
        pixels[border, 0] = width * uniform(0, 1, count).round()[border]
    points = torch.cat([(pixels - centre) / torch.stack([K[0, 0], K[1, 1]]), torch.ones(count, 1)], 1) * depth[:, None]

    footprint = uniform(0.5, 0.12 * max(width, height) + 1, count, 1) * uniform(0.5, 2.0, count, 3)
    if kind == "degenerate":
        footprint = 10 ** uniform(-6, 2, count, 3)
    if kind == "needles":
        footprint = 0.3 * footprint
        footprint[:, 0] *= 30
    logits = uniform(-3, 3, count)
    if kind == "opacities":
        logits = torch.where(uniform(0, 1, count) < 0.3, uniform(-1, 1, count).sign() * 60, logits)
    if kind == "opaque":
        logits = logits + 4

    pose = torch.eye(4, dtype=torch.float64)
    if kind != "ties":  # equal depths stay equal in every precision only without a rotation
        pose[:3, :3] = rotation_matrices(torch.tensor([[1.0, 0, 0, 0]]) + uniform(-1, 1, 1, 4))[0]
        pose[:3, 3] = uniform(-1, 1, 3)
    packed = torch.zeros(count, 14, dtype=torch.float64)
    packed[:, MEANS] = (points - pose[:3, 3]) @ pose[:3, :3]
    packed[:, QUATS] = torch.randn(count, 4, generator=generator, dtype=torch.float64) * uniform(0.5, 2, count, 1)
    packed[:, LOG_SCALES] = (footprint * depth.abs()[:, None] / focal).log()
    packed[:, OPACITY] = logits
    packed[:, COLORS] = uniform(-0.2, 1.2, count, 3)
    scene = GaussianScene(
        packed,
        Camera(K, pose, width, height, near=0.1),
        uniform(-1, 1, count, channels) if channels else None,
        uniform(0, 1, 3) if background else None,
        antialiased,
    )
    return scene.to(torch.float32).to(torch.float64)


def gaussian_scenes() -> st.SearchStrategy[GaussianScene]:
    """Scenes of every kind, size and count."""
    return st.builds(
        make_scene,
        kind=st.sampled_from(KINDS),
        count=st.sampled_from(COUNTS),
        size=st.sampled_from(SIZES),
        seed=st.integers(0, 2**31),
        channels=st.sampled_from((0, 1, 5)),
        background=st.booleans(),
        antialiased=st.booleans(),
    )
