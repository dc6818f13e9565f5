"""The phantom's judge: a perfect scene passes, and each fault shows in its own number."""

import cv2
import numpy as np
import pytest
import torch

from endogs.errors import InputError
from endogs.gaussians import CHANNELS, COLORS, LOG_SCALES, MEANS, OPACITY
from endogs.phantom import Phantom
from endogs.phantom.judge import floating, judge_phantom, track_errors
from endogs.phantom.visibility import PhantomTruth
from endogs.phantom.writer import write_phantom
from endogs.scene import Knots, Scene, SplineDeformation
from endogs.seeding.spline_fit import fit_control

FRAMES = 6


@pytest.fixture(scope="module")
def truth(tmp_path_factory) -> PhantomTruth:
    folder = tmp_path_factory.mktemp("phantom") / "clip"
    options = Phantom(folder, frames=FRAMES, width=128, height=96, fps=3.0, instruments=2, noise=0.0, tracks=800)
    return PhantomTruth.read(write_phantom(options))


@pytest.fixture(scope="module")
def perfect(truth) -> Scene:
    """A Gaussian at every fourth grid point, moving as it does."""
    points = np.stack([truth.points(f) for f in range(FRAMES)])[:, ::2]
    times = np.arange(FRAMES) / truth.options.fps
    knots = Knots.over(0.0, float(times[-1]), 1 / truth.options.fps)
    base = torch.zeros(points.shape[1], CHANNELS)
    base[:, MEANS] = torch.from_numpy(points[0]).float()
    base[:, 3] = 1
    base[:, LOG_SCALES] = float(np.log(0.45))
    base[:, OPACITY] = 4.0
    base[:, COLORS] = 0.5
    control = torch.zeros(knots.count, len(base), CHANNELS)
    moved = (points - points[0]).astype(np.float32)
    control[..., MEANS] = torch.from_numpy(fit_control(knots, times, moved, ridge=1e-6, bend=1e-6))
    o = truth.options
    pose = np.stack([truth.world_to_camera(f) for f in range(FRAMES)])
    K = np.repeat(truth.K[None], FRAMES, 0)
    return Scene(base, SplineDeformation(control, knots), times, K, pose, o.width, o.height, "mm")


def changed(scene: Scene, rows, column, by: float) -> Scene:
    base = scene.base.clone()
    base[rows, column] += by
    return Scene(
        base, scene.deformation, scene.times, scene.K, scene.world_to_camera, scene.width, scene.height, scene.units
    )


def test_what_the_truth_calls_seen_is_what_the_tracks_say(truth):
    """The tracks' visibility was found by casting rays, that of the grid points from the depth pictures."""
    positions, visible = truth.tracks()
    for frame in range(FRAMES):
        points = truth.points(frame)
        nearest = np.abs(points[None] - positions[frame, :60, None]).sum(-1).argmin(1)
        assert np.abs(points[nearest] - positions[frame, :60]).max() < 1e-3, "tracks are grid points"
        agree = truth.seen_points(frame)[nearest] == visible[frame, :60]
        assert agree.mean() > 0.93
    assert 0 < truth.instrument(2).mean() < 0.5


def test_every_pixel_knows_its_point(truth):
    point = truth.point_at_pixels(3)
    assert (point >= 0).mean() > 0.99
    pixels, z = truth.project(3, truth.points(3)[point[40, 50:60]])
    assert np.abs(pixels - np.stack([np.arange(50, 60) + 0.5, np.full(10, 40.5)], 1)).max() < 1.0
    assert np.abs(z - truth.tissue_depth(3)[40, 50:60]).max() < 0.75


def test_a_perfect_scene_passes(truth, perfect):
    found = judge_phantom(perfect, truth, range(FRAMES))
    for part in (found.always_visible, found.visible, found.behind_seen):
        assert part.pixels > 100
        assert part.drawn > 0.99
        assert part.mean < 0.5, "pixels of 0.6 mm on slopes"
    assert found.track_visible_mm < 0.05
    assert found.track_hidden_mm < 0.05
    assert found.floaters < 1
    assert found.flicker_hidden < 0.02
    assert found.hidden_ratio < 1.5
    assert set(found.as_dict()["never_seen"]) == {"median", "mean", "percentile_95", "pixels", "drawn"}


