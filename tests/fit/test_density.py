"""Density control: the cap, copies that move as their parents, and runs that repeat."""

import json
from dataclasses import replace

import pytest
import torch
from samples.gaussian_scenes import make_scene
from samples.small_fits import CONFIG, new_fit

from endogs.cli import main
from endogs.fit.checkpoint import load_checkpoint, save_checkpoint
from endogs.fit.density.population import Population
from endogs.fit.loop import run_fit
from endogs.fit.objective.objective import Objective
from endogs.fit.optimize.spline_adam import SplineAdam
from endogs.gaussians import MEANS
from endogs.scene import Knots, SplineDeformation

KNOTS = Knots.evenly(0.0, 1.0, 3)
TINY = ["--preset", "fast", "--iterations", "20", "--gaussians", "500"]


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantom") / "clip"
    assert main(["phantom", str(folder), "--frames", "6", "--width", "64", "--height", "48"]) == 0
    return folder


@pytest.mark.parametrize(
    "options",
    [["--density", "residual"], ["--density", "none", "--balance", "bloop", "--normal-weight", "0.05"]],
    ids=" ".join,
)
def test_the_command_line_does_what_its_options_say(phantom, tmp_path, options):
    out = tmp_path / "scene"
    assert main(["reconstruct", str(phantom), "--out", str(out), *TINY, *options]) == 0
    record, metrics = (json.loads((out / name).read_text()) for name in ("run.json", "metrics.json"))
    fit, log = record["config"]["fit"], json.loads((out / "metrics.jsonl").read_text().splitlines()[-1])
    asked = dict(zip((option[2:].replace("-", "_") for option in options[::2]), options[1::2], strict=True))
    assert {name: str(fit[name]) for name in asked} == asked
    assert 400 <= record["gaussians"] <= 500
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
        new_fit(clip, deterministic=wanted).advance()
    assert orders == [False, True]
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize("method", ["residual", "none"])
@pytest.mark.parametrize("deformation", ["spline", "none"])
def test_the_loss_falls_and_the_cap_is_met_and_never_passed(clip, method, deformation):
    fit = new_fit(clip, replace(CONFIG, density=method, iterations=40), deformation=deformation)
    start, first = len(fit.population), fit.advance().loss
    counts = []
    run_fit(fit, show=False, on_step=lambda fit: counts.append(len(fit.population)))
    assert max(counts) == (start if method == "none" else CONFIG.gaussians_cap)
    assert fit.log[-1]["loss"] < 0.8 * first
    assert fit.psnr > 20


@pytest.mark.parametrize("balance", ["sum", "bloop"])
def test_resuming_is_bit_identical_and_seeds_differ(clip, tmp_path, balance):
    """The checkpoint falls between two insertions, so that what was kept and averaged so far is needed."""
    config = replace(CONFIG, balance=balance, gaussians_cap=2000)  # room for changes after the checkpoint
    whole = new_fit(clip, config)
    run_fit(whole, show=False)
    part = new_fit(clip, config)
    for _ in range(10):
        part.advance()
    save_checkpoint(part.checkpoint(), tmp_path)
    assert CONFIG.initial_gaussians < len(part.population) < len(whole.population)
    again = new_fit(clip, config)
    again.restore(load_checkpoint(tmp_path))
    run_fit(again, show=False)
    ours, theirs = again.checkpoint().tensors, whole.checkpoint().tensors
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    other = new_fit(clip, config, seed=1)
    run_fit(other, show=False)
    assert not torch.equal(other.optimizer.base, whole.optimizer.base)


@pytest.mark.parametrize("deformation", ["spline", "bases", "lowrank", "hexplane"])
def test_copies_move_as_their_parents_whatever_moves_them(clip, deformation):
    fit = new_fit(clip, replace(CONFIG, insertions=()), deformation=deformation)
    for _ in range(6):
        fit.advance()
    group = fit.population
    parents = torch.tensor([3, 50, 3])
    group.append_copies(*group.copies(parents))
    for time in (0.0, 0.23, 0.5):
        packed = group.optimizer.packed_at(time)
        assert torch.equal(packed[-3:], packed[parents])
    fit.advance()


def test_what_is_known_about_rows_follows_them():
    """A copy moves as its parent; the rows that others keep follow the Gaussians, and are zero for new ones."""
    base = make_scene("ordinary", 60, (50, 31), seed=3).to(torch.float32).packed
    control = 0.02 * torch.randn(KNOTS.count, 60, 14, generator=torch.Generator().manual_seed(5))
    optimizer = SplineAdam(base.clone(), SplineDeformation(control, KNOTS), CONFIG, 1.0)
    group = Population(optimizer, {"number": torch.arange(60).float()})
    parents, before = torch.tensor([3, 50]), group.version
    expected = optimizer.packed_at(1.3)[parents]
    group.append_copies(*group.copies(parents))
    assert group.version > before
    assert torch.equal(optimizer.packed_at(1.3)[-2:], expected)
    group.append(base[:2].clone(), None)
    group.keep(torch.arange(64) != 0)
    assert group.rows["number"].tolist() == [*range(1, 60), 0, 0, 0, 0]
    assert torch.equal(group.base[-2:, MEANS], base[:2, MEANS])
    assert optimizer.base_moments.m.shape == (63, 14)
