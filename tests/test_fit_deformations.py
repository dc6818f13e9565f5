"""Fits with deformations beside the spline: the optimizer, density control, resuming, options, recipes, the
pipeline."""

from dataclasses import replace
from functools import partial
from typing import get_args

import numpy as np
import pytest
import torch
from endogs.fit.deformation_config import Rate
from endogs.fit.deformation_setup import PlanePenalty, new_autograd_optimizer, rates
from endogs.fit.density.adaptive import AdaptiveDensity
from endogs.fit.recipes import RECIPES
from endogs.pipeline.deformation_options import DeformationOptions
from endogs.scene.peer_initialization import initialize_as_peer
from rounding import assert_equal_sums
from sliding_clip import sliding_clip
from test_deformations import COUNT, base_of, deformation_of
from test_fit_loop import CONFIG, new_fit

from endogs.errors import InputError
from endogs.fit.checkpoint import load_checkpoint, save_checkpoint
from endogs.fit.config import FitConfig, Preset
from endogs.fit.density.control import insertion_steps
from endogs.fit.loop import Fit, run_fit
from endogs.fit.objective.losses import total_variation
from endogs.fit.optimize.autograd_adam import AutogradAdam
from endogs.fit.optimize.spline_adam import BETAS
from endogs.fit.setup import new_optimizer
from endogs.gaussians import CHANNELS, COLORS, MEANS, OPACITY
from endogs.pipeline.options import Reconstruct
from endogs.render import Rendering
from endogs.scene import Knots, SplineDeformation
from endogs.scene.placement import Look

