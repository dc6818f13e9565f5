"""Density control: the cap, what relocation and splitting leave of the picture, and runs that repeat."""

import json
from dataclasses import replace

import pytest
import torch
from endogs.fit.density.absgrad import AbsgradSplitting, split_and_clone
from endogs.fit.density.mcmc import LARGEST, McmcRelocation, relocate
from endogs.fit.density.sharing import share, shared_logit, shared_scale
from endogs.fit.density.splitting import PULL, SEEN
from gaussian_scenes import make_scene
from sliding_clip import sliding_clip
from test_fit_loop import CONFIG, new_fit

from endogs.cli import main
from endogs.fit.checkpoint import load_checkpoint, save_checkpoint
from endogs.fit.config import AdaptiveNumbers, McmcNumbers
from endogs.fit.density import Population
from endogs.fit.loop import run_fit
from endogs.fit.objective.objective import Objective
from endogs.fit.optimize.spline_adam import SplineAdam
from endogs.gaussians import LOG_SCALES, MEANS, OPACITY
from endogs.render import rasterize_packed
from endogs.scene import Knots, SplineDeformation

METHODS = ["absgrad", "adaptive", "mcmc"]
EAGER = AdaptiveNumbers(threshold=1e-6, rounds=(0.3, 0.6))
"""Nearly everything that is seen is cloned or split."""
KNOTS = Knots.evenly(0.0, 1.0, 3)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return sliding_clip(tmp_path_factory.mktemp("clip"), frames=6)


def population(base, opacity_swing=0.0):
    """Gaussians with slowly waving control points."""
    generator = torch.Generator().manual_seed(5)
    control = 0.02 * torch.randn(KNOTS.count, len(base), 14, generator=generator)
    control[..., OPACITY] = opacity_swing * torch.linspace(-1, 1, KNOTS.count)[:, None]
    optimizer = SplineAdam(base.clone(), SplineDeformation(control, KNOTS), CONFIG, 1.0)
    return Population(optimizer, {"number": torch.arange(len(base)).float()})


def scene(count=60):
    problem = make_scene("ordinary", count, (50, 31), seed=3).to(torch.float32)
    return problem.packed, problem.camera


def alpha_of(population, camera, time=1.3):
    return rasterize_packed(population.optimizer.packed_at(time), camera).alpha


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantom") / "clip"
    assert main(["phantom", str(folder), "--frames", "6", "--width", "64", "--height", "48"]) == 0
    return folder


TINY = ["--preset", "fast", "--iterations", "20", "--gaussians", "500"]


