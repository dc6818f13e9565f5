"""What dead processes left half-written is removed, what anybody else has never is; checkpoints come by the clock."""

import os
import subprocess
import sys
from contextlib import ExitStack
from itertools import pairwise

import pytest

from endogs import partial_names
from endogs.errors import InputError
from endogs.fit import checkpoint_clock
from endogs.fit.checkpoint import Checkpoint
from endogs.fit.checkpoint_clock import CheckpointClock
from endogs.output import new_file, new_folder
from endogs.partial_names import is_partial, partial_prefix


@pytest.fixture
def dead():
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.fixture(autouse=True)
def look_again(monkeypatch):
    monkeypatch.setattr(partial_names, "_swept", set())


def test_names_say_who_writes(tmp_path):
    with new_file(tmp_path / ("a" * 200 + ".ply")) as partial:
        assert is_partial(partial.name)
        assert partial.suffix == ".ply"
        assert f".endogs-{os.getpid()}-" in partial.name
    with new_folder(tmp_path / "a folder.of.files") as partial:
        assert is_partial(partial.name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a folder.of.files", "a" * 200 + ".ply"]
    assert not is_partial(".scene.x1y2z3w4.partial.ply")
    assert not is_partial("scene.endogs-1-00000000-abcdefgh.partial.ply")


def test_only_what_a_dead_process_of_this_machine_left_is_removed(tmp_path, dead):
    own = f".endogs-{os.getpid()}-"
    left = partial_prefix(tmp_path / "x.ply").replace(own, f".endogs-{dead}-") + "abcd_123.partial"
    alive = partial_prefix(tmp_path / "x.ply").replace(own, f".endogs-{os.getppid()}-") + "abcd_123.partial.ply"
    elsewhere = f".x.endogs-{dead}-ffffffff-abcd_123.partial.ply"
    others = [alive, elsewhere, ".x.abcd1234.partial.ply", "x.partial", f"{left}x", left[1:]]
    for name in (f"{left}.ply", *others):
        (tmp_path / name).write_text("half")
    (tmp_path / left).mkdir()
    (tmp_path / left / "000000.ply").write_text("half")
    with new_file(tmp_path / "y.ply") as partial:
        partial.write_text("whole")
    assert {path.name for path in tmp_path.iterdir()} == {"y.ply", *others}


def closing(action) -> ExitStack:
    stack = ExitStack()
    stack.callback(action)
    return stack


def state() -> Checkpoint:
    return Checkpoint(0, {}, {}, [])


def test_checkpoints_come_by_the_clock_and_seldom_where_saving_is_slow(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("endogs.fit.checkpoint_clock.time.monotonic", lambda: now[0])
    saved = []

    def write(checkpoint, folder):
        saved.append(now[0])
        now[0] += 2.0
        return ExitStack()

    monkeypatch.setattr(checkpoint_clock, "write_checkpoint", write)
    with CheckpointClock(tmp_path, 30.0, expected_bytes=7e8) as clock:
        for _ in range(1000):
            now[0] += 1.0
            clock.save_if_due(state)
            clock._wait()
    assert saved[0] == 143.0, "the first one is expected to take 0.7 s"
    between = [b - a for a, b in pairwise(saved)]
    assert len(saved) > 6
    assert all(119 <= gap <= 121 for gap in between[1:]), "two seconds of saving in two minutes"
    assert between[0] == 198, "and more after a first one that took longer than expected"
    assert not CheckpointClock(None, 0.0).due


def test_a_checkpoint_that_fails_is_told_once_and_tried_again(tmp_path, monkeypatch, capsys):
    clock, tries = CheckpointClock(tmp_path, 0.0), []

    def fail(*arguments):
        tries.append(arguments)
        raise InputError("disk full.")

    monkeypatch.setattr(checkpoint_clock, "COST", 0)
    monkeypatch.setattr(checkpoint_clock, "save_checkpoint", fail)
    monkeypatch.setattr(checkpoint_clock, "write_checkpoint", lambda *arguments: closing(fail))
    clock.save_if_due(state)
    clock._wait()
    monkeypatch.setattr(checkpoint_clock, "write_checkpoint", fail)
    clock.save_if_due(state)
    clock.save_if_due(state)
    assert len(tries) == 3
    assert capsys.readouterr().err == "note: no checkpoint for now: disk full. The fit goes on.\n"
    with pytest.raises(InputError, match="disk full"):
        clock.save(state)


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "file").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "far" / "file")
    with new_file(tmp_path / "link") as partial:
        partial.write_text("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "far" / "file").read_text() == "new"


def test_what_is_no_file_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/null")
    for name in ("pipe", "link"):
        with pytest.raises(InputError, match="device or a pipe"), new_file(tmp_path / name) as partial:
            partial.write_text("new")
    assert not list(tmp_path.glob(".*"))
