"""Steps of a fit that an NVIDIA GPU takes many at a time, where all that the fit asks for is known to its graph."""

from typing import cast

from endogs import native
from endogs.errors import FitDiverged
from endogs.fit.cuda_steps import CudaSteps
from endogs.fit.eager_steps import StepLog
from endogs.fit.optimize.spline_adam import SplineAdam
from endogs.fit.rigidity import RIGID_STEPS
from endogs.fit.state import FitState


def uncaptured(state: FitState) -> list[str]:
    """What the fit asks for that a GPU's captured steps do not know; read off its parts."""
    asked = {
        f"the deformation {state.config.deformation}": not state.optimizer.in_graph,
        "colors or exposure": not state.optimizer.shown_appearance.plain,
        f"density {state.config.density}": not state.density.in_graph,
        "poses that are refined": state.cameras is not None,
        f"balance {state.config.balance}": state.bloop is not None,
        "deformation that pays for being there": state.config.rest_pull > 0,
        "kernels that are not compiled for this GPU": not native.runs_on(state.device.type),
    }
    asked |= {f"the loss term {term.name}": not term.in_graph for term in state.objective.terms}
    return [what for what, is_asked in asked.items() if is_asked]


class GraphSteps:
    """Takes all steps before the next change of the number of Gaussians in one piece."""

    def __init__(self) -> None:
        self._engine: CudaSteps | None = None

    def release(self) -> None:
        """Forget the captured graph: the state was restored from elsewhere."""
        self._engine = None

    def take(self, state: FitState, most: int) -> StepLog:
        """Up to `most` steps. Raises FitDiverged; a gradient that is not finite only keeps its own Gaussians from the
        step, which the others have taken.
        """
        optimizer = cast("SplineAdam", state.optimizer)  # the one that is `in_graph`
        if self._engine is None:
            self._engine = CudaSteps(optimizer, state)
        if state.change_is_due:
            self._engine.release()
            state.change()
        later = [step - state.step for step in state.density.changes if step > state.step]
        count = min([most, state.config.iterations - state.step, *later])
        if state.rigidity is not None:
            count = min(count, -state.step % RIGID_STEPS + 1)  # a relaxation comes right after its step
        try:
            log = self._engine.run(state.step, count)
        except FitDiverged:
            state.step = optimizer.base_steps
            state.check_finite()
            raise
        for step in range(state.step, state.step + count):
            if state.rigidity is not None and step % RIGID_STEPS == 0:
                state.rigidity.relax(state.window[state.schedule[step]], step)
        state.step += count
        for error in log.squared_errors:
            state.see(error)
        return log