KINDS = ["bases", "hexplane", "mlp", "lowrank"]
FORMS = CONFIG.deformations
SMALL = replace(
    CONFIG,
    deformations=replace(
        FORMS,
        hexplane=replace(FORMS.hexplane, spatial=8, temporal=6, features=4),
        mlp=replace(FORMS.mlp, layers=4, width=24),
        lowrank=replace(FORMS.lowrank, trajectories=4),
        bases=replace(FORMS.bases, count=6),
    ),
)
"""Small enough for a test."""
MOST_TERMS = 4 * (72 + 24)
"""Additions between an input and an output of the longest of these models, the network: 4 layers of 24, 72 features."""
DEVICES = [
    "cpu",
    pytest.param(
        "cuda", marks=[pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU can be used")]
    ),
]


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return sliding_clip(tmp_path_factory.mktemp("clip"), frames=6)


def optimizer_of(form, config=SMALL, **options):
    return AutogradAdam(base_of(), deformation_of(form), config, 0.5, partial(rates, config.deformations), **options)


@pytest.mark.parametrize("form", ["bases-constant", "hexplane", "mlp", "lowrank"])
def test_a_step_is_that_of_torchs_adam_on_the_whole_graph(form):
    """Gradients of every tensor, moments, and the rates at some progress."""
    config = replace(SMALL, base_rates=replace(SMALL.base_rates, position=0.1, quat=0.1, log_scale=0.1, opacity=0.1,
                                               color=0.1, final=0.5))  # fmt: skip
    config = replace(config, base_rates=replace(config.base_rates, position=0.2))  # times the footprint: 0.1
    ours = optimizer_of(form, config)
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
        ((shape.packed_at(base, time) - goal) ** 2).sum().backward()
        theirs.step()
    assert torch.allclose(ours.base, base, atol=1e-5)
    for name, tensor in ours.deformation.tensors().items():
        assert torch.allclose(tensor, trained[name] if name in trained else made.tensors()[name], atol=2e-4), name
        assert not tensor.requires_grad


def test_rates_decay_to_their_end_and_some_only_for_positions():
    still = replace(SMALL, deformations=replace(SMALL.deformations, only_positions_decay=True))
    for config, color in ((SMALL, SMALL.base_rates.final), (still, 1.0)):
        moved = []
        for progress in (0.0, 1.0):
            optimizer = optimizer_of("lowrank", config)
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
        assert moved[1][1] / moved[0][1] == pytest.approx(SMALL.base_rates.final, rel=1e-2)
        assert moved[1][2] / moved[0][2] == pytest.approx(FORMS.lowrank.coefficient_rate.final, rel=2e-2)


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
    optimizer = optimizer_of("hexplane", penalty=PlanePenalty(1.0, 1.0))
    before = sum(float(x) for x in optimizer.deformation.roughness())
    for _ in range(20):
        optimizer.packed_at(0.4)
        optimizer.step(torch.zeros(COUNT, 14), 0.4, 0.0)
    assert sum(float(x) for x in optimizer.deformation.roughness()) < 0.7 * before


def test_nothing_deforms_in_the_still_steps_and_then_moments_begin_again():
    config = replace(SMALL, iterations=8, deformations=replace(SMALL.deformations, still_share=0.25))
    optimizer = optimizer_of("bases", config)
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
@pytest.mark.parametrize("kind", KINDS)
def test_a_fit_raises_the_training_psnr_and_the_cap_holds(clip, kind, device):
    """With insertions and pruning on the way."""
    fit = new_fit(clip, replace(SMALL, iterations=50, virtual_share=0.0), deformation=kind, device=device)
    first, _ = fit.take_step()
    before = fit.psnr
    run_fit(fit, show=False)
    assert fit.log[-1]["loss"] < 0.8 * first
    assert fit.psnr > before + 3
    assert 120 < fit.optimizer.base.shape[0] <= CONFIG.gaussians_cap
    assert fit.optimizer.deformation.kind == kind
    assert all(t.device.type == device for t in fit.optimizer.deformation.tensors().values())


@pytest.mark.parametrize("kind", KINDS)
def test_it_moves_what_moves(clip, kind):
    """The texture slides by 3.75 pixels: a fit that stands still cannot reach what one that deforms does."""
    config = replace(SMALL, iterations=150 if kind == "mlp" else 80, insertions=())
    moving, still = (new_fit(clip, config, deformation=k) for k in (kind, "none"))
    for fit in (moving, still):
        run_fit(fit, show=False)
    assert moving.psnr > still.psnr + 1
    ends = (moving.optimizer.packed_at(float(t))[:, 0] for t in (clip.times[-1], clip.times[0]))
    slide = next(ends) - next(ends)
    assert float(slide.median()) > 0.3 * 3.75 * moving.optimizer.pixel_footprint


@pytest.mark.parametrize("kind", KINDS)
def test_resuming_is_bit_identical(clip, kind, tmp_path):
    whole, part, again = (new_fit(clip, SMALL, deformation=kind) for _ in range(3))
    run_fit(whole, show=False)
    for _ in range(9):
        part.take_step()
    save_checkpoint(part.checkpoint(), tmp_path)
    kept = load_checkpoint(tmp_path)
    empty = new_optimizer(clip, again.views, SMALL, kind, torch.device("cpu"), seed=7, checkpoint=kept)
    again = Fit(empty, again.views, SMALL, 0)
    again.restore(kept)
    run_fit(again, show=False)
    ours, theirs = again.checkpoint().tensors, whole.checkpoint().tensors
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_motion_starts_from_tracks_or_at_rest(clip):
    for kind in ("spline", "bases", "lowrank"):
        slides = []
        for start in ("tracks", "rest"):
            fit = new_fit(clip, replace(SMALL, motion_start=start), deformation=kind)
            packed = [fit.optimizer.packed_at(float(t)).clone() for t in (clip.times[0], clip.times[-1])]
            slides.append(float((packed[1] - packed[0])[:, 0].median()))
            run_fit(fit, show=False)  # insertions start likewise
        assert slides[0] > 0.4 * 3.75 * fit.optimizer.pixel_footprint, kind
        assert slides[1] == 0


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_start_as_the_peers_do_and_learn(clip, name):
    config = replace(RECIPES[name], iterations=80, gaussians_cap=1500)  # rounds are a few steps apart here
    small = replace(config.deformations, hexplane=replace(config.deformations.hexplane, spatial=8, features=4))
    kind = Reconstruct("clip", preset=name).deformation_kind()
    fit = new_fit(clip, replace(config, deformations=small), deformation=kind)
    assert kind == {"deform3dgs": "bases", "endogaussian": "hexplane"}[name]
    assert torch.sigmoid(fit.optimizer.base[:, OPACITY]).max() == pytest.approx(0.1)
    assert fit.optimizer.track_knots is None
    assert torch.equal(fit.optimizer.packed_at(0.3), fit.optimizer.base)
    first, terms = fit.take_step()
    assert "hidden" not in terms
    run_fit(fit, show=False)
    assert fit.log[-1]["loss"] < 0.8 * first
    assert not np.isin(fit._order, range(len(fit.views.real), 99)).any(), "no virtual frames"


@pytest.mark.parametrize(
    ("name", "first", "last", "count"), [("deform3dgs", 600, 2900, 24), ("endogaussian", 600, 3900, 29)]
)
def test_recipes_split_when_and_what_the_peers_do(name, first, last, count):
    config = RECIPES[name]
    rounds = sorted(AdaptiveDensity(config, 2.0, 0).changes)
    assert (rounds[0], rounds[-1], len(rounds)) == (first, last, count)
    assert name == "deform3dgs" or not set(range(1001, 1600)) & set(rounds), "its second stage counts from its start"
    assert AdaptiveDensity(config, 2.0, 0).large == pytest.approx(0.1 * 5.69 * 2.0)


def test_recipes_place_their_points_on_tissue(clip):
    views = new_fit(clip).views
    every = initialize_as_peer(views.observations, "every-frame", 1000, Look(0.1, 1.0), 0)
    first = initialize_as_peer(views.observations, "first-frame", 1000, Look(0.1, 1.0), 0)
    pixels = np.count_nonzero(views.observations.masks[0])
    assert len(every) == 5 * int(0.01 * pixels)
    assert 0.1 * pixels <= len(first) < 0.2 * pixels
    assert torch.equal(every, initialize_as_peer(views.observations, "every-frame", 1000, Look(0.1, 1.0), 0))
    assert not torch.equal(every, initialize_as_peer(views.observations, "every-frame", 1000, Look(0.1, 1.0), 1))
    assert len(initialize_as_peer(views.observations, "first-frame", 40, Look(0.1, 1.0), 0)) == 40
    K = views.observations.K[0]
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


def test_total_variation_reaches_the_gaussians_with_and_without_the_kernels(clip, monkeypatch):
    config = replace(CONFIG, tv_weight=0.5)
    fit = new_fit(clip, config)
    packed, view = fit.optimizer.packed_at(0.0), fit.views[0]
    fused = fit._objective.evaluate(packed, view)
    plain = fit._objective._autograd(packed.detach().requires_grad_(), view)
    without = new_fit(clip)._objective.evaluate(packed, view)
    assert fused.loss == pytest.approx(plain.loss, rel=1e-3)
    assert torch.allclose(fused.grad, plain.grad, atol=1e-4)
    assert fused.loss > without.loss + 1e-3


def test_options_change_the_form_they_name():
    def forms(**options):
        return Reconstruct("clip", **options).fit_config().deformations

    assert forms(deformation="bases", motion=DeformationOptions(bases_kernel="gaussian")).bases.kernel == "gaussian"
    assert forms(deformation="bases", motion=DeformationOptions(bases_constant=True)).bases.constant
    assert forms(deformation="bases", motion=DeformationOptions(bases_count=9)).bases.count == 9
    assert forms(deformation="mlp", motion=DeformationOptions(motion_channels="motion")).mlp.channels == "motion"
    assert forms(deformation="lowrank", motion=DeformationOptions(trajectories=5)).lowrank.trajectories == 5
    big = forms(deformation="hexplane", motion=DeformationOptions(hexplane_size="endogaussian")).hexplane
    assert (big.scales, big.features) == ((1, 2, 4, 8), 64)
    assert Reconstruct("clip", motion=DeformationOptions(motion_start="rest")).fit_config().motion_start == "rest"
    assert Reconstruct("clip").fit_config() == FitConfig()


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"deformation": "mlp", "motion": DeformationOptions(bases_count=4)}, "--bases-count says nothing"),
        ({"motion": DeformationOptions(motion_channels="all")}, "--motion-channels says nothing"),
        ({"preset": "deform3dgs", "motion": DeformationOptions(motion_start="tracks")}, "have no tracks"),
        ({"preset": "deform3dgs", "deformation": "spline"}, "has its own optimizer"),
        ({"preset": "endogaussian", "density": "absgrad"}, "needs a preset that says how many"),
        ({"preset": "deform3dgs", "density": "residual"}, "needs a preset that says how many"),
        ({"sh_degree": 3}, "--sh-degree needs --colors sh"),
    ],
)
def test_options_that_say_nothing_are_refused(options, what):
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
    for share in ("rim", "halo", "specular", "specular_depth", "ssim", "rigidity"):
        assert 0 <= getattr(config, f"{share}_weight") <= 1, share
    assert 0 <= config.virtual_share <= 1
    assert 0 < config.prune_opacity < min(config.start_opacity, config.insertion_opacity) < 1


