"""How a machine is shared out among the workers that a batch starts, and what its own scheduler's address may be."""

import os
import signal
import subprocess
import sys
import time

import pytest
from samples.dask_there import require_dask

require_dask()

from endogs.batches import run as batch_run  # noqa: E402
from endogs.batches.config import Batch  # noqa: E402
from endogs.batches.local_workers import _deaf_to_interrupts, layout_for  # noqa: E402
from endogs.batches.record import Record  # noqa: E402
from endogs.batches.workers import workers_for  # noqa: E402
from endogs.errors import InputError  # noqa: E402

GIGA = 1e9


@pytest.mark.parametrize(
    ("clips", "cores", "memory", "gpus", "asked", "expected"),
    [
        (24, 2, 16 * GIGA, 0, {}, (2, 1, 1, 8 * GIGA, 0)),
        (1, 8, 16 * GIGA, 0, {}, (1, 8, 8, 16 * GIGA, 0)),
        (100, 64, 6 * GIGA, 0, {}, (1, 12, 64, 6 * GIGA, 0)),
        (100, 16, 64 * GIGA, 3, {}, (1, 1, 16, 64 * GIGA, 3)),
        (100, 16, 64 * GIGA, 4, {"asked_workers": 4}, (4, 1, 4, 16 * GIGA, 1)),
        (100, 8, 64 * GIGA, 0, {"asked_cores": 3}, (2, 3, 4, 32 * GIGA, 0)),
    ],
)
def test_cores_memory_and_gpus_are_shared_out(clips, cores, memory, gpus, asked, expected):
    found = layout_for(clips, cores, memory, gpus, **asked)
    assert (found.workers, found.cores_of_fit, found.cores, found.memory, found.gpus) == expected
    assert found.workers * found.cores <= cores


def test_more_than_there_is_is_refused():
    with pytest.raises(InputError, match="--cores 9: this machine has 2"):
        layout_for(4, 2, 16 * GIGA, 0, asked_cores=9)
    with pytest.raises(InputError, match="3 GPUs cannot be shared out evenly"):
        layout_for(4, 8, 16 * GIGA, 3, asked_workers=2)


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="signals as on POSIX")
def test_what_is_started_for_a_batch_never_hears_ctrl_c_and_the_batch_does():
    program = "import time; print('ready', flush=True); time.sleep(60)"
    heard = []
    previous = signal.signal(signal.SIGINT, lambda *about: heard.append("Ctrl-C"))
    try:
        with _deaf_to_interrupts():
            child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
            assert child.stdout.readline() == b"ready\n"
            child.send_signal(signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.3)
            assert (child.poll(), heard) == (None, [])
            child.kill()
            child.wait()
        assert heard == ["Ctrl-C"]
    finally:
        signal.signal(signal.SIGINT, previous)


def test_a_scheduler_s_file_that_is_not_there_is_said_at_once(tmp_path):
    batch = Batch(tmp_path, out=tmp_path / "out", scheduler=str(tmp_path / "no.json"))
    with pytest.raises(InputError, match="no such file; a dask scheduler that is told so"), workers_for(batch, 1):
        pass


def test_a_batch_that_is_not_done_is_no_success(tmp_path, monkeypatch):
    records = [Record("a", "a", state="finished")]
    monkeypatch.setattr(batch_run, "rows_of", lambda config: ([], tmp_path))
    monkeypatch.setattr(batch_run, "execute", lambda *about: batch_run.BatchResult(tmp_path, records, None))
    assert batch_run.run_batch(Batch(tmp_path, out=tmp_path)) is None
    records.append(Record("b", "b", state="interrupted"))
    with pytest.raises(SystemExit) as left:
        batch_run.run_batch(Batch(tmp_path, out=tmp_path))
    assert left.value.code == 1
