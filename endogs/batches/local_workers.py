"""Workers on this machine, as many as its cores, memory and GPUs can use, behind doors that only this process opens."""

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from distributed import Client, LocalCluster
from distributed.security import Security

from endogs.batches.capacity import CORES, GPUS, MEMORY
from endogs.batches.held_devices import visible_gpus
from endogs.errors import InputError
from endogs.fit.interrupt import InterruptFlag
from endogs.memory_budget import USABLE, available_bytes

FEWEST_BYTES = 1.2e9
"""Memory below which no fit is begun beside another."""
MOST_WORKERS = 2
"""Processes that watch fits, each of which has one of its own beside; a fit may take all memory of its worker."""
HERE = "127.0.0.1"


@dataclass(frozen=True)
class Layout:
    """How a machine is shared out."""

    workers: int
    cores_of_fit: int
    cores: int
    """Of a worker."""
    memory: float
    """Bytes of a worker."""
    gpus: int
    """Of a worker."""


def usable_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def layout_for(
    clips: int, cores: int, memory: float, gpus: int, asked_workers: int | None = None, asked_cores: int | None = None
) -> Layout:
    """How `cores`, `memory` (bytes) and `gpus` are shared out among so many clips.

    A fit gets one core, as many small fits go faster than few large ones, and more only where cores outnumber clips.
    Raises InputError for more cores of a fit than there are, and for workers that cannot have as many GPUs each.
    """
    if asked_cores is not None and asked_cores > cores:
        raise InputError(f"--cores {asked_cores}: this machine has {cores}; give up to that many.")
    at_once = max(1, min(cores // (asked_cores or 1), clips, int(memory // FEWEST_BYTES)))
    each = asked_cores or max(1, cores // at_once)
    if asked_workers is not None and gpus % asked_workers:
        raise InputError(f"--workers {asked_workers}: {gpus} GPUs cannot be shared out evenly; give 1 or {gpus}.")
    shared = gpus or at_once
    workers = asked_workers or max(n for n in range(1, min(MOST_WORKERS, shared) + 1) if shared % n == 0)
    workers = min(workers, max(1, cores // each))
    return Layout(workers, each, cores // workers, float(int(memory / workers)), gpus // workers)


def layout_here(clips: int, asked_workers: int | None, asked_cores: int | None) -> Layout:
    """The layout for this machine."""
    memory = USABLE * available_bytes()
    return layout_for(clips, usable_cores(), memory, len(visible_gpus()), asked_workers, asked_cores)


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Processes and threads that are begun inside never hear Ctrl-C, which is the batch's to answer; one that comes
    meanwhile is answered afterwards.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    with InterruptFlag() as interrupt:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    if interrupt.raised:
        signal.raise_signal(interrupt.raised)


@contextmanager
def local_client(layout: Layout) -> Iterator[Client]:
    """A client of workers that live as long as the block, and listen on this machine alone, behind certificates that
    only they know: whoever else is on the machine can read the dashboard, and nothing more. Raises InputError where
    they do not start.
    """
    try:
        security = Security.temporary()
    except ImportError as error:
        raise InputError('--out: workers need the package cryptography; pip install "endogs[batch]".') from error
    resources = {CORES: layout.cores, MEMORY: layout.memory, GPUS: layout.gpus}
    try:
        with _deaf_to_interrupts():
            cluster = LocalCluster(
                n_workers=layout.workers,
                threads_per_worker=layout.cores,
                memory_limit=0,  # a worker itself takes little, and its fits are watched one by one
                resources=resources,
                host=HERE,
                protocol="tls://",
                security=security,
                dashboard_address=f"{HERE}:0",
                silence_logs=logging.CRITICAL,
            )
    except RuntimeError as error:  # a process that is spawned runs the script that spawned it once more
        raise InputError(
            f"the workers on this machine did not start ({error}); a Python script that calls endogs.batch must be a "
            'file that does so below if __name__ == "__main__":, or give a client of its own.'
        ) from error
    try:
        with Client(cluster, set_as_default=False) as client:
            yield client
    finally:
        cluster.close()
