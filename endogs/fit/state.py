"""The state of a fit between two steps: what changes, what it is made of, and how a checkpoint holds it."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from endogs.clip.frame_source import Frame, Pause
from endogs.errors import FitDiverged, InputError
from endogs.fit.bloop import Bloop
from endogs.fit.checkpoint import ANEW, ANY, Checkpoint, Layout, check_layout, check_values, layout_of
from endogs.fit.config import FitConfig
from endogs.fit.density.choose import density_control
from endogs.fit.density.control import DensitySetup
from endogs.fit.density.population import Population
from endogs.fit.density.residual_maps import ResidualMaps
from endogs.fit.objective.losses import UnseenPairs
from endogs.fit.objective.objective import Objective
from endogs.fit.objective.term import TermSetup
from endogs.fit.objective.terms import terms_of
from endogs.fit.optimize.appearance_adam import PER_NEIGHBOUR
from endogs.fit.optimize.camera_adam import CameraAdam
from endogs.fit.optimize.scene_optimizer import SceneOptimizer
from endogs.fit.rigidity import HiddenRigidity
from endogs.fit.schedule import Schedule
from endogs.fit.setup import pixel_footprint
from endogs.fit.view import View
from endogs.fit.window import Window
from endogs.gaussians import ATTRIBUTES, CHANNELS
from endogs.memory_budget import return_freed_memory

PSNR_MEMORY = 0.9
"""Share of the past in the running mean of the squared error."""


@dataclass
class FitState:
    """Everything that changes from step to step, and what it is made of."""

    optimizer: SceneOptimizer
    window: Window
    config: FitConfig
    seed: int
    run: dict[str, Any] = field(default_factory=dict)
    """JSON of what was started; a checkpoint resumes only into the same."""
    step: int = 0
    """Steps done."""
    log: list[dict[str, Any]] = field(default_factory=list)
    """Progress records: step, loss, terms, psnr (training), gaussians, seconds."""
    deterministic: bool = False
    """On a GPU: gradients add up in a fixed order, so that the same seed gives the same scene. On the CPU they always
    do."""

    def __post_init__(self) -> None:
        """Raises InputError for numbers that do not go with the deformation."""
        config, window = self.config, self.window
        height, width = window.observations.size
        self.maps = ResidualMaps.empty(len(window.real), height, width, self.device)
        self.schedule = Schedule(window, config.virtual_share, self.seed, config.iterations)
        """The view of every step."""
        self.population = Population(self.optimizer)
        footprint = pixel_footprint(window)
        self.density = density_control(DensitySetup(config, window.observations, self.maps, footprint, self.seed))
        self.density.prepare(self.population)
        self.bloop = Bloop(self.population, config.bloop_rate) if config.balance == "bloop" else None
        unseen = window.unseen
        self.unseen = None if unseen is None or not unseen.any() else torch.from_numpy(unseen).to(self.device)
        """(H, W) bool pixels that no training frame shows as tissue; None where there are none."""
        pairs = None if self.unseen is None else UnseenPairs.of(self.unseen)
        terms = terms_of(TermSetup(config, window.depth_kind, window.anchor, pairs))
        self.objective = Objective(terms, config, window.depth_kind, apart=self.bloop is not None)
        times = [view.time for view in window.real]
        rigid = config.rigidity_weight > 0
        self.rigidity = HiddenRigidity(self.population, config.rigidity_weight, times, self.seed) if rigid else None
        self.cameras = CameraAdam.of(window, config.poses, footprint)
        """Who refines the training frames' poses; None where they are held."""
        self.squared_error = math.nan
        """Running mean over the real frames' steps."""
        self.changed_before = -1
        """The last step before which Gaussians came and went."""

    @property
    def device(self) -> torch.device:
        """Where the scene is trained."""
        return self.optimizer.base.device

    @property
    def view(self) -> View:
        """What the next step is trained on."""
        return self.window[self.schedule[self.step]]

    @property
    def progress(self) -> float:
        """Part of the steps that are done, in [0, 1]."""
        return self.step / self.config.iterations

    @property
    def psnr(self) -> float:
        """Running training PSNR over tissue, dB."""
        return -10 * math.log10(max(self.squared_error, 1e-12)) if math.isfinite(self.squared_error) else math.nan

    @property
    def change_is_due(self) -> bool:
        """Whether Gaussians come or go before the next step.

        Once: a step that diverged is tried again, after a checkpoint of the population as changed.
        """
        return self.step in self.density.changes and self.changed_before != self.step

    def change(self) -> None:
        """Let Gaussians come and go before the next step. After an error in here the state is good for nothing."""
        return_freed_memory()
        self.density.change(self.population, self.step)
        self.changed_before = self.step

    def take(self) -> Frame | Pause:
        """Let the source's next frame into the window, between two steps; where there is none, why.

        Raises ValueError for a deformation that lies over the time of a whole clip.
        """
        self._cover()  # raises before anything has changed
        frame = self.window.take()
        if isinstance(frame, Frame):
            self.maps.enter()
            if self.cameras is not None:
                self.cameras.enter()
            self._window_changed()
        return frame

    def forget(self) -> None:
        """Let the window's earliest frame go, and what the scene holds for its time alone."""
        self.window.leave()
        self.maps.leave()
        if self.cameras is not None:
            self.cameras.leave()
        self._window_changed()

    def _cover(self) -> None:
        self.optimizer.cover(self.window.frames[0].time, self.window.frames[-1].time)

    def _window_changed(self) -> None:
        self._cover()
        self.schedule.redraw(self.step)
        if self.rigidity is not None:
            self.rigidity.times = [view.time for view in self.window.real]

    def see(self, squared_error: float) -> None:
        """Take a step's squared error into the running mean."""
        past = self.squared_error
        known = math.isfinite(past)
        self.squared_error = PSNR_MEMORY * past + (1 - PSNR_MEMORY) * squared_error if known else squared_error

    def checkpoint(self) -> Checkpoint:
        """The state between two steps."""
        tensors: dict[str, Tensor] = {}
        for part in self._parts():
            tensors |= part.state()
        tensors["squared_error"] = torch.tensor([self.squared_error], dtype=torch.float64)
        tensors["changed_before"] = torch.tensor([self.changed_before])
        return Checkpoint(self.step, tensors, self.run, self.log)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Continue from a checkpoint of the same run.

        Raises InputError when it is another's, or damaged; this state is then good for nothing.
        """
        try:
            if checkpoint.step > self.config.iterations:
                raise ValueError(f"step {checkpoint.step} of {self.config.iterations}")
            check_layout(checkpoint.layout, self._empty_layout(), self.config.gaussians_cap, self._optional_layout())
            read = checkpoint.read()
            check_values(read, checkpoint.step, len(read["base"]))
            # Copies: a file's tensors lie at any address, and sums over them then round otherwise than torch's own do.
            tensors = {name: tensor.to(self.device, copy=True) for name, tensor in read.items()}
            for part in self._parts():
                part.load_state(tensors)
            self.squared_error = float(read["squared_error"])
            self.changed_before = int(read["changed_before"])
        except (KeyError, ValueError) as error:
            raise InputError(f"the checkpoint does not fit this run ({error}); {ANEW}") from error
        self.step, self.log = checkpoint.step, list(checkpoint.log)

    def check_finite(self) -> None:
        """Raise FitDiverged with the step and the attribute when a parameter is not finite."""
        for name, tensor in {"canonical": self.optimizer.base, **self.optimizer.deformation.tensors()}.items():
            if not bool(torch.isfinite(tensor.sum())):
                what = f"{name} {blame(tensor)}" if tensor.shape[-1:] == (CHANNELS,) else name
                raise self.diverged(f"{what} are not finite")
        for name, tensor in self.optimizer.shown_appearance.tensors().items():
            if not bool(torch.isfinite(tensor.sum())):
                raise self.diverged(f"the appearance's {name} is not finite")

    def diverged(self, why: str) -> FitDiverged:
        """The error that ends the fit at this step."""
        return FitDiverged(f"the fit diverged at step {self.step}: {why}")

    def _parts(self) -> Iterator[Any]:
        """All that has a state, in the order in which it is taken up again."""
        yield from (self.optimizer, self.population, self.density)
        if self.rigidity is not None:
            yield self.rigidity
        if self.cameras is not None:
            yield self.cameras

    def _empty_layout(self) -> Layout:
        """The tensors that a checkpoint of this fit has, with zeros for the number of Gaussians; drops those here."""
        self.population.keep(torch.zeros(len(self.population), dtype=torch.bool, device=self.device))
        known, found = set(self._optional_layout()), {}
        for name, (dtype, shape) in layout_of(self.checkpoint().tensors).items():
            if name not in known:
                found[name] = (dtype, (shape[0], ANY, *shape[2:]) if name in PER_NEIGHBOUR else shape)
        return found

    def _optional_layout(self) -> Layout:
        return {} if self.rigidity is None else self.rigidity.layout()


def blame(packed: Tensor) -> str:
    """Attributes of packed rows (..., 14) that hold a number that is not finite."""
    bad = [name for name, channels in ATTRIBUTES.items() if not bool(torch.isfinite(packed[..., channels]).all())]
    return ", ".join(bad) or "their sum overflows"
