"""What the host keeps track of while a GPU takes steps, with an engine that only counts: no GPU is needed here."""

from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from samples.given_state import GivenViews, given_state

from endogs.camera import Camera
from endogs.errors import FitDiverged
from endogs.fit import cuda_steps
from endogs.fit.config import FitConfig
from endogs.fit.cuda_steps import BAD_GRADIENT, BAD_LOSS, OVERFLOW, CudaSteps, corrected
from endogs.fit.optimize.spline_adam import BETAS, SplineAdam
from endogs.fit.view import View
from endogs.gaussians import CHANNELS
from endogs.scene import Knots, SplineDeformation

KNOTS = Knots.evenly(0.0, 1.0, 4)
STEPS = 20
LOSS_OF = 10.0
"""The counting engine's loss at step i is LOSS_OF + i."""


class CountingEngine:
    """Takes steps by counting them, and fails where it is told to."""

    def __init__(self, kernels, capacity, log, first):
        self.kernels, self.capacity, self.log, self.done = kernels, capacity, log, first
        self.failure, self.needed = 0, 0

    def run(self, with_extra, as_graph, stream):
        self.kernels.launched += [(self.done + k, bool(extra)) for k, extra in enumerate(with_extra)]
        for _ in with_extra:
            if self.failure:
                return
            self.needed = max(self.needed, self.kernels.entries_at(self.done))
            if self.needed > self.capacity:
                self.failure = OVERFLOW
            elif self.done == self.kernels.fails_at:
                self.failure = self.kernels.fails_with
            if self.failure not in (0, BAD_GRADIENT):
                return
            row = torch.zeros(8, dtype=torch.float64)
            row[1], row[6] = 3.0, LOSS_OF + self.done
            self.log[self.done] = row
            self.done += 1

    def progress(self, stream):
        return self.done, self.failure, self.needed, 0b1100000000000000 >> 2


class CountingKernels:
    log_terms = 8

    def __init__(self):
        self.launched, self.engines, self.views = [], [], []
        self.fails_at, self.fails_with = -1, 0
        self.entries_at = lambda step: 100

    def view_record(self, *arguments):
        self.views.append(arguments)
        return b"view"

    def step_records(self, views, smooth, rates, roots):
        self.steps = (views, smooth, rates, roots)
        return b"step" * len(views)

    def state_bytes(self, count, width, height):
        return 1

    def workspace_bytes(self, *shape):
        return 1

    def project(self, *arguments):
        return 100

    def new_fit(self, *arguments):
        capacity, log, first = arguments[11], arguments[20], arguments[21]
        self.engines.append(arguments)
        return CountingEngine(self, capacity, log, first)


@pytest.fixture
def kernels(monkeypatch):
    """The counting kernels in place of the compiled ones, and streams that do nothing."""
    fake = CountingKernels()
    stream = SimpleNamespace(cuda_stream=0, wait_stream=lambda other: None)
    monkeypatch.setattr(cuda_steps, "native", SimpleNamespace(module=lambda: SimpleNamespace(cuda=fake)))
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: nullcontext())
    return fake


def three_views():
    camera = Camera(torch.eye(3), torch.eye(4), 6, 4)
    image, weight = torch.zeros(4, 6, 3, dtype=torch.uint8), torch.full((4, 6), 255, dtype=torch.uint8)
    return GivenViews([View(0.4 + 1.1 * k, camera, image, weight, k if k < 2 else None) for k in range(3)], "logdepth")


def steps_of(first=0, count=7, blind=None):
    config = FitConfig(iterations=STEPS, ssim_weight=0.0)
    optimizer = SplineAdam(torch.randn(count, CHANNELS), SplineDeformation.at_rest(count, KNOTS), config, 0.1)
    views = three_views()
    if blind is not None:
        views.views[blind] = replace(views.views[blind], weight=torch.zeros_like(views.views[blind].weight))
    order = [step % 3 for step in range(STEPS)]
    state = given_state(config, views, order, torch.ones(4, 6, dtype=torch.bool), step=first)
    return CudaSteps(optimizer, state), optimizer, views


