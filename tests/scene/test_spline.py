"""The spline deformation against scipy's B-splines, and the static one."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import BSpline

from endogs.gaussians import CHANNELS
from endogs.scene import DEFORMATIONS, Knots, Scene, SplineDeformation, StaticDeformation
from endogs.scene.deformation.spline import spline_evaluate
from endogs.seeding.spline_fit import fit_control

UNIT = Knots.evenly(0.0, 1.0, 1)


@given(st.floats(0, 1))
def test_weights_are_a_partition_of_unity(fraction):
    weights = UNIT.locate(fraction)[1]
    assert sum(weights) == pytest.approx(1)
    assert min(weights) >= 0


@pytest.mark.parametrize("knots", [Knots.over(0.0, 10.0, 1.3), Knots((0.0, 0.5, 2.0, 2.5, 7.0, 10.0))])
@given(time=st.floats(0.01, 9.99), seed=st.integers(0, 1000))
def test_evaluation_equals_scipy(knots, time, seed):
    control = torch.from_numpy(np.random.default_rng(seed).normal(size=(knots.count, 2, CHANNELS))).float()
    base = torch.ones(2, CHANNELS)
    packed = SplineDeformation(control, knots).packed_at(base, time)
    expected = 1 + BSpline(np.array(knots.extended), control.numpy().astype(np.float64), 3)(time)
    np.testing.assert_allclose(packed.numpy(), expected, atol=1e-5)


def test_knots_cover_the_clip_and_clamp_outside():
    knots = Knots.over(0.0, 1.0, 0.25)
    assert (knots.intervals, knots.count) == (4, 7)
    assert Knots.over(0.0, 0.0, 0.25).intervals == 1
    assert knots.locate(5.0) == knots.locate(1.0)
    assert knots.locate(-5.0) == knots.locate(0.0)
    np.testing.assert_allclose(knots.basis(np.linspace(-1, 2, 20)).sum(1), 1)
    with pytest.raises(ValueError, match="positive"):
        Knots.over(0.0, 1.0, 0.0)


def test_uneven_knots_bend_smoothly():
    """The curve, its speed and its acceleration are continuous at every breakpoint."""
    knots = Knots((0.0, 1.0, 1.5, 4.0, 5.0))
    control = np.random.default_rng(0).normal(size=knots.count)
    h = 1e-4
    for at in knots.breakpoints[1:-1]:
        before, after = (knots.basis(at + side * 2 * h + h * np.arange(-1, 2)) @ control for side in (-1, 1))
        assert np.diff(before, 2) / h**2 == pytest.approx(np.diff(after, 2) / h**2, abs=5e-3 / h * 1e-3 + 5e-3)
        assert (before[2] - before[0]) / (2 * h) == pytest.approx((after[2] - after[0]) / (2 * h), abs=5e-3)
    with pytest.raises(ValueError, match="ascending"):
        Knots((0.0, 1.0, 1.0))


def test_least_squares_follows_a_smooth_track_and_rests_without_motion():
    times = np.linspace(0, 2, 41)
    knots = Knots.over(0.0, 2.0, 0.1)
    track = np.stack([np.sin(3 * times), np.zeros_like(times)], -1)[:, None].astype(np.float32)
    control = fit_control(knots, times, track)
    assert control.shape == (knots.count, 1, 2)
    fitted = np.einsum("fk,kpc->fpc", knots.basis(times), control)
    assert np.abs(fitted - track).max() < 0.03
    assert np.abs(control[..., 1]).max() == 0


def test_deformations_survive_their_parts():
    knots = Knots.evenly(0.0, 0.5, 3)
    control = torch.randn(knots.count, 5, CHANNELS)
    spline = SplineDeformation(control, knots)
    again = DEFORMATIONS["spline"].from_parts(spline.tensors(), spline.settings())
    base = torch.randn(5, CHANNELS)
    assert torch.equal(again.packed_at(base, 0.7), spline.packed_at(base, 0.7))
    keep = torch.tensor([True, False, True, False, True])
    assert torch.equal(spline.select(keep).packed_at(base[keep], 0.7), spline.packed_at(base, 0.7)[keep])
    with pytest.raises(ValueError, match="do not fit"):
        SplineDeformation(control[:-1], knots)
    static = StaticDeformation.from_parts({}, {})
    packed = static.packed_at(base, 3.0)
    assert torch.equal(packed, base)
    assert packed.data_ptr() != base.data_ptr()


def test_evaluation_is_linear_in_the_control_points():
    base, control = torch.randn(3, CHANNELS), torch.randn(4, 3, CHANNELS)
    weights = UNIT.locate(0.3)[1]
    moved = spline_evaluate(base, control, weights) - base
    assert torch.allclose(spline_evaluate(base, 2 * control, weights) - base, 2 * moved, atol=1e-6)


def test_scene_gives_unit_quaternions_and_the_nearest_frame():
    base = torch.randn(4, CHANNELS)
    pose = np.tile(np.eye(4), (3, 1, 1))
    scene = Scene(base, StaticDeformation(), np.array([0.0, 0.1, 0.5]), np.tile(np.eye(3), (3, 1, 1)), pose, 8, 6)
    assert torch.allclose(scene.gaussians_at(0.1).quats.norm(dim=1), torch.ones(4))
    assert (scene.nearest_frame(0.2), scene.nearest_frame(9.0), scene.duration) == (1, 2, 0.5)
    assert scene.static_camera
    pose[1, 0, 3] = 1
    assert not scene.static_camera


def test_rows_that_lie_apart_in_memory_are_evaluated_like_any_others():
    base, control = torch.randn(14, 9).T, torch.randn(4, 14, 9).transpose(1, 2)
    weights = UNIT.locate(0.3)[1]
    expected = base + sum(w * c for w, c in zip(weights, control, strict=True))
    torch.testing.assert_close(spline_evaluate(base, control, weights), expected)
