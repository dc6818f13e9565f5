"""Adam on canonical Gaussians and the four active control points of a spline.

The spline is linear, so the gradient of every control point is a multiple of the rendered Gaussians' gradient
(rank 1), and neither a graph nor a gradient buffer of the parameters' size is needed. A step touches 4/Kn of them.
D. Kingma, J. Ba, "Adam: a method for stochastic optimization", 2015; bias is corrected by each knot's own step count.
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from endogs import native
from endogs.camera import Camera
from endogs.fit.checkpoint import BREAKPOINTS
from endogs.fit.config import FitConfig, LearningRates
from endogs.fit.optimize.appearance_adam import AppearanceAdam
from endogs.fit.optimize.rest_pull import RestPull
from endogs.gaussians import CHANNELS, COLORS, LOG_SCALES, MEANS, OPACITY, QUATS
from endogs.scene.appearance import PLAIN, Appearance
from endogs.scene.deformation.deformation import Deformation
from endogs.scene.deformation.knots import Knots
from endogs.scene.deformation.spline import SplineDeformation

BETAS = (0.9, 0.999)
LEAST_WEIGHT = 1e-6
"""Control points that weigh less are not stepped."""
EPS = 1e-8
"""Of the size of the gradients of what is all but hidden: with the usual 1e-15, Adam moves that by full steps in random
directions, and behind a removed instrument it shows as coloured specks."""


def adam_slice(
    param: Tensor,
    m: Tensor,
    v: Tensor,
    grad: Tensor,
    lr: Tensor,
    step: int,
    betas: tuple[float, float] = BETAS,
    eps: float = EPS,
) -> None:
    """One Adam step in place on param (N, 14) with moments m, v (N, 14); lr (14,) per channel, step counts from 1."""
    m.lerp_(grad, 1 - betas[0])
    v.mul_(betas[1]).addcmul_(grad, grad, value=1 - betas[1])
    denominator = v.sqrt().div_((1 - betas[1] ** step) ** 0.5).add_(eps)
    param.sub_((m * (lr / (1 - betas[0] ** step))).div_(denominator))


@dataclass(frozen=True)
class Slice:
    """Parameters (N, 14) whose gradient is a multiple of the shared one."""

    param: Tensor
    m: Tensor
    v: Tensor
    weight: float
    """The multiple."""
    lr: Tensor
    """(14,) per channel."""
    step: int
    """This slice's own step count, from 1."""


def adam_slices(slices: list[Slice], grad: Tensor, betas: tuple[float, float] = BETAS, eps: float = EPS) -> None:
    """One Adam step in place on every slice, with gradient slice.weight * grad (N, 14); one pass over memory."""
    if grad.device.type != "cpu" or not native.available():
        for s in slices:
            adam_slice(s.param, s.m, s.v, grad * s.weight, s.lr, s.step, betas, eps)
        return
    native.module().adam_step(
        [s.param for s in slices],
        [s.m for s in slices],
        [s.v for s in slices],
        grad,
        [s.weight for s in slices],
        torch.stack([s.lr for s in slices]),
        [1 - betas[0] ** s.step for s in slices],
        [1 - betas[1] ** s.step for s in slices],
        *betas,
        eps,
    )


def channel_rates(rates: LearningRates, pixel_footprint: float, device: torch.device | str = "cpu") -> Tensor:
    """Learning rates per channel (14,) float32; positions scale with the width of a pixel in the scene."""
    lr = torch.empty(CHANNELS)
    lr[MEANS] = rates.position * pixel_footprint
    lr[QUATS] = rates.quat
    lr[LOG_SCALES] = rates.log_scale
    lr[OPACITY] = rates.opacity
    lr[COLORS] = rates.color
    return lr.to(device)


