"""The colon: a closed tube with folds around the camera's path, whose truth is what its pictures show."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from samples.open3d_there import require_open3d

from endogs.errors import InputError
from endogs.geometry import invert_rigid
from endogs.phantom.anatomy import Colon, make_anatomy
from endogs.phantom.colon.centreline import make_centreline
from endogs.phantom.colon.wall import make_folds
from endogs.phantom.config import Phantom
from endogs.phantom.optics import make_optics
from endogs.phantom.path import camera_path
from endogs.phantom.pattern import closed_noise
from endogs.phantom.placement import check_placement
from endogs.phantom.relief import Relief
from endogs.phantom.visibility import PhantomTruth
from endogs.phantom.writer import write_phantom

TINY = dict(anatomy="colon", frames=3, width=64, height=48, fps=4.0, tracks=150)


def colon_of(**options) -> Colon:
    config = Phantom(Path("unused"), **{**TINY, **options})
    config.check()
    path = camera_path(config)
    made = make_anatomy(config, path, make_optics(config))
    assert isinstance(made, Colon)
    return made


@pytest.fixture(scope="module")
def colon() -> Colon:
    return colon_of(wave=0.8, breathing=3.0)


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    require_open3d()
    out = tmp_path_factory.mktemp("colon") / "clip"
    return write_phantom(Phantom(out, **TINY, camera="moving", noise=0.0, wave=0.8, breathing=3.0))


def test_the_tube_closes_and_its_normals_point_inwards(colon):
    tube = colon.surface
    np.testing.assert_array_equal(tube.rest[:, 0], tube.rest[:, -1])
    relief = Relief.of(tube, tube.rest)
    np.testing.assert_allclose(relief.normal[:, 0], relief.normal[:, -1], atol=1e-12)
    inner = slice(60, -60)
    assert ((relief.normal * tube.inward).sum(-1)[inner] > 0).mean() > 0.995
    ends = np.linalg.norm(tube.rest[[0, -1]] - tube.centreline.points[[0, -1], None], axis=-1)
    assert ends.max() < 1.0


def test_folds_stand_between_the_taeniae_at_uneven_distances():
    folds = make_folds(400.0, 8.0, np.random.default_rng(1))
    high = [fold for fold in folds if fold.height > 4.5]
    assert len(high) > 25
    middles = np.array([fold.angle % (2 * np.pi) for fold in high])
    sectors = (np.arange(3) + 0.5) * 2 * np.pi / 3
    assert np.abs(middles[:, None] - sectors).min(1).max() < 0.5
    gaps = np.diff(sorted(fold.along for fold in high if abs(fold.angle - sectors[0]) < 0.6))
    assert gaps.std() > 3


def test_folds_narrow_the_lumen_and_none_means_a_plain_tube(colon):
    def reach(made: Colon) -> np.ndarray:
        return np.linalg.norm(made.surface.rest - made.surface.centreline.points[:, None], axis=-1)[60:-60]

    folded, plain = reach(colon), reach(colon_of(folds=0.0))
    assert folded.min() < colon.surface.radius - 9
    assert folded.min() > 5
    assert plain.min() > colon.surface.radius - 7
    # The opening is narrow between the taeniae only: at some places around it stays wide everywhere.
    assert np.sort(folded.min(0))[-10:].min() > colon.surface.radius - 6


def test_breathing_carries_the_colon_and_the_wave_runs_along_it():
    tube = colon_of(wave=0.8, breathing=0.0)
    crest = []
    for time in (0.0, 0.5):
        moved = ((tube.positions(time) - tube.surface.rest) * tube.surface.inward).sum(-1)
        assert np.abs(moved).max() == pytest.approx(0.8, rel=0.01)
        row = int(np.argmax(moved[100:180, 0])) + 100
        crest.append(tube.surface.centreline.along[row])
    assert (crest[1] - crest[0]) % 42 == pytest.approx(20.0 * 0.5, abs=1.1)
    breath = colon_of(breathing=3.0)
    np.testing.assert_array_equal(breath.positions(0.0), breath.surface.rest)
    moved = np.linalg.norm(breath.positions(1.0) - breath.surface.rest, axis=-1)  # a quarter of 4 s
    assert 2.0 < moved.min() < moved.max() < 3.0 * 1.3


def test_radius_and_wave_speed_act(colon):
    assert colon_of(radius=30.0).surface.radius == 30
    fast, slow = (colon_of(wave=0.8, breathing=0.0, wave_speed=speed).positions(0.3) for speed in (20.0, 35.0))
    assert np.abs(fast - slow).max() > 0.5


def test_extreme_options_leave_room_or_are_refused():
    """Whatever is asked, the camera is not in the wall."""
    for options in (
        dict(folds=8.0, breathing=10.0, wave=3.0, radius=40.0),
        dict(folds=8.0, breathing=5.0, wave=5.0, radius=34.0),
        dict(radius=14.0, folds=2.0, breathing=0.0),
        dict(folds=0.0, breathing=0.0, radius=14.0),
    ):
        for seed in range(3):
            try:
                made = colon_of(camera="moving", seed=seed, frames=15, **options)
            except InputError:
                continue
            path, optics = camera_path(made.config), make_optics(made.config)
            check_placement(made.config, made, path, optics)


def test_tracks_lie_on_the_depth_that_is_written(clip):
    truth = PhantomTruth.read(clip)
    positions, visible = truth.tracks()
    moved = np.linalg.norm(positions[2] - positions[0], axis=-1)
    assert moved.min() > 0.5
    for frame in range(3):
        pixels, z = truth.project(frame, positions[frame].astype(float))
        x, y = pixels[visible[frame]].astype(int).T
        assert visible[frame].sum() > 50
        # Walls are steep and pixels wide here, so a point lies between the depths around its pixel.
        depth, around = truth.tissue_depth(frame), np.ones((3, 3), np.uint8)
        nearest, farthest = cv2.erode(depth, around)[y, x], cv2.dilate(depth, around)[y, x]
        between = (z[visible[frame]] > nearest - 0.1) & (z[visible[frame]] < farthest + 0.1)
        assert between.mean() > 0.95
        np.testing.assert_allclose(truth.world_to_camera(frame)[3], [0, 0, 0, 1])
    # What is worked out from the options is where the tracks are.
    points = truth.points(2)
    from scipy.spatial import cKDTree

    assert cKDTree(points).query(positions[2])[0].max() < 1e-3
    assert truth.seen_points(1).sum() > 500
    assert (truth.point_at_pixels(1) >= 0).mean() > 0.9


def test_the_lumen_goes_dark_and_no_ray_leaves(clip):
    for frame in range(3):
        depth = cv2.imread(str(clip / f"depth/{frame:06d}.png"), cv2.IMREAD_UNCHANGED) * 0.01
        image = cv2.imread(str(clip / f"images/{frame:06d}.png")).mean(-1)
        assert depth.min() > 2
        far, near = depth > np.percentile(depth, 90), depth < np.percentile(depth, 40)
        assert image[far].mean() < 0.5 * image[near].mean()
    assert not any(cv2.imread(str(file), cv2.IMREAD_UNCHANGED).any() for file in (clip / "masks").iterdir())


def test_each_exposure_is_in_the_truth(clip, tmp_path):
    light = json.loads((clip / "truth/light.json").read_text())
    assert light["exposure_gain"][0] == 1.0
    assert len(set(light["exposure_gain"])) == 3
    fixed = write_phantom(Phantom(tmp_path / "fixed", **{**TINY, "frames": 1}, auto_exposure=False))
    assert "exposure_gain" not in json.loads((fixed / "truth/light.json").read_text())


def test_the_tube_follows_the_path_and_bends_away_before_and_behind():
    places = np.stack([0.02 * np.linspace(-20, 20, 50) ** 2, np.zeros(50), np.linspace(-20, 20, 50)], -1)
    line = make_centreline(places, 0.5, np.random.default_rng(2))
    assert line.distance(places).max() < 4
    frames = line.axes
    np.testing.assert_allclose(frames @ np.swapaxes(frames, 1, 2), np.tile(np.eye(3), (len(frames), 1, 1)), atol=1e-9)
    assert frames[-1, 2, 2] < 0.3, "the end of the lumen could be seen"
    np.testing.assert_allclose(np.diff(line.along), 0.5)


def test_a_path_that_strays_makes_the_colon_wider_until_none_is_that_wide(tmp_path):
    def follow(side: float) -> Colon:
        file = tmp_path / "path.tum"
        x = side * np.sin(np.linspace(0, 12, 200))
        file.write_text("\n".join(f"{0.1 * i:.3f} {x[i]} 0 {0.1 * i} 0 0 0 1" for i in range(200)))
        return colon_of(trajectory=file)

    assert follow(2.0).surface.radius == 22
    wide = follow(12.0)
    assert 26 < wide.surface.radius < 40
    check_placement(wide.config, wide, camera_path(wide.config), make_optics(wide.config))
    with pytest.raises(InputError, match=r"strays .* give --trajectory-scale 0\.") as refused:
        follow(35.0)
    scale = float(str(refused.value).split("-scale ")[1].split()[0])
    shrunk = colon_of(trajectory=tmp_path / "path.tum", trajectory_scale=scale)
    assert shrunk.surface.radius <= 40


def test_closed_noise_closes():
    field = closed_noise(np.random.default_rng(0), (100.0, 50.0), (50, 100), 12.0)
    steps = np.abs(np.diff(field, axis=1))
    assert np.abs(field[:, 0] - field[:, -1]).max() < 1.5 * steps.max()
    assert field.std() == pytest.approx(1, abs=0.3)


def test_the_camera_is_inside(clip):
    truth = PhantomTruth.read(clip)
    for frame in range(3):
        eye = invert_rigid(truth.world_to_camera(frame))[:3, 3]
        away = truth.points(frame) - eye
        assert np.linalg.norm(away, axis=1).min() > 2.5
        assert (away.min(0) < 0).all()
        assert (away.max(0) > 0).all()


def test_the_mucosa_has_no_seam_and_far_walls_are_smoother(colon):
    mucosa = colon.texture
    rows, columns = colon.surface.rest.shape[:2]
    row = np.linspace(40, rows - 40, 50, dtype=np.float32)[None]
    near = np.full(row.shape, 0.01, np.float32)
    first, _ = mucosa.at(np.zeros_like(row), row, near)
    last, _ = mucosa.at(np.full_like(row, columns - 1), row, near)
    np.testing.assert_allclose(first, last, atol=0.02)
    beside, _ = mucosa.at(np.full_like(row, columns - 1.4), row, near)
    assert np.abs(beside - first).mean() < 0.05
    column, row = np.meshgrid(np.arange(20, 60, dtype=np.float32), np.arange(60, 100, dtype=np.float32))
    spread = [mucosa.at(column, row, np.full(column.shape, width, np.float32))[0].std(0).max() for width in (0.1, 20)]
    assert spread[1] < 0.8 * spread[0]
