"""A long clip becomes a chain of segments: its frames are explained, no seam is seen, and a stop is made good."""

import json
import shutil
import signal
import weakref
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from samples.segmented import FRAMES, MOST, long_clip, segmented
from samples.sliding_clip import HEIGHT, WIDTH

from endogs.errors import InputError
from endogs.fit import checkpoint_clock
from endogs.fit.config import PRESETS
from endogs.fit.loop import Fit
from endogs.pictures.scene_frames import picture
from endogs.pipeline import camera_plan, chain_fit
from endogs.pipeline.camera_search import FoundCameras
from endogs.pipeline.reconstruct import Result, execute
from endogs.pipeline.run_record import StageClock
from endogs.scene import tensor_file
from endogs.scene.chain import SceneChain, identity_of, shared_rows
from endogs.scene.scene_file import load_scene, segment_file


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory) -> Path:
    return long_clip(tmp_path_factory.mktemp("long"))


@pytest.fixture(scope="module")
def result(clip_folder, tmp_path_factory) -> Result:
    return execute(segmented(clip_folder, tmp_path_factory.mktemp("chain") / "out"), StageClock())


class StopsIn:
    """A watcher that ends the fit of a segment, counted from where the run begins or goes on, as Ctrl-C does."""

    def __init__(self, segment: int, step: int) -> None:
        self.begun, self.segment, self.step = 0, segment, step

    def begin(self, fit: Fit, clip: Any, metric: bool) -> None:
        self.begun += 1

    def on_step(self, fit: Fit) -> None:
        if self.begun - 1 == self.segment and fit.step == self.step:
            signal.raise_signal(signal.SIGINT)

    def finished(self, scene: Any, interrupted: bool) -> None:
        return None


def test_the_scene_is_a_chain_of_the_whole_clip(result):
    scene = load_scene(result.out)
    assert isinstance(scene, SceneChain)
    assert len(scene.times) == FRAMES
    assert [len(one) <= MOST for one in scene.segments] == [True] * 3
    assert result.metrics["mean"]["psnr"] > 27, "a picture of one colour has 15 dB"
    assert result.record["segments"] == [[one.first, one.last] for one in scene.segments]
    worst = min(row["psnr"] for row in result.metrics["per_frame"])
    assert worst > 22, "no frame, at a seam or elsewhere, is left out"


