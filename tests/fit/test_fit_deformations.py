"""Fits with deformations beside the spline: the optimizer, density control, resuming, options, the pipeline."""

from dataclasses import replace
from typing import get_args

import pytest
import torch
from samples.deformations import COUNT, SPAN, base_of, deformation_of
from samples.rounding import assert_equal_sums
from samples.small_fits import CONFIG, new_fit

from endogs.errors import InputError
from endogs.fit.checkpoint import load_checkpoint, save_checkpoint
from endogs.fit.config import AutogradSteps, FitConfig, LearningRates, Preset
from endogs.fit.density.control import insertion_steps
from endogs.fit.loop import Fit, run_fit
from endogs.fit.optimize.autograd_adam import AutogradAdam
from endogs.fit.optimize.spline_adam import BETAS
from endogs.fit.setup import new_optimizer
from endogs.gaussians import CHANNELS, COLORS, MEANS
from endogs.pipeline.options import Reconstruct
from endogs.scene import DEFORMATIONS, Knots, SplineDeformation
from endogs.scene.deformation.bases import BasesConfig
from endogs.scene.deformation.form import Rate, Start
from endogs.scene.deformation.hexplane import HexplaneConfig
from endogs.scene.deformation.lowrank import LowrankConfig
from endogs.scene.deformation.mlp import MlpConfig

