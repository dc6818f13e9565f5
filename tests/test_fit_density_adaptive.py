"""3DGS's clone and split: what pulls, who is chosen, and what becomes of them."""

from dataclasses import replace

import pytest
import torch
from endogs.fit.density.adaptive import AdaptiveDensity, clone_or_split, in_view, screen_pull
from endogs.fit.density.splitting import PULL, SEEN
from gaussian_scenes import make_scene
from sliding_clip import sliding_clip
from test_fit_density import population
from test_fit_loop import CONFIG, new_fit

from endogs.errors import InputError
from endogs.fit.config import AdaptiveNumbers
from endogs.gaussians import COLORS, LOG_SCALES, MEANS, OPACITY, QUATS
from endogs.pipeline.options import Reconstruct
from endogs.render import rasterize_packed

ADAPTIVE = replace(CONFIG, density="adaptive", prune_opacity=1e-6)


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
        config = replace(ADAPTIVE, adaptive=numbers, gaussians_cap=cap)
        control, group = AdaptiveDensity(config, 1e9, 0), population(base)
        control.prepare(group)
        group.rows[PULL][[3, 8, 20, 40, 50]] = torch.tensor([2.1, 9.0, 6.0, 1.9, 10.0])
        group.rows[SEEN][50] = 10.0  # 1 on average
        (step,) = control.changes
        control.change(group, step + 1, 1.3)
        assert len(group) == 60
        control.change(group, step, 1.3)
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


def test_under_bloop_the_whole_loss_pulls(tmp_path):
    clip = sliding_clip(tmp_path, frames=6)
    config = replace(ADAPTIVE, adaptive=AdaptiveNumbers(rounds=(0.9,)))
    pulls = []
    for balance in ("sum", "bloop"):
        fit = new_fit(clip, replace(config, balance=balance))
        fit.take_step()
        pulls.append(fit._population.rows[PULL])
    assert torch.allclose(pulls[0], pulls[1], rtol=1e-3, atol=1e-6 * float(pulls[0].max()))


def test_a_fit_counts_the_mean_pull_of_the_steps_that_had_each_in_view(tmp_path):
    clip = sliding_clip(tmp_path, frames=6)
    fit = new_fit(clip, replace(ADAPTIVE, adaptive=AdaptiveNumbers(rounds=(0.5,))), deformation="bases")
    expected, seen = torch.zeros(len(fit.optimizer.base)), torch.zeros(len(fit.optimizer.base))
    for _ in range(3):
        view = fit.views[fit._order[fit.step]]
        packed = fit.optimizer.packed_at(view.time).clone()
        grad = fit._objective.evaluate(packed, view, 4.0 if fit.step % 4 == 0 else 0.0).grad.clone()
        expected, seen = expected + screen_pull(packed, grad, view.camera), seen + in_view(packed, view.camera)
        fit.take_step()
    assert 0 < float(seen.mean()) <= 3
    assert torch.allclose(fit._population.rows[PULL], expected, rtol=1e-4, atol=1e-9)
    assert torch.equal(fit._population.rows[SEEN], seen)


def test_the_preset_decides_unless_the_option_does():
    assert Reconstruct("clip", preset="deform3dgs").fit_config().density == "adaptive"
    assert Reconstruct("clip", preset="deform3dgs", density="none").fit_config().density == "none"
    assert Reconstruct("clip").fit_config().density == "residual"
    with pytest.raises(InputError, match="copies plain colours"):
        Reconstruct("clip", density="adaptive", exposure=True).fit_config()
