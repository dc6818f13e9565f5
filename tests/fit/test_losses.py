"""Losses: their zeros, invariances and gradients."""

from dataclasses import replace

import pytest
import torch
from torchmetrics.functional.image import structural_similarity_index_measure

from endogs.camera import Camera
from endogs.fit.config import FitConfig
from endogs.fit.objective.losses import (
    DepthAnchor,
    UnseenPairs,
    depth_loss,
    pearson,
    photometric_loss,
    unseen_smoothness,
    weighted_dssim,
)
from endogs.fit.objective.term import TermSetup
from endogs.fit.objective.terms import terms_of
from endogs.fit.view import View
from endogs.render import Rendering

CONFIG = FitConfig(ssim_weight=0.0)


def rendering(height=12, width=16, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    color = torch.rand(height, width, 3, generator=generator, dtype=dtype)
    depth = 80 + 40 * torch.rand(height, width, generator=generator, dtype=dtype)
    alpha = 0.6 + 0.4 * torch.rand(height, width, generator=generator, dtype=dtype)
    return Rendering(*(t.requires_grad_(True) for t in (color, depth, alpha)))


def test_l1_is_the_mean_over_the_weights():
    r = rendering(dtype=torch.float32)
    target = torch.full((12, 16, 3), 51, dtype=torch.uint8)
    weight = torch.zeros(12, 16)
    weight[2:5, 3:9] = 1
    loss, terms = photometric_loss(r, target, weight, CONFIG)
    expected = (r.color[2:5, 3:9] - 0.2).abs().mean()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert terms == {"l1": pytest.approx(expected.item(), rel=1e-5)}
    loss.backward()
    assert r.color.grad[weight == 0].abs().max() == 0
    assert r.color.grad[weight > 0].abs().min() > 0


def test_nothing_to_see_is_no_loss():
    r = rendering(dtype=torch.float32)
    target, none = torch.zeros(12, 16, 3, dtype=torch.uint8), torch.zeros(12, 16)
    loss, _ = photometric_loss(r, target, none, CONFIG)
    loss = loss + depth_loss(r, none, none, "logdepth", CONFIG)
    loss.backward()
    assert float(loss) == 0
    assert torch.isfinite(r.color.grad).all()


def test_metric_depth_loss_is_zero_at_the_truth_and_in_units_of_depth():
    r = rendering()
    weight = torch.ones(12, 16, dtype=torch.float64)
    assert float(depth_loss(r, r.depth.detach(), weight, "metric", CONFIG)) == 0
    off = depth_loss(r, r.depth.detach() * 1.02, weight, "metric", CONFIG)
    assert float(off) == pytest.approx(0.02 * CONFIG.depth_weight, rel=0.15)


@pytest.mark.parametrize("kind", ["logdepth", "depth", "disparity"])
def test_relative_depth_loss_ignores_what_the_prior_cannot_know(kind):
    r = rendering()
    z, weight = r.depth.detach(), torch.ones(12, 16, dtype=torch.float64)
    truth = {"logdepth": 0.3 * z.log() - 2, "depth": 7 * z, "disparity": 5 / z + 1}[kind]
    assert float(depth_loss(r, truth, weight, kind, CONFIG)) == pytest.approx(0, abs=1e-7)
    inverted = {"logdepth": -truth, "depth": 1 / truth, "disparity": -truth}[kind]
    assert float(depth_loss(r, inverted, weight, kind, CONFIG)) == pytest.approx(
        2 * CONFIG.relative_depth_weight, rel=1e-6
    )


def test_the_anchor_holds_scale_and_spread():
    r = rendering()
    log_z, weight = r.depth.detach().log(), torch.ones(12, 16, dtype=torch.float64)
    here = DepthAnchor(float(log_z.mean()), float(log_z.std(correction=0)))
    there = DepthAnchor(here.log_mean + 1, here.log_std)
    at = [float(depth_loss(r, log_z, weight, "logdepth", CONFIG, anchor)) for anchor in (here, there)]
    assert at[0] == pytest.approx(0, abs=1e-7)
    assert at[1] == pytest.approx(CONFIG.depth_anchor, rel=1e-6)


@pytest.mark.parametrize("kind", ["metric", "logdepth", "disparity"])
def test_depth_gradients_equal_finite_differences(kind):
    weight = torch.rand(5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    target = 90 + 20 * torch.rand(5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    r = rendering(5, 6)
    anchor = DepthAnchor(4.4, 0.2)

    def loss(depth):
        return depth_loss(Rendering(r.color, depth, r.alpha), target, weight, kind, CONFIG, anchor)

    assert torch.autograd.gradcheck(loss, (r.depth,), atol=1e-7)


def test_pearson_of_a_constant_is_finite():
    x = torch.ones(20, requires_grad=True)
    value = pearson(x, torch.arange(20.0), torch.ones(20))
    value.backward()
    assert float(value.detach()) == pytest.approx(0, abs=1e-3)
    assert torch.isfinite(x.grad).all()


def test_ssim_equals_torchmetrics_away_from_the_border():
    torch.manual_seed(0)
    truth = torch.rand(40, 44, 3)
    image = (truth + 0.1 * torch.randn(40, 44, 3)).clamp(0, 1)
    _, full = structural_similarity_index_measure(
        image.movedim(-1, 0)[None], truth.movedim(-1, 0)[None], data_range=1.0, return_full_image=True
    )
    weight = torch.ones(40, 44)
    ours = 1 - weighted_dssim(image, truth, weight)
    assert float(ours) == pytest.approx(float(full.mean()), abs=0.02)
    assert float(weighted_dssim(truth, truth, weight)) == pytest.approx(0, abs=1e-5)


def test_dssim_counts_as_the_weights_say():
    truth = torch.rand(30, 30, 3, generator=torch.Generator().manual_seed(1))
    image = truth.clone()
    image[:, 20:] = 0.5
    even, weight = torch.ones(30, 30), torch.ones(30, 30)
    weight[:, 20:] = 0.1
    assert float(weighted_dssim(image, truth, weight)) < 0.4 * float(weighted_dssim(image, truth, even))
    assert float(weighted_dssim(image, truth, torch.zeros(30, 30))) == 0


def test_ssim_share_changes_the_loss_and_reaches_the_colours():
    r = rendering(dtype=torch.float32)
    target = torch.full((12, 16, 3), 128, dtype=torch.uint8)
    loss, terms = photometric_loss(r, target, torch.ones(12, 16), replace(CONFIG, ssim_weight=0.2))
    assert float(loss) == pytest.approx(0.8 * terms["l1"] + 0.2 * terms["dssim"], rel=1e-5)
    loss.backward()
    assert torch.isfinite(r.color.grad).all()


def test_smoothness_acts_only_where_nothing_is_seen():
    r = rendering()
    unseen = torch.zeros(12, 16, dtype=torch.bool)
    unseen[4:7, 5:9] = True
    pairs = UnseenPairs.of(unseen)
    assert len(pairs.first) == 3 * 5 + 4 * 4
    loss = unseen_smoothness(r, pairs)
    loss.backward()
    touched = torch.zeros_like(unseen)
    touched[3:8, 4:10] = True
    assert r.depth.grad[~touched].abs().max() == 0
    assert r.depth.grad[unseen].abs().max() > 0
    flat = Rendering(torch.full((12, 16, 3), 0.5), torch.full((12, 16), 90.0), torch.ones(12, 16))
    assert float(unseen_smoothness(flat, pairs)) == 0


def test_a_slow_term_makes_up_for_the_steps_that_leave_it_out():
    nothing = torch.zeros(2, 3, dtype=torch.uint8)
    view = View(0.0, Camera(torch.eye(3), torch.eye(4), 3, 2), torch.zeros(2, 3, 3, dtype=torch.uint8), nothing, 0)
    for weight in (0.02, 0.0):
        config = replace(CONFIG, unseen_weight=weight)
        terms = terms_of(TermSetup(config, "logdepth", None, UnseenPairs.of(nothing == 0)))
        slow = [term for term in terms if term.name == "unseen"]
        assert len(slow) == (weight > 0), "what has no weight is no term"
        for term in slow:
            weights = [term.weight(view, step) for step in range(8)]
            assert sum(weights) == pytest.approx(8 * weight)
            assert weights.count(0) == 6
