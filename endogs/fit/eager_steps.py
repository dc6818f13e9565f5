"""One training step, from top to bottom: show, compare, differentiate, check, balance, step, and look back."""

import math
from dataclasses import dataclass

from endogs.fit.objective.objective import fixed_order
from endogs.fit.objective.result import StepResult
from endogs.fit.optimize.scene_optimizer import NotFinite
from endogs.fit.rigidity import RIGID_STEPS
from endogs.fit.state import FitState, blame


@dataclass(frozen=True)
class StepLog:
    """What the last step of a run of steps reported, and the squared errors of all of them."""

    loss: float
    terms: dict[str, float]
    squared_errors: list[float]
    """Weighted mean over pixels and channels of the steps on real frames that show tissue, for the running PSNR."""


class EagerSteps:
    """Takes steps one by one, on any device, with any deformation and any terms."""

    def release(self) -> None:
        """Nothing is kept from step to step."""

    def take(self, state: FitState, most: int) -> StepLog:
        """One step, of up to `most`. Raises FitDiverged before it takes over what is not finite."""
        # Gaussians come and go between steps.
        if state.change_is_due:
            state.change()

        # The Gaussians of the view's instant, moved, and coloured as its camera sees them.
        view, optimizer = state.view, state.optimizer
        shown = optimizer.shown_at(view.time, view.camera)

        # Draw them, compare with the view, and go back from pixels to Gaussians.
        try:
            with fixed_order(state.deterministic):
                result = state.objective.evaluate(shown, view, state.step)
        except (ValueError, RuntimeError) as error:
            state.check_finite()
            if "not finite" not in str(error):
                raise
            raise state.diverged(str(error)) from error
        check(result, state)

        # What the auxiliary terms ask for may be kept from disturbing colour.
        grad = result.grad if state.bloop is None else state.bloop.combine(result.grad, result.auxiliary)

        # What moves all Gaussians alike moves the camera.
        if state.cameras is not None:
            state.cameras.step(shown, grad, state.schedule[state.step], state.progress)

        # From the Gaussians that were drawn back to appearance, canonical Gaussians and motion, and step them.
        try:
            optimizer.step(grad, view.time, state.progress)
        except NotFinite as error:
            raise state.diverged(str(error)) from error

        # Density control looks at what the step got wrong, and hidden tissue keeps its shape.
        state.density.observe(state.population, view, shown, result, state.step)
        if state.rigidity is not None and state.step % RIGID_STEPS == 0:
            state.rigidity.relax(view, state.step)

        errors = [result.squared_error] if view.frame is not None and view.weight_sum > 0 else []
        state.step += 1
        for squared in errors:
            state.see(squared)
        return StepLog(result.loss, result.terms, errors)


def check(result: StepResult, state: FitState) -> None:
    """Raise FitDiverged, which names the term or the attribute, when the loss or a gradient is not finite."""
    if not math.isfinite(result.loss):
        bad = ", ".join(name for name, term in result.terms.items() if not math.isfinite(term)) or "smoothness"
        raise state.diverged(f"the loss is not finite ({bad})")
    for part in (result.grad, result.auxiliary):
        if part is not None and not math.isfinite(float(part.sum())):
            raise state.diverged(f"the gradient is not finite ({blame(part)})")
