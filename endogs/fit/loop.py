"""The optimization loop: render a view, compare, step, and now and then insert, drop, save and report."""

import math
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from endogs import native
from endogs.errors import FitDiverged, InputError
from endogs.fit.appearance import PER_NEIGHBOUR, AppearanceAdam
from endogs.fit.bending import relax_bending
from endogs.fit.bloop import Bloop
from endogs.fit.checkpoint import ANEW, ANY, Checkpoint, Layout, check_layout, check_values, layout_of
from endogs.fit.checkpoint_clock import CheckpointClock
from endogs.fit.config import COPYING, FitConfig
from endogs.fit.cuda_steps import CudaSteps
from endogs.fit.density import Population, ResidualMaps, density_control
from endogs.fit.interrupt import InterruptFlag
from endogs.fit.objective.losses import UnseenPairs
from endogs.fit.optimizer import SplineAdam
from endogs.fit.progress import FitProgress
from endogs.fit.rigidity import RIGID_STEPS, HiddenRigidity
from endogs.fit.scene_optimizer import SceneOptimizer
from endogs.fit.setup import pixel_footprint
from endogs.fit.objective.objective import Objective, fixed_order
from endogs.fit.views import TrainingViews, schedule
from endogs.gaussians import ATTRIBUTES, CHANNELS
from endogs.scene.deformation.spline import SplineDeformation

CHECK_STEPS = 50
"""Steps between looks at all parameters, and between progress records."""
SMOOTH_STEPS = 4
"""Every so many steps the never-seen pixels are smoothed, with so many times the weight."""
PSNR_MEMORY = 0.9
"""Share of the past in the running mean of the squared error."""


