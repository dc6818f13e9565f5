"""`endogs batch` and `endogs.batch`: from a list of clips to one table."""

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from endogs.batches.batch_folder import BatchFolder, ClaimedFolder
from endogs.batches.clip_list import jobs_of, rows_from, rows_of, shared_defaults
from endogs.batches.config import Batch
from endogs.batches.done_before import rename_results, sorted_out
from endogs.batches.job import Job, option_values
from endogs.batches.list_file import Row
from endogs.batches.record import Record, read_record, write_record
from endogs.batches.workers import require_dask, workers_for
from endogs.bounded_files import expanded
from endogs.errors import InputError
from endogs.plain_text import plain
from endogs.version import __version__

if TYPE_CHECKING:
    from distributed import Client

FAILED = 1
"""Exit code where a clip failed, or is not done."""


@dataclass(frozen=True)
class BatchResult:
    """What a batch leaves."""

    out: Path
    """Folder of results.csv, results.json, results.html and clips/NAME/."""
    clips: list[Record]
    """Failures first."""
    stopped_by: str | None
    """The signal that ended it before all clips were done."""

    @property
    def failed(self) -> list[Record]:
        """Those that failed, with their sentences."""
        return [record for record in self.clips if record.state == "failed"]


def batch(clips: Any, out: str | Path, client: "Client | None" = None, **options: Any) -> BatchResult:
    """Reconstruct many clips over the workers of a Dask client, or over this machine's cores without one.

    `clips` is what `endogs batch` takes for its list, or an iterable of paths and of dicts with "input", perhaps
    "name", and options of their own; `options` are fields of `endogs.batches.config.Batch`, which go before those of a
    recipe. Clips that fail are rows of the result. Raises InputError for bad input, and where another batch runs in
    `out`.
    """
    options = {key: Path(value) if key in ("data", "compare") and value else value for key, value in options.items()}
    if isinstance(clips, str | os.PathLike):
        named = Path(clips)
        settings = Batch(named, out=Path(out), **{**shared_defaults(named, options.get("data")), **options})
        return execute(settings, *rows_of(settings), client)
    return execute(Batch(Path("clips"), out=Path(out), **options), rows_from(clips), Path.cwd(), client)


def run_batch(config: Batch) -> None:
    """The command line's verb; leaves with 1 where a clip failed, 130 after Ctrl-C and 143 after SIGTERM."""
    result = execute(config, *rows_of(config))
    if result.stopped_by is not None:
        raise SystemExit(128 + signal.Signals[result.stopped_by])
    if any(record.state != "finished" for record in result.clips):
        raise SystemExit(FAILED)


def execute(config: Batch, rows: list[Row], base: Path, client: "Client | None" = None) -> BatchResult:
    """Runs a batch of these rows, named from the folder `base`, and writes its results.

    Raises InputError, also where the scheduler is lost; the results so far are written before.
    """
    require_dask()
    from endogs.batches.compare import compared
    from endogs.batches.result_files import tell_end, write_results
    from endogs.batches.results import in_order, read_results

    others = None if config.compare is None else read_results(config.compare)
    with ClaimedFolder(expanded(config.out)) as folder:
        begun = time.time()
        jobs = jobs_of(config, rows, base)
        rename_results(folder, jobs)
        known, left = sorted_out(folder, jobs, config.retry_failed, config.overwrite)
        for job in jobs:
            if job.said is not None:
                write_record(folder.record(job.name), known[job.name])

        def write(stopped_by: str | None = None, over: bool = False) -> tuple[list[Record], Any]:
            records = in_order(_latest(folder, job, over) for job in jobs)
            comparison = None if others is None else compared(records, others, str(config.compare))
            write_results(folder, _about(config, begun, len(known), stopped_by), records, comparison)
            return records, comparison

        stopped_by = None
        said = _said_before(jobs, known, len(left))
        if not left:
            print("\n".join(map(plain, said)), file=sys.stderr)
        else:
            try:
                stopped_by = _run(config, folder, said, known, left, client, write)
            except InputError:
                write(over=True)
                raise
        records, comparison = write(stopped_by, over=True)
    tell_end(folder, records, comparison)
    return BatchResult(folder.path, records, stopped_by)


def _run(
    config: Batch,
    folder: BatchFolder,
    said: list[str],
    known: dict[str, Record],
    left: list[Job],
    client: "Client | None",
    write: Callable[[], Any],
) -> str | None:
    """Runs what is left, after the lines `said`; returns the signal that stopped it.

    `write` is called now and then, and writes the results.
    """
    from endogs.batches.clip_queue import BatchQueue
    from endogs.batches.progress_lines import ProgressLines

    with workers_for(config, len(left), client) as workers:
        left = [replace(job, limits=replace(job.limits, cores=workers.cores)) for job in left]
        with ProgressLines(len(known) + len(left), known.values()) as lines:
            for line in said:
                lines.say(line)
            lines.say(f"dashboard: {workers.dashboard}")
            queue = BatchQueue(workers.client, folder, left, lines, config.overwrite, workers.own, write=write)
            queue.run()
    return None if queue.stopped_by is None else queue.stopped_by.name


def _said_before(jobs: list[Job], known: dict[str, Record], left: int) -> list[str]:
    """What a batch begins with, in lines for people."""
    finished = [record for record in known.values() if record.state == "finished"]
    wrong = [job for job in jobs if job.said is not None]
    failed = len(known) - len(finished) - len(wrong)
    parts = [f"{len(finished)} done before"]
    parts += [f"{failed} failed before (--retry-failed tries again)"] if failed else []
    parts += [f"{len(wrong)} with wrong options"] if wrong else []
    said = [f"{len(jobs)} clip{'s' * (len(jobs) != 1)}: {', '.join(parts)}, {left} to do"]
    said += [f"{job.name}: FAILED: {job.said}" for job in wrong]
    older = sorted({version for one in finished if (version := one.versions.get("endogs", "?")) != __version__})
    if older:
        said.append(f"note: of those done before some are of endogs {', '.join(older)}; another --out does them anew")
    return said


def _latest(folder: BatchFolder, job: Job, over: bool) -> Record:
    """What is known of a job now; a record of other options is none of its own. When all is `over`, nothing runs."""
    found = read_record(folder.record(job.name))
    if found is None or (found.digest != job.digest and job.said is None):
        return Record(job.name, str(job.input), options=option_values(job.options), digest=job.digest)
    state = "interrupted" if over and found.state == "running" else found.state
    return replace(found, name=job.name, state=state)


def _about(config: Batch, begun: float, done_before: int, stopped_by: str | None) -> dict[str, Any]:
    """What the results say of the batch."""
    import distributed

    from endogs.pipeline.run_record import software_versions

    return {
        "list": str(config.input),
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(begun)),
        "seconds": round(time.time() - begun, 1),
        "done_before": done_before,
        "options": option_values(config),
        "seed": config.seed,
        "stopped_by": stopped_by,
        "versions": software_versions() | {"distributed": distributed.__version__},
    }
