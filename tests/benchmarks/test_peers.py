"""The recipes of peers beside the comparison: starts, clone and split, total variation, fits that learn and repeat."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from samples.gaussian_scenes import make_scene
from samples.small_fits import CONFIG, new_fit

from endogs.fit.checkpoint import load_checkpoint, save_checkpoint
from endogs.fit.density.control import DensitySetup
from endogs.fit.density.population import Population
from endogs.fit.density.residual_maps import ResidualMaps
from endogs.fit.graph_steps import uncaptured
from endogs.fit.loop import run_fit
from endogs.fit.optimize.spline_adam import SplineAdam
from endogs.gaussians import COLORS, LOG_SCALES, MEANS, OPACITY, QUATS
from endogs.render import Rendering, rasterize_packed
from endogs.scene import Knots, SplineDeformation

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from comparison.peers.adaptive import PULL, SEEN, AdaptiveDensity, AdaptiveNumbers, in_view, screen_pull
from comparison.peers.initialization import every_frame_points, first_frame_points, first_gaussians
from comparison.peers.recipes import RECIPES
from comparison.peers.splitting import clone_or_split
from comparison.peers.total_variation import total_variation

ADAPTIVE = replace(CONFIG, density="adaptive", insertions=(), prune_opacity=1e-6)
EAGER = AdaptiveNumbers(threshold=1e-6, rounds=(0.3, 0.6))
"""Nearly everything that is seen is cloned or split."""
KNOTS = Knots.evenly(0.0, 1.0, 3)


def population(base):
    """Gaussians with slowly waving control points."""
    control = 0.02 * torch.randn(KNOTS.count, len(base), 14, generator=torch.Generator().manual_seed(5))
    control[..., OPACITY] = 0
    optimizer = SplineAdam(base.clone(), SplineDeformation(control, KNOTS), CONFIG, 1.0)
    return Population(optimizer, {"number": torch.arange(len(base)).float()})


def adaptive(config, footprint):
    """The method; it looks at no observations and no maps."""
    return AdaptiveDensity(DensitySetup(config, None, ResidualMaps.empty(1, 2, 2), footprint, 0))


@pytest.fixture(scope="module")
def base():
    return make_scene("ordinary", 60, (50, 31), seed=3).to(torch.float32).packed


def turned(camera):
    """The camera rolled and pitched, so that the world's axes are not its own."""
    angle = torch.tensor(0.7, dtype=camera.K.dtype)
    c, s = torch.cos(angle), torch.sin(angle)
    turn = torch.eye(4, dtype=camera.K.dtype)
    turn[:2, :2] = torch.stack([torch.stack([c, -s]), torch.stack([s, c])])
    return replace(camera, world_to_camera=turn @ camera.world_to_camera)