FORMS = {
    "bases": BasesConfig(count=6),
    "hexplane": HexplaneConfig(spatial=8, temporal=6, features=4),
    "mlp": MlpConfig(layers=4, width=24),
    "lowrank": LowrankConfig(trajectories=4),
}
"""Small enough for a test."""
MOST_TERMS = 4 * (72 + 24)
"""Additions between an input and an output of the longest of these models, the network: 4 layers of 24, 72 features."""
DEVICES = [
    "cpu",
    pytest.param(
        "cuda", marks=[pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU can be used")]
    ),
]


def small(kind, **options):
    return replace(CONFIG, deformation=kind, **({"form": FORMS.get(kind)} | options))


def optimizer_of(like, **options):
    return AutogradAdam(base_of(), deformation_of(like), small(like.split("-")[0], **options), 0.5)


@pytest.mark.parametrize("form", ["bases-constant", "hexplane", "mlp", "lowrank"])
def test_a_step_is_that_of_torchs_adam_on_the_whole_graph(form):
    """Gradients of every tensor, moments, and the rates at some progress."""
    rates = LearningRates(0.2, 0.1, 0.1, 0.1, 0.1, 0.5)  # positions times the footprint: 0.1
    ours = optimizer_of(form, base_rates=rates)
    goal, times = torch.randn(COUNT, 14, generator=torch.Generator().manual_seed(3)), (0.4, 1.3, 0.4)
    made = deformation_of(form)
    trained = {name: t.clone().requires_grad_() for name, t in made.tensors().items() if name not in made.fixed}
    base = base_of().requires_grad_()
    groups = [{"params": [base], "lr": 0.1}]
    groups += [{"params": [t], "lr": ours.rate(name).start} for name, t in trained.items()]
    theirs = torch.optim.Adam(groups, betas=BETAS, eps=1e-8)
    for time in times:
        packed = ours.packed_at(time)
        assert not packed.requires_grad
        ours.step(2 * (packed - goal), time, 0.0)
        theirs.zero_grad()
        shape = made.from_parts(made.tensors() | trained, made.settings())
        penalty = shape.penalty(ours.form)
        (((shape.packed_at(base, time) - goal) ** 2).sum() + (0 if penalty is None else penalty)).backward()
        theirs.step()
    assert torch.allclose(ours.base, base, atol=1e-5)
    for name, tensor in ours.deformation.tensors().items():
        assert torch.allclose(tensor, trained[name] if name in trained else made.tensors()[name], atol=2e-4), name
        assert not tensor.requires_grad


def test_rates_decay_to_their_end_and_some_only_for_positions():
    final = CONFIG.base_rates.final
    for autograd, color in ((AutogradSteps(), final), (AutogradSteps(only_positions_decay=True), 1.0)):
        moved = []
        for progress in (0.0, 1.0):
            optimizer = optimizer_of("lowrank", autograd=autograd)
            before = optimizer.base.clone(), optimizer.deformation.coefficients.clone()
            optimizer.packed_at(0.3)
            optimizer.step(torch.ones(COUNT, 14), 0.3, progress)
            moved.append(
                [
                    float((optimizer.base - before[0])[0, COLORS.start]),
                    float((optimizer.base - before[0])[0, MEANS.start]),
                    float((optimizer.deformation.coefficients - before[1])[0, 0, 0]),
                ]
            )
        assert moved[1][0] / moved[0][0] == pytest.approx(color, rel=1e-2)
        assert moved[1][1] / moved[0][1] == pytest.approx(final, rel=1e-2)
        assert moved[1][2] / moved[0][2] == pytest.approx(FORMS["lowrank"].coefficient_rate.final, rel=2e-2)


@pytest.mark.parametrize("form", ["bases-constant", "hexplane", "mlp", "lowrank"])
def test_appending_and_dropping_keep_the_others_and_what_they_share(form):
    optimizer = optimizer_of(form)
    optimizer.step(torch.randn(COUNT, 14, generator=torch.Generator().manual_seed(1)), 0.7, 0.0)
    before = {name: tensor.clone() for name, tensor in optimizer.state().items()}
    optimizer.append(torch.zeros(2, 14), None)
    assert optimizer.base.shape[0] == COUNT + 2
    alone = optimizer_like(optimizer, before, form).packed_at(0.7)
    assert_equal_sums(optimizer.packed_at(0.7)[:COUNT], alone, MOST_TERMS)  # more rows are another matrix product
    optimizer.step(torch.zeros(COUNT + 2, 14), 0.7, 0.0)  # shapes still fit
    optimizer = optimizer_like(optimizer, before, form)
    optimizer.append(torch.zeros(2, 14), None)
    optimizer.keep(torch.tensor([True] * COUNT + [False] * 2))
    after = optimizer.state()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def optimizer_like(optimizer, state, form):
    again = optimizer_of(form)
    again.load_state({name: tensor.clone() for name, tensor in state.items()})
    return again


def test_planes_are_smoothed_by_the_penalty_alone():
    optimizer = optimizer_of(
        "hexplane", form=replace(FORMS["hexplane"], plane_tv_weight=1.0, time_smoothness_weight=1.0)
    )
    before = sum(float(x) for x in optimizer.deformation.roughness())
    for _ in range(20):
        optimizer.packed_at(0.4)
        optimizer.step(torch.zeros(COUNT, 14), 0.4, 0.0)
    assert sum(float(x) for x in optimizer.deformation.roughness()) < 0.7 * before


def test_nothing_deforms_in_the_still_steps_and_then_moments_begin_again():
    optimizer = optimizer_of("bases", iterations=8, autograd=AutogradSteps(still_share=0.25))
    start = {name: t.clone() for name, t in optimizer.deformation.tensors().items()}
    for step in range(2):
        assert torch.equal(optimizer.packed_at(0.4), optimizer.base)
        optimizer.step(torch.ones(COUNT, 14), 0.4, step / 8)
    assert all(torch.equal(start[name], t) for name, t in optimizer.deformation.tensors().items())
    assert optimizer.base_steps == 2
    assert not torch.equal(optimizer.packed_at(0.4), optimizer.base)
    optimizer.step(torch.full((COUNT, 14), 3.0), 0.4, 2 / 8)
    assert optimizer.base_steps == 1
    assert torch.allclose(optimizer.base_moments.m, torch.full((COUNT, 14), 0.3))
    assert not torch.equal(start["weights"], optimizer.deformation.weights)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", FORMS)
def test_a_fit_raises_the_training_psnr_and_the_cap_holds(clip, kind, device):
    """With insertions and pruning on the way."""
    fit = new_fit(clip, small(kind, iterations=50, virtual_share=0.0), device=device)
    first = fit.advance().loss
    before = fit.psnr
    run_fit(fit, show=False)
    assert fit.log[-1]["loss"] < 0.8 * first
    assert fit.psnr > before + 3
    assert 120 < fit.optimizer.base.shape[0] <= CONFIG.gaussians_cap
    assert fit.optimizer.deformation.kind == kind
    assert all(t.device.type == device for t in fit.optimizer.deformation.tensors().values())


@pytest.mark.parametrize("kind", FORMS)
def test_it_moves_what_moves(clip, kind):
    """The texture slides by 3.75 pixels: a fit that stands still cannot reach what one that deforms does."""
    steps = 150 if kind == "mlp" else 80
    moving, still = (new_fit(clip, small(k, iterations=steps, insertions=())) for k in (kind, "none"))
    for fit in (moving, still):
        run_fit(fit, show=False)
    assert moving.psnr > still.psnr + 1
    ends = (moving.optimizer.packed_at(float(t))[:, 0] for t in (clip.times[-1], clip.times[0]))
    slide = next(ends) - next(ends)
    assert float(slide.median()) > 0.3 * 3.75 * moving.optimizer.pixel_footprint


@pytest.mark.parametrize("kind", FORMS)
def test_resuming_is_bit_identical(clip, kind, tmp_path):
    whole, part, again = (new_fit(clip, small(kind)) for _ in range(3))
    run_fit(whole, show=False)
    for _ in range(9):
        part.advance()
    save_checkpoint(part.checkpoint(), tmp_path)
    kept = load_checkpoint(tmp_path)
    empty = new_optimizer(clip, again.window, small(kind), torch.device("cpu"), seed=7, checkpoint=kept)
    again = Fit(empty, again.window, small(kind), 0)
    again.restore(kept)
    run_fit(again, show=False)
    ours, theirs = again.checkpoint().tensors, whole.checkpoint().tensors
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_motion_starts_from_tracks_or_at_rest(clip):
    for kind in ("spline", "bases", "lowrank"):
        slides = []
        for start in ("tracks", "rest"):
            fit = new_fit(clip, small(kind, motion_start=start))
            packed = [fit.optimizer.packed_at(float(t)).clone() for t in (clip.times[0], clip.times[-1])]
            slides.append(float((packed[1] - packed[0])[:, 0].median()))
            run_fit(fit, show=False)  # insertions start likewise
        assert slides[0] > 0.4 * 3.75 * fit.optimizer.pixel_footprint, kind
        assert slides[1] == 0


def test_options_are_numbers_of_the_fit():
    assert Reconstruct("clip").fit_config() == FitConfig()
    config = Reconstruct("clip", deformation="mlp", density="none").fit_config()
    assert (config.deformation, config.form, config.density) == ("mlp", None, "none")


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"sh_degree": 3}, "--sh-degree needs --colors sh"),
        ({"deformation": "bases", "rigidity_weight": 0.1}, "--rigidity-weight needs --deformation spline, not bases"),
        ({"deformation": "lowrank", "colors": "lit"}, "need --deformation spline or none"),
        ({"deformation": "hexplane", "exposure": True}, "need --deformation spline or none"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, what):
    with pytest.raises(InputError, match=what):
        Reconstruct("clip", **options).fit_config()


