"""The loop: schedules, density control, checkpoints, resuming, and stopping."""

import os
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch
from samples.small_fits import CONFIG, new_fit

from endogs.clip import load_clip
from endogs.errors import FitDiverged, InputError
from endogs.fit.checkpoint import FILE_NAME, Checkpoint, load_checkpoint, save_checkpoint
from endogs.fit.density.control import drop_transparent
from endogs.fit.density.population import Population
from endogs.fit.density.residual_maps import ResidualMaps
from endogs.fit.graph_steps import uncaptured
from endogs.fit.interrupt import STOPS
from endogs.fit.loop import run_fit
from endogs.fit.optimize.spline_adam import SplineAdam
from endogs.fit.schedule import schedule
from endogs.gaussians import COLORS, OPACITY
from endogs.phantom.config import Phantom
from endogs.phantom.writer import write_phantom
from endogs.pipeline.options import Reconstruct
from endogs.render import rasterize_packed
from endogs.scene import Knots, SplineDeformation


def test_schedule_shows_every_view_once_per_round():
    order = schedule(7, 12, 2000, 0.25, seed=3)
    real = order[order < 7]
    assert torch.equal(real[:7].sort().values, torch.arange(7))
    assert torch.bincount(real).float().std() < 1
    assert 0.2 < float((order >= 7).float().mean()) < 0.3
    assert order.max() < 19
    assert torch.equal(order, schedule(7, 12, 2000, 0.25, seed=3))
    assert not torch.equal(order, schedule(7, 12, 2000, 0.25, seed=4))
    assert (schedule(1, 0, 10, 0.25, seed=0) == 0).all()


@pytest.mark.parametrize("deformation", ["spline", "none"])
def test_the_loss_falls_and_the_cap_holds(clip, deformation):
    fit = new_fit(clip, replace(CONFIG, iterations=40), deformation=deformation)
    first = fit.advance().loss
    run_fit(fit, show=False)
    assert fit.step == 40
    assert fit.log[-1]["loss"] < 0.8 * first
    assert 150 * 0.8 < fit.optimizer.base.shape[0] <= CONFIG.gaussians_cap
    assert fit.psnr > 20


def test_resuming_is_bit_identical(clip, tmp_path):
    whole = new_fit(clip)
    run_fit(whole, show=False)
    part = new_fit(clip)
    for _ in range(11):
        part.advance()
    save_checkpoint(part.checkpoint(), tmp_path)
    again = new_fit(clip)
    again.restore(load_checkpoint(tmp_path))
    assert again.step == 11
    run_fit(again, show=False)
    ours, theirs = again.checkpoint().tensors, whole.checkpoint().tensors
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert again.log[-1]["psnr"] == whole.log[-1]["psnr"]


@pytest.mark.parametrize("kind", ["spline", "lowrank", "bases"])
def test_a_resumed_run_keeps_its_knots(clip, tmp_path, monkeypatch, kind):
    """Knots are laid by the flow; whatever it says when the run is resumed, the run goes on as it would have."""
    whole, part = new_fit(clip, deformation=kind), new_fit(clip, deformation=kind)
    run_fit(whole, show=False)
    for _ in range(5):
        part.advance()
    save_checkpoint(part.checkpoint(), tmp_path)
    monkeypatch.setattr("endogs.fit.setup.clip_knots", lambda *given: Knots.evenly(0.0, 0.07, 8))
    assert new_fit(clip, deformation=kind).optimizer.track_knots != whole.optimizer.track_knots
    kept = load_checkpoint(tmp_path)
    again = new_fit(clip, deformation=kind, checkpoint=kept)
    again.restore(kept)
    run_fit(again, show=False)
    assert again.optimizer.track_knots == whole.optimizer.track_knots
    ours, theirs = again.checkpoint().tensors, whole.checkpoint().tensors
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_checkpoint_of_other_tensors_is_an_input_error(clip):
    fit = new_fit(clip)
    other = fit.checkpoint()
    other.tensors["control"] = other.tensors["control"][:-1]
    with pytest.raises(InputError, match=r"does not fit this run .*start anew with --overwrite"):
        fit.restore(other)
    del other.tensors["control"]
    with pytest.raises(InputError, match=r"does not fit this run .*start anew with --overwrite"):
        fit.restore(other)