@dataclass
class Fit:
    """A fit in progress: everything that changes from step to step, and what it is made of."""

    optimizer: SceneOptimizer
    views: TrainingViews
    config: FitConfig
    seed: int
    run: dict[str, Any] = field(default_factory=dict)
    """JSON of what was started; a checkpoint resumes only into the same."""
    step: int = 0
    """Steps done."""
    log: list[dict[str, Any]] = field(default_factory=list)
    """Progress records: step, loss, terms, psnr (training), gaussians, seconds."""
    stopped_by: signal.Signals | None = None
    """What ended the loop before its last step, such as Ctrl-C."""
    deterministic: bool = False
    """On a GPU: gradients add up in a fixed order, so that the same seed gives the same scene. On the CPU they always
    do."""

    def __post_init__(self) -> None:
        height, width = self.views.observations.size
        self.maps = ResidualMaps.empty(len(self.views.real), height, width, self.optimizer.base.device)
        self._order = schedule(
            len(self.views.real),
            self.views.virtual_count,
            self.config.iterations,
            self.config.virtual_share,
            self.seed,
        ).tolist()
        self._population = Population(self.optimizer)
        observations, footprint = self.views.observations, pixel_footprint(self.views)
        self._density = density_control(self.config, observations, self.maps, footprint, self.seed)
        self._density.prepare(self._population)
        bloop = self.config.balance == "bloop"
        self._bloop = Bloop(self._population, self.config.bloop_rate) if bloop else None
        unseen = self.views.unseen
        device = self.optimizer.base.device
        self._unseen = None if unseen is None or not unseen.any() else torch.from_numpy(unseen).to(device)
        pairs = None if self._unseen is None else UnseenPairs.of(self._unseen)
        self._objective = Objective(self.config, self.views.depth_kind, self.views.anchor, pairs)
        self._squared_error = math.nan
        self._changed_before = -1  # the last step before which Gaussians came and went
        self._cuda_steps: CudaSteps | None = None
        deformation = self.optimizer.deformation
        if self.config.bending_weight > 0 and not isinstance(deformation, SplineDeformation):
            raise InputError(f"bending_weight needs the deformation spline, not {deformation.kind}; leave it at 0")
        self._rigidity: HiddenRigidity | None = None
        if self.config.rigidity_weight > 0:
            times = [view.time for view in self.views.real]
            self._rigidity = HiddenRigidity(self._population, self.config.rigidity_weight, times, self.seed)

    def checkpoint(self) -> Checkpoint:
        """The state between two steps."""
        tensors = self.optimizer.state() | self._population.state() | self._density.state()
        if self._rigidity is not None:
            tensors |= self._rigidity.state()
        tensors["squared_error"] = torch.tensor([self._squared_error], dtype=torch.float64)
        tensors["changed_before"] = torch.tensor([self._changed_before])
        return Checkpoint(self.step, tensors, self.run, self.log)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Continue from a checkpoint of the same run.

        Raises InputError when it is another's, or damaged; this fit is then good for nothing.
        """
        device = self.optimizer.base.device
        try:
            if checkpoint.step > self.config.iterations:
                raise ValueError(f"step {checkpoint.step} of {self.config.iterations}")
            check_layout(checkpoint.layout, self._empty_layout(), self.config.gaussians_cap, self._optional_layout())
            read = checkpoint.read()
            check_values(read, checkpoint.step, len(read["base"]))
            # Copies: a file's tensors lie at any address, and sums over them then round otherwise than torch's own do.
            tensors = {name: t.to(device, copy=True) for name, t in read.items()}
            self.optimizer.load_state(tensors)
            self._population.load_state(tensors)
            self._density.load_state(tensors)
            if self._rigidity is not None:
                self._rigidity.load_state(tensors)
            self._squared_error = float(read["squared_error"])
            self._changed_before = int(read["changed_before"])
        except (KeyError, ValueError) as error:
            raise InputError(f"the checkpoint does not fit this run ({error}); {ANEW}") from error
        self.step, self.log = checkpoint.step, list(checkpoint.log)
        self._cuda_steps = None

    def _empty_layout(self) -> Layout:
        """The tensors that a checkpoint of this fit has, with zeros for the number of Gaussians; drops those here."""
        self._population.keep(torch.zeros(len(self._population), dtype=torch.bool, device=self.optimizer.base.device))
        known, found = set(self._optional_layout()), {}
        for name, (dtype, shape) in layout_of(self.checkpoint().tensors).items():
            if name not in known:
                found[name] = (dtype, (shape[0], ANY, *shape[2:]) if name in PER_NEIGHBOUR else shape)
        return found

    def _optional_layout(self) -> Layout:
        return {} if self._rigidity is None else self._rigidity.layout()

    def advance(self, most: int) -> tuple[float, dict[str, float]]:
        """Up to `most` steps, as many as go in one piece: on a GPU all before the next insertion, elsewhere one.

        Returns the last step's loss and its terms. Raises FitDiverged as `take_step` does; on a GPU a gradient that is
        not finite only keeps its own Gaussians from the step, which the others have taken.
        """
        optimizer = self.optimizer
        if self._device != "cuda" or self._uncaptured or not isinstance(optimizer, SplineAdam):
            return self.take_step()
        if self._cuda_steps is None:
            self._cuda_steps = self._new_cuda_steps(optimizer)
        self._change_if_due(self.views[self._order[self.step]].time)
        later = [step - self.step for step in self._density.changes if step > self.step]
        count = min([most, self.config.iterations - self.step, *later])
        if self._rigidity is not None:
            count = min(count, -self.step % RIGID_STEPS + 1)  # a relaxation comes right after its step
        try:
            log = self._cuda_steps.run(self.step, count)
        except FitDiverged:
            self.step = optimizer.base_steps
            check_finite(self)
            raise
        for step in range(self.step, self.step + count):
            self._relax_if_due(step)
        self.step += count
        for error in log.squared_errors:
            self._see(error)
        return log.loss, log.terms

    @property
    def _device(self) -> str:
        return self.optimizer.base.device.type

    @cached_property
    def _uncaptured(self) -> list[str]:
        """What this fit asks for that a GPU's captured steps do not know."""
        config, kind = self.config, self.optimizer.deformation.kind
        asked = {
            f"the deformation {kind}": not isinstance(self.optimizer, SplineAdam),
            "colors or exposure": self._appearance is not None,
            f"density {config.density}": config.density in COPYING,
            f"balance {config.balance}": self._bloop is not None,
            "normal_weight": config.normal_weight != 0,
            "tv_weight": config.tv_weight != 0,
            "bending_weight": config.bending_weight != 0,
            "kernels that are not compiled for this GPU": not native.runs_on(self._device),
        }
        return [what for what, is_asked in asked.items() if is_asked]

    @property
    def slow_steps_note(self) -> str | None:
        """Why a GPU launches this fit's steps one by one, in a sentence; None where it does not, and elsewhere."""
        if self._device != "cuda" or not self._uncaptured:
            return None
        return f"the GPU's steps are launched one by one, which is slower, because of {', '.join(self._uncaptured)}"

    def _new_cuda_steps(self, optimizer: SplineAdam) -> CudaSteps:
        steps = range(self.config.iterations)
        return CudaSteps(
            optimizer,
            self.views,
            self.config,
            self._order,
            self.maps,
            [smoothness_at(step) for step in steps],
            self._unseen,
            self.views.anchor,
            self.step,
            self.deterministic,
        )

    def _change_if_due(self, time: float) -> None:
        """Let Gaussians come and go before this step, which renders `time` (seconds).

        Once: a step that diverged is tried again, after a checkpoint of the population as changed.
        """
        if self.step not in self._density.changes or self._changed_before == self.step:
            return
        if self._cuda_steps is not None:
            self._cuda_steps.release()
        self._density.change(self._population, self.step, time)
        self._changed_before = self.step

    def _relax_if_due(self, step: int) -> None:
        """Let the tissue that the step's view hides keep its shape."""
        if self._rigidity is not None and step % RIGID_STEPS == 0:
            self._rigidity.relax(self.views[self._order[step]], step)

    def _see(self, squared_error: float) -> None:
        known = math.isfinite(self._squared_error)
        past = self._squared_error
        self._squared_error = PSNR_MEMORY * past + (1 - PSNR_MEMORY) * squared_error if known else squared_error

    @property
    def _appearance(self) -> AppearanceAdam | None:
        """What is trained between the Gaussians and the picture."""
        return self.optimizer.appearance if isinstance(self.optimizer, SplineAdam) else None

    def take_step(self) -> tuple[float, dict[str, float]]:
        """One step; returns the loss and its terms. Raises FitDiverged before it takes over what is not finite."""
        config, optimizer = self.config, self.optimizer
        view = self.views[self._order[self.step]]
        self._change_if_due(view.time)
        appearance = self._appearance  # a change grows another one
        packed = optimizer.packed_at(view.time)
        shown = packed if appearance is None else appearance.show(packed, view.camera, view.time)
        self._objective.watch_screen = self._density.wants_screen_gradients(self.step)
        try:
            with fixed_order(self.deterministic):
                result = self._objective.evaluate(shown, view, smoothness_at(self.step))
        except (ValueError, RuntimeError) as error:
            check_finite(self)
            if "not finite" not in str(error):
                raise
            raise FitDiverged(f"the fit diverged at step {self.step}: {error}") from error
        if not math.isfinite(result.loss):
            bad = ", ".join(name for name, term in result.terms.items() if not math.isfinite(term)) or "smoothness"
            raise FitDiverged(f"the fit diverged at step {self.step}: the loss is not finite ({bad})")
        for part in (result.grad, result.auxiliary):
            if part is None or math.isfinite(float(part.sum())):
                continue
            bad = blame(part)
            raise FitDiverged(f"the fit diverged at step {self.step}: the gradient is not finite ({bad})")
        grad = result.grad if self._bloop is None else self._bloop.combine(result.grad, result.auxiliary)
        progress = self.step / config.iterations
        if appearance is not None:
            grad = appearance.backward(grad)
            if not (math.isfinite(float(grad.sum())) and appearance.finite()):
                raise FitDiverged(f"the fit diverged at step {self.step}: the gradient of the appearance is not finite")
            appearance.step(progress)
        loss = result.loss + self._density.regularize(packed, grad)
        optimizer.step(grad, view.time, progress)
        self._density.disturb(self._population, self.step, view.time, config.base_rates.final**progress)
        self._density.observe(self._population, view, packed, result, self.step)
        self._relax_if_due(self.step)
        if config.bending_weight > 0 and isinstance(optimizer.deformation, SplineDeformation):
            relax_bending(optimizer.deformation, view.time, config.bending_weight)
        if view.frame is not None and view.weight_sum > 0:
            self._see(result.squared_error)
        self.step += 1
        return loss, result.terms

    @property
    def psnr(self) -> float:
        """Running training PSNR over tissue, dB."""
        return -10 * math.log10(max(self._squared_error, 1e-12)) if math.isfinite(self._squared_error) else math.nan


