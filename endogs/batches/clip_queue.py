"""The batch's queue: it hands a scheduler as many clips as its workers can take, and hears what came of them.

The clips that wait are kept here and not by the scheduler, which so holds a few tasks, however long the list is; and a
worker that dies takes only those with it that it was working on. Placing them by what they declare, noticing workers
that die or join, and giving their tasks to others is Dask's.
"""

import queue
import signal
import time
import uuid
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from endogs.batches.batch_folder import BatchFolder
from endogs.batches.capacity import Capacity, DeclareResources, capacities, fitness, needs
from endogs.batches.clip_task import Order, Outcome, run_clip, stop_clips, topic_of
from endogs.batches.job import Job
from endogs.batches.record import Record, read_record, write_record
from endogs.errors import InputError
from endogs.fit.interrupt import InterruptFlag
from endogs.plain_text import plain
from endogs.version import __version__

if TYPE_CHECKING:
    from distributed import Client, Future

LOOK_SECONDS = 2.0
"""Between looks at which workers there are."""
POLL_SECONDS = 0.25
STOP_SECONDS = 180.0
"""How long clips may take to save their checkpoints when the batch is stopped."""
SILENT_SECONDS = 10.0
"""How long a worker may take to say whether it can do clips."""
GONE_SECONDS = 60.0
"""How long a scheduler may be out of reach."""
WRITE_SECONDS = 300.0
"""Between two tables of what is done so far."""
LEAST_MEMORY = 1.2e9
"""Bytes that a clip declares before it was opened, where its worker has as much."""


class Audience(Protocol):
    """Somebody who is told how the batch goes on."""

    def workers(self, found: dict[str, Capacity]) -> None:
        """Which workers there are, when that changes."""

    def unfit(self, where: str, why: str) -> None:
        """A worker gets no clips."""

    def stage(self, name: str, words: dict[str, Any]) -> None:
        """How far a clip is."""

    def over(self, record: Record, earlier: bool) -> None:
        """A clip is done with."""

    def again(self, name: str, why: str) -> None:
        """A clip goes back into the queue."""

    def tick(self) -> None:
        """Now and then."""

    def stopping(self, clips: int) -> None:
        """Somebody wants the batch to end; so many clips save their checkpoints."""


@dataclass
class _Given:
    """A clip that the scheduler has."""

    job: Job
    memory: float
    future: "Future"


