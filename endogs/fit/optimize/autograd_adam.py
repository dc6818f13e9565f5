"""Adam on canonical Gaussians and the tensors of any deformation, with gradients from autograd.

The rendered Gaussians' gradient (N, 14) goes back through the graph that `packed_at` kept. Tensors with an entry per
Gaussian grow and shrink with them, shared ones stay. D. Kingma, J. Ba, "Adam: a method for stochastic optimization",
2015.
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim.adam import adam

from endogs.camera import Camera
from endogs.fit.checkpoint import TRACK_BREAKPOINTS
from endogs.fit.config import FitConfig
from endogs.fit.optimize.spline_adam import (
    BETAS,
    Moments,
    Slice,
    adam_slices,
    breakpoints_of,
    channel_rates,
    settings_with,
)
from endogs.gaussians import MEANS
from endogs.scene.appearance import PLAIN, Appearance
from endogs.scene.deformation.deformation import Deformation
from endogs.scene.deformation.form import Rate
from endogs.scene.deformation.knots import Knots
from endogs.scene.deformation.registry import DEFORMATIONS
from endogs.scene.deformation.spline import SplineDeformation

_DEFORMATION, _M, _V = "deformation.", "m.", "v."


@dataclass
class AutogradAdam:
    """Owns the trained scene: canonical Gaussians, their deformation and the moments."""

    base: Tensor
    """(N, 14)."""
    deformation: Deformation
    config: FitConfig
    pixel_footprint: float
    """Median z/f, world units per pixel."""
    track_knots: Knots | None = None
    """Knots of the splines through tracks that new Gaussians follow; None where they start at rest."""
    in_graph: ClassVar[bool] = False
    """Every step goes through autograd."""
    base_moments: Moments = field(init=False)
    moments: dict[str, Moments] = field(init=False)
    steps: int = 0
    """Steps taken, still ones included."""
    _graph: tuple[float, Tensor, Tensor, Deformation] | None = field(init=False, default=None, repr=False)

    def __post_init__(self) -> None:
        self.base_moments = Moments.zeros_like(self.base)
        self.moments = {name: Moments.zeros_like(tensor) for name, tensor in self._trained().items()}
        # (14,) per channel, before the decay
        self.base_rates = channel_rates(self.config.base_rates, self.pixel_footprint, self.base.device)

    @property
    def form(self) -> Any:
        """The deformation's own numbers."""
        return form_of(self.config)

    @property
    def shown_appearance(self) -> Appearance:
        """Plain: this optimizer trains no other."""
        return PLAIN

    def rate(self, name: str) -> Rate:
        """The step size of a tensor. Raises KeyError when it has none."""
        rates = self.deformation.rates(self.form)
        return rates[name] if name in rates else rates[name.split(".")[0]]

    @property
    def still_steps(self) -> int:
        """Steps at the beginning in which nothing deforms."""
        return round(self.config.autograd.still_share * self.config.iterations)

    @property
    def base_steps(self) -> int:
        """Steps of the canonical Gaussians since their moments began."""
        return self.steps if self.steps <= self.still_steps else self.steps - self.still_steps

    def packed_at(self, time: float) -> Tensor:
        """The Gaussians at `time` (N, 14), detached; the graph is kept for the step that follows."""
        if self.steps < self.still_steps:
            return self.base.clone()
        base = self.base.detach().requires_grad_()
        trained = {name: tensor.detach().requires_grad_() for name, tensor in self._trained().items()}
        shape = self.deformation.from_parts(self.deformation.tensors() | trained, self.deformation.settings())
        with torch.enable_grad():
            packed = shape.packed_at(base, time)
        self._graph = (time, base, packed, shape)
        return packed.detach()

    def shown_at(self, time: float, camera: Camera) -> Tensor:
        """The Gaussians (N, 14) at `time`: colours are the same from every camera."""
        return self.packed_at(time)

    def step(self, grad: Tensor, time: float, progress: float) -> None:
        """Step with the gradient (N, 14) of the Gaussians rendered at `time`; `progress` in [0, 1] sets the decay.

        Still steps decay as far as as many of the others would, which begin with fresh moments.
        """
        if self.steps < self.still_steps:
            self.steps += 1
            self._step_base(grad, self._part(progress))
            return
        if self._graph is None or self._graph[0] != time:
            self.packed_at(time)
        assert self._graph is not None
        (_, base, packed, shape), self._graph = self._graph, None
        with torch.enable_grad():
            penalty = shape.penalty(self.form)
        tensors, grads = ([packed], [grad]) if penalty is None else ([packed, penalty], [grad, None])
        torch.autograd.backward(tensors, grads)
        if self.steps == self.still_steps > 0:
            self.base_moments = Moments.zeros_like(self.base)
        self.steps += 1
        part = self._part(progress)
        self._step_base(grad if base.grad is None else base.grad, part)
        self._step_deformation(shape, part)

    def _part(self, progress: float) -> float:
        """Progress within the still steps or the others, in lengths of the others."""
        still = self.config.autograd.still_share
        moving = max(1 - still, 1e-6)
        return (progress if self.steps <= self.still_steps else progress - still) / moving

    @torch.no_grad()
    def _step_base(self, grad: Tensor, part: float) -> None:
        decay = self.config.base_rates.final**part
        lr = self.base_rates * decay
        if self.config.autograd.only_positions_decay:
            lr = self.base_rates.clone()
            lr[MEANS] *= decay
        moments = self.base_moments
        own = Slice(self.base, moments.m, moments.v, 1.0, lr, self.base_steps)
        adam_slices([own], grad.contiguous(), eps=self.config.autograd.epsilon)

    @torch.no_grad()
    def _step_deformation(self, shape: Deformation, part: float) -> None:
        graphed = shape.tensors()
        groups: dict[Rate, list[str]] = {}
        for name, tensor in self._trained().items():
            if graphed[name].grad is not None and tensor.numel():
                groups.setdefault(self.rate(name), []).append(name)
        device = self.base.device
        for rate, names in groups.items():
            trained = self._trained()
            adam(
                [trained[name] for name in names],
                [_gradient(graphed[name]) for name in names],
                [self.moments[name].m for name in names],
                [self.moments[name].v for name in names],
                [],
                # torch's own counts this step itself
                [torch.tensor(float(self.base_steps - 1), device=device) for _ in names],
                fused=True,
                amsgrad=False,
                beta1=BETAS[0],
                beta2=BETAS[1],
                lr=rate.start * rate.final**part,
                weight_decay=0.0,
                eps=self.config.autograd.epsilon,
                maximize=False,
            )

    def _trained(self) -> dict[str, Tensor]:
        tensors = self.deformation.tensors()
        return {name: tensor for name, tensor in tensors.items() if name not in self.deformation.fixed}

    @torch.no_grad()
    def append(self, base: Tensor, control: Tensor | None) -> None:
        """Add Gaussians (M, 14) that follow splines of `track_knots` (Kn, M, 14), or start at rest; moments are
        zero."""
        motion = None if control is None or self.track_knots is None else SplineDeformation(control, self.track_knots)
        self._graph = None
        self.deformation = self.deformation.extend(len(base), motion)
        grown = self.deformation.tensors()
        for name, kept in self.moments.items():
            kept.m = _lengthened(kept.m, grown[name])
            kept.v = _lengthened(kept.v, grown[name])
        self.base_moments.append(base, 0)
        self.base = torch.cat([self.base, base])

    def cover(self, first: float, last: float) -> None:
        """Raises ValueError: these deformations lie over the time of a whole clip."""
        self.deformation.covering(first, last)

    @torch.no_grad()
    def keep(self, keep: Tensor) -> None:
        """Drop the Gaussians outside the mask (N,)."""
        rows = keep.nonzero()[:, 0]
        self.base = self.base[rows]
        self.base_moments = Moments(self.base_moments.m[rows], self.base_moments.v[rows])
        self.deformation = self.deformation.select(rows)
        for name, dim in self.deformation.per_gaussian.items():
            if name in self.moments:
                kept = self.moments[name]
                self.moments[name] = Moments(kept.m.index_select(dim, rows), kept.v.index_select(dim, rows))
        self._graph = None

    def state(self) -> dict[str, Tensor]:
        """Everything that a checkpoint needs, by name."""
        state = {"base": self.base, "base_m": self.base_moments.m, "base_v": self.base_moments.v}
        state["steps"] = torch.tensor([self.steps])
        state |= {_DEFORMATION + name: tensor for name, tensor in self.deformation.tensors().items()}
        state |= breakpoints_of(self.deformation)
        if self.track_knots is not None:
            state[TRACK_BREAKPOINTS] = torch.tensor(self.track_knots.breakpoints, dtype=torch.float64)
        state |= {_M + name: moments.m for name, moments in self.moments.items()}
        return state | {_V + name: moments.v for name, moments in self.moments.items()}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Continue from `state()` of an optimizer of the same settings, and with its knots.

        Raises KeyError or ValueError when the settings are others.
        """
        self.base = state["base"]
        self.base_moments = Moments(state["base_m"], state["base_v"])
        self.steps = int(state["steps"][0])
        tensors = {
            name.removeprefix(_DEFORMATION): tensor for name, tensor in state.items() if name.startswith(_DEFORMATION)
        }
        self.deformation = self.deformation.from_parts(tensors, settings_with(self.deformation, state))
        if self.track_knots is not None:
            self.track_knots = Knots(tuple(state[TRACK_BREAKPOINTS].tolist()))
        self.moments = {name: Moments(state[_M + name], state[_V + name]) for name in self._trained()}
        self._graph = None


def _gradient(leaf: Tensor) -> Tensor:
    assert leaf.grad is not None
    return leaf.grad.contiguous()


def _lengthened(part: Tensor, like: Tensor) -> Tensor:
    """`part` with zeros after its own entries, in the shape of `like`."""
    out = torch.zeros_like(like)
    out[tuple(slice(size) for size in part.shape)] = part
    return out


def form_of(config: FitConfig) -> Any:
    """The numbers of the configured deformation: those given, or the defaults of its `Config`."""
    return DEFORMATIONS[config.deformation].Config() if config.form is None else config.form