def test_frames_without_tissue_do_not_count_in_the_running_psnr(clip):
    fit = new_fit(clip, replace(CONFIG, virtual_share=0.0))
    fit.advance()
    seen = fit.psnr
    view = fit.window[fit.schedule[fit.step]]
    fit.window.real[fit.schedule[fit.step]] = replace(view, weight=torch.zeros_like(view.weight))
    fit.advance()
    assert fit.psnr == seen


def test_a_gpu_says_why_its_steps_are_slow(clip, monkeypatch, capsys):
    """Only where they are; the steps themselves are taken on the CPU here."""
    monkeypatch.setattr("endogs.fit.graph_steps.native.runs_on", lambda device: True)
    assert uncaptured(new_fit(clip)) == []
    slow = replace(CONFIG, iterations=0, balance="bloop", normal_weight=0.01, deformation="bases")
    fit = new_fit(clip, slow)
    run_fit(fit, show=False)
    assert (fit.slow_steps_note, capsys.readouterr().err) == (None, ""), "nothing is launched on a CPU"
    fit._uncaptured = uncaptured(fit)
    run_fit(fit, show=False)
    told = capsys.readouterr().err
    assert told.count("note: ") == 1
    assert told.rstrip().endswith("the deformation bases, balance bloop, the loss term normals")


def test_a_nan_names_step_and_attribute_and_keeps_the_checkpoint(clip, tmp_path, monkeypatch):
    monkeypatch.setattr("endogs.fit.checkpoint_clock.COST", 0)
    fit = new_fit(clip, replace(CONFIG, checkpoint_seconds=0.0))

    def poison(fit):
        if fit.step == 5:
            fit.optimizer.base[3, OPACITY] = float("nan")

    with pytest.raises(FitDiverged, match=r"step 5.*opacit"):
        run_fit(fit, tmp_path, show=False, on_step=poison)
    kept = load_checkpoint(tmp_path)
    assert 1 <= kept.step <= 4, "those after it were not finite, or still on their way to the disk"
    # The error is not known before the first real frame.
    assert all(torch.isfinite(t).all() for name, t in kept.tensors.items() if name != "squared_error")


def test_a_gradient_that_is_not_finite_is_refused_and_the_state_before_it_saved(clip, tmp_path, monkeypatch):
    fit = new_fit(clip)
    evaluate = type(fit.objective).evaluate

    def poisoned(objective, packed, view, step):
        result = evaluate(objective, packed, view, step)
        if fit.step == 6:
            result.grad[2, COLORS] = float("inf")
        return result

    monkeypatch.setattr(type(fit.objective), "evaluate", poisoned)
    with pytest.raises(FitDiverged, match=r"step 6.*gradient.*colors"):
        run_fit(fit, tmp_path, show=False)
    kept = load_checkpoint(tmp_path)
    assert kept.step == 6
    assert all(torch.isfinite(t).all() for t in kept.tensors.values())