def test_rates_are_found_for_every_trained_tensor():
    for form in ("bases-constant", "hexplane", "mlp", "lowrank"):
        optimizer = optimizer_of(form)
        assert all(isinstance(optimizer.rate(name), Rate) for name in optimizer.moments)


def test_coefficients_step_by_the_trajectories_that_there_are(clip):
    """A short clip has fewer knots than the trajectories that were asked for."""
    many = replace(SMALL.deformations, lowrank=replace(FORMS.lowrank, trajectories=50))
    optimizer = new_fit(clip, replace(SMALL, deformations=many), deformation="lowrank").optimizer
    rank = optimizer.deformation.coefficients.shape[0]
    assert rank < 50
    assert optimizer.rate("coefficients").start == pytest.approx(FORMS.lowrank.coefficient_rate.start / rank)


@pytest.mark.parametrize("kind", ["bases", "lowrank"])
def test_positions_step_farther_from_rest_than_from_tracks(kind):
    base, knots = torch.zeros(3, CHANNELS), Knots.evenly(0.0, 1.0, 3)
    base[:, 3] = 1
    motion = SplineDeformation.at_rest(3, knots)
    steps = []
    for start in ("tracks", "rest"):
        config = replace(FitConfig(), motion_start=start)
        optimizer = new_autograd_optimizer(base, motion, 3.0, knots, config, kind, 0.1, 0)
        steps.append(float(optimizer.deformation.units[0]))
    assert steps[1] == pytest.approx(3 * steps[0])
