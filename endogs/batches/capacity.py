"""What workers have and what a fit needs, as Dask's resources: cores, bytes of memory, GPUs.

A worker says it itself when it was started with `--resources "endogs-cores=8 endogs-memory=32e9 endogs-gpus=1"`.
Otherwise a plugin declares its threads as cores, its memory limit or its part of the machine's memory, and the GPUs
that it may see; so workers of dask-jobqueue and the like need no options, and those that come later count too.
"""

import os
import signal
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from distributed.diagnostics.plugin import WorkerPlugin

from endogs.batches.held_devices import visible_gpus
from endogs.memory_budget import USABLE, machine_bytes

if TYPE_CHECKING:
    from distributed import Client, Worker

CORES, MEMORY, GPUS = "endogs-cores", "endogs-memory", "endogs-gpus"
PLUGIN = "endogs-batch"


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
    """Declares what a worker has, where nobody said it when it was started."""

    def __init__(self, keep_from_interrupts: bool) -> None:
        """`keep_from_interrupts`: the worker shares the terminal with us, whose Ctrl-C is ours alone to answer."""
        self.keep_from_interrupts = keep_from_interrupts

    async def setup(self, worker: "Worker") -> None:
        """Called on each worker, also on those that come later."""
        if self.keep_from_interrupts and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        known = worker.state.total_resources
        missing = {name: value for name, value in found_here(worker).items() if name not in known}
        if missing:
            await worker.set_resources(**missing)


def found_here(worker: "Worker") -> dict[str, float]:
    """What a worker's process finds on its machine."""
    threads, machine = worker.state.nthreads, os.cpu_count() or 1
    limit = worker.memory_manager.memory_limit
    part = machine_bytes() * min(1.0, threads / machine)
    return {CORES: threads, MEMORY: float(int(USABLE * (limit or part))), GPUS: len(visible_gpus())}


def needs(cores: int, memory: float, gpu: bool) -> dict[str, float]:
    """What a fit declares."""
    return {CORES: cores, MEMORY: float(int(memory))} | ({GPUS: 1} if gpu else {})


def capacities(client: "Client") -> dict[str, Capacity]:
    """By address, what each worker of a scheduler has; those that have not declared it yet are left out."""
    try:
        about = client.scheduler_info(n_workers=-1)
    except TypeError:  # an older Dask always tells of all workers
        about = client.scheduler_info()
    found = {}
    for address, worker in about["workers"].items():
        declared = worker["resources"]
        if CORES in declared and MEMORY in declared:
            numbers = int(declared[CORES]), float(declared[MEMORY]), int(declared.get(GPUS, 0))
            found[address] = Capacity(*numbers, str(worker["host"]))
    return found
