"""`endogs batch` as a user types it: real fits of tiny clips in local workers, a clip that is broken, and once more."""

import csv
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import load_file
from samples.dask_there import require_dask
from samples.sliding_clip import write_sliding_clip

require_dask()

import endogs  # noqa: E402
from endogs.batches.batch_folder import BatchFolder, ClaimedFolder  # noqa: E402
from endogs.batches.clip_list import jobs_of, rows_from  # noqa: E402
from endogs.batches.clip_task import COMMAND  # noqa: E402
from endogs.batches.config import Batch  # noqa: E402
from endogs.batches.done_before import sorted_out  # noqa: E402
from endogs.batches.record import read_record, write_record  # noqa: E402
from endogs.cli import main  # noqa: E402
from endogs.errors import InputError  # noqa: E402

FIT = ("--preset", "fast", "--iterations", "30", "--gaussians", "150", "--device", "cpu")


@pytest.fixture(scope="module", autouse=True)
def cores_of_its_own(tmp_path_factory):
    """The tests' fits do not wait for cores that a batch of the user's holds."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TMPDIR", str(tmp_path_factory.mktemp("tmp")))
        yield


def run(*arguments: object) -> int:
    """The command line's exit code."""
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as left:
        return int(left.code)


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    for name in ("one", "two"):
        write_sliding_clip(folder / name, frames=8)
    (folder / "broken.mp4").write_bytes(b"no video")
    return folder


@pytest.fixture(scope="module")
def out(clips, tmp_path_factory) -> Path:
    """The folder of a batch that has run once, by the command line."""
    place = tmp_path_factory.mktemp("batch") / "out"
    assert run("batch", clips, "--out", place, *FIT) == 1, "a clip failed"
    return place


def test_the_clips_are_reconstructed_as_the_single_command_does_it(clips, out, tmp_path):
    rows = {row["name"]: row for row in csv.DictReader((out / "results.csv").open())}
    assert {name: row["state"] for name, row in rows.items()} == {
        "broken": "failed", "one": "finished", "two": "finished"
    }  # fmt: skip
    assert "broken.mp4: not a video that can be decoded" in rows["broken"]["error"]
    assert rows["one"]["attempts"] == "1"
    content = json.loads((out / "results.json").read_text())
    assert content["counts"]["finished"] == 2
    assert content["batch"]["options"]["iterations"] == 30
    assert "distributed" in content["batch"]["versions"]
    one = next(clip for clip in content["clips"] if clip["name"] == "one")
    assert one["thumbnail"]
    assert one["frames_psnr"]
    assert "<title>endogs batch:" in (out / "results.html").read_text("utf-8")
    assert run("reconstruct", clips / "one", "--out", tmp_path / "alone", *FIT) == 0
    ours, alone = (load_file(place / "scene.safetensors") for place in (out / "clips/one", tmp_path / "alone"))
    assert all(ours[name].equal(alone[name]) for name in alone), "the same bits"


def test_a_second_run_does_nothing_again(clips, out, monkeypatch, capsys):
    before = (out / "clips/one/run.json").read_bytes()
    monkeypatch.setattr("endogs.batches.run.workers_for", None)  # nothing is left to be given to workers
    assert run("batch", clips, "--out", out, *FIT, "--compare", out) == 1
    assert (out / "clips/one/run.json").read_bytes() == before
    said = capsys.readouterr()
    assert "psnr                         +0.0000" in said.out
    assert "3 clips: 2 done before, 1 failed before (--retry-failed tries again), 0 to do" in said.err
    assert (out / "comparison.csv").is_file()


def test_what_changed_is_seen_and_not_replaced_unasked(clips, out, client):
    """A clip whose files were touched, and whose process died after its result was in place and before it could say so,
    is found and not made again; a result of other pictures stays until somebody says --overwrite.
    """
    made = {name: (out / f"clips/{name}/run.json").read_bytes() for name in ("one", "two")}
    before = read_record(out / "records/one.json")
    write_record(out / "records/one.json", replace(before, state="running"))
    os.utime(next((clips / "one").rglob("*.png")), ns=(1, 1))
    rows = [clips / "one", {"input": clips / "one", "name": "two"}]
    rows[1]["stride"] = 2
    options = {"preset": "fast", "iterations": 30, "gaussians": 150, "device": "cpu"}
    refused, found = endogs.batch(rows, out, client, **options).clips
    assert (found.name, found.state, found.attempts) == ("one", "finished", 1)
    assert found.measures == before.measures
    assert (refused.name, refused.state) == ("two", "failed")
    assert "holds a result of other options; --overwrite replaces it" in refused.error
    assert made == {name: (out / f"clips/{name}/run.json").read_bytes() for name in made}
    jobs = jobs_of(Batch(Path("list"), out=out, **options), rows_from(rows), Path.cwd())
    folder = BatchFolder(out)
    assert sorted_out(folder, jobs, retry_failed=False)[1] == []
    assert [job.name for job in sorted_out(folder, jobs, False, overwrite=True)[1]] == ["two"], "as its sentence says"