@pytest.mark.parametrize(
    ("options", "fewest", "most"),
    [
        (["--density", "absgrad"], 450, 500),
        (["--density", "mcmc"], 450, 500),
        (["--density", "adaptive"], 400, 500),
        (["--density", "none", "--balance", "bloop", "--normal-weight", "0.05"], 400, 500),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_the_command_line_does_what_its_options_say(phantom, tmp_path, options, fewest, most):
    out = tmp_path / "scene"
    assert main(["reconstruct", str(phantom), "--out", str(out), *TINY, *options]) == 0
    record, metrics = (json.loads((out / name).read_text()) for name in ("run.json", "metrics.json"))
    fit, log = record["config"]["fit"], json.loads((out / "metrics.jsonl").read_text().splitlines()[-1])
    asked = dict(zip((option[2:].replace("-", "_") for option in options[::2]), options[1::2], strict=True))
    assert {name: str(fit[name]) for name in asked} == asked
    assert fewest <= record["gaussians"] <= most
    assert metrics["mean"]["psnr"] > 25
    assert "loss" in log


def test_a_weight_below_zero_is_refused(phantom, tmp_path, capsys):
    relative = ["--depth", "photometric", "--depth-weight", "2"]
    assert main(["reconstruct", str(phantom), "--out", str(tmp_path / "new"), *relative]) == 2
    assert "known only up to scale; leave it out" in capsys.readouterr().err
    for option in ("--normal-weight", "--depth-weight"):
        assert main(["reconstruct", str(phantom), "--out", str(tmp_path / "new"), option, "-1"]) == 2
        assert capsys.readouterr().err == f"endogs: {option} -1 is out of range; give 0 to 1000000.\n"
    assert not (tmp_path / "new").exists()


def test_a_fixed_order_of_sums_reaches_the_steps_that_no_graph_takes(clip, monkeypatch):
    orders = []
    evaluate = Objective.evaluate

    def watched(*arguments):
        orders.append(torch.are_deterministic_algorithms_enabled())
        return evaluate(*arguments)

    monkeypatch.setattr(Objective, "evaluate", watched)
    for wanted in (False, True):
        new_fit(clip, replace(CONFIG, density="mcmc"), deterministic=wanted).take_step()
    assert orders == [False, True]
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize("method", [*METHODS, "none"])
@pytest.mark.parametrize("deformation", ["spline", "none"])
def test_the_loss_falls_and_the_cap_is_met_and_never_passed(clip, method, deformation):
    config = replace(CONFIG, density=method, iterations=40, mcmc=McmcNumbers(every=0.05), adaptive=EAGER)
    fit = new_fit(clip, config, deformation=deformation)
    start, first = fit.optimizer.base.shape[0], fit.take_step()[0]
    counts = []
    run_fit(fit, show=False, on_step=lambda fit: counts.append(fit.optimizer.base.shape[0]))
    assert max(counts) == (start if method == "none" else config.gaussians_cap)
    assert fit.log[-1]["loss"] < 0.8 * first
    assert fit.psnr > 20


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("balance", ["sum", "bloop"])
def test_resuming_is_bit_identical_and_seeds_differ(clip, tmp_path, method, balance):
    """The checkpoint falls between two changes, so that what was counted and averaged so far is needed."""
    config = replace(CONFIG, density=method, balance=balance, mcmc=McmcNumbers(every=0.1), adaptive=EAGER)
    config = replace(config, gaussians_cap=2000)  # room for changes after the checkpoint
    whole = new_fit(clip, config)
    run_fit(whole, show=False)
    part = new_fit(clip, config)
    for _ in range(10):
        part.take_step()
    save_checkpoint(part.checkpoint(), tmp_path)
    assert len(part.optimizer.base) < len(whole.optimizer.base)
    again = new_fit(clip, config)
    again.restore(load_checkpoint(tmp_path))
    run_fit(again, show=False)
    ours, theirs = again.checkpoint().tensors, whole.checkpoint().tensors
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    other = new_fit(clip, config, seed=1)
    run_fit(other, show=False)
    assert not torch.equal(other.optimizer.base, whole.optimizer.base)


def test_what_is_shared_adds_up_to_what_one_covers():
    """Opacity exactly at the centre; along a line through it, the integral that eq. 9 solves for."""
    logit = torch.tensor([-4.0, 0.0, 2.0, 6.0], dtype=torch.float64)
    line = torch.linspace(-12, 12, 40001, dtype=torch.float64)
    for number in (1, 2, 5, 51):
        count = torch.full((4,), number)
        one, part = torch.sigmoid(logit), torch.sigmoid(shared_logit(logit, count))
        assert torch.allclose(1 - (1 - part) ** number, one, atol=1e-12)
        scale = shared_scale(logit, count)
        alone = (one[:, None] * torch.exp(-(line**2) / 2)).sum(1)
        together = (1 - (1 - part[:, None] * torch.exp(-((line / scale[:, None]) ** 2) / 2)) ** number).sum(1)
        assert torch.allclose(together, alone, rtol=1e-6)


def test_sharing_holds_at_every_time_of_a_spline_that_fades():
    base, _ = scene()
    group = population(base, opacity_swing=4.0)
    count = torch.full((len(base),), 3)
    shared, after = share(*group.copies(torch.arange(len(base))), count, shrink=True)
    for time in (0.0, 0.7, 1.5, 3.0):
        before = group.optimizer.packed_at(time)
        expected = torch.sigmoid(shared_logit(before[:, OPACITY], count))
        assert torch.allclose(torch.sigmoid(after.packed_at(shared, time)[:, OPACITY]), expected, atol=0.04)


def test_relocation_leaves_the_picture_nearly_as_it_was():
    base, camera = scene()
    base[::6, OPACITY] = -9.0
    group = population(base, opacity_swing=0.5)
    dead = group.largest_opacity() < 0.005
    assert 5 < int(dead.sum()) < 30
    before = rasterize_packed(group.optimizer.packed_at(1.3), camera)
    naive = group.optimizer.packed_at(1.3)
    relocate(group, dead, group.largest_opacity(), int(dead.sum()) + 20, torch.Generator().manual_seed(1))
    assert len(group) == len(base) + 20
    assert float(group.largest_opacity().min()) > 0.005, "the dead are gone"
    after = rasterize_packed(group.optimizer.packed_at(1.3), camera)
    error = (after.color - before.color).abs().mean()
    number = group.rows["number"]
    assert len(number) == len(group)
    # The same copies without the correction, found by where they are: the means of parent and copy are equal.
    means = group.optimizer.packed_at(1.3)[:, MEANS]
    parent = torch.cdist(means, naive[:, MEANS]).argmin(1)
    assert torch.allclose(means, naive[parent, MEANS], atol=1e-5)
    doubled = rasterize_packed(naive[parent], camera)
    assert error < 0.25 * (doubled.color - before.color).abs().mean()
    assert error < 0.01


def test_relocation_prefers_the_opaque_and_survives_that_nothing_lives():
    base = torch.zeros(3, 14)
    base[:, 3] = 1
    base[:, OPACITY] = torch.tensor([-9.0, -3.0, 3.0])
    group = population(base)
    dead = torch.tensor([True, False, False])
    relocate(group, dead, torch.tensor([0.0, 0.05, 0.95]), 41, torch.Generator().manual_seed(0))
    copies = len(group) - 2
    assert copies == 41
    heavy = (group.copies(torch.arange(len(group)))[1].control == group.deformation.control[:, 1:2]).all(-1).all(0)
    assert int(heavy.sum()) > 30
    relocate(group, torch.ones(43, dtype=torch.bool), torch.zeros(43), 5, torch.Generator())
    assert len(group) == 43


@pytest.mark.parametrize(("large", "tolerance"), [(1e9, 0.02), (1e-9, 0.3)])
def test_clones_and_halves_cover_what_their_parents_did(large, tolerance):
    base, camera = scene()
    group = population(base)
    before = alpha_of(group, camera)
    thick = group.optimizer.packed_at(1.3)
    naive = rasterize_packed(torch.cat([thick, thick[::3]]), camera).alpha
    split_and_clone(group, torch.arange(0, 60, 3), large, 1.3, torch.Generator().manual_seed(0))
    assert len(group) == 80
    assert group.optimizer.base_moments.m.shape == (80, 14)
    after = alpha_of(group, camera)
    assert float(after.sum()) == pytest.approx(float(before.sum()), rel=tolerance)
    if large > 1:
        assert (after - before).abs().max() < 0.4 * (naive - before).abs().max()


def test_halves_are_smaller_lie_inside_and_move_as_their_parent():
    base, _ = scene()
    group = population(base)
    parent, control = group.optimizer.packed_at(1.3)[7], group.deformation.control[:, 7]
    split_and_clone(group, torch.tensor([7]), 1e-9, 1.3, torch.Generator().manual_seed(0))
    assert 7.0 not in group.rows["number"].tolist()
    halves, tracks = group.base[-2:], group.deformation.control[:, -2:]
    assert torch.equal(tracks, control[:, None].expand(-1, 2, -1))
    now = group.optimizer.packed_at(1.3)[-2:]
    assert torch.allclose(now[:, LOG_SCALES].exp() * 1.6, parent[LOG_SCALES].exp().expand(2, 3), rtol=1e-5)
    apart = (now[:, MEANS] - parent[MEANS]).norm(dim=1)
    assert (apart > 0).all()
    assert (apart < 4 * parent[LOG_SCALES].exp().max()).all()
    assert not torch.equal(halves[0], halves[1])


@pytest.mark.parametrize("deformation", ["spline", "bases", "lowrank", "hexplane"])
def test_copies_move_as_their_parents_whatever_moves_them(clip, deformation):
    fit = new_fit(clip, replace(CONFIG, insertions=()), deformation=deformation)
    for _ in range(6):
        fit.take_step()
    group = fit._population
    parents = torch.tensor([3, 50, 3])
    group.append_copies(*group.copies(parents))
    for time in (0.0, 0.23, 0.5):
        packed = group.optimizer.packed_at(time)
        assert torch.equal(packed[-3:], packed[parents])
    fit.take_step()


def test_the_strongest_are_split():
    base, _ = scene()
    config = replace(CONFIG, density="absgrad", insertions=((0.5, 4),), gaussians_cap=100, prune_opacity=1e-6)
    control, group = AbsgradSplitting(config, 1e9, 0), population(base)
    control.prepare(group)
    group.rows[PULL][[3, 8, 20, 40]] = torch.tensor([5.0, 9.0, 6.0, 7.0])
    group.rows[PULL][50], group.rows[SEEN][50] = 40.0, 10.0  # seen ten times: 4 on average
    before = group.base[:, OPACITY].clone()
    control.change(group, 11, 1.3)
    assert len(group) == 60
    control.change(group, 12, 1.3)
    assert len(group) == 64
    changed = (group.base[:60, OPACITY] != before).nonzero()[:, 0].tolist()
    assert changed == [3, 8, 20, 40]
    assert float(group.rows[PULL].abs().max()) == 0
    assert not control.wants_screen_gradients(12)


def test_screen_gradients_are_those_of_the_rasterizer_whichever_way_the_step_goes(clip):
    fit = new_fit(clip, replace(CONFIG, density="absgrad"))
    packed, view = fit.optimizer.packed_at(0.2), fit.views[1]
    fit._objective.watch_screen = True
    fused = fit._objective._fused(packed, view)
    slow = fit._objective._autograd(packed.clone().requires_grad_(), view)
    assert float(fused.screen_gradients.max()) > 0
    assert torch.allclose(fused.screen_gradients, slow.screen_gradients, rtol=1e-3, atol=1e-7)


def test_only_the_faint_are_shaken_and_within_their_own_shape():
    base, _ = scene()
    base[:, OPACITY] = 2.0
    base[4, OPACITY] = -9.0
    base[:, LOG_SCALES] = torch.tensor([0.0, -3.0, -3.0])
    base[:, 3:7] = torch.tensor([1.0, 0, 0, 0])
    group = population(base)
    group.deformation.control[..., LOG_SCALES] = 0
    group.deformation.control[..., 3:7] = 0
    control = McmcRelocation(replace(CONFIG, density="mcmc"), 2.0, 0)
    control.prepare(group)
    control.disturb(group, 0, 1.3, 1.0)
    assert torch.equal(group.base, base), "no noise before the first look"
    group.rows[LARGEST] = group.largest_opacity()
    moves = []
    for step in range(300):
        before = group.base.clone()
        control.disturb(group, step, 1.3, 1.0)
        moves.append(group.base[4, MEANS] - before[4, MEANS])
    still = torch.arange(60) != 4
    assert torch.equal(group.base[still], base[still])
    spread = torch.stack(moves).std(0)
    # noise * covariance / footprint, and at opacity 1e-4 the gate is 0.62 open
    assert spread[0] == pytest.approx(0.4 / 2 * 0.62, rel=0.15)
    assert spread[1] == pytest.approx(0.4 / 2 * 0.62 * float(torch.tensor(-6.0).exp()), rel=0.15)


def test_mcmcs_penalty_is_the_gradient_it_adds():
    packed, _ = scene()
    control = McmcRelocation(replace(CONFIG, mcmc=McmcNumbers(opacity_weight=0.03, scale_weight=0.02)), 2.0, 0)
    leaf = packed.double().requires_grad_()
    penalty = 0.03 * leaf[:, OPACITY].sigmoid().mean() + 0.02 * (leaf[:, LOG_SCALES].exp() / 2).mean()
    penalty.backward()
    grad = torch.zeros_like(packed)
    assert control.regularize(packed, grad) == pytest.approx(float(penalty), rel=1e-5)
    assert torch.allclose(grad.double(), leaf.grad, rtol=1e-4, atol=1e-9)
