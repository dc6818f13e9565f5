"""Whose a result's folder is, what a run may replace in it, and what is left when it is killed at any moment."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from samples.run_folders import CHECKPOINT, NAMES, fill, run, token_of

from endogs import folder_swap
from endogs.errors import InputError
from endogs.file_lock import FileLock
from endogs.folder_swap import standing
from endogs.pipeline.run_folder import claim

DEPTH = f"priors/depth-{'0' * 16}/000000.safetensors"


def listing(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


@pytest.fixture
def out(tmp_path):
    return tmp_path / "scene"


def test_a_result_appears_whole_and_alone(out):
    assert run(out, "first") == out
    assert token_of(out) == "first"
    assert listing(out.parent) == {"scene", *(f"scene/{name}" for name in (*NAMES, "run.json"))}


def test_a_complete_result_is_replaced_only_when_asked(out):
    run(out, "first")
    with pytest.raises(InputError, match=r"holds the result of an earlier run; give another --out, or .*--overwrite"):
        run(out, "second")
    assert token_of(out) == "first"
    run(out, "second", overwrite=True, names=NAMES[:2])
    assert token_of(out) == "second"
    assert listing(out) == {"scene.safetensors", "metrics.json", "run.json"}
    assert listing(out.parent) == {"scene", *(f"scene/{name}" for name in listing(out))}


def test_what_others_put_beside_a_result_moves_over(out):
    run(out, "first", names=(*NAMES, DEPTH))
    (out / "exports").mkdir()
    (out / "exports" / "points.ply").write_text("mine")
    (out / "priors" / "notes.txt").write_text("mine too")
    (out / "link").symlink_to("nowhere")
    run(out, "second", overwrite=True)
    assert token_of(out) == "second"
    assert (out / "exports" / "points.ply").read_text() == "mine"
    assert (out / "priors" / "notes.txt").read_text() == "mine too"
    assert (out / "link").is_symlink()
    assert not (out / DEPTH).exists()
    assert {path.name for path in out.parent.iterdir()} == {"scene"}


@pytest.mark.parametrize("name", ["metrics.json", "checkpoints", "priors", "preview.mp4"])
def test_a_folder_of_somebody_else_is_refused_untouched(out, name):
    out.mkdir()
    (out / name).write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(InputError, match=rf"holds other files \({name}\) and no result of this endogs; give"):
            run(out, "first", overwrite=overwrite)
    assert listing(out.parent) == {"scene", f"scene/{name}"}
    assert (out / name).read_text() == "mine"
    assert run(out / "scene", "first") == out / "scene", "the advice works"


def test_a_result_file_that_was_changed_is_nobodys_to_remove(out):
    run(out, "first", names=NAMES[:1])
    (out / "metrics.json").write_text("somebody's")
    with pytest.raises(InputError, match=r"metrics\.json is not as endogs wrote it.*move it elsewhere"):
        run(out, "second", overwrite=True)
    (out / "metrics.json").rename(out.parent / "moved.json")
    run(out, "second", overwrite=True)
    assert token_of(out) == "second"


def test_a_forged_record_makes_nothing_endogs_own(out, tmp_path):
    run(out, "first")
    record = json.loads((out / "run.json").read_text())
    (out / "notes.txt").write_text("mine")
    (tmp_path / "outside.txt").write_text("mine")
    record["result"]["files"] |= {"notes.txt": 4, "../outside.txt": 4, str(tmp_path / "outside.txt"): 4}
    (out / "run.json").write_text(json.dumps(record))
    run(out, "second", overwrite=True)
    assert (out / "notes.txt").read_text() == (tmp_path / "outside.txt").read_text() == "mine"


@pytest.mark.parametrize("text", ["[]", "{", '{"result": 3}', '{"result": {"format": "endogs-result-1", "run": 1}}'])
def test_a_record_of_another_program_proves_nothing(out, text):
    out.mkdir()
    (out / "run.json").write_text(text)
    with pytest.raises(InputError, match="no result of this endogs"):
        run(out, "first", overwrite=True)


def test_an_interrupted_result_is_continued_or_replaced_only_when_asked(out):
    assert run(out, "part", complete=False) == out
    assert (out / "checkpoints" / "last.safetensors").exists()
    with pytest.raises(InputError, match="holds an interrupted run, which --resume continues"):
        run(out, "other")
    folder = claim(out, "clip", resume=True, overwrite=False)
    assert folder.resumes == out / "checkpoints"
    folder.release()
    assert token_of(out) == "part"
    run(out, "whole", resume=True)
    assert token_of(out) == "whole"
    assert listing(out) == {*NAMES, "run.json"}
    with pytest.raises(InputError, match="no checkpoint to resume from"):
        run(out, "again", resume=True)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-5])


def flipped(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-5] ^= 4
    file.write_bytes(data)


@pytest.mark.parametrize("harm", [cut, flipped, Path.unlink, lambda file: file.write_text("garbage")])
@pytest.mark.parametrize("where", ["scene", "scene.unfinished"])
def test_a_run_whose_checkpoint_is_no_good_is_started_anew_as_it_is_said(out, where, harm):
    """Neither the claim nor its refusals offer --resume, and what they advise works."""
    place = out.with_name(where)
    if where == "scene":
        run(out, "part", complete=False)
    else:
        run(out, "first")
        assert run(out, "part", complete=False, overwrite=True) == place
    harm(place / CHECKPOINT)
    changed = None if not (place / CHECKPOINT).exists() else (place / CHECKPOINT).read_bytes()
    with pytest.raises(InputError) as refused:
        run(out, "other")
    assert "--resume" not in str(refused.value)
    assert "--overwrite" in str(refused.value)
    if where == "scene":
        assert "an interrupted run without a usable checkpoint" in str(refused.value)
    assert run(out, "anew", overwrite=True) == out
    assert token_of(out) == "anew"
    aside = out / "checkpoints" / "last.damaged.safetensors"
    if where == "scene" and harm is not flipped and changed is not None:
        assert aside.read_bytes() == changed, "it may be somebody's own"
    else:
        assert not aside.exists()


def test_a_checkpoint_that_is_good_is_taken_where_another_is_not(out):
    run(out, "part", complete=False)
    work = run(out, "other", complete=False, overwrite=True)
    cut(work / CHECKPOINT)
    folder = claim(out, "clip", resume=True, overwrite=False)
    assert folder.resumes == out / "checkpoints"
    folder.release()


def test_without_a_checkpoint_what_is_advised_instead_of_resuming_works(out):
    run(out, "first")
    with pytest.raises(
        InputError, match=r"its run is complete; leave out --resume, and .* --overwrite, or give another --out"
    ):
        run(out, "again", resume=True)
    assert token_of(run(out, "again", overwrite=True)) == "again"


def test_ctrl_c_never_replaces_a_complete_result(out):
    run(out, "first")
    work = run(out, "part", complete=False, overwrite=True)
    assert work == out.with_name("scene.unfinished")
    assert token_of(out) == "first"
    assert token_of(work) == "part"
    with pytest.raises(InputError, match=r"scene\.unfinished beside it is an interrupted run; --resume continues it"):
        run(out, "third")
    assert run(out, "whole", resume=True) == out, "what --overwrite allowed once stays allowed"
    assert token_of(out) == "whole"
    assert not work.exists()


def test_a_fresh_runs_first_steps_do_not_replace_another_interrupted_run(out):
    run(out, "part", complete=False)
    assert run(out, "other", complete=False, overwrite=True) != out
    assert token_of(out) == "part"


def test_a_result_whose_place_was_taken_meanwhile_waits_beside(out):
    folder = claim(out, "clip", False, False)
    fill(folder, "first")
    out.mkdir()
    (out / "thesis.tex").write_text("mine")
    assert folder.publish({"token": "first"}, True) == folder.work
    folder.release()
    assert listing(out) == {"thesis.tex"}
    assert token_of(folder.work) == "first"
    (out / "thesis.tex").unlink()
    with pytest.raises(InputError, match="holds the result of an earlier run"):
        run(out, "second")
    assert token_of(out) == "first", "the next run found the place free and put it there"


def test_without_a_name_runs_are_numbered(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(None, "first") == Path("clip_endogs")
    assert run(None, "second") == Path("clip_endogs-2")
    folder = claim(None, "clip", False, False)
    note = folder.place_note() or ""
    assert "clip_endogs is there already; this run goes to clip_endogs-3 (--overwrite replaces)" in note
    other = claim(None, "clip", False, False)
    assert other.out == Path("clip_endogs-4"), "the third is being written"
    other.release()
    fill(folder, "part", (CHECKPOINT,))
    folder.release()
    assert claim(None, "clip", True, False).out == Path("clip_endogs-3")
    assert run(None, "fresh", complete=False) == Path("clip_endogs-4")
    with pytest.raises(InputError, match=r"2 runs were interrupted; say which to resume \(--out clip_endogs-3\)"):
        claim(None, "clip", True, False)
    assert run(None, "anew", overwrite=True) == Path("clip_endogs")


def test_a_second_run_into_one_folder_is_refused_while_the_first_lives(out):
    code = f"""
