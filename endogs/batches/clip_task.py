"""What a Dask worker does for a clip: start its process, watch it, and say what came of it."""

import json
import os
import platform
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import psutil

from endogs.batches.batch_folder import BatchFolder, why_not_here
from endogs.batches.clip_process import GRACE, LARGER
from endogs.batches.job import job_of, option_values
from endogs.batches.record import Record, read_record, write_record
from endogs.file_lock import FileLock
from endogs.plain_text import plain
from endogs.version import __version__

COMMAND = [sys.executable, "-m", "endogs.batches.clip_process"]
POLL_SECONDS = 0.5
MEMORY_SECONDS = 1.0
"""Between looks at a process's memory, which go through all processes of the machine."""
MARGIN, LEAST_MARGIN = 1.5, 1e9
"""A fit may take so many times what was estimated for it, and at least so many bytes more."""
TAIL = 4000
"""Bytes of a log that are looked at for the last words of a process."""
Why = Literal["", "stopped", "lost", "hours", "memory"]
"""Why a process was asked to end: by whoever runs the batch, because the scheduler wants no result any more, or because
of a limit."""

running: dict[str, "ClipWatch"] = {}
"""In a worker's process, the clips that it works on, by their tasks' keys."""
stopped: set[str] = set()
"""Runs of batches that were stopped, of which no further clip begins."""
_all = threading.Lock()


@dataclass(frozen=True)
class Order:
    """A task, as it goes to a worker."""

    batch: str
    """The identifier of the batch's folder."""
    run: str
    """Of this run of the batch, unlike any other."""
    folder: str
    job: dict[str, Any]
    """As `Job.as_json`."""
    memory: float
    """Bytes that the task has declared."""
    gpu: bool
    overwrite: bool
    version: str = __version__


@dataclass(frozen=True)
class Outcome:
    """What a task says of its clip."""

    record: Record
    earlier: bool = False
    """It was done before, and nothing was to do."""
    larger: float | None = None
    """The fit was not begun, as it needs so many bytes, more than its task has declared."""


def run_clip(order: Order, key: str = "", tell: Callable[[dict[str, Any]], None] | None = None) -> Outcome:
    """Reconstructs one clip in a process of its own; called by a Dask worker.

    `tell` gets what the process says of its progress; without one it goes to the subscribers of the batch's topic. A
    clip that cannot be done is an outcome, never an exception.
    """
    folder, name = BatchFolder(Path(order.folder)), order.job["name"]
    blank = Record(name, order.job["input"], digest=job_of(order.job).digest)
    unfit = why_not_here(folder, order.batch, order.version)
    if unfit is not None:
        return Outcome(replace(blank, state="failed", error=unfit))
    watch = ClipWatch(folder, order, tell or _told_to_client(order, name))
    with _all:
        if order.run in stopped:
            known = read_record(folder.record(name))
            return Outcome(known if known is not None and known.digest == blank.digest else blank)
        running[key] = watch
    try:
        return watch.run(_is_wanted(key))
    finally:
        with _all:
            running.pop(key, None)


def stop_clips(run: str, kill: bool = False) -> int:
    """On a worker: asks all processes of a run to end, or ends them; returns how many there are. No more will begin."""
    with _all:
        stopped.add(run)
        watches = [watch for watch in running.values() if watch.order.run == run]
    for watch in watches:
        watch.end("stopped", kill)
    return len(watches)


