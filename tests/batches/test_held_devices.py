"""Two fits never share a core, whichever process or batch begins them."""

import os
import subprocess
import sys
import time

import pytest

from endogs.batches import held_devices
from endogs.batches.held_devices import HeldDevices, locks_folder, visible_gpus
from endogs.errors import InputError

needs_affinity = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    """Locks of their own, so that a batch beside the tests does not count."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


@pytest.fixture
def eight_cores(monkeypatch):
    kept = []
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    monkeypatch.setattr(os, "sched_setaffinity", lambda pid, cores: kept.append(cores))
    monkeypatch.setattr(held_devices, "POLL_SECONDS", 0.01)
    return kept


@needs_affinity
def test_cores_are_held_once_and_given_free(eight_cores):
    one, two, three = HeldDevices(), HeldDevices(), HeldDevices()
    one.hold_cores(3)
    two.hold_cores(3)
    assert (one.cores, two.cores) == ([0, 1, 2], [3, 4, 5])
    waits = []

    def waiting():
        waits.append(1)
        if len(waits) == 2:
            one.release()

    three.hold_cores(4, waiting)
    assert three.cores == [0, 1, 2, 6]
    assert len(waits) == 2
    assert eight_cores == [[0, 1, 2], [3, 4, 5], [0, 1, 2, 6]]
    for held in (one, two, three):
        held.release()
    two.hold_cores(99)
    assert two.cores == list(range(8)), "more than there are is all"
    two.release()


@needs_affinity
def test_a_process_that_dies_gives_its_core_free(tmp_path):
    program = (
        f"import tempfile; tempfile.tempdir = {str(tmp_path)!r}; import time; "
        "from endogs.batches.held_devices import HeldDevices; h = HeldDevices(); h.hold_cores(1); "
        "print(h.cores, flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    core = int(process.stdout.readline().strip("[]\n"))
    assert core == min(os.sched_getaffinity(0))
    lock = held_devices.FileLock(locks_folder() / f"core-{core}")
    assert lock.acquire() is not None
    process.kill()
    process.wait()
    for _ in range(100):
        if lock.acquire() is None:
            break
        time.sleep(0.02)
    else:
        pytest.fail("the core is still held")
    lock.release()


def test_a_gpu_is_held_by_the_name_that_cuda_knows(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-aa, 3,MIG-b")
    assert visible_gpus() == ["GPU-aa", "3", "MIG-b"]
    one, two = HeldDevices(), HeldDevices()
    assert one.hold_gpu() == "GPU-aa"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "GPU-aa"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-aa,3")
    assert two.hold_gpu() == "3"
    one.release()
    two.release()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert visible_gpus() == []


@pytest.mark.skipif(os.name != "posix", reason="users as on POSIX")
def test_a_folder_of_locks_that_others_may_write_is_refused(tmp_path):
    locks_folder().chmod(0o777)
    with pytest.raises(InputError, match="not yours alone"):
        locks_folder()