@pytest.mark.parametrize("name", get_args(Preset))
def test_every_presets_numbers_fit_each_other(name):
    """A cap that is met early, or an insertion that is never reached, would silently be another preset."""
    config = Reconstruct("clip", preset=name).fit_config()
    assert 0 < config.initial_gaussians + sum(count for _, count in config.insertions) <= config.gaussians_cap
    parts = [part for part, _ in config.insertions]
    assert parts == sorted(set(parts))
    assert all(0 < part < 1 and count > 0 for part, count in config.insertions)
    assert all(0 < step < config.iterations for step in insertion_steps(config))
    for share in ("rim", "halo", "specular_depth", "ssim", "rigidity"):
        assert 0 <= getattr(config, f"{share}_weight") <= 1, share
    assert 0 <= config.virtual_share <= 1
    assert 0 < config.prune_opacity < min(config.start_opacity, config.insertion_opacity) < 1


def test_rates_are_found_for_every_trained_tensor():
    for form in ("bases-constant", "hexplane", "mlp", "lowrank"):
        optimizer = optimizer_of(form)
        assert all(isinstance(optimizer.rate(name), Rate) for name in optimizer.moments)


def test_coefficients_step_by_the_trajectories_that_there_are(clip):
    """A short clip has fewer knots than the trajectories that were asked for."""
    form = LowrankConfig(trajectories=50)
    optimizer = new_fit(clip, small("lowrank", form=form)).optimizer
    rank = optimizer.deformation.coefficients.shape[0]
    assert rank < 50
    assert optimizer.rate("coefficients").start == pytest.approx(form.coefficient_rate.start / rank)


@pytest.mark.parametrize("kind", ["bases", "lowrank"])
def test_positions_step_farther_from_rest_than_from_tracks(kind):
    base, knots = torch.zeros(3, CHANNELS), Knots.evenly(0.0, 1.0, 3)
    base[:, 3] = 1
    motion, deformation = SplineDeformation.at_rest(3, knots), DEFORMATIONS[kind]
    tracked, rest = (
        deformation.start(base, Start(deformation.Config(), motion, knots, SPAN, 0.1, is_tracked, 0)).units
        for is_tracked in (True, False)
    )
    assert float(rest[0]) == pytest.approx(3 * float(tracked[0]))
