"""The process in which one clip is reconstructed: `python -m endogs.batches.clip_process`, started by `clip_task`.

It reads its order from standard input as a line of JSON, and tells how far it is on standard output, a line of JSON
each. When standard input ends, whoever started it has died, and it saves a checkpoint and ends too. So nothing is left
running, whatever happens to a worker, and a crash, a hang or an end by the system costs the worker nothing.
"""

import json
import os
import platform
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from endogs.batches.batch_folder import BatchFolder
from endogs.batches.held_devices import HeldDevices
from endogs.batches.identity import files_signature, identity_of
from endogs.batches.job import Job, job_of, option_values
from endogs.batches.record import Record, read_record, write_record
from endogs.errors import FitDiverged, InputError
from endogs.file_lock import FileLock
from endogs.plain_text import plain

PATIENCE = 180.0
"""Seconds to wait for an earlier process of the same clip to end, after its worker died."""
GRACE = 120.0
"""Seconds for a checkpoint to be saved before a process ends that nobody waits for."""
TELL_SECONDS = 1.0
LARGER = 75
"""Exit code of a process whose fit needs more memory than it was given (sysexits.h: EX_TEMPFAIL)."""
DEVICES = HeldDevices()
"""Held until this process is gone: ending takes it a while, on its core."""
Tell = Callable[..., None]


def main() -> int:
    """Does what the order on standard input says; returns 0 when its record says what came of it, else LARGER."""
    tell = _channel()
    order = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _first_to_be_killed()
    os.environ["OMP_NUM_THREADS"] = str(order["job"]["cores"])
    folder, job = BatchFolder(Path(order["folder"])), job_of(order["job"])
    lock = FileLock(folder.clip_lock(job.name))
    try:
        _wait_for(lock, tell)
        DEVICES.hold_cores(job.limits.cores, lambda: tell(stage="waits for a core"))
        if order["gpu"]:
            DEVICES.hold_gpu(lambda: tell(stage="waits for a GPU"))
        return _work(folder, job, order, tell)
    finally:
        lock.release()


def _work(folder: BatchFolder, job: Job, order: dict[str, Any], tell: Tell) -> int:
    started = time.monotonic()
    before = read_record(folder.record(job.name)) or Record(job.name, str(job.input))
    record = replace(
        before,
        input=str(job.input),
        options=option_values(job.options),
        digest=job.digest,
        error="",
        cores=job.limits.cores,
        seed=job.options.seed,
        worker=platform.node(),
        started=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    )

    def save(**changes: Any) -> None:
        nonlocal record
        record = replace(record, **changes)
        seconds = before.seconds + time.monotonic() - started
        write_record(folder.record(job.name), replace(record, seconds=round(seconds, 2)))

    from endogs.pipeline.result_files import is_whole

    try:
        tell(stage="opens the clip")
        signature = files_signature(job.input, job.files)
        identity, about, needed = _look(job)
        tell(needs=needed)
        if order["memory"] is not None and needed > order["memory"]:
            return LARGER
        whole = is_whole(folder.result(job.name))
        if whole and before.identity == identity:  # also where its process died before it could say so
            from endogs.batches.facts import facts_of

            facts = facts_of(folder.result(job.name))
            save(**about, **facts, state="finished", stopped=False, identity=identity, signature=signature)
            tell(earlier=True)
            return 0
        if whole and not order["overwrite"]:
            what = "options" if before.identity and before.identity.options != identity.options else "pictures"
            raise InputError(
                f"{folder.result(job.name)}: holds a result of other {what}; --overwrite replaces it, or give another "
                "--out."
            )
        on = before.stopped and before.identity == identity and _can_resume(folder.result(job.name))
        save(
            **about,
            state="running",
            stopped=True,
            identity=identity,
            signature=signature,
            needed=needed,
            attempts=before.attempts + 1,
            resumed=before.resumed + on,
        )
        save(**_reconstruct(folder, job, on, tell))
    except InputError as error:
        save(state="failed", stopped=False, error=plain(error))
    except FitDiverged as error:
        save(state="failed", stopped=False, error=f"{plain(error)}; another seed may help")
    except KeyboardInterrupt:
        save(state="interrupted")
    except Exception as error:
        traceback.print_exc()
        what = plain(f"{type(error).__name__}: {error}", 300)
        save(state="failed", stopped=False, error=f"endogs failed ({what}); the whole message is in the log.")
    return 0