def test_a_segment_can_be_read_alone_and_needs_no_other(result, tmp_path):
    alone = tmp_path / "alone.safetensors"
    alone.write_bytes(segment_file(result.out, 1).read_bytes())
    whole, part = load_scene(result.out), load_scene(alone)
    frames = whole.segments[1].frames
    np.testing.assert_array_equal(part.times, whole.times[frames.start : frames.stop])
    middle = float(part.times[len(part.times) // 2])
    np.testing.assert_array_equal(picture(part, middle)[0], picture(whole, middle)[0])


def test_gaussians_go_on_into_the_next_segment_and_stay_where_they_are(result):
    chain = load_scene(result.out)
    for k in (0, 1):
        here, there = chain.segment(k), chain.segment(k + 1)
        at_here, at_there = shared_rows(identity_of(here), identity_of(there))
        assert len(at_here) > 0.5 * len(here)
        time = float(chain.times[(chain.segments[k].last + chain.segments[k + 1].first) // 2])
        apart = (here.packed_at(time)[at_here, :3] - there.packed_at(time)[at_there, :3]).norm(dim=1)
        pixel = 100 / 50
        assert float(apart.median()) < 1.5 * pixel
    assert len(chain) == int(identity_of(chain.segment(2)).max())


def test_pictures_do_not_jump_at_a_seam(result):
    chain = load_scene(result.out)
    steps = 400
    times = np.linspace(float(chain.times[0]), float(chain.times[-1]), steps)
    shown = np.stack([picture(chain, float(time))[0] for time in times]).astype(float)
    changes = np.abs(np.diff(shown, axis=0)).mean((1, 2, 3))
    seams = [float(chain.times[f]) for k in (0, 1) for f in (chain.segments[k].last, chain.segments[k + 1].first)]
    near = [int(np.searchsorted(times, seam)) for seam in seams]
    at_seams = max(changes[max(k - 2, 0) : k + 2].max() for k in near)
    assert at_seams < 1.5 * np.quantile(changes, 0.95) + 0.1


def test_interrupted_in_any_segment_and_resumed_it_is_the_same_scene(clip_folder, result, tmp_path):
    out, first = tmp_path / "out", 0
    for segment, step in ((0, 20), (1, 30), (2, 10)):
        options = segmented(clip_folder, out, resume=segment > 0)
        stopped = execute(options, StageClock(), StopsIn(segment - first, step))
        assert stopped.record["interrupted"]
        assert len(stopped.scene.times) == load_scene(result.out).segments[segment].last + 1
        first = segment
    again = execute(segmented(clip_folder, out, resume=True), StageClock())
    for number in range(3):
        ours, theirs = load_scene(segment_file(again.out, number)), load_scene(segment_file(result.out, number))
        assert torch.equal(ours.base, theirs.base)
        assert torch.equal(identity_of(ours), identity_of(theirs))
        for name, tensor in ours.deformation.tensors().items():
            assert torch.equal(tensor, theirs.deformation.tensors()[name])


def test_killed_between_two_segments_the_first_is_not_lost(clip_folder, result, tmp_path, monkeypatch):
    """However short a segment's fit is: nothing is saved by the clock here."""
    out, begun, find_priors = tmp_path / "out", [], chain_fit.find_priors

    def killed(*given: Any) -> Any:
        begun.append(given)
        if len(begun) == 2:
            raise SystemExit("killed")
        return find_priors(*given)

    monkeypatch.setattr(chain_fit, "find_priors", killed)
    with pytest.raises(SystemExit):
        execute(segmented(clip_folder, out), StageClock())
    monkeypatch.setattr(chain_fit, "find_priors", find_priors)
    again = execute(segmented(clip_folder, out, resume=True), StageClock())
    for number in range(3):
        ours, theirs = load_scene(segment_file(again.out, number)), load_scene(segment_file(result.out, number))
        assert torch.equal(ours.base, theirs.base)


def test_what_is_kept_does_not_resume_into_other_segments(clip_folder, tmp_path):
    out = tmp_path / "stopped"
    execute(segmented(clip_folder, out), StageClock(), StopsIn(1, 10))
    with pytest.raises(
        InputError, match=r"other input or options.*--segment-frames, by which segment 2 has frames \d+ to 55"
    ):
        execute(segmented(clip_folder, out, resume=True, segment_frames=40), StageClock())
    for folder in (out, out.with_name("stopped.unfinished")):
        segment_file(folder, 0).unlink()
    with pytest.raises(InputError, match="segment 1 of the run is not there, so it cannot be resumed"):
        execute(segmented(clip_folder, out, resume=True), StageClock())


def test_a_replaced_chain_leaves_no_segment_behind(clip_folder, result, tmp_path):
    out = shutil.copytree(result.out, tmp_path / "out")
    assert segment_file(out, 2).is_file()
    execute(segmented(clip_folder, out, iterations=9, segment_frames=40, overwrite=True), StageClock())
    assert not segment_file(out, 2).exists()
    assert sorted(json.loads((out / "run.json").read_text())["segments"]) == [[0, 31], [24, 55]]


@pytest.mark.parametrize("deformation", ["none", "lowrank"])
def test_other_deformations_go_on_too(deformation, clip_folder, tmp_path):
    options = segmented(clip_folder, tmp_path / "out", deformation=deformation, iterations=45)
    found = execute(options, StageClock())
    assert isinstance(found.scene, SceneChain)
    assert found.metrics["mean"]["psnr"] > 15


def test_what_a_segment_took_is_given_back_before_the_next_one_begins(clip_folder, tmp_path):
    held, earlier = [], list[weakref.ref[Any]]()

    class Counts(StopsIn):
        def begin(self, fit: Fit, clip: Any, metric: bool) -> None:
            assert [one() for one in earlier] == [None] * len(earlier)
            earlier.extend((weakref.ref(fit), weakref.ref(fit.window), weakref.ref(fit.optimizer)))

        def on_step(self, fit: Fit) -> None:
            held.append(len(fit.window.frames))

    execute(segmented(clip_folder, tmp_path / "out", iterations=30), StageClock(), Counts(9, 0))
    assert max(held) <= MOST < FRAMES
    assert len(earlier) == 9


def test_a_disk_that_fills_while_segments_are_written_is_told_and_resumed_from(
    clip_folder, result, tmp_path, monkeypatch
):
    written = []

    def fills(tensors: Any, path: Path, about: Any = None) -> None:
        if path.parent.name == "segments":
            written.append(path)
            if len(written) == 2:
                raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")
        save_file(tensors, path, about)

    monkeypatch.setattr(checkpoint_clock, "COST", 0)
    monkeypatch.setitem(PRESETS, "fast", replace(PRESETS["fast"], checkpoint_seconds=0.0))
    monkeypatch.setattr(tensor_file, "save_file", fills)
    out = tmp_path / "out"
    with pytest.raises(InputError, match=r"No space left on device.*--resume continue there") as told:
        execute(segmented(clip_folder, out), StageClock())
    assert "000001.safetensors" in str(told.value)
    monkeypatch.setattr(tensor_file, "save_file", save_file)
    again = execute(segmented(clip_folder, out, resume=True), StageClock())
    for number in range(3):
        ours, theirs = load_scene(segment_file(again.out, number)), load_scene(segment_file(result.out, number))
        assert torch.equal(ours.base, theirs.base)


def test_a_disk_without_room_for_all_segments_is_refused_before_the_fit(clip_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=1000))
    with pytest.raises(InputError, match=r"the scene may take .* are free on this disk: give an --out on another one"):
        execute(segmented(clip_folder, tmp_path / "out"), StageClock())
    assert not (tmp_path / "out").exists()


def test_a_blackout_longer_than_a_segment_is_rested_through(tmp_path, capsys):
    folder = long_clip(tmp_path / "clip")
    names = sorted(folder.iterdir())
    for name in names[14:41]:
        name.write_bytes(black_png())
    found = execute(segmented(folder, tmp_path / "out"), StageClock())
    said = capsys.readouterr().err
    assert "black in frames 14 to 40" in said
    assert "frames 16 to 39 show no tissue: the scene rests there" in said
    chain = load_scene(found.out)
    resting = chain.segment(1)
    assert resting.deformation.kind == "none"
    psnr = {row["frame"]: row["psnr"] for row in found.metrics["per_frame"]}
    assert min(psnr[frame] for frame in (1, 9)) > 25
    assert psnr[49] > 22, "what comes after the dark is fitted again"


def test_darkness_longer_than_the_first_segment_is_taken_into_it(tmp_path, capsys):
    folder = long_clip(tmp_path / "clip")
    for name in sorted(folder.iterdir())[:30]:
        name.write_bytes(black_png())
    found = execute(segmented(folder, tmp_path / "out"), StageClock())
    assert "black in frames 0 to 29" in capsys.readouterr().err
    chain = load_scene(found.out)
    assert [(one.first, one.last) for one in chain.segments] == [(0, 39), (32, 55)]
    assert found.record["segments"] == [[0, 39], [32, 55]]
    steps = [chain.segment(number).origin.iterations for number in range(2)]
    assert steps[0] < steps[1], "darkness takes no steps"
    still = chain.packed_at(0.0)
    torch.testing.assert_close(chain.packed_at(1.5), still)
    psnr = {row["frame"]: row["psnr"] for row in found.metrics["per_frame"]}
    assert set(psnr) == {33, 41, 49}
    assert min(psnr.values()) > 22


def test_a_segment_in_which_the_camera_was_lost_is_rested_through(clip_folder, tmp_path, monkeypatch, capsys):
    lost = range(12, 44)

    def without_some(clip: Any, *_: Any) -> FoundCameras:
        known = ~np.isin(np.arange(FRAMES), lost)
        return FoundCameras(clip.with_cameras(clip.world_to_camera, known), "tracked")

    monkeypatch.setattr(camera_plan, "find_cameras", without_some)
    found = execute(segmented(clip_folder, tmp_path / "out", iterations=60), StageClock())
    assert "frames 16 to 39 have no pose: the scene rests there" in capsys.readouterr().err
    chain = load_scene(found.out)
    assert chain.origin.unplaced_frames == tuple(lost)
    for number, one in enumerate(chain.segments):
        inside = tuple(i - one.first for i in lost if one.first <= i <= one.last)
        assert chain.segment(number).origin.unplaced_frames == inside
    assert [row["frame"] for row in found.metrics["per_frame"]] == [1, 9, 49]


def black_png() -> bytes:
    return cv2.imencode(".png", np.zeros((HEIGHT, WIDTH, 3), np.uint8))[1].tobytes()