@dataclass
class Moments:
    """Adam's running mean and uncentred variance."""

    m: Tensor
    v: Tensor

    @staticmethod
    def zeros_like(param: Tensor) -> "Moments":
        """Moments of a parameter that has not been stepped yet."""
        return Moments(torch.zeros_like(param), torch.zeros_like(param))

    def append(self, like: Tensor, dim: int) -> None:
        """Lengthen along `dim` by zeros of the shape of `like`; one after the other, for the sake of memory."""
        self.m = _lengthened(self.m, like.shape[dim], dim)
        self.v = _lengthened(self.v, like.shape[dim], dim)

    def shift(self, dropped: int, added: int) -> None:
        """Forget `dropped` entries along dimension 0 and begin `added` at its end."""
        if dropped or added:
            self.m, self.v = (
                torch.cat([moment, moment.new_zeros(added, *moment.shape[1:])])[dropped:].clone()
                for moment in (self.m, self.v)
            )

    def keep(self, keep: Tensor, dim: int) -> None:
        """Drop what lies outside the mask (N,) along `dim`."""
        rows = keep.nonzero()[:, 0]
        self.m = self.m.index_select(dim, rows)
        self.v = self.v.index_select(dim, rows)


def _lengthened(tensor: Tensor, count: int, dim: int) -> Tensor:
    """With `count` zeros more along `dim`, and no second array of zeros beside the result."""
    shape = list(tensor.shape)
    shape[dim] += count
    longer = tensor.new_zeros(shape)
    longer.narrow(dim, 0, tensor.shape[dim]).copy_(tensor)
    return longer


