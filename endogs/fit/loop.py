"""The optimization loop: take steps, and now and then save and report."""

import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from endogs.clip.frame_source import Frame, Pause
from endogs.errors import FitDiverged
from endogs.fit.checkpoint import Checkpoint
from endogs.fit.checkpoint_clock import CheckpointClock
from endogs.fit.config import FitConfig
from endogs.fit.eager_steps import EagerSteps, StepLog
from endogs.fit.graph_steps import GraphSteps, uncaptured
from endogs.fit.interrupt import InterruptFlag
from endogs.fit.state import FitState
from endogs.memory_budget import return_freed_memory
from endogs.progress import Progress

CHECK_STEPS = 50
"""Steps between looks at all parameters, and between progress records."""


class Stepper(Protocol):
    """Takes the steps of a fit."""

    def take(self, state: FitState, most: int) -> StepLog:
        """Up to `most` steps, as many as go in one piece. Raises FitDiverged."""

    def release(self) -> None:
        """The state was restored from elsewhere."""


@dataclass
class Fit(FitState):
    """A fit in progress: its state, and who takes its steps."""

    stopped_by: signal.Signals | None = None
    """What ended the loop before its last step, such as Ctrl-C."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._uncaptured = uncaptured(self) if self.device.type == "cuda" else []
        captured = self.device.type == "cuda" and not self._uncaptured
        self.stepper: Stepper = GraphSteps() if captured else EagerSteps()

    def restore(self, checkpoint: Checkpoint) -> None:
        """Continue from a checkpoint of the same run. Raises InputError when it is another's, or damaged."""
        self.stepper.release()
        super().restore(checkpoint)

    def take(self) -> Frame | Pause:
        """A frame enters; what the stepper knows of the views is old then."""
        self.stepper.release()
        return super().take()

    def forget(self) -> None:
        """A frame leaves."""
        self.stepper.release()
        super().forget()

    def advance(self, most: int = 1) -> StepLog:
        """Up to `most` steps, as many as go in one piece: on a GPU all before the next insertion, elsewhere one.

        Raises FitDiverged before what is not finite is taken over; on a GPU a gradient that is not finite only keeps
        its own Gaussians from the step, which the others have taken.
        """
        return self.stepper.take(self, most)

    @property
    def slow_steps_note(self) -> str | None:
        """Why a GPU launches this fit's steps one by one, in a sentence; None where it does not, and elsewhere."""
        if not self._uncaptured:
            return None
        return f"the GPU's steps are launched one by one, which is slower, because of {', '.join(self._uncaptured)}"


def run_fit(
    fit: Fit,
    checkpoints: Path | None = None,
    show: bool = True,
    on_step: Callable[[Fit], None] | None = None,
    save_last: bool = False,
) -> None:
    """Run the remaining steps. With a folder, checkpoints go there by the clock, when a signal ends the run, and with
    `save_last` after the last step, where more is to follow that may be stopped.

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
        fit.check_finite()
        return fit.checkpoint()

    with InterruptFlag() as interrupt, Progress("step", rate="it/s", start=fit.step) as progress, clock:
        while fit.step < total and not interrupt.raised:
            try:
                log = fit.advance(CHECK_STEPS - fit.step % CHECK_STEPS)
            except FitDiverged:
                if fit.step > 0:
                    clock.save(state)
                raise
            count = fit.optimizer.base.shape[0]
            if fit.step % CHECK_STEPS == 0 or fit.step == total:
                fit.check_finite()
                return_freed_memory()
                seconds = round(before + time.monotonic() - started, 3)
                record = {"step": fit.step, "loss": log.loss, **log.terms, "psnr": fit.psnr, "gaussians": count}
                fit.log.append({**record, "seconds": seconds})
            if show:
                progress(fit.step, total, f"  loss {log.loss:.4f}  PSNR {fit.psnr:.2f} dB  {count} Gaussians")
            if on_step is not None:
                on_step(fit)
            clock.save_if_due(state)
        fit.stopped_by = interrupt.raised if fit.step < total else None
        if fit.stopped_by is not None:
            clock.save(state)
        elif save_last:
            clock.save_where_possible(state)


def run_identity(config: FitConfig, **facts: Any) -> dict[str, Any]:
    """JSON that tells two runs apart: the fit's numbers and the given facts."""
    return {"fit": asdict(config) | {"insertions": [list(i) for i in config.insertions]}, **facts}