def _look(job: Job) -> tuple[Any, dict[str, Any], float]:
    """The identity of the clip, its size for the record, and about how many bytes its fit needs."""
    from endogs.clip.load import load_clip
    from endogs.fit.memory import fit_bytes
    from endogs.fit.optimize.autograd_adam import form_of
    from endogs.fit.segments import pieces_of
    from endogs.memory_budget import machine_bytes

    clip = load_clip(job.input, job.options.clip, look=False)
    numbers = job.options.fit_config(len(clip))
    numbers = replace(numbers, form=form_of(numbers))
    size = len(clip), clip.width, clip.height
    pieces = pieces_of(*size, numbers, machine_bytes(), job.options.segment_frames)
    about = dict(zip(("frames", "width", "height"), size, strict=True))
    return (
        identity_of(clip, job.input, job.digest, job.files),
        about,
        fit_bytes(pieces.longest, clip.width, clip.height, numbers),
    )


def _reconstruct(folder: BatchFolder, job: Job, on: bool, tell: Tell) -> dict[str, Any]:
    """Runs `endogs reconstruct`, from a checkpoint or anew; returns what the record says of its end."""
    from endogs.batches.facts import facts_of
    from endogs.pipeline.reconstruct import execute
    from endogs.pipeline.run_record import StageClock

    tell(stage="guesses motion and depth")
    watcher = _Watcher(tell)
    options = replace(job.options, out=folder.result(job.name))
    try:
        done = execute(replace(options, resume=on, overwrite=not on), StageClock(), watcher)
    except InputError as error:
        if not on or watcher.begun:
            raise
        print(f"endogs: {plain(error)} The clip begins anew.", file=sys.stderr)
        done = execute(replace(options, overwrite=True), StageClock(), watcher)
    tell(stage="writes the table's row")
    if done.record["interrupted"]:
        return facts_of(done.out) | {"state": "interrupted", "stopped": True}
    return facts_of(done.out) | {"state": "finished", "stopped": False}


def _can_resume(result: Path) -> bool:
    from endogs.pipeline.run_folder import resumable

    return resumable(result.resolve())


class _Watcher:
    """Tells how far a fit is."""

    def __init__(self, tell: Tell) -> None:
        self.tell, self.begun, self._last = tell, False, 0.0

    def begin(self, fit: Any, clip: Any, metric: bool) -> None:
        """Before the first step of a fit or a segment."""
        self.begun = True
        self.on_step(fit)

    def on_step(self, fit: Any) -> None:
        """Between steps, now and then."""
        now = time.monotonic()
        if now - self._last >= TELL_SECONDS:
            self._last = now
            self.tell(stage="step", step=fit.step, of=fit.config.iterations, psnr=round(float(fit.psnr), 2))

    def finished(self, scene: Any, interrupted: bool) -> None:
        """Not called: the table's row is written instead."""


def _channel() -> Tell:
    """Takes standard output for lines of JSON; what anything else prints goes to standard error, which is the log."""
    own = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def tell(**words: Any) -> None:
        with suppress(OSError, ValueError):  # nobody listens any more
            own.write(json.dumps(words) + "\n")
            own.flush()

    return tell


def _end_with_parent() -> None:
    """Waits until standard input ends; then asks this process to end, and ends it where it does not."""
    with suppress(OSError):
        while os.read(0, 4096):
            pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os._exit(1)


def _first_to_be_killed() -> None:
    """When the machine's memory runs out, Linux ends this process before its worker and others."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def _wait_for(lock: FileLock, tell: Tell) -> None:
    begin = time.monotonic()
    while (holder := lock.acquire()) is not None:
        if time.monotonic() - begin > PATIENCE:
            raise SystemExit(f"{lock.path}: {plain(holder)} still works on this clip")
        tell(stage="waits for its earlier process to end")
        time.sleep(0.5)


if __name__ == "__main__":
    sys.exit(main())
