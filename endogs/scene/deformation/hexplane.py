"""Six planes over pairs of x, y, z and t, and small heads: EndoGaussian's and Endo-4DGS's deformation.

A. Cao, J. Johnson, "HexPlane", 2023, and S. Fridovich-Keil et al., "K-planes", 2023, for the planes; G. Wu et al., "4D
Gaussian splatting", 2024, for planes that move Gaussians; Y. Liu et al., "EndoGaussian", 2024, and Y. Huang et al.,
"Endo-4DGS", 2024, for endoscopy.

    f(x, y, z, t) = concat over scales s of  prod over pairs (a, b) of xy, xz, yz, xt, yt, zt of  P_ab^s(a, b)
    delta_head = W_2 relu(W_1 relu(W_0 f + b_0) + b_1) + b_2

P are grids of features, bilinearly interpolated, whose product is that of K-planes; W_0 is shared; heads are
position, quaternion, log-scale, opacity and colour. The opacity head is used, and time covers the whole of its axis,
[-1, 1], where EndoGaussian drops the one and leaves half of the other: its 100 cells in time are 50 for a clip. (All
100 would be finer than the 63 frames of its example: what lies between two training frames would never be trained,
and held-out frames fall by 10 dB.)

Size: EndoGaussian's planes (64^3 cells, 50 in time, scales 1, 2, 4 and 8, 64 features) hold 76 million numbers, and
Adam writes 1 GB and reads more in every step, so they are for a GPU; its later files have 32 features. Endo-4DGS's (38
in time, scales 1 and 2, 32 features) hold 2.7 million. Ours (48^3 cells, 32 in time, scales 1 and 2, 16 features) hold
0.8 million. On a GPU the planes' gradients are added up in no fixed order, so a fit does not repeat bit for bit there.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import grid_sample
from torch.nn.functional import linear as apply_linear

from endogs.gaussians import ATTRIBUTES, CHANNELS, MEANS
from endogs.scene.deformation.clip_time import ClipTime
from endogs.scene.deformation.field import FieldDeformation, box_around, linear
from endogs.scene.deformation.form import Form, Rate, Start
from endogs.scene.deformation.settings import check_names

PLANES: dict[str, tuple[int, int]] = {
    "xy": (0, 1),
    "xz": (0, 2),
    "yz": (1, 2),
    "xt": (0, 3),
    "yt": (1, 3),
    "zt": (2, 3),
}
"""Axes of a plane's columns and rows; 3 is time."""
HEADS = {name: 1 if isinstance(columns, int) else columns.stop - columns.start for name, columns in ATTRIBUTES.items()}
"""Outputs of each head, in the order of the packed columns."""


@dataclass(frozen=True)
class HexplaneConfig(Form):
    """EndoGaussian's and Endo-4DGS's six planes and small heads; EndoGaussian's code drops the opacity head."""

    spatial: int = 48
    """Cells along x, y and z at the first scale."""
    temporal: int = 32
    """Cells along time, at every scale."""
    scales: tuple[int, ...] = (1, 2)
    """Multiples of `spatial`."""
    features: int = 16
    """Per plane."""
    hidden: int = 32
    """Width of the heads."""
    plane_start: tuple[float, float] = (0.5, 1.5)
    """Range of the spatial planes' first values. EndoGaussian takes .1 to .5, as K-planes does, whose products of three
    are so small that the heads learn slowly."""
    plane_rate: Rate = Rate(2e-2, 0.1)
    network_rate: Rate = Rate(5e-3, 0.1)
    plane_tv_weight: float = 2e-4
    """Of the planes' total variation along space."""
    time_smoothness_weight: float = 1e-3
    """Of the planes' squared second difference along time."""


