"""Breathing in a camera's path is found by its rhythm and its line, and nothing else is taken for it."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from endogs.geometry import rigid
from endogs.pipeline.breathing import breathing_in, with_breathing_said, without_breathing
from endogs.tracking import rhythm as module
from endogs.tracking.rhythm import Breath, find_rhythm
from endogs.tracking.trajectory import State, TrackedFrame, Trajectory, write_trajectory

Array = NDArray[np.float64]
LINE = np.array([0.25, 0.75, 0.45])


def hand(times: Array, seed: int, speed: float = 0.6) -> Array:
    """A path (F, 3) in mm without a rhythm: noise that is integrated twice."""
    random = np.random.default_rng(seed)
    step = float(times[1] - times[0])
    velocity = np.cumsum(random.normal(0, speed * np.sqrt(step), (len(times), 3)), 0)
    return np.cumsum(velocity, 0) * step + random.normal(0, 0.02, (len(times), 3))


def breath(times: Array, amplitude: float, period: float) -> Array:
    """(F, 3) along one line."""
    return amplitude * np.sin(2 * np.pi * times / period)[:, None] * LINE


def rms(errors: Array) -> float:
    """Root mean square, a constant left out."""
    return float(np.sqrt(((errors - errors.mean(0)) ** 2).sum(1).mean()))


@pytest.mark.parametrize(("period", "frames_a_second"), [(3.2, 30.0), (4.6, 10.0)])
def test_a_breath_is_found_and_its_course_too(period: float, frames_a_second: float) -> None:
    times = np.arange(0, 14, 1 / frames_a_second)
    true = breath(times, 3.0, period)
    found = find_rhythm(times, hand(times, 1) + true)
    assert found is not None
    assert found.period == pytest.approx(period, rel=0.06)
    assert found.amplitude == pytest.approx(3.0 * np.linalg.norm(LINE), rel=0.15)
    assert rms(found.shift - true) < 0.2 * rms(true)


def test_units_change_nothing_but_lengths() -> None:
    times = np.arange(0, 12, 0.05)
    path = hand(times, 2) + breath(times, 3.0, 4.0)
    found, small = find_rhythm(times, path), find_rhythm(times, 0.01 * path)
    assert found is not None
    assert small is not None
    assert small.evidence == pytest.approx(found.evidence, rel=1e-6)
    np.testing.assert_allclose(small.shift, 0.01 * found.shift, atol=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_a_hand_alone_does_not_breathe(seed: int) -> None:
    times = np.arange(0, 16, 0.05)
    assert find_rhythm(times, hand(times, seed)) is None


def test_a_camera_that_circles_does_not_breathe() -> None:
    """It comes back every few seconds, but not along a line."""
    times = np.arange(0, 14, 0.05)
    angle = 2 * np.pi * times / 4
    circle = 3 * np.stack([np.sin(angle), np.cos(angle), 0 * angle], 1)
    assert find_rhythm(times, hand(times, 3) + circle) is None


def test_too_little_is_no_rhythm() -> None:
    times = np.arange(0, 14, 0.05)
    path = hand(times, 4) + breath(times, 3.0, 4.0)
    assert find_rhythm(times[:80], path[:80]) is None, "a single breath"
    assert find_rhythm(times[::40], path[::40]) is None, "a frame every two seconds"
    assert find_rhythm(times, np.full_like(path, np.nan)) is None


def test_lost_frames_have_a_shift_too() -> None:
    times = np.arange(0, 14, 0.05)
    true = breath(times, 3.0, 4.0)
    path = hand(times, 5) + true
    path[90:130] = np.nan
    found = find_rhythm(times, path)
    assert found is not None
    assert np.isfinite(found.shift).all()
    assert rms(found.shift - true) < 0.25 * rms(true)


def test_a_long_clip_is_looked_at_in_parts_that_fade(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PART", 16.0)
    monkeypatch.setattr(module, "OVERLAP", 4.0)
    times = np.arange(0, 40, 0.1)
    amplitude = np.where(times < 14, 0.0, 3.0)
    true = amplitude[:, None] * breath(times, 1.0, 4.0)
    found = find_rhythm(times, hand(times, 6, 0.3) + true)
    assert found is not None
    assert rms(found.shift[times > 20] - true[times > 20]) < 0.3 * rms(true[times > 20])
    steps = np.linalg.norm(np.diff(found.shift, axis=0), axis=1)
    assert steps.max() < 2.5 * np.linalg.norm(np.diff(breath(times, 3.0, 4.0), axis=0), axis=1).max()


def test_the_kernel_of_a_breath_is_a_covariance() -> None:
    times = np.sort(np.random.default_rng(0).uniform(0, 20, 40))
    kernel = Breath(2.0, 4.0, 3.0, 0.1).kernel(times[:, None] - times)
    assert np.diag(kernel) == pytest.approx(2.0)
    assert np.linalg.eigvalsh(kernel).min() > -1e-9


def trajectory_of(times: Array, centres: Array) -> Trajectory:
    """A path whose camera turns, with frame 7 lost and frame 9 of another map."""
    frames = []
    for k, (time, centre) in enumerate(zip(times, centres, strict=True)):
        turn = Rotation.from_rotvec([0.0, 0.01 * k, 0.002 * k]).as_matrix()
        pose = None if k == 7 else rigid(turn, -turn @ centre)
        frames.append(TrackedFrame(k, time, pose, State.TRACKED, sub_map=int(k == 9)))
    return Trajectory(tuple(frames), tuple(frames), "mm", ())


def test_the_path_without_it_is_the_hands(tmp_path) -> None:  # type: ignore[no-untyped-def]
    times = np.arange(0, 14, 0.1)
    steady, true = hand(times, 7), breath(times, 3.0, 4.0)
    before = trajectory_of(times, steady + true)
    found = breathing_in(before)
    assert found is not None
    after = without_breathing(before, found)
    poses = after.world_to_camera[after.found]
    centres = -np.einsum("fji,fj->fi", poses[:, :3, :3], poses[:, :3, 3])
    assert rms(centres - steady[after.found]) < 0.2 * rms(true)
    np.testing.assert_array_equal(poses[:, :3, :3], before.world_to_camera[before.found][:, :3, :3])
    assert after.frames[7].world_to_camera is None
    np.testing.assert_array_equal(after.frames[9].world_to_camera, before.frames[9].world_to_camera)
    assert "left out of the path (--breathing keep" in after.notes[-1]
    assert "endogs track writes a path without it" in with_breathing_said(before).notes[-1]
    write_trajectory(after, tmp_path)
    assert '"breathing_left_out"' in (tmp_path / "trajectory.json").read_text()