@dataclass
class SplineAdam:
    """Owns the trained scene: canonical Gaussians, their deformation, which must be linear, and the moments."""

    base: Tensor
    """(N, 14)."""
    deformation: Deformation
    """Its control points are trained, where it has some."""
    config: FitConfig
    pixel_footprint: float
    """Median z/f, world units per pixel."""
    follow: bool = True
    """Whether the splines of new Gaussians start from tracks, or at rest."""
    appearance: AppearanceAdam | None = None
    """What else is trained between these Gaussians and the picture; None where colours are plain."""
    rest_pull: RestPull | None = None
    """What deformation pays; None where it is free."""
    in_graph: ClassVar[bool] = True
    """A GPU's captured steps know it, where there is no appearance."""
    base_moments: Moments = field(init=False)
    control_moments: Moments | None = field(init=False, default=None)
    base_steps: int = 0
    knot_steps: list[int] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.base_moments = Moments.zeros_like(self.base)
        control = self.deformation.tensors().get("control")
        if control is not None:
            self.control_moments = Moments.zeros_like(control)
            self.knot_steps = [0] * len(control)
        # (14,) per channel, before the decay
        self.base_rates = channel_rates(self.config.base_rates, self.pixel_footprint, self.base.device)
        self.control_rates = channel_rates(self.config.control_rates, self.pixel_footprint, self.base.device)

    @property
    def shown_appearance(self) -> Appearance:
        """As it stands; plain where nothing of it is trained."""
        return PLAIN if self.appearance is None else self.appearance.appearance

    def decays(self, progress: float) -> tuple[float, float]:
        """Factors on the canonical Gaussians' and the control points' rates at `progress` in [0, 1]."""
        return self.config.base_rates.final**progress, self.config.control_rates.final**progress

    @property
    def track_knots(self) -> Knots | None:
        """The spline's knots; None for a still scene, and when new Gaussians start at rest."""
        return self.deformation.spline_knots if self.follow else None

    @torch.no_grad()
    def packed_at(self, time: float) -> Tensor:
        """The Gaussians at `time` (N, 14), without a graph and their appearance."""
        return self.deformation.packed_at(self.base, time)

    def shown_at(self, time: float, camera: Camera) -> Tensor:
        """The Gaussians (N, 14) that `camera` shows at `time`, without a graph."""
        packed = self.packed_at(time)
        return packed if self.appearance is None else self.appearance.show(packed, camera, time)

    @torch.no_grad()
    def step(self, grad: Tensor, time: float, progress: float) -> None:
        """Step with the gradient (N, 14) of what was last shown, at `time`; `progress` in [0, 1] sets the decay.

        Raises NotFinite, and takes nothing over, when the appearance makes a gradient that is not finite of it.
        """
        if self.appearance is not None:
            grad = self.appearance.backward(grad)
            self.appearance.step(progress)
        self.base_steps += 1
        decays = self.decays(progress)
        base_lr = self.base_rates * decays[0]
        slices = [Slice(self.base, self.base_moments.m, self.base_moments.v, 1.0, base_lr, self.base_steps)]
        lr = self.control_rates * decays[1]
        moved = []
        for knot, control, weight in self.deformation.slices(time):
            if weight < LEAST_WEIGHT or self.control_moments is None:
                continue
            self.knot_steps[knot] += 1
            m, v = self.control_moments.m[knot], self.control_moments.v[knot]
            slices.append(Slice(control, m, v, weight, lr, self.knot_steps[knot]))
            moved.append((knot, control, weight))
        adam_slices(slices, grad)
        if self.rest_pull is not None:
            step_length = self.config.control_rates.position * self.pixel_footprint * decays[1]
            self.rest_pull.apply(moved, step_length)

    @torch.no_grad()
    def append(self, base: Tensor, control: Tensor | None) -> None:
        """Add Gaussians (M, 14) with control points (Kn, M, 14), or at rest; their moments start at zero.

        Their colours are those of the clip's images. After an error in here, as where memory runs out, the optimizer is
        good for nothing.
        """
        # One tensor after the other: a second copy of all at once would be the fit's peak of memory.
        if self.appearance is not None:
            self.appearance, base, control = self.appearance.extend(self.base, base, control)
        self.base = torch.cat([self.base, base])
        self.base_moments.append(base, 0)
        if self.control_moments is not None:
            knots = self.deformation.spline_knots
            motion = None if control is None or knots is None else SplineDeformation(control, knots)
            self.deformation = self.deformation.extend(len(base), motion)
            self.control_moments.append(self.deformation.tensors()["control"][:, len(self.base) - len(base) :], 1)

    @torch.no_grad()
    def cover(self, first: float, last: float) -> None:
        """Reach on to `last` and forget what lies before `first`, seconds; the scene in between stays as it is.

        Raises ValueError for a deformation that lies over the time of a whole clip.
        """
        self.deformation, dropped, added = self.deformation.covering(first, last)
        if self.control_moments is not None:
            self.knot_steps = (self.knot_steps + [0] * added)[dropped:]
            self.control_moments.shift(dropped, added)
        if self.rest_pull is not None:
            self.rest_pull.shift(dropped, added)

    @torch.no_grad()
    def keep(self, keep: Tensor) -> None:
        """Drop the Gaussians outside the mask (N,)."""
        self.base = self.base[keep]
        self.base_moments.keep(keep, 0)
        self.deformation = self.deformation.select(keep)
        if self.appearance is not None:
            self.appearance.keep(keep)
        if self.control_moments is not None:
            self.control_moments.keep(keep, 1)

    def state(self) -> dict[str, Tensor]:
        """Everything that a checkpoint needs, by name."""
        state = {"base": self.base, "base_m": self.base_moments.m, "base_v": self.base_moments.v}
        state["steps"] = torch.tensor([self.base_steps, *self.knot_steps])
        state |= self.deformation.tensors() | breakpoints_of(self.deformation)
        if self.control_moments is not None:
            state |= {"control_m": self.control_moments.m, "control_v": self.control_moments.v}
        if self.rest_pull is not None:
            state["rest"] = self.rest_pull.rest
        return state if self.appearance is None else state | self.appearance.state()

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Continue from `state()`, and with its knots; the deformation must be of the same kind.

        Raises KeyError or ValueError when it is not.
        """
        self.base = state["base"]
        self.base_moments = Moments(state["base_m"], state["base_v"])
        self.base_steps, *self.knot_steps = state["steps"].tolist()
        if self.control_moments is not None:
            settings = settings_with(self.deformation, state)
            self.deformation = self.deformation.from_parts({"control": state["control"]}, settings)
            self.control_moments = Moments(state["control_m"], state["control_v"])
        if self.rest_pull is not None:
            self.rest_pull.rest = state["rest"]
        if self.appearance is not None:
            self.appearance.load_state(state)


def breakpoints_of(deformation: Deformation) -> dict[str, Tensor]:
    """The knots of a deformation that has some, (I + 1,) float64 seconds, for a checkpoint.

    They were laid by the flow, which another machine or another cache need not find the same.
    """
    found = deformation.settings().get(BREAKPOINTS)
    return {} if found is None else {BREAKPOINTS: torch.tensor(found, dtype=torch.float64)}


def settings_with(deformation: Deformation, state: dict[str, Tensor]) -> dict[str, Any]:
    """The settings of a deformation, with the knots of a checkpoint."""
    found = state.get(BREAKPOINTS)
    return deformation.settings() | ({} if found is None else {BREAKPOINTS: found.tolist()})