def test_a_divergence_at_an_insertion_does_not_insert_twice(clip, tmp_path, monkeypatch):
    """The checkpoint that it leaves holds the inserted Gaussians, and whoever resumes must not insert them again."""
    whole = new_fit(clip)
    run_fit(whole, show=False)
    part = new_fit(clip)
    insertion = min(part.density.changes)
    evaluate = type(part.objective).evaluate

    def poisoned(objective, packed, view, step):
        result = evaluate(objective, packed, view, step)
        if part.step == insertion:
            result.grad[2, COLORS] = float("inf")
        return result

    with monkeypatch.context() as patch:
        patch.setattr(type(part.objective), "evaluate", poisoned)
        with pytest.raises(FitDiverged, match=f"step {insertion}"):
            run_fit(part, tmp_path, show=False)
    again = new_fit(clip)
    again.restore(load_checkpoint(tmp_path))
    assert again.step == insertion
    run_fit(again, show=False)
    ours, theirs = again.checkpoint().tensors, whole.checkpoint().tensors
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_other_errors_of_a_step_are_not_called_divergence(clip, monkeypatch):
    fit = new_fit(clip)

    def broken(objective, packed, view, step):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(type(fit.objective), "evaluate", broken)
    with pytest.raises(RuntimeError, match=r"^out of memory$"):
        run_fit(fit, show=False)


def test_the_scene_closes_behind_an_instrument(clip):
    hidden = np.zeros((clip.height, clip.width), bool)
    hidden[10:26, 12:30] = True

    def alpha_there(weight: float) -> float:
        config = replace(CONFIG, iterations=40, hidden_weight=weight, unseen_weight=0.0, insertions=())
        fit = new_fit(clip, config)
        fit.optimizer.base[:, OPACITY] = -3.0  # thin everywhere, so that there is something to close
        view = replace(fit.window.real[0], occluded=torch.from_numpy(hidden.view(np.uint8)))
        for _ in range(40):
            packed = fit.optimizer.packed_at(view.time)
            result = fit.objective.evaluate(packed, replace(view, weight=torch.zeros_like(view.weight)), 1)
            fit.optimizer.step(result.grad, view.time, 0.0)
        return float(fit.objective.evaluate(fit.optimizer.packed_at(view.time), view, 1).planes[4][hidden].mean())

    assert alpha_there(0.02) > alpha_there(0.0) + 0.2


@pytest.mark.parametrize("stop", STOPS)
def test_ctrl_c_and_its_like_end_between_two_steps_and_save(clip, tmp_path, stop):
    fit = new_fit(clip)

    def press(fit):
        if fit.step == 3:
            os.kill(os.getpid(), stop)

    before = signal.getsignal(stop)
    run_fit(fit, tmp_path, show=False, on_step=press)
    assert signal.getsignal(stop) is before
    assert fit.stopped_by == stop
    assert load_checkpoint(tmp_path).step == fit.step
    assert 3 <= fit.step <= 4


def test_residuals_draw_where_the_error_is():
    maps = ResidualMaps.empty(2, 20, 24)
    maps.depth[:] = 50
    assert len(maps.draw(10, torch.Generator())[0]) == 0
    maps.residual[1, 4:6, 7:9] = 1
    maps.residual[0, 2, 3] = 4
    frame, row, column, depth = maps.draw(400, torch.Generator().manual_seed(0))
    assert (depth == 50).all()
    assert int((frame == 0).sum()) == pytest.approx(200, abs=2)
    assert set(row[frame == 1].tolist()) == {4, 5}
    assert set(column[frame == 1].tolist()) == {7, 8}


def test_only_gaussians_that_never_show_are_dropped():
    knots = Knots.evenly(0.0, 1.0, 1)
    base = torch.zeros(3, 14)
    base[:, OPACITY] = torch.tensor([-9.0, -9.0, 1.0])
    control = torch.zeros(knots.count, 3, 14)
    control[2, 1, OPACITY] = 8.5
    optimizer = SplineAdam(base, SplineDeformation(control, knots), CONFIG, 1.0)
    population = Population(optimizer)
    assert drop_transparent(population, 0.02) == 1
    assert optimizer.base[:, OPACITY].tolist() == [-9.0, 1.0]
    assert drop_transparent(population, 0.02) == 0