class ClipWatch:
    """One clip's process, and what it has said."""

    def __init__(self, folder: BatchFolder, order: Order, tell: Callable[[dict[str, Any]], None]) -> None:
        self.folder, self.order, self.tell = folder, order, tell
        self.name = order.job["name"]
        self.why: Why = ""
        self.needed = self.peak = 0.0
        self.earlier = False
        self._killed_at, self._looked = float("inf"), 0.0
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped_early = False

    def run(self, wanted: Callable[[], bool]) -> Outcome:
        """Until the process has ended."""
        self.tell({"stage": "starts"})
        begin = time.monotonic()
        with self.folder.log(self.name).open("ab") as log:
            log.write(f"--- {time.strftime('%Y-%m-%d %H:%M:%S')}, process {os.getpid()}\n".encode())
            log.flush()
            self._process = subprocess.Popen(
                COMMAND,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        if self._stopped_early:
            self.why = ""
            self.end("stopped")
        process = self._process
        assert process.stdin is not None
        own_memory = self.order.job["memory"]
        order = {
            "folder": self.order.folder,
            "job": self.order.job,
            "gpu": self.order.gpu,
            "overwrite": self.order.overwrite,
            "memory": None if own_memory is not None else self.order.memory,
        }
        with suppress(BrokenPipeError):
            process.stdin.write(json.dumps(order).encode() + b"\n")
            process.stdin.flush()
        listener = threading.Thread(target=self._listen, daemon=True)
        listener.start()
        try:
            while process.poll() is None:
                self._look_after(time.monotonic() - begin, wanted)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(POLL_SECONDS)
        finally:
            if os.name == "posix":
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)  # itself, if this thread is ended, and what it has started
            process.stdin.close()
            listener.join(5)
        return self._outcome(process.returncode, time.monotonic() - begin)

    def end(self, why: Why, kill: bool = False) -> None:
        """Asks the process to save a checkpoint and end, or ends it at once."""
        asked, self.why = self.why, self.why or why
        process = self._process
        if process is None:
            self._stopped_early = True
            return
        if asked and not kill:  # a second request would end it without its checkpoint
            return
        self._killed_at = min(self._killed_at, time.monotonic() + GRACE)
        with suppress(ProcessLookupError):
            process.kill() if kill else process.terminate()

    @property
    def limit(self) -> float:
        """Bytes that the process may take."""
        own: float | None = self.order.job["memory"]
        return own if own is not None else max(MARGIN * self.needed, self.needed + LEAST_MARGIN, self.order.memory)

    def _look_after(self, seconds: float, wanted: Callable[[], bool]) -> None:
        """Ends a process that takes too long or too much, or whose result nobody wants; a deaf one by force."""
        if time.monotonic() > self._killed_at:
            self.end(self.why, kill=True)
        if self.why:
            return
        if time.monotonic() - self._looked >= MEMORY_SECONDS:
            self._looked = time.monotonic()
            self.peak = max(self.peak, self._memory())
        if self.peak > self.limit:
            self.end("memory", kill=True)
        elif seconds > 3600 * self.order.job["hours"]:
            self.end("hours")
        elif not wanted():
            self.end("lost")

    def _memory(self) -> float:
        """Resident bytes of the process and those that it started."""
        assert self._process is not None
        try:
            first = psutil.Process(self._process.pid)
            return float(sum(one.memory_info().rss for one in (first, *first.children(recursive=True))))
        except psutil.Error:
            return 0.0

    def _listen(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                words = json.loads(line)
            except ValueError:
                continue
            self.needed = float(words.get("needs", self.needed))
            self.earlier |= bool(words.get("earlier"))
            if "stage" in words:
                self.tell(words)

    def _outcome(self, code: int, seconds: float) -> Outcome:
        path = self.folder.record(self.name)
        record = read_record(path) or Record(self.name, self.order.job["input"])
        if code == LARGER:
            return Outcome(record, larger=self.needed)
        if code == 0 and not (self.why in ("hours", "memory") and record.state == "interrupted"):
            return Outcome(record, earlier=self.earlier)
        state, error = self._explained(code)
        job = job_of(self.order.job)
        record = replace(
            record,
            input=str(job.input),
            state=state,
            error=error,
            stopped=record.stopped or code != 0,
            digest=job.digest,
            options=option_values(job.options),
            worker=platform.node(),
            memory_mb=round(self.peak / 1e6, 1),
            seconds=round(record.seconds + seconds, 2),
        )
        # Where somebody else holds the clip by now, the record is theirs.
        lock = FileLock(self.folder.clip_lock(self.name))
        if lock.acquire() is None:
            try:
                write_record(path, record)
            finally:
                lock.release()
        return Outcome(record)

    def _explained(self, code: int) -> tuple[Literal["failed", "interrupted"], str]:
        """How a process ended that could not say it itself, in a sentence."""
        kept = "; what it had done is kept, and goes on with --retry-failed"
        if self.why in ("stopped", "lost"):
            return "interrupted", ""
        if self.why == "hours":
            return "failed", f"not done after the {self.order.job['hours']:g} hours of --hours{kept}."
        if self.why == "memory":
            return "failed", (
                f"out of memory: it took {self.peak / 1e9:.2f} GB, more than the {self.limit / 1e9:.2f} GB that it was "
                "given; give more with --memory, or make it lighter with --max-size, --stride or --preset fast."
            )
        if code == -signal.SIGTERM:
            return "interrupted", ""
        if code == -getattr(signal, "SIGKILL", 9):
            return "failed", (
                f"the system ended its process at {self.peak / 1e9:.2f} GB, as it does where memory runs out; let "
                "fewer run at a time with --memory, or make it lighter with --max-size, --stride or --preset fast."
            )
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with code {code}"
        last = plain(_last_line(self.folder.log(self.name)), 300)
        return "failed", f"its process ended {how} ({last}); the whole message is in the log."


def _last_line(log: Path) -> str:
    with suppress(OSError), log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
        lines = [line for line in file.read().decode(errors="replace").splitlines() if line.strip()]
        return lines[-1] if lines else ""
    return ""


def _told_to_client(order: Order, name: str) -> Callable[[dict[str, Any]], None]:
    from distributed import get_worker

    worker = get_worker()
    where = called(worker.name)

    def tell(words: dict[str, Any]) -> None:
        with suppress(Exception):  # the connection to the scheduler may be gone; the fit goes on
            worker.log_event(topic_of(order.run), {"name": name, "at": where, **words})

    return tell


def called(worker: object) -> str:
    """What a worker of this Dask name is called for people."""
    return f"worker {worker}" if str(worker).isdecimal() else str(worker)


def topic_of(run: str) -> str:
    """The topic of Dask's events that a run's progress is told under."""
    return f"endogs-{run}"


def _is_wanted(key: str) -> Callable[[], bool]:
    """Whether the scheduler still waits for the task: it does not when its client has gone."""
    try:
        from distributed import get_worker

        worker = get_worker()
    except ValueError:  # not on a worker
        return lambda: True

    def wanted() -> bool:
        task = worker.state.tasks.get(key)
        return task is not None and task.state not in ("cancelled", "released", "forgotten")

    return wanted