def test_the_table_holds_what_the_optimizer_would_come_to(kernels):
    _, optimizer, views = steps_of()
    table, smooth, rates, roots = kernels.steps
    assert table.tolist() == [step % 3 for step in range(STEPS)]
    assert smooth.tolist() == pytest.approx([4 * 0.02 if step % 4 == 0 else 0 for step in range(STEPS)])
    knot_steps = [0] * KNOTS.count
    for step in range(STEPS):
        decays = optimizer.decays(step / STEPS)
        assert rates[step, 0] == pytest.approx(decays[0] / (1 - BETAS[0] ** (step + 1)), rel=1e-6)
        assert roots[step, 0] == pytest.approx((1 - BETAS[1] ** (step + 1)) ** -0.5, rel=1e-6)
        index, _ = KNOTS.locate(views[step % 3].time)
        for k in range(4):
            knot_steps[index + k] += 1
            expected = corrected(decays[1], knot_steps[index + k])
            assert (float(rates[step, k + 1]), float(roots[step, k + 1])) == pytest.approx(expected, rel=1e-6)


def test_steps_are_taken_once_each_and_counted(kernels):
    steps, optimizer, views = steps_of()
    log = steps.run(0, 12)
    assert [step for step, _ in kernels.launched] == list(range(12))
    assert [extra for _, extra in kernels.launched] == [step % 4 == 0 for step in range(12)]
    assert optimizer.base_steps == 12
    touched = sum(1 for step in range(12) for k in range(4) if KNOTS.locate(views[step % 3].time)[0] + k == 2)
    assert optimizer.knot_steps[2] == touched
    assert log.loss == LOSS_OF + 11
    assert len(log.squared_errors) == 8  # one view of three is virtual
    assert log.squared_errors[0] == pytest.approx(3 / (3 * 24))
    assert len(kernels.engines) == 1
    steps.run(12, 8)
    assert optimizer.base_steps == STEPS
    assert len(kernels.engines) == 1


def test_frames_without_tissue_report_no_error(kernels):
    steps = steps_of()[0]
    assert len(steps.run(0, 6).squared_errors) == 4
    blind = steps_of(blind=0)[0]
    assert len(blind.run(0, 6).squared_errors) == 2


def test_too_little_room_is_made_up_for_from_the_step_that_wanted_it(kernels):
    kernels.entries_at = lambda step: 100 if step < 5 else 50_000
    steps, optimizer, _ = steps_of()
    assert steps.run(0, 10).loss == LOSS_OF + 9
    assert optimizer.base_steps == 10
    assert [arguments[21] for arguments in kernels.engines] == [0, 5]
    assert kernels.engines[1][11] >= 50_000
    assert steps.capacity >= 50_000


def test_a_change_of_the_gaussians_starts_from_what_there_is_then(kernels):
    steps, optimizer, _ = steps_of()
    steps.run(0, 6)
    steps.release()
    optimizer.append(torch.randn(3, CHANNELS), torch.zeros(KNOTS.count, 3, CHANNELS))
    steps.run(6, 2)
    assert [arguments[0].shape[0] for arguments in kernels.engines] == [7, 10]
    assert kernels.engines[1][21] == 6
    assert kernels.engines[1][3].data_ptr() == optimizer.deformation.control.data_ptr()


def test_a_resumed_fit_prepares_and_takes_only_what_is_left(kernels):
    steps, _, views = steps_of(first=STEPS - 2)
    assert views.prepared == [0, 1]  # the last two steps' views
    assert steps.run(STEPS - 2, 2).loss == LOSS_OF + STEPS - 1


@pytest.mark.parametrize(
    ("failure", "at", "told", "steps_taken"),
    [
        (BAD_LOSS, 7, r"step 7: the loss is not finite", 7),
        (BAD_GRADIENT, 7, r"step 7: the gradient is not finite \(colors\)", 8),
    ],
)
def test_a_failure_names_its_step_and_what_was_bad(kernels, failure, at, told, steps_taken):
    kernels.fails_at, kernels.fails_with = at, failure
    steps, optimizer, _ = steps_of()
    with pytest.raises(FitDiverged, match=told):
        steps.run(0, 10)
    assert optimizer.base_steps == steps_taken


def test_gaussians_that_are_not_finite_before_the_first_step_are_divergence(kernels, monkeypatch):
    def refuse(*arguments):
        raise ValueError("a Gaussian is not finite")

    monkeypatch.setattr(kernels, "project", refuse)
    with pytest.raises(FitDiverged, match="step 0: a Gaussian is not finite"):
        steps_of()[0].run(0, 5)


def test_a_views_record_holds_the_cpus_scales(kernels):
    steps_of()
    scales = [arguments[10:14] for arguments in kernels.views]
    assert scales == [(1 / (3 * 24), 0.0, 0.0, 0.0)] * 3
    knots = [arguments[15] for arguments in kernels.views]
    assert knots == [KNOTS.locate(0.4 + 1.1 * k)[0] for k in range(3)]
