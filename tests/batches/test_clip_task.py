"""What a worker does for a clip: nothing that its process does takes the worker down, and each end has its sentence."""

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest
from samples.dask_there import require_dask

require_dask()

from endogs.batches import clip_process, clip_task  # noqa: E402
from endogs.batches.batch_folder import ClaimedFolder  # noqa: E402
from endogs.batches.clip_list import jobs_of, rows_from  # noqa: E402
from endogs.batches.clip_process import LARGER  # noqa: E402
from endogs.batches.clip_task import Order, run_clip, stop_clips  # noqa: E402
from endogs.batches.config import Batch  # noqa: E402
from endogs.batches.record import Record, read_record, write_record  # noqa: E402

BEGIN = "import json, os, signal, sys, time; order = json.loads(sys.stdin.readline()); "


@pytest.fixture
def order(tmp_path):
    """A task for the clip "a" in a batch's folder."""
    out = tmp_path / "out"
    with ClaimedFolder(out) as folder:
        [job] = jobs_of(Batch(tmp_path, out=out), rows_from([tmp_path / "a"]), tmp_path)
        yield Order(folder.identifier, "run", str(folder.path), job.as_json(), 2e9, False, False)


@pytest.fixture
def does(monkeypatch):
    """Puts a program in the place of a clip's process; waiting is short."""
    monkeypatch.setattr(clip_task, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(clip_task, "GRACE", 0.3)
    return lambda program: monkeypatch.setattr(clip_task, "COMMAND", [sys.executable, "-c", BEGIN + program])


def run(order, key="key"):
    heard = []
    outcome = run_clip(order, key, heard.append)
    return outcome, heard


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("sys.exit('boom\\n\\x1b[2Jthe last word')", "its process ended with code 1 (\\x1b[2Jthe last word)"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "its process ended by SIGSEGV ("),
        ("os.kill(os.getpid(), signal.SIGKILL)", "the system ended its process at "),
    ],
)
def test_a_process_that_dies_is_a_failed_clip_with_a_sentence(order, does, program, said):
    does(program)
    outcome, heard = run(order)
    assert outcome.record.state == "failed"
    assert said in outcome.record.error
    assert heard == [{"stage": "starts"}]
    assert read_record(clip_task.BatchFolder(clip_task.Path(order.folder)).record("a")) == outcome.record


def test_a_process_that_takes_too_much_memory_is_ended(order, does):
    job = order.job | {"memory": 0.15e9}
    does("held = b'x' * 300_000_000; time.sleep(60)")
    outcome, _ = run(replace(order, job=job))
    assert outcome.record.state == "failed"
    assert "out of memory: it took 0." in outcome.record.error
    assert "more than the 0.15 GB that it was given; give more with --memory" in outcome.record.error
    assert outcome.record.memory_mb > 150


@pytest.mark.parametrize("deaf", [False, True])
def test_a_process_that_hangs_is_ended_after_its_time_even_when_it_is_deaf(order, does, deaf):
    does(f"signal.signal(signal.SIGTERM, signal.SIG_IGN if {deaf} else signal.SIG_DFL); time.sleep(60)")
    begin = time.monotonic()
    outcome, _ = run(replace(order, job=order.job | {"hours": 0.5 / 3600}))
    assert time.monotonic() - begin < 20
    assert outcome.record.state == "failed"
    assert outcome.record.stopped, "its checkpoint is worth going on from"
    assert "of --hours; what it had done is kept" in outcome.record.error


def test_children_of_a_process_end_with_it(order, does, tmp_path):
    does(
        "import subprocess; p = subprocess.Popen(['sleep', '600']); "
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(p.pid)); os.kill(os.getpid(), signal.SIGKILL)"
    )
    run(order)
    pid = int((tmp_path / "pid").read_text())
    for _ in range(100):
        state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout.strip()
        if not state or state.startswith("Z"):
            return
        time.sleep(0.05)
    pytest.fail("the process's own child goes on")


def test_what_a_process_says_is_heard_and_what_it_cannot_say_is_not(order, does):
    does(
        "print('no JSON', flush=True); print(json.dumps({'stage': 'step', 'step': 3, 'of': 9}), flush=True); "
        f"print(json.dumps({{'needs': 5e9}}), flush=True); sys.exit({LARGER})"
    )
    outcome, heard = run(order)
    assert heard == [{"stage": "starts"}, {"stage": "step", "step": 3, "of": 9}]
    assert outcome.larger == 5e9, "the fit needs more than its task has declared"