def smoothness_at(step: int) -> float:
    """Factor on the weight of the never-seen pixels at a step: every SMOOTH_STEPS-th step makes up for the others."""
    return float(SMOOTH_STEPS) if step % SMOOTH_STEPS == 0 else 0.0


def blame(packed: Tensor) -> str:
    """Attributes of packed rows (..., 14) that hold a number that is not finite."""
    bad = [name for name, channels in ATTRIBUTES.items() if not bool(torch.isfinite(packed[..., channels]).all())]
    return ", ".join(bad) or "their sum overflows"


def check_finite(fit: Fit) -> None:
    """Raise FitDiverged with the step and the attribute when a parameter is not finite."""
    for name, tensor in {"canonical": fit.optimizer.base, **fit.optimizer.deformation.tensors()}.items():
        if not bool(torch.isfinite(tensor.sum())):
            what = f"{name} {blame(tensor)}" if tensor.shape[-1:] == (CHANNELS,) else name
            raise FitDiverged(f"the fit diverged at step {fit.step}: {what} are not finite")
    looks = {} if fit._appearance is None else fit._appearance.appearance.tensors()
    for name, tensor in looks.items():
        if not bool(torch.isfinite(tensor.sum())):
            raise FitDiverged(f"the fit diverged at step {fit.step}: the appearance's {name} is not finite")


