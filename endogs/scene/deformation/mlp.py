"""A deep network of place and time: SurgicalGaussian's deformation.

W. Xie et al., "SurgicalGaussian: deformable 3D Gaussians for high-fidelity surgical scene reconstruction", MICCAI
2024, after Z. Yang et al., "Deformable 3D Gaussians", 2024: eight layers of 256,

    delta(x, t) = W_out h_7 + b_out,   h_i = relu(W_i h_(i-1) + b_i),   h_(-1) = e = [gamma_10(x), gamma_4(t)]
    gamma_L(p) = [p, sin(2^l p), cos(2^l p)] for l < L

where h_5 takes [e, h_4] (layer 4 of 0 to 7 is where theirs skips), with linear outputs for position, quaternion and
log-scale; opacity and colour are optional. The positional encoding gamma is after B. Mildenhall et al., "NeRF", 2020,
section 5.1, without its factor pi and with p itself, as in "Deformable 3D Gaussians", on the box [-1, 1]^3 and time in
[0, 1]; theirs takes scene units.

Cost: half a million multiplications per Gaussian and instant, three times that with gradients. 60 000 Gaussians take
180 GFLOP a step, which is seconds on two CPU cores and milliseconds on a GPU.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import linear as apply_linear

from endogs.gaussians import MEANS
from endogs.scene.deformation.clip_time import ClipTime
from endogs.scene.deformation.field import FieldDeformation, box_around, linear
from endogs.scene.deformation.form import Form, Rate, Start
from endogs.scene.deformation.settings import check_names, number_of

MOST_FREQUENCIES = 64
"""Of place or time: 2^64 periods are finer than any float."""


def positional_encoding(x: Tensor, frequencies: int) -> Tensor:
    """x (N, D) followed by sin(2^i x), cos(2^i x) for i < frequencies: (N, D (1 + 2 frequencies))."""
    waves = [wave(x * 2.0**i) for i in range(frequencies) for wave in (torch.sin, torch.cos)]
    return torch.cat([x, *waves], 1)


@dataclass(frozen=True)
class MlpConfig(Form):
    """SurgicalGaussian's network, whose channels are motion there."""

    layers: int = 8
    width: int = 256
    position_frequencies: int = 10
    time_frequencies: int = 4
    rate: Rate = Rate(1e-3, 0.1)


class MlpDeformation(FieldDeformation):
    """Offsets from a network."""

    kind: ClassVar[str] = "mlp"
    Config: ClassVar[type] = MlpConfig

    def __init__(
        self,
        parts: dict[str, Tensor],
        units: Tensor,
        bounds: Tensor,
        span: ClipTime,
        position_frequencies: int,
        time_frequencies: int,
    ) -> None:
        """`parts`: `layers.I.weight`, `layers.I.bias`, `outputs.weight`, `outputs.bias`. Raises ValueError when they do
        not fit each other or the frequencies.
        """
        super().__init__(parts, units, bounds, span)
        self.frequencies = (position_frequencies, time_frequencies)
        self.depth = len([name for name in parts if name.startswith("layers.") and name.endswith("bias")])
        layers = [f"layers.{i}" for i in range(self.depth)] + ["outputs"]
        check_names(self.kind, parts, {f"{x}.{what}" for x in layers for what in ("weight", "bias")}, frozenset())
        if self.depth < 1 or not all(0 <= count <= MOST_FREQUENCIES for count in self.frequencies):
            raise ValueError(f"{self.depth} layers of {self.frequencies} frequencies")
        width = parts["outputs.weight"].shape[-1]
        expected = _shapes(self.depth, width, self.frequencies, len(units))
        found = [tuple(parts[f"{layer}.weight"].shape) for layer in layers]
        biases = [tuple(parts[f"{layer}.bias"].shape) for layer in layers]
        if found != expected or biases != [shape[:1] for shape in expected]:
            raise ValueError(f"its layers {found} do not fit {expected}")

    @classmethod
    def start(cls, base: Tensor, start: Start) -> "MlpDeformation":
        """A network in the box around the Gaussians."""
        m = start.config
        frequencies = (m.position_frequencies, m.time_frequencies)
        bounds = box_around(base[:, MEANS])
        return cls.new(m.layers, m.width, frequencies, start.units.to(base), bounds, start.span, start.generator)

    @classmethod
    def graph_numbers(cls, config: Any, gaussians: int) -> float:
        """What every layer gives for every Gaussian."""
        return gaussians * 2 * (config.layers + 1) * config.width

    def rates(self, config: Any) -> dict[str, Rate]:
        """One for all layers."""
        return {"layers": config.rate, "outputs": config.rate}

    @staticmethod
    def new(
        depth: int,
        width: int,
        frequencies: tuple[int, int],
        units: Tensor,
        bounds: Tensor,
        span: ClipTime,
        generator: torch.Generator,
    ) -> "MlpDeformation":
        """A network that moves nothing yet: its last layer is zero."""
        parts: dict[str, Tensor] = {}
        for i, (outputs, inputs) in enumerate(_shapes(depth, width, frequencies, len(units))):
            layer = f"layers.{i}" if i < depth else "outputs"
            weight, bias = linear(inputs, outputs, generator, inputs)
            parts[f"{layer}.weight"], parts[f"{layer}.bias"] = weight if i < depth else weight * 0, bias
        return MlpDeformation({name: part.to(units) for name, part in parts.items()}, units, bounds, span, *frequencies)

    @classmethod
    def from_parts(cls, tensors: dict[str, Tensor], settings: dict[str, Any]) -> "MlpDeformation":
        """Rebuild from a scene file; raises ValueError when shapes do not fit."""
        parts = dict(tensors)
        return cls(
            parts,
            parts.pop("units"),
            parts.pop("bounds"),
            ClipTime.of(settings),
            int(number_of(settings, "position_frequencies")),
            int(number_of(settings, "time_frequencies")),
        )

    def settings(self) -> dict[str, Any]:
        """The span of time and the frequencies."""
        position, time = self.frequencies
        return {**self.span.settings(), "position_frequencies": position, "time_frequencies": time}

    def outputs(self, place: Tensor, fraction: float) -> Tensor:
        """(N, C): the network on the encoded place and time."""
        time = positional_encoding(torch.full_like(place[:1, :1], fraction), self.frequencies[1])
        place = positional_encoding(place, self.frequencies[0])
        encoded = torch.cat([place, time.expand(len(place), -1)], 1)
        hidden = encoded
        for i in range(self.depth):
            if i == _skip(self.depth) + 1:
                hidden = torch.cat([encoded, hidden], 1)
            layer = f"layers.{i}"
            hidden = torch.relu(apply_linear(hidden, self.parts[f"{layer}.weight"], self.parts[f"{layer}.bias"]))
        return apply_linear(hidden, self.parts["outputs.weight"], self.parts["outputs.bias"])


def _skip(depth: int) -> int:
    """Index of the layer after which the input is given again: 4 of 8."""
    return depth // 2


def _shapes(depth: int, width: int, frequencies: tuple[int, int], channels: int) -> list[tuple[int, int]]:
    """(outputs, inputs) of every layer and of the last, linear one."""
    encoded = 3 * (1 + 2 * frequencies[0]) + 1 + 2 * frequencies[1]
    again = _skip(depth) + 1
    shapes = [(width, encoded if i == 0 else width + encoded * (i == again)) for i in range(depth)]
    return [*shapes, (channels, width)]
