"""A disk that fills up, a folder that goes away, too little memory, another clip: one sentence, and nothing is lost."""

import json
import os
import shutil
import signal
import threading
from contextlib import contextmanager
from pathlib import Path

import cv2
import pytest
from samples.full_disk import full_disk

from endogs.cli import main
from endogs.fit.checkpoint_clock import CheckpointClock
from endogs.fit.loop import Fit
from endogs.pipeline.result_files import read_result

FIT = ("--preset", "fast", "--iterations", "20", "--gaussians", "500")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantom") / "clip"
    assert main(["phantom", str(folder), "--frames", "9", "--width", "64", "--height", "48"]) == 0
    return folder


@pytest.fixture
def clip(made, tmp_path):
    return Path(shutil.copytree(made, tmp_path / "clip"))


def reconstruct(clip: Path, out: Path, *options: str) -> int:
    return main(["reconstruct", str(clip), "--out", str(out), *FIT, *options])


def sentence(capsys) -> str:
    """The one line that an error is, after the notes."""
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("endogs: ")]
    assert len(said) == 1
    return said[0]


@contextmanager
def at_step(monkeypatch, step, act):
    """Does something before a step of the fit."""
    advance = Fit.advance

    def watched(self, most):
        if self.step == step:
            act()
        return advance(self, most)

    with monkeypatch.context() as patch:
        patch.setattr(Fit, "advance", watched)
        yield


@pytest.mark.parametrize("size", [0, 1000, 100_000])
def test_a_full_disk_is_one_sentence_and_the_earlier_result_stays(clip, tmp_path, capsys, size):
    out = tmp_path / "scene"
    assert reconstruct(clip, out, "--seed", "1") == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    capsys.readouterr()
    with full_disk(size):
        assert reconstruct(clip, out, "--overwrite") == 2
    assert "cannot be written" in sentence(capsys)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert reconstruct(clip, out, "--overwrite") == 0
    assert {path.name for path in tmp_path.iterdir()} == {"clip", "scene"}


