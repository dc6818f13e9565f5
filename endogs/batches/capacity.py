"""What workers have and what a fit needs, as Dask's resources: cores, bytes of memory, GPUs.

A worker says it itself when it was started with `--resources "endogs-cores=8 endogs-memory=32e9 endogs-gpus=1"`.
Otherwise a plugin declares its threads as cores, its memory limit or its part of the machine's memory, and the GPUs
that it may see; so workers of dask-jobqueue and the like need no options, and those that come later count too.
"""

import os
import signal
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from distributed.diagnostics.plugin import WorkerPlugin

from endogs.batches.batch_folder import BatchFolder, why_not_here
from endogs.batches.clip_task import called, topic_of
from endogs.batches.held_devices import visible_gpus
from endogs.memory_budget import USABLE, machine_bytes
from endogs.version import __version__

if TYPE_CHECKING:
    from distributed import Client, Worker

CORES, MEMORY, GPUS = "endogs-cores", "endogs-memory", "endogs-gpus"
PLENTY = 1e9
"""Of the resource `fitness`, of which every clip takes one."""


@dataclass(frozen=True)
class Capacity:
    """What one worker has for fits."""

    cores: int
    memory: float
    """Bytes."""
    gpus: int
    host: str

    def fits(self, cores: int, memory: float) -> int:
        """How many fits that need so much run here at a time."""
        return max(0, min(self.cores // cores, int(self.memory // memory)))


class DeclareResources(WorkerPlugin):
    """Declares what a worker has, where nobody said it when it was started, and whether it can do clips of a batch.

    A clip's task asks for the resource `fitness`, so that no worker gets one that has another endogs or does not see
    the batch's folder: it would fail clips faster than others finish them.
    """

    def __init__(self, keep_from_interrupts: bool, folder: str, batch: str, run: str) -> None:
        """`keep_from_interrupts`: the worker shares the terminal with us, whose Ctrl-C is ours alone to answer. The
        `folder` is the batch's; a worker tells subscribers of the `run` why it cannot do its clips.
        """
        self.keep_from_interrupts = keep_from_interrupts
        self.folder, self.batch, self.run, self.version = folder, batch, run, __version__

    async def setup(self, worker: "Worker") -> None:
        """Called on each worker, also on those that come later."""
        if self.keep_from_interrupts and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        known = worker.state.total_resources
        missing = {name: value for name, value in found_here(worker).items() if name not in known}
        unfit = why_not_here(BatchFolder(Path(self.folder)), self.batch, self.version)
        await worker.set_resources(**missing, **{fitness(self.batch): 0.0 if unfit else PLENTY})
        if unfit:
            worker.log_event(topic_of(self.run), {"at": called(worker.name), "unfit": unfit})


def found_here(worker: "Worker") -> dict[str, float]:
    """What a worker's process finds on its machine."""
    threads, machine = worker.state.nthreads, os.cpu_count() or 1
    limit = worker.memory_manager.memory_limit
    part = machine_bytes() * min(1.0, threads / machine)
    return {CORES: threads, MEMORY: float(int(USABLE * (limit or part))), GPUS: len(visible_gpus())}


def fitness(batch: str) -> str:
    """The resource of workers that can do clips of a batch; its plugin too is called so."""
    return f"endogs-batch-{batch}"


def needs(cores: int, memory: float, gpu: bool) -> dict[str, float]:
    """What a fit declares."""
    return {CORES: cores, MEMORY: float(int(memory))} | ({GPUS: 1} if gpu else {})


def capacities(client: "Client", batch: str) -> tuple[dict[str, Capacity], dict[str, str]]:
    """By address, what each worker of a scheduler has that can do clips of this batch; and what those are called that
    have not said whether they can.
    """
    try:
        about = client.scheduler_info(n_workers=-1)
    except TypeError:  # an older Dask always tells of all workers
        about = client.scheduler_info()
    found, silent = {}, {}
    for address, worker in about["workers"].items():
        declared = worker["resources"]
        if fitness(batch) not in declared:
            silent[address] = called(worker["name"])
        elif declared[fitness(batch)]:
            numbers = int(declared[CORES]), float(declared[MEMORY]), int(declared.get(GPUS, 0))
            found[address] = Capacity(*numbers, str(worker["host"]))
    return found, silent