def test_a_clip_that_another_list_calls_otherwise_is_not_done_again(clips, out, monkeypatch, capsys):
    """The names of a list are told from its place, and a second row of the same clip changes them."""
    made = (out / "clips/one/run.json").read_bytes()
    monkeypatch.setattr("endogs.batches.run.workers_for", None)
    listed = clips.parent / f"{clips.name}.csv"
    listed.write_text(f"input,name\n{clips.name}/one,\n{clips.name}/broken.mp4,film\n")
    assert run("batch", listed, "--out", out, *FIT) == 1
    assert "2 clips: 1 done before, 1 failed before (--retry-failed tries again), 0 to do" in capsys.readouterr().err
    assert (out / f"clips/{clips.name}-one/run.json").read_bytes() == made
    assert (out / f"logs/{clips.name}-one.log").is_file()
    assert not (out / "clips/one").exists()
    assert not (out / "records/broken.json").exists()
    assert read_record(out / "records/film.json").name == "film"
    assert run("batch", clips / "one", "--out", out, *FIT) == 0, "and back"
    assert (out / "clips/one/run.json").read_bytes() == made


@pytest.fixture(scope="module")
def client():
    from distributed import Client, LocalCluster

    cluster = LocalCluster(n_workers=1, processes=False, threads_per_worker=2, dashboard_address=None, memory_limit=0)
    with Client(cluster, set_as_default=False) as found:
        yield found
    cluster.close()


def test_two_batches_do_not_share_a_folder(out, clips, tmp_path):
    with ClaimedFolder(out), pytest.raises(InputError, match="another batch is running there"):
        endogs.batch(clips, out)
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match=r"holds other files \(mine.txt\) and no batch"):
        endogs.batch(clips, tmp_path)


def test_without_dask_the_extra_is_named(clips, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert run("batch", clips, "--out", tmp_path / "out", *FIT) == 2
    assert 'endogs batch needs Dask: pip install "endogs[batch]"' in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_scheduler_and_a_worker_that_were_started_as_dask_starts_them(clips, tmp_path, capsys):
    """In processes of their own; the scheduler is named by the file that it writes."""
    file, quiet = tmp_path / "scheduler.json", {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    program = [sys.executable, "-m"]
    common = ["--scheduler-file", str(file), "--host", "127.0.0.1", "--no-dashboard"]
    own = ["--no-nanny", "--nthreads", "1", "--local-directory", str(tmp_path)]
    scheduler = subprocess.Popen([*program, "distributed.cli.dask_scheduler", "--port", "0", *common], **quiet)
    worker = subprocess.Popen([*program, "distributed.cli.dask_worker", *own, *common], **quiet)
    try:
        while not file.is_file():
            assert scheduler.poll() is None
            time.sleep(0.05)
        assert run("batch", clips / "one", "--out", tmp_path / "out", "--scheduler", file, *FIT) == 0
    finally:
        for process in (worker, scheduler):
            process.kill()
            process.wait()
    assert "1 worker on 1 machine: 1 core" in capsys.readouterr().err
    assert read_record(tmp_path / "out/records/one.json").state == "finished"


@pytest.mark.skipif(os.name != "posix", reason="signals as on POSIX")
def test_a_process_whose_worker_dies_saves_a_checkpoint_and_another_goes_on_from_it(clips, tmp_path):
    with ClaimedFolder(tmp_path / "out") as folder:
        batch = Batch(clips, out=tmp_path / "out", preset="fast", gaussians=300, iterations=700, device="cpu")
        [job] = jobs_of(batch, rows_from([clips / "one"]), clips)
        order = {"folder": str(folder.path), "job": job.as_json(), "gpu": False, "overwrite": False, "memory": None}

        def begun() -> subprocess.Popen:
            process = subprocess.Popen(
                COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
            process.stdin.write(json.dumps(order).encode() + b"\n")
            process.stdin.flush()
            return process

        first = begun()
        while b'"step"' not in (line := first.stdout.readline()):
            assert line
        time.sleep(0.2)
        first.stdin.close()  # as when a worker is killed; its successor begins at once
        second = begun()
        second.stdout.read()
        assert (first.wait(30), second.wait(60)) == (0, 0)
        done = read_record(folder.record("one"))
        assert (done.state, done.attempts, done.resumed, done.iterations) == ("finished", 2, 1, 700)