import sys
from pathlib import Path
from endogs.pipeline.run_folder import claim
folder = claim(Path({str(out)!r}), "clip", False, False)
folder.begin()
print("held", flush=True)
sys.stdin.read()
"""
    first = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert first.stdout is not None
    assert first.stdout.readline() == "held\n"
    with pytest.raises(InputError, match=rf"another run is writing there \(process {first.pid} on .*; wait"):
        run(out, "second")
    first.kill()
    first.wait()
    assert run(out, "second") == out, "a lock does not outlive its holder"
    assert {path.name for path in out.parent.iterdir()} == {"scene"}


def test_a_file_that_is_no_lock_is_not_written_to(tmp_path):
    (tmp_path / ".scene.endogs-lock").write_text("mine")
    with pytest.raises(InputError, match="not a lock of endogs"):
        run(tmp_path / "scene", "first")
    assert (tmp_path / ".scene.endogs-lock").read_text() == "mine"
    lock = FileLock(tmp_path / "lock")
    assert lock.acquire() is None
    assert f"process {os.getpid()} on " in (FileLock(tmp_path / "lock").acquire() or "")
    lock.release()
    assert not (tmp_path / "lock").exists()


def test_a_working_folder_of_somebody_else_is_in_the_way(out):
    work = out.with_name("scene.unfinished")
    work.mkdir()
    (work / "mine").touch()
    with pytest.raises(InputError, match=r"scene\.unfinished: in the way, and not made by endogs; move it"):
        run(out, "first", overwrite=True)
    assert listing(out.parent) == {"scene.unfinished", "scene.unfinished/mine"}


def test_places_where_no_folder_can_be_put(tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    monkeypatch.chdir(tmp_path / "in")
    for out in (Path(), tmp_path, Path("/")):
        with pytest.raises(InputError, match=r"the current folder lies there.*give a folder in it"):
            claim(out, "clip", False, True)
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path).name == "disk")
    with pytest.raises(InputError, match="a disk is mounted there; give a folder in it, such as --out disk/scene"):
        claim(Path("disk"), "clip", False, False)
    assert list((tmp_path / "in").iterdir()) == []


def test_a_folder_whose_parent_may_not_be_written_to(tmp_path, monkeypatch):
    (tmp_path / "scene").mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)
    with pytest.raises(InputError, match=r"may not be written to, where a run works beside its result; .*scene/scene"):
        claim(tmp_path / "scene", "clip", False, False)
    assert run(tmp_path / "scene" / "scene", "first") == tmp_path / "scene" / "scene"


def test_a_run_that_came_to_nothing_leaves_nothing(tmp_path):
    folder = claim(tmp_path / "new" / "deep" / "scene", "clip", False, False)
    folder.begin()
    folder.release()
    assert list(tmp_path.iterdir()) == []


def test_half_written_files_of_a_killed_run_are_removed_by_the_next(out):
    folder = claim(out, "clip", False, False)
    fill(folder, "first", ("scene.safetensors",))
    left = [".scene.endogs-1-00000000-abcdefgh.partial.safetensors", ".tmpAbC123"]
    for name in left:
        (folder.work / name).touch()
    folder.release()
    run(out, "second")
    assert not any((out / name).exists() for name in left)


class Killed(BaseException):
    """Stands for SIGKILL: nothing that the process would do to files afterwards happens."""


@pytest.fixture
def kill_before(monkeypatch):
    """A function: from the n-th change to the file system on, none happens any more."""
    counted = {"calls": 0, "most": 10**9}

    def guard(module, name):
        change = getattr(module, name)

        def counting(*arguments, **options):
            counted["calls"] += 1
            if counted["calls"] > counted["most"]:
                raise Killed
            return change(*arguments, **options)

        monkeypatch.setattr(module, name, counting)

    for name in ("rename", "replace", "unlink", "rmdir", "mkdir"):
        guard(os, name)
    guard(folder_swap, "_exchanged")
    monkeypatch.setattr(os, "fsync", lambda handle: None)

    def arm(most):
        counted.update(calls=0, most=most)

    return arm


@pytest.mark.parametrize("at_once", [True, False], ids=["exchange", "two renames"])
def test_killed_between_any_two_changes_one_result_is_whole_and_the_next_run_mends(
    tmp_path, monkeypatch, kill_before, at_once
):
    if not at_once:
        monkeypatch.setattr(folder_swap, "_exchanged", lambda one, other: False)
    seen = set()
    for moment in range(200):
        out = tmp_path / str(moment) / "scene"
        run(out, "first", names=(NAMES[0], DEPTH))
        (out / "notes.txt").write_text("mine")
        kill_before(moment)
        try:
            run(out, "second", overwrite=True, names=NAMES[:1])
            killed = False
        except Killed:
            killed = True
        kill_before(10**9)
        seen.add(token_of(standing(out)))
        mine = [path for path in out.parent.rglob("notes.txt") if path.read_text() == "mine"]
        assert len(mine) == 1
        assert standing(out / "scene.safetensors").is_file()
        claim(out, "clip", False, True).release()
        assert token_of(out) in ("first", "second")
        assert (out / "notes.txt").read_text() == "mine"
        run(out, "third", overwrite=True, names=NAMES[:1])
        assert token_of(out) == "third"
        assert listing(out) == {NAMES[0], "run.json", "notes.txt"}
        assert {path.name for path in out.parent.iterdir()} == {"scene"}
        if not killed:
            break
    assert not killed
    assert seen == {"first", "second"}