class BatchQueue:
    """The clips of a batch between the list and the scheduler."""

    def __init__(
        self,
        client: "Client",
        folder: BatchFolder,
        jobs: list[Job],
        audience: Audience,
        overwrite: bool = False,
        own_cluster: bool = False,
        task: Callable[..., Outcome] = run_clip,
        write: Callable[[], object] = lambda: None,
    ) -> None:
        """`own_cluster`: its workers were started by this process. `task` is what a worker does with an `Order`;
        `write` is called now and then between two clips.
        """
        self.client, self.folder, self.audience, self.overwrite, self.task = client, folder, audience, overwrite, task
        self.batch, self.run_id = folder.identifier or "", uuid.uuid4().hex
        self.waiting: deque[tuple[Job, float | None]] = deque((job, None) for job in jobs)
        """With the bytes that a clip is known to need."""
        self.given: dict[str, _Given] = {}
        self.records: dict[str, Record] = {}
        self.stopped_by: signal.Signals | None = None
        self._own_cluster = own_cluster
        self._heard: queue.Queue[tuple[str, Any]] = queue.Queue()
        self._workers: dict[str, Capacity] | None = None
        self._silent: dict[str, float] = {}
        """By address, since when workers do not say whether they can do clips; infinite for those that were named."""
        self._unfit: set[tuple[str, str]] = set()
        self._looked = self._reached = 0.0
        self._known = False
        """Whether the scheduler and its workers know of this run."""
        self._count = 0
        self._write, self._written = write, time.monotonic()

    def run(self) -> dict[str, Record]:
        """Until every clip is over, or a signal stops it; returns the records by name.

        Raises InputError when the scheduler stays out of reach.
        """
        self._reached = time.monotonic()
        try:
            with InterruptFlag() as interrupt:
                while (self.waiting or self.given) and not interrupt.raised:
                    self._turn()
                if interrupt.raised:
                    self.stopped_by = interrupt.raised
                    self._stop()
        except KeyboardInterrupt:  # the second Ctrl-C
            self.stopped_by = self.stopped_by or signal.SIGINT
            self._tell_workers(kill=True)
        finally:
            if self.client.status == "running":
                with suppress(Exception):
                    self.client.unregister_worker_plugin(fitness(self.batch))
                    self.client.unsubscribe_topic(topic_of(self.run_id))
        return self.records

    def _greet(self) -> None:
        """Makes this run known to a scheduler and its workers, also to one that has forgotten it."""
        self.client.subscribe_topic(topic_of(self.run_id), lambda event: self._heard.put(("stage", event[1])))
        plugin = DeclareResources(self._own_cluster, str(self.folder.path), self.batch, self.run_id)
        try:
            self.client.register_plugin(plugin, name=fitness(self.batch))
        except Exception as error:  # of a worker, as where endogs is missing; the others have it
            self.audience.unfit("a worker", f"{plain(f'{type(error).__name__}: {error}', 200)}.")
        # A worker may have spoken before the scheduler knew that we listen.
        for _, words in self.client.get_events(topic_of(self.run_id)) or ():
            self._hear_unfit(words)
        self._known = True

    def _turn(self) -> None:
        """Looks at the workers when it is time, gives them what they can take, and hears what they say."""
        if time.monotonic() - self._looked >= LOOK_SECONDS:
            self._look()
        self._give()
        self._hear(POLL_SECONDS)
        self.audience.tick()
        if time.monotonic() - self._written >= WRITE_SECONDS:
            self._write()
            self._written = time.monotonic()

    def _look(self) -> None:
        self._looked = time.monotonic()
        try:
            if self.client.status != "running":
                raise OSError(f"the connection to it is {self.client.status}")
            if not self._known:
                self._greet()
            found, silent = capacities(self.client, self.batch)
            self._reached = self._looked
        except (OSError, TimeoutError, RuntimeError, ValueError, KeyError) as error:
            if time.monotonic() - self._reached > GONE_SECONDS or self.client.status == "closed":
                raise InputError(
                    f"the scheduler is out of reach ({plain(error, 200)}); what is finished stays: start it again and "
                    "repeat the command."
                ) from error
            return
        for address, name in silent.items():
            if self._silent.setdefault(address, self._looked) < self._looked - SILENT_SECONDS:
                self._silent[address] = float("inf")
                self.audience.unfit(name, f"it does not answer as endogs {__version__} does; install that there.")
        if found != self._workers:
            self._workers = found
            self.audience.workers(found)

    def _give(self) -> None:
        """Hands out clips until every worker has what it can run, and one more to go on with at once."""
        workers = self._workers
        while self.waiting and workers and self._known:
            job, known = self.waiting[0]
            gpu = self._on_gpu(job)
            memory = self._declared(job, known, gpu)
            places = [one for one in workers.values() if one.gpus or not gpu]
            room = sum(self._slots(one, job.limits.cores, gpu) + 1 for one in places)
            if len(self.given) >= room:
                return
            self.waiting.popleft()
            if not any(one.fits(job.limits.cores, memory) for one in places):
                self._over(self._too_large(job, memory, places))
                continue
            self._submit(job, memory, gpu)

    def _slots(self, worker: Capacity, cores: int, gpu: bool) -> int:
        slots = max(1, worker.cores // cores)
        return min(slots, worker.gpus) if gpu else slots

    def _on_gpu(self, job: Job) -> bool:
        """Whether a clip asks for a GPU: where it must, and where it may and there is one."""
        device, workers = job.options.device, self._workers or {}
        return device == "cuda" or (device == "auto" and any(one.gpus for one in workers.values()))

    def _declared(self, job: Job, known: float | None, gpu: bool) -> float:
        """Bytes that a clip's task declares: what is known of it, else a fit's even part of the smallest worker."""
        if job.limits.memory is not None:
            return job.limits.memory
        if known is not None:
            return known
        all_places = list((self._workers or {}).values())
        places = [one for one in all_places if one.gpus or not gpu] or all_places
        parts = [(one.memory, one.memory / self._slots(one, job.limits.cores, gpu)) for one in places]
        return min(min(all_of_it, max(part, LEAST_MEMORY)) for all_of_it, part in parts)

    def _too_large(self, job: Job, memory: float, places: list[Capacity]) -> Record:
        said = "it asks for a GPU, and no worker has one; use --device cpu, or add such workers."
        if places:
            most = max(one.memory for one in places)
            cores, needed = max(one.cores for one in places), job.limits.cores
            said = (
                f"it needs {memory / 1e9:.1f} GB and {needed} core{'s' * (needed != 1)}, and the largest worker has "
                f"{most / 1e9:.1f} GB and {cores}; make it lighter with --max-size, --stride or --preset fast, ask for "
                f"fewer --cores or less --memory, or use {self._larger()}."
            )
        return Record(job.name, str(job.input), state="failed", error=said, digest=job.digest)

    def _larger(self) -> str:
        if not self._own_cluster:
            return "larger workers"
        return "--workers 1" if len(self._workers or {}) > 1 else "a larger machine"

    def _submit(self, job: Job, memory: float, gpu: bool) -> None:
        self._count += 1
        key = f"endogs-{self.run_id[:8]}-{self._count}-{job.name}"
        order = Order(self.batch, self.run_id, str(self.folder.path), job.as_json(), memory, gpu, self.overwrite)
        future = self.client.submit(
            self.task,
            order,
            key,
            key=key,
            pure=False,
            resources=needs(job.limits.cores, memory, gpu) | {fitness(self.batch): 1},
        )
        self.given[key] = _Given(job, memory, future)
        future.add_done_callback(lambda done: self._heard.put(("done", done.key)))

    def _hear(self, patience: float) -> None:
        """Takes in what was said until nothing more is, waiting for the first word only."""
        while True:
            try:
                what, words = self._heard.get(timeout=patience)
            except queue.Empty:
                return
            patience = 0.0
            if what == "done":
                self._done(words)
            elif self._hear_unfit(words):
                continue
            elif isinstance(words, dict) and isinstance(words.get("name"), str):
                self.audience.stage(words["name"], words)

    def _hear_unfit(self, words: Any) -> bool:
        """Whether a worker says that it can do no clips; it is told once."""
        if not (isinstance(words, dict) and isinstance(words.get("unfit"), str)):
            return False
        said = str(words.get("at")), words["unfit"]
        if said not in self._unfit:
            self._unfit.add(said)
            self.audience.unfit(*said)
        return True

    def _done(self, key: str) -> None:
        given = self.given.pop(key, None)
        if given is None:
            return
        job, outcome = given.job, _outcome(given)
        if outcome is None:
            self._known = False
            if self.stopped_by is None:
                self.audience.again(job.name, "the scheduler has lost it")
            self.waiting.appendleft((job, given.memory))
        elif isinstance(outcome, Record):
            self._over(outcome)
        elif outcome.larger is not None:
            self.audience.again(job.name, f"it needs {outcome.larger / 1e9:.1f} GB")
            self.waiting.appendleft((job, outcome.larger))
        elif outcome.record.state == "interrupted" and self.stopped_by is None:
            # Its worker was told to end, as when a cluster shrinks, and saved a checkpoint.
            self.audience.again(job.name, "its worker ended")
            self.waiting.append((job, given.memory))
        else:
            self._over(outcome.record, outcome.earlier)

    def _over(self, record: Record, earlier: bool = False) -> None:
        self.records[record.name] = record
        path = self.folder.record(record.name)
        written = read_record(path)
        if record.state == "failed" and (written is None or written.error != record.error):
            # Said here or by a worker that does not see the folder, and not by the clip's own process.
            kept = record if written is None else written
            write_record(path, replace(kept, state="failed", error=record.error, digest=record.digest))
        self.audience.over(record, earlier)

    def _stop(self) -> None:
        """Asks the clips that run to save their checkpoints, and waits for them; a second signal ends them at once."""
        self.audience.stopping(self._tell_workers(kill=False))
        end = time.monotonic() + STOP_SECONDS
        while self.given and time.monotonic() < end:
            self._hear(POLL_SECONDS)
            self.audience.tick()

    def _tell_workers(self, kill: bool) -> int:
        try:
            return sum(self.client.run(stop_clips, self.run_id, kill, on_error="ignore").values())
        except Exception:  # the scheduler is gone, and with it who could tell them; their workers end them
            return 0


def _outcome(given: _Given) -> Outcome | Record | None:
    """What a future holds: a failed record where it is no outcome, as when workers die over and over, and None where
    the scheduler, or the connection to it, is gone.
    """
    future, job = given.future, given.job
    blank = Record(job.name, str(job.input), state="failed", digest=job.digest)
    if future.status == "finished":
        outcome: Outcome = future.result()
        return outcome
    if future.status == "cancelled":
        return None
    error = future.exception()
    if type(error).__name__ == "KilledWorker":
        return replace(blank, error="worker after worker died while it ran; see the workers' own messages.")
    return replace(blank, error=f"the task failed on its worker ({plain(f'{type(error).__name__}: {error}', 300)}).")