def test_a_broken_or_missing_checkpoint_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="no checkpoint"):
        load_checkpoint(tmp_path)
    save_checkpoint(Checkpoint(3, {"a": torch.ones(2)}, {"x": 1}, []), tmp_path)
    assert load_checkpoint(tmp_path).run == {"x": 1}
    assert [p.name for p in tmp_path.iterdir()] == [FILE_NAME]
    path = tmp_path / FILE_NAME
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(InputError, match=r"cannot be resumed from \(.*\); start anew with --overwrite"):
        load_checkpoint(tmp_path)


def test_views_weigh_tissue_only_and_virtual_frames_lie_between(clip):
    fit = new_fit(clip)
    views = fit.window
    for k in range(len(views.real)):
        assert (views[k].weight[36:] == 0).all()
        assert (views[k].weight[5:30, 5:40] == 255).all()
    assert views.virtual_count == 4 + 3 * 2, "two per frame interval, and frame 1 is held out"
    times = [views[len(views.real) + k].time for k in range(10)]
    assert times[:5] == pytest.approx([0.04, 0.08, 0.12, 0.16, 0.2 + 0.1 / 3])
    assert min(abs(t - clip.times[1]) for t in times) > 0.015
    assert not views.unseen.any()
    assert not views.occluded.any()


def test_a_frame_without_tissue_hides_nothing(clip):
    """A backdrop is laid over hidden pixels: a black frame must not lay one over the whole image."""

    class Masks:
        def read(self, index):
            tissue = np.full((40, 48), index != 3)
            tissue[:, :4] &= index != 4
            return tissue

    views = new_fit(clip.with_masks(Masks())).window
    assert not views.observations.masks[2].any()
    assert views.occluded[:36, :4].all(), "an instrument still does"
    assert not views.occluded[:, 4:].any()


def test_highlights_and_what_may_be_an_instrument_weigh_less(clip, monkeypatch):
    """A highlight keeps its colour and gives no depth; around found instruments colour counts a little, depth not.

    Behind an instrument that never moves, a little is asked of colours that continue the tissue's."""

    class Found:
        def read(self, index):
            return ~self.halo(index) & (np.arange(48) >= 4)[None]

        def halo(self, index):
            return np.repeat((np.arange(48) // 4 == 1)[None], 40, 0)

    spot = np.zeros((40, 48), bool)
    spot[20, 30] = True
    monkeypatch.setattr("endogs.fit.window.specular_mask", lambda image: spot)
    monkeypatch.setattr("endogs.fit.window.weighed", lambda views, *others: views)
    masked = clip.with_masks(Found())
    config = replace(CONFIG, halo_weight=0.2)
    view = new_fit(masked, config).window[0]
    assert (view.weight[:36, 3] == 0).all(), "instrument"
    assert (view.weight[:36, :2] == round(255 * config.hidden_color_weight)).all(), "tint"
    assert (view.weight[:36, 4:8] == 51).all(), "halo"
    assert (view.weight[36:] == 0).all(), "ignored"
    assert view.weight[20, 30] == 255
    assert view.weight[20, 31] == 255
    assert view.occluded[:36, :4].all(), "only the instrument is closed"
    assert not view.occluded[:, 4:].any()
    assert view.depth_weight[20, 30] == 0
    assert view.depth_weight[20, 32] > 0
    assert (view.depth_weight[:, :8] == 0).all()


def test_more_depth_weight_brings_the_surface_nearer_to_metric_depth(tmp_path):
    write_phantom(Phantom(tmp_path / "clip", frames=6, width=80, height=64, noise=0.0, instruments=0))
    found = []
    for weight in (0.0, 2.0):
        config = replace(Reconstruct(tmp_path, depth_weight=weight).fit_config(), iterations=80, initial_gaussians=600)
        fit = new_fit(load_clip(tmp_path / "clip"), replace(config, gaussians_cap=600, insertions=()))
        run_fit(fit, show=False)
        view = fit.window.real[0]
        depth = rasterize_packed(fit.optimizer.packed_at(view.time), view.camera).depth
        known = view.depth > 0
        found.append(float((depth - view.depth)[known].abs().mean()))
    assert found[1] < 0.7 * found[0]