def run_fit(
    fit: Fit,
    checkpoints: Path | None = None,
    show: bool = True,
    on_step: Callable[[Fit], None] | None = None,
) -> None:
    """Run the remaining steps. With a folder, checkpoints go there by the clock and when a signal ends the run.

    Raises FitDiverged; what is not finite is never taken over, so the state is good and becomes the checkpoint.
    `on_step` is called after every step, on a GPU after every few dozen.
    """
    if fit.slow_steps_note is not None:
        print(f"note: {fit.slow_steps_note}", file=sys.stderr, flush=True)
    size = sum(tensor.nbytes for tensor in fit.checkpoint().tensors.values())
    clock = CheckpointClock(checkpoints, fit.config.checkpoint_seconds, size)
    started = time.monotonic()
    before = fit.log[-1]["seconds"] if fit.log else 0.0
    total = fit.config.iterations

    def state() -> Checkpoint:
        check_finite(fit)
        return fit.checkpoint()

    with InterruptFlag() as interrupt, FitProgress(total, fit.step) as progress, clock:
        while fit.step < total and not interrupt.raised:
            try:
                value, terms = fit.advance(CHECK_STEPS - fit.step % CHECK_STEPS)
            except FitDiverged:
                if fit.step > 0:
                    clock.save(state)
                raise
            count = fit.optimizer.base.shape[0]
            if fit.step % CHECK_STEPS == 0 or fit.step == total:
                check_finite(fit)
                seconds = round(before + time.monotonic() - started, 3)
                record = {"step": fit.step, "loss": value, **terms, "psnr": fit.psnr, "gaussians": count}
                fit.log.append({**record, "seconds": seconds})
            if show:
                progress.update(fit.step, value, fit.psnr, count)
            if on_step is not None:
                on_step(fit)
            clock.save_if_due(state)
        fit.stopped_by = interrupt.raised if fit.step < total else None
        if fit.stopped_by is not None:
            clock.save(state)


def run_identity(config: FitConfig, **facts: Any) -> dict[str, Any]:
    """JSON that tells two runs apart: the fit's numbers and the given facts."""
    return {"fit": asdict(config) | {"insertions": [list(i) for i in config.insertions]}, **facts}
