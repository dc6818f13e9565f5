"""SplineAdam against torch's Adam and autograd through the spline."""

import pytest
import torch

from endogs.fit.config import PRESETS, FitConfig
from endogs.fit.optimize.spline_adam import BETAS, EPS, SplineAdam, adam_slice, channel_rates
from endogs.gaussians import CHANNELS, MEANS
from endogs.pipeline.options import Reconstruct
from endogs.scene import Knots, SplineDeformation, StaticDeformation

CONFIG = FitConfig(iterations=10)


def test_adam_slice_equals_torch():
    torch.manual_seed(0)
    ours, theirs = torch.randn(7, CHANNELS), None
    theirs = ours.clone().requires_grad_(True)
    m, v = torch.zeros_like(ours), torch.zeros_like(ours)
    optimizer = torch.optim.Adam([theirs], lr=3e-2, betas=BETAS, eps=EPS)
    for step in range(1, 6):
        grad = torch.randn(7, CHANNELS)
        theirs.grad = grad.clone()
        optimizer.step()
        adam_slice(ours, m, v, grad, torch.full((CHANNELS,), 3e-2), step)
    assert torch.allclose(ours, theirs.detach(), atol=1e-5)


def test_a_step_equals_autograd_through_the_spline():
    torch.manual_seed(1)
    knots = Knots.evenly(0.0, 1.0, 4)
    base, control = torch.randn(5, CHANNELS), torch.randn(knots.count, 5, CHANNELS)
    goal, time = torch.randn(5, CHANNELS), 2.3
    optimizer = SplineAdam(base.clone(), SplineDeformation(control.clone(), knots), CONFIG, pixel_footprint=0.5)
    packed = optimizer.packed_at(time).requires_grad_()
    ((packed - goal) ** 2).sum().backward()
    optimizer.step(packed.grad, time, progress=0.0)

    reference = [base.clone().requires_grad_(True), control.clone().requires_grad_(True)]
    index, weights = knots.locate(time)
    at = reference[0] + sum(w * reference[1][index + k] for k, w in enumerate(weights))
    ((at - goal) ** 2).sum().backward()
    rates = [channel_rates(CONFIG.base_rates, 0.5), channel_rates(CONFIG.control_rates, 0.5)]
    # The first step of Adam is the learning rate times the gradient's sign.
    for tensor, lr, ours in zip(reference, rates, (optimizer.base, optimizer.deformation.control), strict=True):
        expected = tensor.detach() - lr * tensor.grad.sign()
        assert torch.allclose(ours, expected, atol=1e-6)
    untouched = [k for k in range(knots.count) if not index <= k < index + 4]
    assert torch.equal(optimizer.deformation.control[untouched], control[untouched])


def test_rates_decay_and_scale_with_the_pixel_footprint():
    lr = channel_rates(CONFIG.base_rates, 0.25)
    assert torch.allclose(lr[MEANS], torch.tensor(CONFIG.base_rates.position * 0.25))
    moved = []
    for progress in (0.0, 1.0):
        optimizer = SplineAdam(torch.zeros(1, CHANNELS), StaticDeformation(), CONFIG, 1.0)
        optimizer.step(torch.ones(1, CHANNELS), 0.0, progress)
        moved.append(float(optimizer.base[0, 11]))
    assert moved[1] / moved[0] == pytest.approx(CONFIG.base_rates.final)


def test_appending_and_dropping_keep_the_others_as_they_were():
    torch.manual_seed(2)
    knots = Knots.evenly(0.0, 1.0, 2)
    base, control = torch.randn(4, CHANNELS), torch.randn(knots.count, 4, CHANNELS)
    optimizer = SplineAdam(base, SplineDeformation(control, knots), CONFIG, 1.0)
    optimizer.step(torch.randn(4, CHANNELS), 0.5, 0.0)
    before = {name: tensor.clone() for name, tensor in optimizer.state().items()}
    optimizer.append(torch.zeros(2, CHANNELS), torch.zeros(knots.count, 2, CHANNELS))
    assert optimizer.base.shape[0] == 6
    assert optimizer.control_moments.v[:, 4:].abs().max() == 0
    optimizer.keep(torch.tensor([True] * 4 + [False] * 2))
    after = optimizer.state()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_presets_grow_and_overrides_hold():
    fast, balanced, best = (PRESETS[name] for name in ("fast", "balanced", "best"))
    assert fast.iterations < balanced.iterations < best.iterations
    for preset in (fast, balanced, best):
        assert preset.initial_gaussians + sum(count for _, count in preset.insertions) <= preset.gaussians_cap
    config = Reconstruct("clip.mp4", iterations=7, gaussians=50).fit_config()
    assert (config.iterations, config.gaussians_cap, config.initial_gaussians) == (7, 50, 50)


@pytest.mark.parametrize("preset", PRESETS)
def test_longer_clips_take_more_steps_in_proportion_unless_they_are_named(preset):
    own = PRESETS[preset].iterations
    steps = [Reconstruct("clip.mp4", preset=preset).fit_config(frames).iterations for frames in (0, 5, 63, 126, 630)]
    assert steps == [own, own, own, 2 * own, 10 * own]
    assert Reconstruct("clip.mp4", preset=preset, iterations=7).fit_config(630).iterations == 7
