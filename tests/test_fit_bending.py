"""Bending in time: straight splines are left alone on uneven knots, others come closer to straight."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sliding_clip import sliding_clip
from test_fit_loop import CONFIG, new_fit

from endogs.errors import InputError
from endogs.fit.bending import greville_time, relax_bending
from endogs.fit.config import PRESETS, Reconstruct
from endogs.fit.loop import run_fit
from endogs.gaussians import CHANNELS
from endogs.scene.deformation.spline import Knots, SplineDeformation

KNOTS = st.lists(st.floats(0.05, 2.0), min_size=1, max_size=6).map(
    lambda steps: Knots((0.5, *(0.5 + np.cumsum(steps)).tolist()))
)


def greville_times(knots: Knots) -> list[float]:
    return [greville_time(knots, k) for k in range(knots.count)]


def line(knots: Knots) -> torch.Tensor:
    """Control points (Kn, 3, 14) whose splines are 2 t - 1."""
    return (2 * torch.tensor(greville_times(knots)) - 1)[:, None, None].expand(-1, 3, CHANNELS).clone()


def bent(control: torch.Tensor, knots: Knots) -> float:
    """Mean distance of inner control points from the line between their neighbours."""
    at = torch.tensor(greville_times(knots))
    share = ((at[1:-1] - at[:-2]) / (at[2:] - at[:-2]))[:, None, None]
    return float((control[1:-1] - torch.lerp(control[:-2], control[2:], share)).abs().mean())


@given(KNOTS, st.floats(0, 1))
def test_splines_whose_control_points_lie_on_a_line_at_their_greville_times_are_straight_and_stay_so(knots, share):
    spline = SplineDeformation(line(knots), knots)
    time = knots.breakpoints[0] + share * (knots.breakpoints[-1] - knots.breakpoints[0])
    assert spline.packed_at(torch.zeros(3, CHANNELS), time).numpy() == pytest.approx(2 * time - 1, abs=1e-4)
    relax_bending(spline, time, 0.7)
    assert torch.allclose(spline.control, line(knots), atol=1e-4)


def test_a_bent_spline_is_straightened_where_the_step_was_and_nowhere_else():
    knots = Knots((0.0, 0.2, 0.3, 0.7, 0.8, 1.3))
    control = torch.randn(knots.count, 3, CHANNELS, generator=torch.Generator().manual_seed(0))
    spline = SplineDeformation(control.clone(), knots)
    relax_bending(spline, 0.5, 0.0)
    assert torch.equal(spline.control, control)
    relax_bending(spline, 0.5, 1.0)  # the third interval: control points 2 to 5 are active
    moved = [k for k in range(knots.count) if not torch.equal(spline.control[k], control[k])]
    assert moved == [3, 4]
    at = greville_times(knots)
    share = (at[4] - at[3]) / (at[5] - at[3])
    assert torch.allclose(spline.control[4], torch.lerp(spline.control[3], control[5], share), atol=1e-6)
    before = bent(control, knots)
    for _ in range(200):
        for time in np.linspace(0, 1.3, 14):
            relax_bending(spline, float(time), 0.5)
    assert bent(spline.control, knots) < 1e-3 * before


def test_a_fit_with_it_bends_less(tmp_path):
    clip = sliding_clip(tmp_path / "clip", frames=6)
    fits = [new_fit(clip, replace(CONFIG, iterations=30, bending_weight=weight)) for weight in (0.0, 0.2)]
    for fit in fits:
        run_fit(fit, show=False)
    free, held = (bent(fit.optimizer.deformation.control, fit.optimizer.deformation.knots) for fit in fits)
    assert held < 0.5 * free


def test_a_fit_without_splines_is_refused(tmp_path):
    clip = sliding_clip(tmp_path / "clip", frames=6)
    with pytest.raises(InputError, match="bending_weight needs the deformation spline, not none"):
        new_fit(clip, replace(CONFIG, bending_weight=0.1), deformation="none")


@pytest.mark.parametrize("option", ["rigidity_weight", "bending_weight"])
def test_a_preset_keeps_its_own_number_unless_another_is_asked_for(option, monkeypatch):
    monkeypatch.setitem(PRESETS, "fast", replace(PRESETS["fast"], **{option: 0.5}))
    assert getattr(Reconstruct(Path("clip"), preset="fast").fit_config(), option) == 0.5
    assert getattr(Reconstruct(Path("clip"), preset="fast", **{option: 0.0}).fit_config(), option) == 0


@pytest.mark.parametrize("option", ["rigidity_weight", "bending_weight"])
def test_options_that_ask_for_what_cannot_be_are_refused(option):
    told = "--" + option.replace("_", "-")
    assert getattr(Reconstruct(Path("clip"), **{option: 0.25}).fit_config(), option) == 0.25
    for bad in (-0.1, 1.5, float("nan")):
        with pytest.raises(InputError, match=f"{told} .* out of range; give 0 to 1"):
            Reconstruct(Path("clip"), **{option: bad}).fit_config()
    with pytest.raises(InputError, match=f"{told} needs --deformation spline, not lowrank"):
        Reconstruct(Path("clip"), deformation="lowrank", **{option: 0.25}).fit_config()