def test_the_pull_is_the_gradient_by_where_the_centre_is_drawn():
    """Moving the principal point moves what is drawn and nothing else: one Gaussian at a time, by differences. They are
    small for their depth, as a scene's are; what is left out grows with their size."""
    problem = make_scene("ordinary", 12, (50, 31), seed=4)
    problem.packed[:, LOG_SCALES] -= 1.5
    camera = turned(problem.camera)
    weights = torch.randn(31, 50, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    step, checked = 1e-4, 0
    for one in problem.packed.split(1):
        one = one.clone().requires_grad_()

        def loss(shift, one=one):
            K = camera.K.clone()
            K[:2, 2] += shift
            color = rasterize_packed(one, replace(camera, K=K), backend="reference").color
            return (color * weights).sum()

        (grad,) = torch.autograd.grad(loss(torch.zeros(2, dtype=torch.float64)), one)
        shifts = step * torch.eye(2, dtype=torch.float64)
        with torch.no_grad():
            by_pixel = torch.stack([(loss(shift) - loss(-shift)) / (2 * step) for shift in shifts])
        expected = (by_pixel * torch.tensor([camera.width / 2, camera.height / 2])).norm()
        if float(expected) > 1e-3:
            found = screen_pull(one.detach(), grad, camera)
            assert found.item() == pytest.approx(expected.item(), rel=0.05)
            checked += 1
    assert checked >= 6


def test_what_is_behind_the_camera_pulls_at_nothing(base):
    camera = make_scene("ordinary", 1, (50, 31), seed=3).to(torch.float32).camera
    camera = replace(camera, world_to_camera=torch.eye(4))
    base = base[:2].clone()
    base[:, MEANS] = torch.tensor([[0.1, 0.0, 2.0], [0.1, 0.0, -2.0]])
    front, behind = screen_pull(base, torch.ones_like(base), camera).tolist()
    assert front > 0
    assert behind == 0


def test_all_above_the_threshold_and_no_others_are_chosen_up_to_the_cap(base):
    numbers = AdaptiveNumbers(threshold=2.0, rounds=(0.5,))
    for cap, chosen in ((100, [3, 8, 20]), (62, [8, 20])):
        config = replace(ADAPTIVE, density_numbers=numbers, gaussians_cap=cap)
        control, group = adaptive(config, 1e9), population(base)
        control.prepare(group)
        group.rows[PULL][[3, 8, 20, 40, 50]] = torch.tensor([2.1, 9.0, 6.0, 1.9, 10.0])
        group.rows[SEEN][50] = 10.0  # 1 on average
        (step,) = control.changes
        control.change(group, step + 1)
        assert len(group) == 60
        control.change(group, step)
        assert group.rows["number"].shape == (60 + len(chosen),)
        assert torch.equal(group.base[60:], base[chosen])
        assert float(group.rows[PULL].abs().max()) == 0


def test_large_ones_become_two_smaller_ones_inside_and_small_ones_twins(base):
    group = population(base)
    widths = base[:, LOG_SCALES].exp().amax(1)
    large = float(widths[[4, 9]].mean())
    wide, small = (4, 9) if widths[4] > widths[9] else (9, 4)
    control = group.deformation.control.clone()
    clone_or_split(group, torch.tensor([4, 9]), large, torch.Generator().manual_seed(0))
    assert len(group) == 62
    assert float(wide) not in group.rows["number"].tolist()
    assert torch.equal(group.base[-3], base[small])
    halves = group.base[-2:]
    assert torch.allclose(halves[:, LOG_SCALES].exp() * 1.6, base[wide, LOG_SCALES].exp().expand(2, 3), rtol=1e-5)
    apart = (halves[:, MEANS] - base[wide, MEANS]).norm(dim=1)
    assert (apart > 0).all()
    assert (apart < 4 * widths[wide]).all()
    for same in (QUATS, OPACITY, COLORS):
        assert torch.equal(halves[:, same], base[[wide, wide]][:, same])
    for offset, parent in ((-3, small), (-2, wide), (-1, wide)):
        assert torch.equal(group.deformation.control[:, offset], control[:, parent])


def test_in_view_is_what_reaches_into_the_image_hidden_or_not(base):
    camera = replace(make_scene("ordinary", 1, (50, 31), seed=3).to(torch.float32).camera, world_to_camera=torch.eye(4))
    (fx, _, cx), width = camera.K[0].tolist(), 50
    one = base[:1].repeat(6, 1)
    one[:, LOG_SCALES] = torch.tensor(2.0 / fx).log()  # two pixels wide at a depth of 1
    left, right = ((edge - cx) / fx for edge in (0, width))
    beside = [left - 5 / fx, left - 7 / fx, right + 5 / fx, right + 7 / fx, 0.0, 0.0]
    one[:, MEANS] = torch.tensor([[x, 0.0, 1.0] for x in beside])
    one[5, MEANS] *= -1
    assert in_view(one, camera).tolist() == [True, False, True, False, True, False]
    packed = torch.cat([one[4:5], one[4:5]])
    packed[1, MEANS] *= 2  # behind the other, on the same ray
    assert in_view(packed, camera).all()


def test_under_bloop_the_whole_loss_pulls(clip):
    config = replace(ADAPTIVE, density_numbers=AdaptiveNumbers(rounds=(0.9,)))
    pulls = []
    for balance in ("sum", "bloop"):
        fit = new_fit(clip, replace(config, balance=balance))
        fit.advance()
        pulls.append(fit.population.rows[PULL])
    assert torch.allclose(pulls[0], pulls[1], rtol=1e-3, atol=1e-6 * float(pulls[0].max()))


def test_a_fit_counts_the_mean_pull_of_the_steps_that_had_each_in_view(clip):
    fit = new_fit(clip, replace(ADAPTIVE, density_numbers=AdaptiveNumbers(rounds=(0.5,))), deformation="bases")
    expected, seen = torch.zeros(len(fit.optimizer.base)), torch.zeros(len(fit.optimizer.base))
    for _ in range(3):
        view = fit.view
        packed = fit.optimizer.packed_at(view.time).clone()
        grad = fit.objective.evaluate(packed, view, fit.step).grad.clone()
        expected, seen = expected + screen_pull(packed, grad, view.camera), seen + in_view(packed, view.camera)
        fit.advance()
    assert 0 < float(seen.mean()) <= 3
    assert torch.allclose(fit.population.rows[PULL], expected, rtol=1e-4, atol=1e-9)
    assert torch.equal(fit.population.rows[SEEN], seen)


@pytest.mark.parametrize("deformation", ["spline", "none"])
def test_the_cap_is_met_and_never_passed(clip, deformation):
    fit = new_fit(clip, replace(ADAPTIVE, iterations=40, density_numbers=EAGER), deformation=deformation)
    first, counts = fit.advance().loss, []
    run_fit(fit, show=False, on_step=lambda fit: counts.append(len(fit.population)))
    assert max(counts) == CONFIG.gaussians_cap
    assert fit.log[-1]["loss"] < 0.8 * first


@pytest.mark.parametrize("balance", ["sum", "bloop"])
def test_resuming_is_bit_identical(clip, tmp_path, balance):
    """The checkpoint falls between two rounds, so that what was counted and averaged so far is needed."""
    config = replace(ADAPTIVE, balance=balance, density_numbers=EAGER, gaussians_cap=2000)
    whole, part, again = (new_fit(clip, config) for _ in range(3))
    run_fit(whole, show=False)
    for _ in range(10):
        part.advance()
    save_checkpoint(part.checkpoint(), tmp_path)
    assert CONFIG.initial_gaussians < len(part.population) < len(whole.population)
    again.restore(load_checkpoint(tmp_path))
    run_fit(again, show=False)
    ours, theirs = again.checkpoint().tensors, whole.checkpoint().tensors
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_gpus_captured_steps_know_neither_the_method_nor_the_term(clip, monkeypatch):
    monkeypatch.setattr("endogs.fit.graph_steps.native.runs_on", lambda device: True)
    assert uncaptured(new_fit(clip, replace(ADAPTIVE, extra_terms=("tv",)))) == ["density adaptive", "the loss term tv"]


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_start_as_the_peers_do_and_learn(clip, name):
    config = replace(RECIPES[name], iterations=80, gaussians_cap=1500)  # rounds are a few steps apart here
    if name == "endogaussian":
        config = replace(config, form=replace(config.form, spatial=8, features=4))
    fit = new_fit(clip, config)
    assert fit.optimizer.deformation.kind == {"deform3dgs": "bases", "endogaussian": "hexplane"}[name]
    assert torch.sigmoid(fit.optimizer.base[:, OPACITY]).max() == pytest.approx(0.1)
    assert fit.optimizer.track_knots is None
    assert torch.equal(fit.optimizer.packed_at(0.3), fit.optimizer.base)
    log = fit.advance()
    assert "hidden" not in log.terms
    assert ("tv" in log.terms) == (name == "endogaussian")
    run_fit(fit, show=False)
    assert fit.log[-1]["loss"] < 0.8 * log.loss
    assert not np.isin(
        [fit.schedule[step] for step in range(fit.config.iterations)], range(len(fit.window.real), 99)
    ).any(), "no virtual frames"


@pytest.mark.parametrize(
    ("name", "first", "last", "count"), [("deform3dgs", 600, 2900, 24), ("endogaussian", 600, 3900, 29)]
)
def test_recipes_split_when_and_what_the_peers_do(name, first, last, count):
    method = adaptive(RECIPES[name], 2.0)
    rounds = sorted(method.changes)
    assert (rounds[0], rounds[-1], len(rounds)) == (first, last, count)
    assert name == "deform3dgs" or not set(range(1001, 1600)) & set(rounds), "its second stage counts from its start"
    assert method.large == pytest.approx(0.1 * 5.69 * 2.0)


def test_recipes_place_their_points_on_tissue(clip):
    observations = new_fit(clip).window.observations
    config = replace(CONFIG, initial_gaussians=1000, gaussians_cap=1000)
    every, again, other = (first_gaussians(observations, every_frame_points, config, seed) for seed in (0, 0, 1))
    first = first_gaussians(observations, first_frame_points, config, 0)
    pixels = np.count_nonzero(observations.masks[0])
    assert len(every) == 5 * int(0.01 * pixels)
    assert 0.1 * pixels <= len(first) < 0.2 * pixels
    assert torch.equal(every, again)
    assert not torch.equal(every, other)
    assert len(first_gaussians(observations, first_frame_points, replace(config, gaussians_cap=40), 0)) == 40
    K = observations.K[0]
    row = (every[:, 1] / every[:, 2] * K[1, 1] + K[1, 2]).max()
    assert row < 36, "the last four rows are ignored"


def test_total_variation_is_that_of_colour_and_inverse_depth():
    color, depth = torch.zeros(6, 8, 3), torch.full((6, 8), 50.0)
    assert float(total_variation(Rendering(color, depth, torch.ones(6, 8)))) == 0
    color[3:] = 0.5
    assert float(total_variation(Rendering(color, depth, torch.ones(6, 8)))) == pytest.approx(0.5 * 8 / 48)
    depth[3:] = 25.0
    both = total_variation(Rendering(color, depth, torch.ones(6, 8)))
    assert float(both) > 0.5 * 8 / 48
    half = total_variation(Rendering(color, depth / 2, torch.ones(6, 8)))
    assert float(half) == pytest.approx(float(both)), "no unit of length"


def test_total_variation_reaches_the_gaussians_with_and_without_the_kernels(clip):
    fit = new_fit(clip, replace(CONFIG, extra_terms=("tv",)))
    packed, view = fit.optimizer.packed_at(0.0), fit.window[0]
    fused = fit.objective.evaluate(packed, view, 1)
    plain = fit.objective.by_autograd(packed.clone().requires_grad_(), view, 1)
    without = new_fit(clip).objective.evaluate(packed, view, 1)
    assert fused.terms == pytest.approx(plain.terms, rel=1e-3)
    assert fused.loss == pytest.approx(plain.loss, rel=1e-3)
    assert torch.allclose(fused.grad, plain.grad, atol=1e-4)
    assert fused.loss == pytest.approx(without.loss + 0.03 * fused.terms["tv"], rel=1e-5)
