"""Processes that do the runs: each takes some rows of one split of one clip, and writes a file per run."""

import json
import os
import subprocess
import sys
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from endogs.output import to_json, write_json

from .rows import ClipChoice, Row, Run


@dataclass(frozen=True)
class Job:
    """Runs on one split of one clip, for one process."""

    clip: ClipChoice
    split: str
    runs: tuple[Run, ...]
    out: Path
    device: str
    cores: tuple[int, ...]
    most_seconds: float
    at_once: int = 1
    """Processes that share the machine."""

    @property
    def group(self) -> str:
        """Start of the names of its files."""
        return f"{self.clip.name}_{self.split}"

    def file(self, run: Run) -> Path:
        """Where a run's record goes."""
        return self.out / "runs" / f"{self.group}_{run.name}.json"

    def picture(self, run: Run) -> Path:
        """Where its worst test frame is drawn."""
        return self.out / "pictures" / self.file(run).with_suffix(".png").name

    def to_json(self) -> str:
        """For the process that does it."""
        return json.dumps(asdict(self), default=str)

    @staticmethod
    def from_json(text: str) -> "Job":
        """The inverse of `to_json`."""
        found = json.loads(text)
        runs = [
            Run(**(r | {"row": Row(**(r["row"] | {"options": tuple(r["row"]["options"])}))})) for r in found["runs"]
        ]
        clip = ClipChoice(found["clip"]["name"], Path(found["clip"]["path"]), tuple(found["clip"]["options"]))
        known = {"clip": clip, "runs": tuple(runs), "out": Path(found["out"]), "cores": tuple(found["cores"])}
        return Job(**(found | known))


def read_record(file: Path) -> dict[str, Any] | None:
    """A run's record; None where there is none, or a broken one."""
    try:
        return json.loads(file.read_text())
    except (OSError, ValueError):
        return None


def finished(file: Path, run: Run) -> bool:
    """Whether the run's record is there, of the numbers that the row has today, and the run did not fail."""
    record = read_record(file)
    return record is not None and "failed" not in record and record.get("configuration") == run.configuration


def write_record(record: dict[str, Any], file: Path) -> None:
    """One run's JSON, whole or not at all."""
    write_json(file, to_json(record))


def launch(job: Job, script: Path) -> subprocess.Popen:
    """Start the process for a job; what it says goes to a log beside the records."""
    plan = job.out / "jobs" / f"{job.group}_{job.runs[0].name}.json"
    plan.parent.mkdir(parents=True, exist_ok=True)
    plan.write_text(job.to_json())
    with open(plan.with_suffix(".log"), "a") as log:
        return subprocess.Popen([sys.executable, str(script), "--worker", str(plan)], stdout=log, stderr=log)


def unfinished(job: Job) -> tuple[Run, ...]:
    """The runs of a job whose process ended that nobody has a record of."""
    return tuple(run for run in job.runs if read_record(job.file(run)) is None)


def work(plan: Path) -> None:
    """Do the runs of the job in the file `plan`; a run that fails leaves a record that says why."""
    job = Job.from_json(plan.read_text())
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, job.cores)
    # Threads are counted when these are imported, so after the process was confined to its cores.
    import torch

    from endogs import native
    from endogs.device import choose_device

    from .prepared import prepare
    from .train import execute

    if native.available():
        native.set_threads(len(job.cores))
    torch.set_num_threads(len(job.cores))
    device = choose_device(job.device)  # type: ignore[arg-type]
    prepared = prepare(job.clip, job.split, device, job.out / "priors" / job.group)
    baselines = job.out / "runs" / f"{job.group}.baselines.json"
    if not baselines.exists():
        write_record({"baselines": prepared.baselines(), "frames": len(prepared.judged)}, baselines)
    for run in job.runs:
        if read_record(job.file(run)) is not None:
            continue
        record: dict[str, Any] = {"clip": job.clip.name, "split": job.split, "model": run.row.name, "seed": run.seed}
        record |= {"budget_seconds": run.seconds, "options": list(run.row.options), "at_once": job.at_once}
        record |= {"configuration": run.configuration, "stopped": run.is_stopped}
        try:
            record |= execute(prepared, run, reference(job, run), job.most_seconds, job.picture(run))
        except Exception as error:
            # One failing model must not cost the others, and a GPU that ran out of memory has it back.
            traceback.print_exc()
            record |= getattr(error, "progress", {})
            record["failed"] = f"{type(error).__name__}: {(str(error).splitlines() or ['no reason given'])[0]}"
            if device.type == "cuda":
                torch.cuda.empty_cache()
        write_record(record, job.file(run))
        print(f"{job.group} {run.name}: {record.get('failed', 'done')}", flush=True)


def reference(job: Job, run: Run) -> dict[str, Any] | None:
    """A record of the same row with a number of steps, and its seconds: of the same seed, or else of another."""
    if run.seconds is None:
        return None
    same = [r for r in job.runs if r.row == run.row and r.seconds is None]
    for other in sorted(same, key=lambda r: r.seed != run.seed):
        record = read_record(job.file(other))
        if record is not None and record.get("train_seconds"):
            return record
    return None


def share_out(runs: Sequence[Run], done: set[Run], parts: int) -> list[tuple[Run, ...]]:
    """The rows that are not done, dealt to at most `parts` processes; a row stays whole, also what is done of it."""
    rows = list(dict.fromkeys(run.row for run in runs if run not in done))
    hands = [rows[part::parts] for part in range(min(parts, len(rows)))]
    return [tuple(run for row in hand for run in runs if run.row == row) for hand in hands]