def test_a_checkpoint_that_cannot_be_written_does_not_end_the_fit(clip, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("endogs.fit.checkpoint_clock.COST", 0)
    monkeypatch.setattr("endogs.fit.loop.CheckpointClock", lambda folder, seconds, size: CheckpointClock(folder, 0.0))

    def block():
        (tmp_path / "scene.unfinished" / "checkpoints").write_text("in the way")

    with at_step(monkeypatch, 0, block):
        assert reconstruct(clip, tmp_path / "scene") == 0
    said = capsys.readouterr().err
    assert said.count("no checkpoint for now") == 1
    assert (tmp_path / "scene" / "checkpoints").read_text() == "in the way"


def test_a_working_folder_that_goes_away_is_made_again(clip, tmp_path, monkeypatch):
    with at_step(monkeypatch, 9, lambda: shutil.rmtree(tmp_path / "scene.unfinished")):
        assert reconstruct(clip, tmp_path / "scene") == 0
    result = read_result(tmp_path / "scene")
    assert result is not None
    assert result.whole(tmp_path / "scene")
    assert {path.name for path in tmp_path.iterdir()} == {"clip", "scene"}


def test_what_cannot_fit_into_memory_is_refused_with_the_way_out(clip, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("endogs.memory_budget.available_bytes", lambda: 1e6)
    assert reconstruct(clip, tmp_path / "scene") == 2
    said = sentence(capsys)
    assert "a fit of 9 frames of 64 x 48 and up to 500 Gaussians needs 0.0 GB of memory" in said
    assert "--stride, --max-size, --preset fast or --gaussians" in said
    assert {path.name for path in tmp_path.iterdir()} == {"clip"}
    monkeypatch.setattr("endogs.memory_budget.available_bytes", lambda: 1e9)
    assert reconstruct(clip, tmp_path / "scene") == 0


def stopped(clip, out, monkeypatch, stop=signal.SIGTERM) -> None:
    """A run that a signal ends after 7 steps."""
    with at_step(monkeypatch, 7, lambda: os.kill(os.getpid(), stop)), pytest.raises(SystemExit) as left:
        reconstruct(clip, out)
    assert left.value.code == 128 + stop


def test_another_clip_of_the_same_name_and_size_does_not_go_on(clip, tmp_path, monkeypatch, capsys):
    out = tmp_path / "scene"
    stopped(clip, out, monkeypatch)
    assert json.loads((out / "run.json").read_text())["stopped_by"] == "SIGTERM"
    pictures = sorted((clip / "images").iterdir())
    kept = pictures[4].read_bytes()
    image = cv2.imread(str(pictures[4]))
    cv2.imwrite(str(pictures[4]), image[::-1])
    assert reconstruct(clip, out, "--resume") == 2
    assert "what the clip shows" in sentence(capsys)
    pictures[4].write_bytes(kept)
    depth = sorted((clip / "depth").iterdir())[4]
    kept = depth.read_bytes()
    cv2.imwrite(str(depth), cv2.imread(str(depth), cv2.IMREAD_UNCHANGED) + 1)
    assert reconstruct(clip, out, "--resume") == 2
    assert "its cameras masks and depth" in sentence(capsys)
    depth.write_bytes(kept)
    moved = clip.rename(tmp_path / "another name")
    assert reconstruct(moved, out, "--resume") == 0, "the same clip under another name does"


def test_a_second_run_into_the_same_folder_is_refused_while_one_is_fitting(clip, tmp_path, monkeypatch, capsys):
    codes = []

    def another():
        thread = threading.Thread(target=lambda: codes.append(reconstruct(clip, tmp_path / "scene", "--overwrite")))
        thread.start()
        thread.join()

    with at_step(monkeypatch, 3, another):
        assert reconstruct(clip, tmp_path / "scene") == 0
    assert codes == [2]
    assert f"another run is writing there (process {os.getpid()} on " in sentence(capsys)


def test_the_advice_after_ctrl_c_works(clip, tmp_path, monkeypatch, capsys):
    """Beside a complete result too, which stays until the resumed run is complete."""
    out = tmp_path / "scene"
    stopped(clip, out, monkeypatch, signal.SIGINT)
    assert f"the scene so far is in {out}; continue with the same options and --resume" in capsys.readouterr().err
    assert reconstruct(clip, out, "--resume") == 0
    first = (out / "scene.safetensors").read_bytes()
    with at_step(monkeypatch, 7, lambda: os.kill(os.getpid(), signal.SIGHUP)), pytest.raises(SystemExit) as left:
        reconstruct(clip, out, "--overwrite", "--seed", "1")
    assert left.value.code == 129
    assert f"the scene so far is in {tmp_path / 'scene.unfinished'};" in capsys.readouterr().err
    assert (out / "scene.safetensors").read_bytes() == first
    assert main(["render", str(tmp_path / "scene.unfinished"), "--out", str(tmp_path / "a.mp4"), "--time", "0"]) == 0
    assert reconstruct(clip, out, "--resume", "--seed", "1") == 0
    assert json.loads((out / "run.json").read_text())["seed"] == 1
    assert {path.name for path in tmp_path.iterdir()} == {"clip", "scene", "a.mp4"}


def test_the_advice_for_a_damaged_checkpoint_works(clip, tmp_path, monkeypatch, capsys):
    out = tmp_path / "scene"
    stopped(clip, out, monkeypatch)
    file = out / "checkpoints" / "last.safetensors"
    data = bytearray(file.read_bytes())
    data[-5] ^= 4
    file.write_bytes(data)
    capsys.readouterr()
    assert reconstruct(clip, out, "--resume") == 2
    said = sentence(capsys)
    assert "its checksum is that of another content" in said
    assert said.endswith("start anew with --overwrite instead of --resume")
    assert reconstruct(clip, out, "--overwrite") == 0
    assert not file.exists()


def test_a_checkpoint_that_was_cut_off_leads_to_one_refusal(clip, tmp_path, monkeypatch, capsys):
    """Which says --overwrite and nothing of --resume; so does the refusal of --resume, and it works."""
    out = tmp_path / "scene"
    stopped(clip, out, monkeypatch)
    file = out / "checkpoints" / "last.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    capsys.readouterr()
    assert reconstruct(clip, out) == 2
    said = sentence(capsys)
    assert "--overwrite" in said
    assert "--resume" not in said
    assert reconstruct(clip, out, "--resume") == 2
    assert sentence(capsys).endswith("start anew with --overwrite instead of --resume")
    assert reconstruct(clip, out, "--overwrite") == 0


def test_a_disk_that_fills_up_after_the_fit_keeps_its_steps(clip, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("endogs.fit.checkpoint_clock.COST", 0)
    monkeypatch.setattr("endogs.fit.loop.CheckpointClock", lambda folder, seconds, size: CheckpointClock(folder, 0.0))
    out, limit = tmp_path / "scene", full_disk(1000)
    with monkeypatch.context() as patch:
        patch.setattr("endogs.pipeline.reconstruct.find_visibility", lambda *given: limit.__enter__())
        assert reconstruct(clip, out) == 2
    limit.__exit__(None, None, None)
    assert sentence(capsys).endswith("the same options and --resume continue there.")
    assert reconstruct(clip, out, "--resume") == 0
