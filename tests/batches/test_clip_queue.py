"""The queue over a real scheduler and workers, with tasks that fit nothing: what it hands out, and what comes back."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest
from samples.dask_there import require_dask

require_dask()

from distributed import Client, LocalCluster  # noqa: E402

from endogs.batches import capacity, clip_queue  # noqa: E402
from endogs.batches.batch_folder import ClaimedFolder  # noqa: E402
from endogs.batches.capacity import CORES, GPUS, MEMORY  # noqa: E402
from endogs.batches.clip_list import jobs_of, rows_from  # noqa: E402
from endogs.batches.clip_queue import BatchQueue  # noqa: E402
from endogs.batches.clip_task import Outcome  # noqa: E402
from endogs.batches.config import Batch  # noqa: E402
from endogs.batches.record import Record, read_record  # noqa: E402

GIGA = 10**9


class Heard:
    """An audience that remembers."""

    def __init__(self):
        self.lines, self.most_given, self.seen, self.queue = [], 0, [], None

    def workers(self, found):
        self.seen.append(found)

    def stage(self, name, words):
        self.lines.append((name, words["stage"]))

    def over(self, record, earlier):
        self.lines.append((record.name, record.state))

    def again(self, name, why):
        self.lines.append((name, why))

    def unfit(self, where, why):
        self.lines.append((where, why))

    def tick(self):
        self.most_given = max(self.most_given, len(self.queue.given))

    def stopping(self, clips):
        self.lines.append(("", "stopping"))


@pytest.fixture(scope="module")
def client():
    """Two workers of two cores and 4 GB in this process; one of them was told so by its user, the other has a GPU."""
    cluster = LocalCluster(
        n_workers=0, processes=False, dashboard_address=None, threads_per_worker=2, memory_limit=0, protocol="inproc://"
    )
    cluster.scale(2)
    with Client(cluster, set_as_default=False) as found:
        found.wait_for_workers(2)
        for number, name in enumerate(found.scheduler_info()["workers"]):
            resources = {CORES: 2, MEMORY: 4 * GIGA, GPUS: number}
            found.run(_declare, resources, workers=[name])
        yield found
    cluster.close()


async def _declare(resources, dask_worker=None):
    await dask_worker.set_resources(**resources)


def queue_of(client, out, count, task, **batch):
    with ClaimedFolder(out) as folder:
        settings = Batch(Path("clips"), out=out, **{"device": "cpu", **batch})
        jobs = jobs_of(settings, rows_from([out / f"clip{number}" for number in range(count)]), out)
        heard = Heard()
        heard.queue = BatchQueue(client, folder, jobs, heard, task=task)
        return heard.queue, heard


running: list[str] = []
most: list[int] = []
guard = threading.Lock()


def counted(order, key):
    """Says how many run at a time."""
    with guard:
        running.append(key)
        most.append(len(running))
    time.sleep(0.03)
    with guard:
        running.remove(key)
    return Outcome(Record(order.job["name"], "x", state="finished"))


def test_every_clip_is_done_once_and_no_two_share_a_core(client, tmp_path):
    most.clear()
    queue, heard = queue_of(client, tmp_path / "out", 30, counted)
    records = queue.run()
    assert sorted(records) == sorted(f"clip{number}" for number in range(30))
    assert len(heard.lines) == 30
    assert max(most) == 4, "two workers of two cores each"
    assert 0 < heard.most_given <= 6, "the scheduler is given a few at a time"
    assert not queue.given


@pytest.mark.parametrize(("options", "at_once"), [({"cores": 2}, 2), ({"memory": 3.0}, 2), ({"device": "cuda"}, 1)])
def test_what_a_fit_needs_decides_how_many_run_at_a_time(client, tmp_path, options, at_once):
    most.clear()
    queue, _ = queue_of(client, tmp_path / "out", 6, counted, **options)
    assert len(queue.run()) == 6
    assert max(most) == at_once


def test_a_clip_that_no_worker_can_hold_fails_with_numbers(client, tmp_path):
    queue, _ = queue_of(client, tmp_path / "out", 2, counted, memory=9.0)
    errors = {record.error for record in queue.run().values()}
    assert len(errors) == 1
    assert "it needs 9.0 GB and 1 core, and the largest worker has 4.0 GB and 2; make it lighter" in errors.pop()
    assert read_record(queue.folder.record("clip0")).state == "failed", "another run knows it too"


def needy(order, key):
    """Its fit needs 3 GB, which it says when it was given less."""
    record = Record(order.job["name"], "x", state="finished", needed=order.memory)
    return Outcome(record, larger=3e9) if order.memory < 3e9 else Outcome(record)


def test_a_clip_that_needs_more_than_it_declared_is_given_again_with_that(client, tmp_path):
    queue, heard = queue_of(client, tmp_path / "out", 2, needy)
    assert {record.needed for record in queue.run().values()} == {3e9}
    assert ("clip0", "it needs 3.0 GB") in heard.lines


def test_a_small_machine_opens_a_clip_before_it_says_that_it_is_too_large(client, tmp_path):
    small = {"a": capacity.Capacity(2, 0.7 * GIGA, 0, "here")}
    queue, _ = queue_of(client, tmp_path / "out", 1, counted)
    queue._workers = small
    assert queue._declared(queue.waiting[0][0], None, False) == 0.7 * GIGA
    assert queue._declared(queue.waiting[0][0], 0.9 * GIGA, False) == 0.9 * GIGA, "known by now"


def wrong(order, key):
    if order.job["name"] == "clip1":
        raise ZeroDivisionError("\x1b[2J")
    return Outcome(Record(order.job["name"], "x", state="finished"))


def test_a_task_that_raises_is_one_failed_clip(client, tmp_path):
    queue, _ = queue_of(client, tmp_path / "out", 3, wrong)
    states = {name: record.state for name, record in queue.run().items()}
    assert states == {"clip0": "finished", "clip1": "failed", "clip2": "finished"}
    assert "ZeroDivisionError: \\x1b[2J" in queue.records["clip1"].error


def ended_once(order, key):
    """Its worker is told to leave the first time, as when a cluster shrinks."""
    again = Path(order.folder) / f"{order.job['name']}.again"
    state = "finished" if again.exists() else "interrupted"
    again.touch()
    return Outcome(Record(order.job["name"], "x", state=state))


def test_a_clip_whose_worker_left_is_done_elsewhere(client, tmp_path):
    queue, heard = queue_of(client, tmp_path / "out", 2, ended_once)
    assert {record.state for record in queue.run().values()} == {"finished"}
    assert ("clip0", "its worker ended") in heard.lines


def slow_at_first(order, key):
    begun = Path(order.folder) / f"{order.job['name']}.begun"
    if not begun.exists():
        begun.touch()
        time.sleep(1.0)
    return Outcome(Record(order.job["name"], "x", state="finished"))


def test_a_clip_that_the_scheduler_forgets_is_given_to_it_again(client, tmp_path):
    """As when the connection breaks or the scheduler is started anew; not one that is over."""
    queue, heard = queue_of(client, tmp_path / "out", 3, slow_at_first)

    def lose():
        while not list(tmp_path.glob("out/*.begun")):
            time.sleep(0.01)
        for given in list(queue.given.values()):
            given.future.cancel()

    thief = threading.Thread(target=lose)
    thief.start()
    records = queue.run()
    thief.join()
    assert {record.state for record in records.values()} == {"finished"}
    assert len(records) == 3
    assert "the scheduler has lost it" in [what for _, what in heard.lines]


told = threading.Event()
"""Set when the batch has heard of a worker that cannot do clips: the message may come later than clips begin."""


def counted_once_told(order, key):
    told.wait(10)
    return counted(order, key)


def test_a_worker_that_cannot_do_clips_gets_none(client, tmp_path, monkeypatch):
    """It would fail them faster than the others finish theirs."""
    said = iter(["another version", None])
    monkeypatch.setattr(capacity, "why_not_here", lambda *about: next(said, None))
    most.clear()
    told.clear()
    queue, heard = queue_of(client, tmp_path / "out", 12, counted_once_told)
    unfit = heard.unfit
    monkeypatch.setattr(heard, "unfit", lambda where, why: (unfit(where, why), told.set()))
    assert {record.state for record in queue.run().values()} == {"finished"}
    assert max(most) == 2, "one worker of two cores"
    assert [why for _, why in heard.lines if why == "another version"] == ["another version"]


def test_a_worker_that_never_says_whether_it_can_is_named(client, tmp_path, monkeypatch):
    """Its endogs is older than that question."""
    answer, calls = capacity.DeclareResources.setup, []

    async def setup(self, worker):
        calls.append(worker)
        if len(calls) > 1:
            await answer(self, worker)

    monkeypatch.setattr(capacity.DeclareResources, "setup", setup)
    monkeypatch.setattr(clip_queue, "SILENT_SECONDS", 0.0)
    monkeypatch.setattr(clip_queue, "LOOK_SECONDS", 0.05)
    most.clear()
    queue, heard = queue_of(client, tmp_path / "out", 12, counted)
    assert {record.state for record in queue.run().values()} == {"finished"}
    assert max(most) == 2
    assert len([why for _, why in heard.lines if "does not answer as endogs" in why]) == 1


def until_stopped(order, key):
    """Runs until its run is stopped, as a clip's process does."""
    from endogs.batches import clip_task

    while order.run not in clip_task.stopped:
        time.sleep(0.01)
    return Outcome(Record(order.job["name"], "x", state="interrupted"))


def test_a_signal_stops_the_queue_once_its_clips_have_ended(client, tmp_path):
    queue, heard = queue_of(client, tmp_path / "out", 9, until_stopped)
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM)).start()
    records = queue.run()
    assert queue.stopped_by == signal.SIGTERM
    assert {record.state for record in records.values()} == {"interrupted"}
    assert 4 <= len(records) < 9, "no more are begun"
    assert ("", "stopping") in heard.lines


def test_a_scheduler_that_stays_out_of_reach_ends_the_batch(client, tmp_path, monkeypatch):
    def unreachable(client, batch):
        raise OSError("connection refused")

    queue, _ = queue_of(client, tmp_path / "out", 2, counted)
    monkeypatch.setattr(clip_queue, "GONE_SECONDS", 0.2)
    monkeypatch.setattr(clip_queue, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(clip_queue, "capacities", unreachable)
    with pytest.raises(clip_queue.InputError, match=r"out of reach \(connection refused\); what is finished stays"):
        queue.run()