def test_stopping_a_run_reaches_its_processes_once_and_keeps_others_from_beginning(order, does):
    folder = clip_task.BatchFolder(clip_task.Path(order.folder))
    does(
        'n = []; signal.signal(signal.SIGTERM, lambda *a: n.append(1)); print(\'{"stage": "ready"}\', flush=True)\n'
        "while not n: time.sleep(0.01)\n"
        "time.sleep(0.3); sys.exit(40 + len(n))"
    )
    heard, found = [], []
    order = replace(order, run="stopped run")
    worker = threading.Thread(target=lambda: found.append(run_clip(order, "key", heard.append)))
    worker.start()
    while {"stage": "ready"} not in heard:
        time.sleep(0.01)
    assert stop_clips("another run") == 0
    assert [stop_clips("stopped run"), stop_clips("stopped run")] == [1, 1]
    worker.join(20)
    assert found[0].record.state == "interrupted", found
    assert found[0].record.error == ""
    log = folder.log("a").read_text()
    again = run_clip(order, "key", heard.append)
    assert again.record.state == "interrupted"
    write_record(folder.record("a"), replace(again.record, state="finished", digest="of other options"))
    assert run_clip(order, "key", heard.append).record.state == "waiting", "it is not what other options gave"
    assert folder.log("a").read_text() == log, "no clip of a run that was stopped begins"


def test_a_worker_that_does_not_see_the_folder_or_is_of_another_version_says_so(order):
    elsewhere, _ = run(replace(order, batch="another"))
    assert "this worker does not see the batch's folder" in elsewhere.record.error
    older, _ = run(replace(order, version="0.0.1"))
    assert "and the batch is of 0.0.1: install the same on both" in older.record.error


@pytest.mark.skipif(os.name != "posix", reason="signals as on POSIX")
def test_a_process_ends_when_its_parent_dies(tmp_path):
    """The lifeline: standard input ends, and with it the process, by SIGTERM, which a fit answers with a checkpoint."""
    program = (
        "import signal, sys, time; from endogs.batches import clip_process as p; p.GRACE = 30; "
        "import threading; threading.Thread(target=p._end_with_parent, daemon=True).start(); "
        "signal.signal(signal.SIGTERM, lambda *a: sys.exit(77)); print('ready', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    process.stdin.close()
    assert process.wait(20) == 77


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_a_process_keeps_its_core_until_it_is_gone(order, tmp_path):
    """It still computes after its clip is done, when Python takes its libraries down."""
    program = (
        "import atexit, sys; from endogs.batches import clip_process as p; from endogs.batches.held_devices import *; "
        "held = lambda: any(FileLock(one).acquire() for one in locks_folder().iterdir()); "
        "atexit.register(lambda: print('held' if held() else 'free', file=sys.stderr)); sys.exit(p.main())"
    )
    words = {"folder": order.folder, "job": order.job, "gpu": False, "overwrite": False, "memory": 2e9}
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )
    process.stdin.write(json.dumps(words).encode() + b"\n")
    process.stdin.flush()
    assert process.stderr.read().decode().split() == ["held"]
    process.stdin.close()
    assert process.wait(20) == 0
    record = read_record(clip_task.BatchFolder(clip_task.Path(order.folder)).record("a"))
    assert "no such file or folder" in record.error


def test_a_record_of_somebody_who_holds_the_clip_is_left_alone(order, does):
    """The clip went elsewhere after this worker was given up, and its process dies only now."""
    folder = clip_task.BatchFolder(clip_task.Path(order.folder))
    theirs = Record("a", "a", state="running", attempts=2)
    write_record(folder.record("a"), theirs)
    holder = clip_task.FileLock(folder.clip_lock("a"))
    assert holder.acquire() is None
    does("sys.exit(3)")
    try:
        run(order)
    finally:
        holder.release()
    assert read_record(folder.record("a")) == theirs


def test_a_process_waits_until_its_earlier_one_has_ended(order):
    folder = clip_task.BatchFolder(clip_task.Path(order.folder))
    holder, ours = (clip_task.FileLock(folder.clip_lock("a")) for _ in range(2))
    assert holder.acquire() is None
    heard = []

    def tell(**words):
        heard.append(words)
        holder.release()

    clip_process._wait_for(ours, tell)
    assert heard == [{"stage": "waits for its earlier process to end"}]
    assert holder.acquire() is not None, "it has the clip"
    ours.release()
