"""Poses that are off come closer to the truth, those of held-out frames too, and the result says so; or are held."""

import signal
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from samples.posed_clip import off_by, true_poses, write_posed_clip

from endogs.export.cameras import export_cameras
from endogs.geometry import invert_rigid
from endogs.pipeline.options import Reconstruct
from endogs.pipeline.reconstruct import Result, execute
from endogs.pipeline.run_record import StageClock
from endogs.scene.scene_file import load_scene, read_segment

TRAINING = [0, 2, 3, 4, 5, 6, 7, 8, 10, 11]


def options(clip: Path, out: Path, **more) -> Reconstruct:
    given = {"preset": "fast", "iterations": 100, "gaussians": 1200, "deformation": "none", "device": "cpu"}
    return Reconstruct(clip, out=out, masks="none", **(given | more))


@pytest.fixture(scope="module")
def given() -> np.ndarray:
    return off_by(true_poses(), 0.6, 0.3)


@pytest.fixture(scope="module")
def clip(tmp_path_factory, given) -> Path:
    return write_posed_clip(tmp_path_factory.mktemp("posed") / "clip", given)


@pytest.fixture(scope="module")
def refined(clip, tmp_path_factory) -> Result:
    return execute(options(clip, tmp_path_factory.mktemp("refined") / "out"), StageClock())


def motion_error(poses: np.ndarray, frames: list[int] | None = None) -> float:
    """Mean picture motion, pixels, that is wrong in the motion between neighbours among these frames, or all."""
    true, frames = true_poses(len(poses)), list(range(len(poses))) if frames is None else frames
    point = np.array([0.0, 0.0, 30.0, 1.0])
    wrong = []
    for a, b in pairwise(frames):
        gap = poses[b] @ invert_rigid(poses[a]) @ true[a] @ invert_rigid(true[b])
        seen = gap @ point
        wrong.append(np.linalg.norm(60 * seen[:2] / seen[2]))
    return float(np.mean(wrong))


def test_training_and_held_out_poses_come_closer_to_the_truth(refined, given):
    found = load_scene(refined.out).world_to_camera
    assert motion_error(found, TRAINING) < 0.5 * motion_error(given, TRAINING)
    assert motion_error(found) < 0.5 * motion_error(given)


def test_the_result_says_whose_poses_are_not_the_clips(refined):
    poses = refined.metrics["poses"]
    assert (poses["training"]["moved"], poses["held_out"]["moved"]) == (10, 2)
    assert 0.1 < poses["held_out"]["mean_pixels"] < 3


def test_exported_cameras_are_the_refined_ones(refined, tmp_path):
    scene = load_scene(refined.out)
    export_cameras(scene, tmp_path / "trajectory.tum")
    rows = np.loadtxt(tmp_path / "trajectory.tum")
    np.testing.assert_allclose(rows[:, 1:4], invert_rigid(scene.world_to_camera)[:, :3, 3], atol=1e-8)


def test_held_poses_stay_to_the_bit_and_fit_worse(clip, refined, given, tmp_path):
    held = execute(options(clip, tmp_path / "out", hold_poses=True), StageClock())
    np.testing.assert_allclose(load_scene(held.out).world_to_camera, given, atol=1e-6)
    assert "poses" not in held.metrics
    assert refined.metrics["mean"]["psnr"] > held.metrics["mean"]["psnr"] + 1


class Interrupts:
    """A watcher that stops the fit as Ctrl-C does."""

    def begin(self, fit, clip, metric) -> None:
        """Nothing to prepare."""

    def on_step(self, fit) -> None:
        if fit.step == 50:
            signal.raise_signal(signal.SIGINT)

    def finished(self, scene, interrupted) -> None:
        """Nothing to tidy up."""


def test_a_resumed_fit_finds_the_same_poses_to_the_bit(clip, refined, tmp_path):
    first = execute(options(clip, tmp_path / "out"), StageClock(), Interrupts())
    assert first.record["interrupted"]
    again = execute(options(clip, tmp_path / "out", resume=True), StageClock())
    scene, whole = load_scene(again.out), load_scene(refined.out)
    np.testing.assert_array_equal(scene.world_to_camera, whole.world_to_camera)
    np.testing.assert_array_equal(scene.base.numpy(), whole.base.numpy())


def test_segments_agree_on_the_poses_that_they_share(tmp_path):
    given = off_by(true_poses(32), 0.6, 0.3)
    clip, out = write_posed_clip(tmp_path / "clip", given), tmp_path / "out"
    result = execute(options(clip, out, segment_frames=24, iterations=110), StageClock())
    chain = load_scene(out)
    first, second = chain.segments
    before, after = (read_segment(out, number).world_to_camera for number in (0, 1))
    np.testing.assert_array_equal(before[second.first :], after[: len(first) - second.first])
    np.testing.assert_array_equal(chain.world_to_camera, np.concatenate([before, after[len(first) - second.first :]]))
    assert (chain.world_to_camera != given).any((1, 2)).all()
    assert motion_error(chain.world_to_camera) < 0.7 * motion_error(given)
    assert result.metrics["poses"]["held_out"]["moved"] == 4


def test_frames_without_tissue_do_not_count_among_the_poses(given, tmp_path):
    clip = write_posed_clip(tmp_path / "clip", given)
    for frame in (4, 9):
        picture = clip / "images" / f"{frame:03d}.png"
        cv2.imwrite(str(picture), np.zeros_like(cv2.imread(str(picture))))
    poses = execute(options(clip, tmp_path / "out", iterations=40), StageClock()).metrics["poses"]
    assert (poses["training"]["frames"], poses["held_out"]["frames"]) == (9, 1)