def test_tissue_that_sinks_where_it_is_hidden_shows_behind_the_instruments_only(truth, perfect):
    frame = 3
    packed = perfect.packed_at(float(perfect.times[frame]))
    pixels, _ = truth.project(frame, packed[:, MEANS].double().numpy())
    x, y = np.clip(pixels, 0, (127, 95)).astype(int).T
    hidden = torch.from_numpy(truth.instrument(frame)[y, x])
    sunk = judge_phantom(changed(perfect, hidden, 2, 2.0), truth, range(FRAMES), [frame])
    right = judge_phantom(perfect, truth, range(FRAMES), [frame])
    assert sunk.behind_seen.mean > right.behind_seen.mean + 0.4
    assert sunk.always_visible.mean < right.always_visible.mean + 0.1


def test_floaters_are_counted_and_large_or_faint_ones_are_not(truth, perfect):
    row = int(truth.point_at_pixels(2)[48, 40]) // 2
    before = floating(perfect, truth, 2)[0].sum()
    assert floating(changed(perfect, row, 2, -6.0), truth, 2)[0].sum() == before + 1
    large = changed(changed(perfect, row, 2, -6.0), row, LOG_SCALES, 2.0)
    assert floating(large, truth, 2)[0].sum() == before, "within three of its standard deviations"
    assert floating(changed(changed(perfect, row, 2, -6.0), row, OPACITY, -8.0), truth, 2)[0].sum() == before


def test_floaters_before_hidden_tissue_are_told_apart(truth, perfect):
    instrument = cv2.erode(truth.instrument(2).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0

    def counted(scene, behind):
        floats, hidden = floating(scene, truth, 2)
        return int((floats & (hidden == behind)).sum())

    for pixel, behind in (((48, 40), False), (tuple(np.argwhere(instrument)[0]), True)):
        moved = changed(perfect, int(truth.point_at_pixels(2)[pixel]) // 2, 2, -6.0)
        assert counted(moved, behind) == counted(perfect, behind) + 1
        assert counted(moved, not behind) == counted(perfect, not behind)


def still_scene(perfect):
    return Scene(
        perfect.base,
        SplineDeformation(torch.zeros_like(perfect.deformation.tensors()["control"]), perfect.deformation.knots),
        perfect.times, perfect.K, perfect.world_to_camera, perfect.width, perfect.height, "mm",
    )  # fmt: skip


def test_a_scene_that_stands_still_loses_the_tracks(truth, perfect):
    still = still_scene(perfect)
    assert judge_phantom(still, truth, range(FRAMES)).track_visible_mm > 0.5


def test_tracks_are_judged_at_the_frames_judged(truth, perfect):
    still = still_scene(perfect)
    everywhere, _ = track_errors(still, truth)
    by_frame = [track_errors(still, truth, [k]) for k in range(FRAMES)]
    assert sorted(np.concatenate([drift for drift, _ in by_frame])) == pytest.approx(sorted(everywhere))
    drift, shown = by_frame[2]
    assert drift.shape == shown.shape
    found = judge_phantom(still, truth, range(FRAMES), [2])
    assert found.track_visible_mm == pytest.approx(np.median(drift[shown]))
    assert found.track_95_mm == pytest.approx(np.percentile(drift, 95))
    assert found.track_95_mm != pytest.approx(np.percentile(everywhere, 95))


def test_foreign_folders_and_scenes_are_refused(truth, perfect, tmp_path):
    with pytest.raises(InputError, match="endogs phantom"):
        PhantomTruth.read(tmp_path)
    perfect_in_no_unit = changed(perfect, 0, 2, 0.0)
    perfect_in_no_unit.units = "relative"
    with pytest.raises(ValueError, match="mm"):
        judge_phantom(perfect_in_no_unit, truth, [0])
