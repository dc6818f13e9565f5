"""Hidden tissue keeps its shape: rotations, the energy's gradient, and what a relaxation does to a spline."""

import math
from dataclasses import replace

import pytest
import torch
from samples.sliding_clip import InstrumentOnTheLeft, sliding_clip
from samples.small_fits import CONFIG, new_fit

from endogs.camera import Camera
from endogs.errors import InputError
from endogs.fit.checkpoint import load_checkpoint, save_checkpoint
from endogs.fit.config import FitConfig
from endogs.fit.density.population import Population
from endogs.fit.loop import run_fit
from endogs.fit.optimize.spline_adam import SplineAdam
from endogs.fit.rigidity import HiddenRigidity, best_rotations, occluded_gaussians, rigidity_energy, rotation_of
from endogs.fit.view import View
from endogs.gaussians import CHANNELS
from endogs.scene import StaticDeformation
from endogs.scene.deformation.knots import Knots
from endogs.scene.deformation.spline import SplineDeformation


def stars(count: int = 5, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, 6, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("turn", [0.05, 0.4, 0.78])
def test_rotations_are_found_and_cost_nothing(turn):
    rest = stars()
    axis = torch.nn.functional.normalize(torch.tensor([[1.0, -2.0, 0.5]], dtype=torch.float64)).expand(5, 3)
    true = rotation_of(axis * turn)
    now = rest @ true.transpose(1, 2)
    torch.testing.assert_close(best_rotations(rest, now, 10), true, rtol=0, atol=1e-6)
    energy, gradient = rigidity_energy(rest, rest @ rotation_of(axis * 0.05).transpose(1, 2))
    assert energy.max() < 1e-12
    assert gradient.abs().max() < 1e-5


def test_found_rotation_is_the_best_one():
    """Against the singular value decomposition (Kabsch), which is another algorithm."""
    rest = stars()
    now = rest + 0.2 * stars(seed=1)
    u, _, vt = torch.linalg.svd(now.transpose(1, 2) @ rest)
    flip = torch.diag_embed(torch.stack([torch.ones(5), torch.ones(5), torch.det(u @ vt)], 1).double())
    torch.testing.assert_close(best_rotations(rest, now, 12), u @ flip @ vt, rtol=0, atol=1e-8)


def test_gradient_is_the_energys():
    rest = stars(3)
    now = rest @ rotation_of(torch.full((3, 3), 0.1, dtype=torch.float64)).transpose(1, 2) + 0.1 * stars(3, seed=2)
    _, gradient = rigidity_energy(rest, now)
    step = 1e-6
    for p, k, axis in [(0, 0, 0), (1, 3, 2), (2, 5, 1), (0, 2, 1)]:
        moved = now.clone()
        moved[p, k, axis] += step
        less = now.clone()
        less[p, k, axis] -= step
        # The rounds are few on purpose; enough of them here for the derivative to be that of the minimum.
        slope = sum(sign * _energy(rest, x)[p] for sign, x in ((1, moved), (-1, less))) / (2 * step)
        assert float(slope) == pytest.approx(float(gradient[p, k, axis]), rel=1e-3, abs=1e-6)


def _energy(rest, now):
    off = now - rest @ best_rotations(rest, now, 12).transpose(1, 2)
    return off.square().sum(2).mean(1)


def hidden_view(time: float, frame: int, size: int = 32) -> View:
    K = torch.tensor([[32.0, 0, 16], [0, 32, 16], [0, 0, 1]])
    hidden = torch.zeros(size, size, dtype=torch.uint8)
    hidden[12:20, 12:20] = 1
    blank = torch.zeros(size, size, dtype=torch.uint8)
    return View(
        time, Camera(K, torch.eye(4), size, size), blank[..., None].repeat(1, 1, 3), blank, frame, occluded=hidden
    )


def sheet(knots: Knots) -> SplineAdam:
    """A flat sheet at z = 10 that turns and sinks with time, as 400 Gaussians."""
    x, y = torch.meshgrid(torch.linspace(-4, 4, 20), torch.linspace(-4, 4, 20), indexing="xy")
    base = torch.zeros(400, CHANNELS)
    base[:, :3] = torch.stack([x.flatten(), y.flatten(), torch.full((400,), 10.0)], 1)
    base[:, 3] = 1
    control = torch.zeros(knots.count, 400, CHANNELS)
    for k in range(knots.count):
        control[k, :, 2] = 0.3 * k + 0.02 * k * base[:, 0]
    return SplineAdam(base, SplineDeformation(control, knots), FitConfig(), 0.1)


def test_occluded_gaussians_return_to_their_neighbours_and_others_stay():
    knots = Knots.over(0.0, 1.0, 0.25)
    optimizer = sheet(knots)
    view = hidden_view(0.5, 2)
    right = optimizer.packed_at(view.time)
    hidden = occluded_gaussians(right, view)
    assert 4 < len(hidden) < 100
    strayed = hidden[::3]
    deformation = optimizer.deformation
    assert isinstance(deformation, SplineDeformation)
    index, weights = knots.locate(view.time)
    noise = 0.3 * torch.randn(len(strayed), 3, generator=torch.Generator().manual_seed(0))
    for k, w in enumerate(weights):
        deformation.control[index + k, strayed, :3] += w * noise / sum(v * v for v in weights)
    before = (optimizer.packed_at(view.time) - right)[:, :3].norm(dim=1)
    rigidity = HiddenRigidity(Population(optimizer), 0.5, [0.0, 0.25, 0.5, 0.75, 1.0], seed=0)
    for step in range(30):
        assert rigidity.relax(view, step) > len(hidden) - 5
    after = (optimizer.packed_at(view.time) - right)[:, :3].norm(dim=1)
    assert after[strayed].mean() < 0.4 * before[strayed].mean()
    seen = torch.ones(400, dtype=torch.bool)
    seen[hidden] = False
    assert torch.equal(after[seen], before[seen])
    assert math.isfinite(float(deformation.control.sum()))


def test_a_view_that_hides_nothing_is_left_alone():
    knots = Knots.over(0.0, 1.0, 0.25)
    optimizer = sheet(knots)
    view = hidden_view(0.5, 2)
    nothing = View(view.time, view.camera, view.image, view.weight, 2)
    before = optimizer.deformation.tensors()["control"].clone()
    assert HiddenRigidity(Population(optimizer), 0.5, [0.0, 1.0], seed=0).relax(nothing, 0) == 0
    assert torch.equal(optimizer.deformation.tensors()["control"], before)


def test_neighbours_follow_gaussians_that_change_places():
    """As many Gaussians as before, in another order: what was known about their rows is no longer true."""
    optimizer = sheet(Knots.over(0.0, 1.0, 0.25))
    population, view = Population(optimizer), hidden_view(0.5, 2)
    rigidity = HiddenRigidity(population, 0.5, [0.0, 0.25, 0.5], seed=0)
    rigidity.relax(view, 0)
    order = torch.randperm(400, generator=torch.Generator().manual_seed(0))
    population.append_copies(*population.copies(order))
    population.keep(torch.arange(800) >= 400)
    assert rigidity.state() == {}, "stale ones are not saved"
    rigidity.relax(view, 4)
    means = optimizer.base[:, :3]
    distance = (means[:, None] - means[rigidity.state()["rigid_neighbours"]]).norm(dim=2)
    assert distance.max() < 1.3


def test_a_fit_with_rigidity_resumes_bit_identically_and_differs_from_one_without(tmp_path):
    clip = sliding_clip(tmp_path / "clip", frames=6).with_masks(InstrumentOnTheLeft())
    config = replace(CONFIG, iterations=48, rigidity_weight=0.5)
    whole, part, again, without = (
        new_fit(clip, one) for one in (config, config, config, replace(config, rigidity_weight=0.0))
    )
    run_fit(whole, show=False)
    run_fit(without, show=False)
    for _ in range(42):
        part.advance()
    save_checkpoint(part.checkpoint(), tmp_path)
    again.restore(load_checkpoint(tmp_path))
    known = part.checkpoint().tensors["rigid_neighbours"]
    assert torch.equal(again.checkpoint().tensors["rigid_neighbours"], known)
    run_fit(again, show=False)
    ours, theirs = again.checkpoint().tensors, whole.checkpoint().tensors
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert not torch.equal(theirs["control"], without.checkpoint().tensors["control"])


def test_rigidity_without_splines_is_refused():
    optimizer = SplineAdam(torch.zeros(4, CHANNELS), StaticDeformation(), FitConfig(), 0.1)
    with pytest.raises(InputError, match=r"rigidity_weight needs the deformation spline, not none"):
        HiddenRigidity(Population(optimizer), 0.5, [0.0, 1.0], seed=0)
