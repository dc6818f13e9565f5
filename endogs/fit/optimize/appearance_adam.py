"""Training of what stands between the Gaussians of an instant and the picture: coefficients of colour, light,
exposure.

Adam (Kingma and Ba 2015) on every tensor of an `Appearance`, through autograd; the rasterizer's gradient comes in, and
that of the Gaussians before their appearance goes out.
"""

from copy import copy

import torch
from torch import Tensor

from endogs.camera import Camera
from endogs.fit.config import AppearanceConfig
from endogs.fit.optimize.scene_optimizer import NotFinite
from endogs.gaussians import COLORS
from endogs.scene.appearance import COLOR_MODELS, Appearance
from endogs.scene.appearance.appearance import COLORS_OF, EXPOSURE

PREFIX = "appearance."
"""Where the names of its tensors begin in a checkpoint."""
PER_NEIGHBOUR = (f"{PREFIX}{COLORS_OF}neighbours", f"{PREFIX}{COLORS_OF}tangents")
"""Names there of (N, k) and (N, k, 2), of which k depends on how many Gaussians there are."""
BETAS, EPS = (0.9, 0.999), 1e-8


class AppearanceAdam:
    """Owns the trained appearance of a scene and its moments.

    For each step: `show` the Gaussians, `backward` the gradient of what was shown, `step`.
    """

    def __init__(self, appearance: Appearance, camera: Camera, config: AppearanceConfig) -> None:
        """`camera` is one that saw the colours of the first Gaussians, and stands for those of the ones to come.

        A limit under a moving camera: lit colours of Gaussians that another frame coloured lose this camera's light
        and not that frame's, so their albedo starts off by the ratio of the two, for the fit to make up.
        """
        self.camera, self.config = camera, config
        self.rates = config.rates()
        colors = appearance.colors
        self._trained = [] if colors is None else [COLORS_OF + name for name in COLOR_MODELS[colors.kind].trained]
        self._rows = [] if colors is None else [COLORS_OF + name for name in COLOR_MODELS[colors.kind].per_gaussian]
        self._trained += [EXPOSURE] if appearance.exposure is not None else []
        self._take(appearance)
        self._m = {name: torch.zeros_like(self._tensors[name]) for name in self._trained}
        self._v = {name: torch.zeros_like(self._tensors[name]) for name in self._trained}
        # An exposure row counts its own steps: a frame is seen once a round.
        self._steps = {name: torch.zeros(self._counters(name), dtype=torch.long) for name in self._trained}
        self._packed: Tensor | None = None
        self._shown: Tensor | None = None

    @property
    def appearance(self) -> Appearance:
        """As it stands, without a graph; it shares memory with what is trained."""
        return self._appearance.with_tensors({name: tensor.detach() for name, tensor in self._tensors.items()})

    def show(self, packed: Tensor, camera: Camera, time: float) -> Tensor:
        """The Gaussians (N, 14) that `camera` shows at `time`, seconds, without a graph: `backward` has it."""
        self._packed = packed.detach().requires_grad_()
        with torch.enable_grad():
            self._shown = self._appearance.shown(self._packed, camera, time)
        return self._shown.detach()

    def backward(self, grad: Tensor) -> Tensor:
        """The gradient (N, 14) by what `show` was given, of the gradient (N, 14) by what it returned.

        Raises NotFinite when it is not finite, or that of the appearance is not.
        """
        assert self._packed is not None
        assert self._shown is not None
        for name in self._trained:
            self._tensors[name].grad = None
        self._shown.backward(grad)
        assert self._packed.grad is not None
        out = self._packed.grad
        self._packed = self._shown = None
        grads = [out, *(self._tensors[name].grad for name in self._trained)]
        if not all(bool(torch.isfinite(grad.sum())) for grad in grads if grad is not None):
            raise NotFinite("the gradient of the appearance is not finite")
        return out

    @torch.no_grad()
    def step(self, progress: float) -> None:
        """Step with the gradients of the last `backward`; `progress` in [0, 1] sets the decay."""
        for name in self._trained:
            tensor, rate = self._tensors[name], self.rates[name] * self.config.final**progress
            if tensor.grad is None:
                continue
            if name == EXPOSURE:
                rows = torch.nonzero(tensor.grad.flatten(1).abs().amax(1))[:, 0]
                self._step_rows(name, rows, rate)
                tensor -= tensor.mean(0)  # what all frames share belongs to the colours
                continue
            self._steps[name] += 1
            m, v, count = self._m[name], self._v[name], int(self._steps[name])
            m.lerp_(tensor.grad, 1 - BETAS[0])
            v.mul_(BETAS[1]).addcmul_(tensor.grad, tensor.grad, value=1 - BETAS[1])
            denominator = v.sqrt().div_((1 - BETAS[1] ** count) ** 0.5).add_(EPS)
            tensor.addcdiv_(m, denominator, value=-rate / (1 - BETAS[0] ** count))

    def _step_rows(self, name: str, rows: Tensor, rate: float) -> None:
        """Adam on some rows, each with its own step count; the others stay, with their momentum."""
        tensor = self._tensors[name]
        assert tensor.grad is not None
        grad = tensor.grad[rows]
        self._steps[name][rows.cpu()] += 1
        counts = self._steps[name][rows.cpu()].to(tensor).reshape(-1, *[1] * (tensor.ndim - 1))
        m = self._m[name][rows].lerp(grad, 1 - BETAS[0])
        v = self._v[name][rows] * BETAS[1] + (1 - BETAS[1]) * grad * grad
        self._m[name][rows], self._v[name][rows] = m, v
        unbiased = (v / (1 - BETAS[1] ** counts)).sqrt() + EPS
        tensor[rows] -= rate / (1 - BETAS[0] ** counts) * m / unbiased

    @torch.no_grad()
    def extend(
        self, base: Tensor, new: Tensor, control: Tensor | None
    ) -> tuple["AppearanceAdam", Tensor, Tensor | None]:
        """This grown by Gaussians `new` (M, 14), coloured like the clip's images, that will follow `base` (N, 14).

        With them, and their control points (Kn, M, 14), as the appearance shows them in those colours. This itself
        stays as it is.
        """
        grown, shown = copy(self), self.appearance.extend(torch.cat([base, new]))
        if shown.colors is not None and not shown.colors.seeds_unlit:
            new = shown.colors.encode(torch.cat([base, new]), self.camera)[len(base) :]
        grown._take(shown)
        grown._m, grown._v = dict(self._m), dict(self._v)
        for moments in (grown._m, grown._v):
            for name in self._rows:
                zeros = moments[name].new_zeros(len(new), *moments[name].shape[1:])
                moments[name] = torch.cat([moments[name], zeros])
        return grown, new, self._without_drift(control)

    @torch.no_grad()
    def encode_start(self, base: Tensor, control: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """The first Gaussians (N, 14), coloured like the clip's images, and their control points, as `extend` does."""
        colors = self.appearance.colors
        if colors is not None and not colors.seeds_unlit:
            base = colors.encode(base, self.camera)
        return base, self._without_drift(control)

    def _without_drift(self, control: Tensor | None) -> Tensor | None:
        """Control points whose colours rest where the lamp may be why colours change along a track."""
        if control is None or COLORS_OF + "lamp" not in self._tensors:
            return control
        control = control.clone()
        control[..., COLORS] = 0
        return control

    @torch.no_grad()
    def keep(self, keep: Tensor) -> None:
        """Drop the Gaussians outside the mask (N,)."""
        self._take(self.appearance.select(keep))
        for name in self._rows:
            self._m[name], self._v[name] = self._m[name][keep], self._v[name][keep]

    def state(self) -> dict[str, Tensor]:
        """Everything that a checkpoint needs, by name."""
        state = {PREFIX + name: tensor.detach() for name, tensor in self._tensors.items()}
        for name in self._trained:
            state |= {f"{PREFIX}m.{name}": self._m[name], f"{PREFIX}v.{name}": self._v[name]}
            state[f"{PREFIX}steps.{name}"] = self._steps[name]
        return state

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Continue from `state()`, among the tensors of a whole checkpoint."""
        self._take(self._appearance.with_tensors({name: state[PREFIX + name] for name in self._tensors}))
        for name in self._trained:
            self._m[name], self._v[name] = state[f"{PREFIX}m.{name}"], state[f"{PREFIX}v.{name}"]
            self._steps[name] = state[f"{PREFIX}steps.{name}"].cpu()

    def _take(self, appearance: Appearance) -> None:
        self._tensors = appearance.tensors()
        for name in self._trained:
            # A copy, so that steps in place change nobody else's tensors.
            self._tensors[name] = self._tensors[name].detach().clone().requires_grad_()
        self._appearance = appearance.with_tensors(self._tensors)

    def _counters(self, name: str) -> tuple[int, ...]:
        return (len(self._tensors[name]),) if name == EXPOSURE else ()