class HexplaneDeformation(FieldDeformation):
    """Offsets from six planes at several scales."""

    kind: ClassVar[str] = "hexplane"
    Config: ClassVar[type] = HexplaneConfig

    def __init__(self, parts: dict[str, Tensor], units: Tensor, bounds: Tensor, span: ClipTime) -> None:
        """`parts`: `planes.SCALE.PAIR` (features, rows, columns), `trunk.weight`, `trunk.bias`, and for each head
        `heads.NAME.hidden.weight`, `.hidden.bias`, `.out.weight`, `.out.bias`. Raises ValueError when they do not fit.
        """
        super().__init__(parts, units, bounds, span)
        self.scales = len({name.split(".")[1] for name in parts if name.startswith("planes.")})
        self.heads = [name for name in HEADS if f"heads.{name}.out.bias" in parts]
        needed = {f"planes.{scale}.{pair}" for scale in range(self.scales) for pair in PLANES}
        needed |= {"trunk.weight", "trunk.bias"}
        layers = [f"heads.{name}.{layer}" for name in self.heads for layer in ("hidden", "out")]
        needed |= {f"{layer}.{what}" for layer in layers for what in ("weight", "bias")}
        check_names(self.kind, parts, needed, frozenset())
        if self.scales == 0 or sum(HEADS[name] for name in self.heads) != len(units):
            raise ValueError(f"{self.scales} scales and heads {', '.join(self.heads)} for {len(units)} channels")
        planes = [parts[name] for name in needed if name.startswith("planes.")]
        features = {plane.shape[0] if plane.ndim == 3 and plane.numel() else -1 for plane in planes}
        width = parts["trunk.bias"].shape[0]
        trunk = [tuple(parts[f"trunk.{what}"].shape) for what in ("weight", "bias")]
        if len(features) != 1 or trunk != [(width, self.scales * min(features)), (width,)]:
            raise ValueError(f"planes of {sorted(features)} features do not fit a trunk of {trunk}")
        for name in self.heads:
            own = [parts[f"heads.{name}.{layer}.{what}"] for layer in ("hidden", "out") for what in ("weight", "bias")]
            shapes = [tuple(part.shape) for part in own]
            if shapes != [(width, width), (width,), (HEADS[name], width), (HEADS[name],)]:
                raise ValueError(f"the head '{name}' has shapes {shapes}")

    @classmethod
    def start(cls, base: Tensor, start: Start) -> "HexplaneDeformation":
        """Planes in the box around the Gaussians."""
        h = start.config
        size = (h.spatial, h.temporal, h.scales, h.features, h.hidden, h.plane_start)
        bounds = box_around(base[:, MEANS])
        return cls.new(*size, start.units.to(base), bounds, start.span, start.generator)

    @classmethod
    def trained_numbers(cls, config: Any, gaussians: int, knots: float) -> float:
        """The planes."""
        cells = ((s * config.spatial) * (s * config.spatial + config.temporal) for s in config.scales)
        return sum(3 * cell * config.features for cell in cells)

    @classmethod
    def graph_numbers(cls, config: Any, gaussians: int) -> float:
        """What the planes and heads give for every Gaussian."""
        return gaussians * 12 * (len(config.scales) * config.features + config.hidden)

    def rates(self, config: Any) -> dict[str, Rate]:
        """Of the planes and of the network."""
        return {"planes": config.plane_rate, "trunk": config.network_rate, "heads": config.network_rate}

    def penalty(self, config: Any) -> Tensor | None:
        """Total variation of the planes along space and their roughness along time."""
        if config.plane_tv_weight == config.time_smoothness_weight == 0:
            return None
        space, time = self.roughness()
        return config.plane_tv_weight * space + config.time_smoothness_weight * time

    @staticmethod
    def new(
        spatial: int,
        temporal: int,
        scales: tuple[int, ...],
        features: int,
        hidden: int,
        start: tuple[float, float],
        units: Tensor,
        bounds: Tensor,
        span: ClipTime,
        generator: torch.Generator,
    ) -> "HexplaneDeformation":
        """A field that moves nothing yet: the last layer of every head is zero.

        `spatial` and `temporal` entries along an axis; `scales` multiply the spatial ones. Spatial planes start
        anywhere in the range `start`, those with time at 1, so that nothing depends on time yet (K-planes).
        """
        parts: dict[str, Tensor] = {}
        for level, scale in enumerate(scales):
            cells = (spatial * scale,) * 3 + (temporal,)
            for pair, (column, row) in PLANES.items():
                shape = (features, cells[row], cells[column])
                values = torch.rand(shape, generator=generator) * (start[1] - start[0]) + start[0]
                parts[f"planes.{level}.{pair}"] = torch.ones(shape) if row == 3 else values
        inputs = features * len(scales)
        parts["trunk.weight"], parts["trunk.bias"] = linear(inputs, hidden, generator, inputs + hidden)
        used = list(HEADS) if len(units) == CHANNELS else list(HEADS)[:3]
        for name in used:
            layer = f"heads.{name}"
            weight, bias = linear(hidden, hidden, generator, 2 * hidden)
            parts[f"{layer}.hidden.weight"], parts[f"{layer}.hidden.bias"] = weight, bias
            parts[f"{layer}.out.weight"] = torch.zeros(HEADS[name], hidden)
            parts[f"{layer}.out.bias"] = torch.zeros(HEADS[name])
        parts = {name: part.to(units) for name, part in parts.items()}
        return HexplaneDeformation(parts, units, bounds, span)

    @classmethod
    def from_parts(cls, tensors: dict[str, Tensor], settings: dict[str, Any]) -> "HexplaneDeformation":
        """Rebuild from a scene file; raises ValueError when shapes do not fit."""
        parts = dict(tensors)
        return cls(parts, parts.pop("units"), parts.pop("bounds"), ClipTime.of(settings))

    def outputs(self, place: Tensor, fraction: float) -> Tensor:
        """(N, C): planes, trunk and heads."""
        point = torch.cat([place, torch.full_like(place[:, :1], 2 * fraction - 1)], 1)
        levels = []
        for level in range(self.scales):
            product: Tensor | None = None
            for pair, axes in PLANES.items():
                plane = self.parts[f"planes.{level}.{pair}"]
                grid = point[None, None, :, list(axes)]
                sample = grid_sample(plane[None], grid, "bilinear", "border", align_corners=True)[0, :, 0]
                product = sample if product is None else product * sample
            assert product is not None
            levels.append(product)
        features = torch.cat(levels).T
        hidden = torch.relu(apply_linear(features, self.parts["trunk.weight"], self.parts["trunk.bias"]))
        return torch.cat([self._head(name, hidden) for name in self.heads], 1)

    def _head(self, name: str, hidden: Tensor) -> Tensor:
        for layer in ("hidden", "out"):
            prefix = f"heads.{name}.{layer}"
            hidden = apply_linear(hidden, self.parts[f"{prefix}.weight"], self.parts[f"{prefix}.bias"])
            hidden = torch.relu(hidden) if layer == "hidden" else hidden
        return hidden

    def roughness(self) -> tuple[Tensor, Tensor]:
        """Total variation along space and roughness along time, each a mean per plane summed over planes and scales.

        Space: mean squared difference of neighbouring cells, along both axes of spatial planes and the spatial axis of
        those with time. Time: mean squared second difference. As in K-planes, section 3.2.
        """
        space, time = self.units.new_zeros(()), self.units.new_zeros(())
        for name, plane in self.parts.items():
            if not name.startswith("planes."):
                continue
            space = space + plane.diff(dim=2).square().mean()
            if name.endswith("t"):
                if plane.shape[1] > 2:
                    time = time + plane.diff(n=2, dim=1).square().mean()
            else:
                space = space + plane.diff(dim=1).square().mean()
        return space, time
