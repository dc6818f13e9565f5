"""Every model on every clip and split, at equal steps and at equal seconds, in one table.

    python benchmarks/compare_models.py --clips pulling=DIR d4d=DIR phantom=DIR --out RESULTS
        [--models NAME ...] [--model NAME="OPTIONS OF THE FIT"] [--splits standard gap novel-view] [--seeds 0 1 2]
        [--step-seeds 0] [--seconds 30 60] [--iterations 1500] [--gaussians N] [--device cuda] [--jobs 4]

A clip is NAME=PATH, with reading options after commas (d4d=DIR,stride=3); a phantom whose folder is not there is made.
A row is a set of options of `endogs reconstruct`, or a form or a whole recipe of a peer's in comparison/peers; the rows
that this version of endogs has are listed with --list, others are added with --model. `best`, `fast` and the recipes
keep their own schedule, others take --iterations.

Every run is a file in RESULTS/runs, and finished ones are not repeated, so a comparison can be interrupted, continued
and extended; --tables only draws RESULTS/comparison.md and RESULTS/curves.png again. RESULTS/pictures shows every
run's worst test frame beside its render, their FLIP error and the depth. "Equal seconds" are seconds of
training, as many steps as the same model's speed says (peers' recipes are stopped there instead); set-up is a column
of its own. Held-out PSNR along the way is measured with the clock stopped.

With --jobs several processes share the machine and its GPU: speeds are then those of a shared machine, and the tables
say so. Only the training of a process with one core and no GPU is counted in seconds of its core's work, which what
else runs there does not change: as many jobs as cores are the fairest comparison on a CPU.
"""

import argparse
import os
import shlex
import sys
import time
from dataclasses import replace
from datetime import date
from pathlib import Path

import cv2
from command import make_phantom
from comparison.curves import grid, panel
from comparison.rows import ClipChoice, Row, Run, chosen_rows, parsed, planned_runs
from comparison.tables import split_table, summary_table
from comparison.worker import Job, finished, launch, read_record, share_out, unfinished, work, write_record

from endogs.clip import load_clip
from endogs.clip.splits import split_frames
from endogs.device import choose_device, device_name, usable_cores
from endogs.errors import InputError
from endogs.evaluate.judged_frames import check_split

SPLITS = ("standard", "gap", "novel-view")


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", nargs="+", default=[], metavar="NAME=PATH[,OPTION=VALUE]")
    parser.add_argument("--models", nargs="*", default=[], help="rows, by default all there are")
    parser.add_argument("--model", action="append", default=[], metavar="NAME=OPTIONS", help="one more row")
    parser.add_argument("--splits", nargs="+", default=list(SPLITS), choices=SPLITS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument(
        "--step-seeds",
        nargs="*",
        type=int,
        help="seeds of the runs by number of steps, by default those of --seeds; without any, no such runs",
    )
    parser.add_argument("--seconds", nargs="*", type=float, default=[], help="training seconds, besides equal steps")
    parser.add_argument("--iterations", type=int, help="steps of all rows but presets and recipes")
    parser.add_argument("--gaussians", type=int, help="never more than this, in every row")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--jobs", type=int, default=1, help="processes at a time")
    parser.add_argument("--most-seconds", type=float, default=1800, help="a run that trains longer is a failed row")
    parser.add_argument("--out", type=Path, default=Path("comparison"))
    parser.add_argument("--list", action="store_true", help="name the rows and leave")
    parser.add_argument("--tables", action="store_true", help="draw tables and curves of what is there, and leave")
    parser.add_argument("--summary", action="store_true", help="print one table of all clips; the files stay whole")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    return parser


def ready(choice: ClipChoice) -> None:
    """Make the phantom where it is not there. Raises InputError for another clip that is not."""
    if choice.path.exists():
        return
    if not choice.name.startswith("phantom"):
        raise InputError(f"{choice.path} does not exist; name a clip's folder or file")
    make_phantom(choice.path)


def splits_of(choice: ClipChoice, wanted: list[str]) -> list[str]:
    """The splits that a clip can be judged by: novel views need a right camera and depth, gaps need frames."""
    clip = load_clip(choice.path, parsed(Row("", ()), *choice.options).clip)
    found = []
    for name in wanted:
        try:
            check_split(clip, split_frames(len(clip), name))  # type: ignore[arg-type]
        except InputError as error:
            print(f"left out: {choice.name}, {name}: {error}", file=sys.stderr)
        else:
            found.append(name)
    return found


def jobs_of(options: argparse.Namespace, choices: list[ClipChoice], rows: list[Row]) -> list[Job]:
    """What is left to do, as jobs that may run at the same time."""
    squeezed = [row.name for row in rows if not row.is_recipe]
    if options.seconds and options.step_seeds == [] and squeezed:
        raise ValueError(f"--step-seeds without seeds leaves nothing that tells the speed of {squeezed[0]}; give one")
    groups = [(choice, split) for choice in choices for split in splits_of(choice, options.splits)]
    runs = [
        run
        for row in rows
        for run in planned_runs(
            row, options.seeds, options.seconds, options.iterations, options.gaussians, options.step_seeds
        )
    ]
    parts = max(1, -(-options.jobs // max(1, len(groups))))
    found = []
    for choice, split in groups:
        job = Job(choice, split, tuple(runs), options.out, options.device, (), options.most_seconds)
        done = {run for run in runs if finished(job.file(run), run)}
        for run in set(runs) - done:  # a run that failed, or was of other numbers, is done again
            job.file(run).unlink(missing_ok=True)
        found += [replace(job, runs=hand) for hand in share_out(runs, done, parts)]
    return found


def carry_out(jobs: list[Job], at_once: int, script: Path) -> None:
    """Run the jobs, so many at a time, each on its own cores; a process that dies costs the run it was doing."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(usable_cores()))
    share = max(1, len(cores) // at_once)
    free = [tuple(cores[i * share : (i + 1) * share]) or (cores[i % len(cores)],) for i in range(at_once)]
    waiting, running = list(jobs), {}
    begin, most = time.monotonic(), sum(len(unfinished(job)) for job in jobs)
    print(f"{most} runs in {len(jobs)} processes, {at_once} at a time, {share} cores each", flush=True)
    try:
        while waiting or running:
            while waiting and free:
                job = replace(waiting.pop(0), cores=free.pop(), at_once=at_once)
                running[launch(job, script)] = job
            time.sleep(0.2)
            for process in [p for p in running if p.poll() is not None]:
                job = running.pop(process)
                free.append(job.cores)
                left = unfinished(job)
                if left:
                    fail_first(job, left[0], process.returncode)
                    if len(left) > 1:
                        waiting.insert(0, job)
                done = most - sum(len(unfinished(job)) for job in [*waiting, *running.values()])
                print(f"{done}/{most} runs, {time.monotonic() - begin:.0f} s", flush=True)
    finally:
        for process in running:
            process.terminate()


def fail_first(job: Job, run: Run, code: int) -> None:
    """The record of a run whose process ended without one."""
    log = job.out / "jobs" / f"{job.group}_{job.runs[0].name}.log"
    last = (log.read_text().strip().splitlines() or ["it said nothing"])[-1] if log.exists() else "there is no log"
    record = {"clip": job.clip.name, "split": job.split, "model": run.row.name, "seed": run.seed}
    record |= {"budget_seconds": run.seconds, "failed": f"the process ended with code {code}: {last}"}
    write_record(record, job.file(run))


def summary(out: Path, rows: list[Row]) -> str:
    """One table of every record there is."""
    files = sorted((out / "runs").glob("*seed*.json"))
    records = [record for record in map(read_record, files) if record is not None]
    groups = {(r["clip"], r["split"]) for r in records}
    read = {group: read_record(out / "runs" / f"{'_'.join(group)}.baselines.json") or {} for group in groups}
    models = list(dict.fromkeys([*(row.name for row in rows), *sorted(r["model"] for r in records)]))
    return summary_table(records, {group: found.get("baselines", {}) for group, found in read.items()}, models)


def write_tables(out: Path, rows: list[Row], command: str, device: str) -> str:
    """comparison.md and curves.png of every record there is; returns the text."""
    records = [read_record(file) for file in sorted((out / "runs").glob("*seed*.json"))]
    found = [record for record in records if record is not None]
    models = [row.name for row in rows] + sorted({r["model"] for r in found} - {row.name for row in rows})
    text = [f"`{command}`, {date.today()}, {device}."]
    text += ["PSNR: instruments zeroed / over tissue alone. Means over the seeds ± standard deviation."]
    at_once = max((r.get("at_once", 1) for r in found), default=1)
    clocks = {r.get("clock", "wall") for r in found if "train_seconds" in r}
    if "processor" in clocks:
        text += ["Training seconds and it/s are **processor seconds of one core**; set-up and fps are by the clock."]
    if at_once > 1:
        of_all = "set-up and fps" if clocks == {"processor"} else "seconds, it/s and fps"
        text += [f"**{at_once} processes shared the machine**: {of_all} are those of a shared machine."]
    panels = []
    for clip, split in sorted({(r["clip"], r["split"]) for r in found}, key=lambda g: (g[0], SPLITS.index(g[1]))):
        here = [r for r in found if (r["clip"], r["split"]) == (clip, split)]
        baselines = (read_record(out / "runs" / f"{clip}_{split}.baselines.json") or {}).get("baselines", {})
        text += ["", f"### {clip}, {split}", "", split_table(here, baselines, models)]
        panels.append(panel(here, baselines, models, f"{clip}, {split}"))
    if panels:
        cv2.imwrite(str(out / "curves.png"), grid(panels)[..., ::-1])
    page = "\n".join(text) + "\n"
    (out / "comparison.md").write_text(page)
    return page


def main() -> None:
    options = arguments().parse_args()
    if options.worker:
        work(options.worker)
        return
    rows, left_out = chosen_rows(options.models, options.model)
    if options.list:
        print("\n".join(f"{row.name}: {row.words}" for row in rows))
        return
    for reason in left_out:
        print(f"left out: {reason}", file=sys.stderr)
    if not options.tables:
        choices = [ClipChoice.of(text) for text in options.clips]
        for choice in choices:
            ready(choice)
        (options.out / "runs").mkdir(parents=True, exist_ok=True)
        carry_out(jobs_of(options, choices, rows), max(1, options.jobs), Path(__file__))
    device = device_name(choose_device(options.device))
    command = "python benchmarks/compare_models.py " + shlex.join(public(sys.argv[1:]))
    page = write_tables(options.out, rows, command, device)
    print(summary(options.out, rows) if options.summary else page)


def public(words: list[str]) -> list[str]:
    """The command line without the folders of this machine: the last part of every path."""
    return [
        f"{head}={Path(tail.split(',')[0]).name}" + "".join("," + t for t in tail.split(",")[1:])
        if "=" in word and "/" in (tail := word.partition("=")[2]) and (head := word.partition("=")[0])
        else (Path(word).name if "/" in word else word)
        for word in words
    ]


if __name__ == "__main__":
    try:
        main()
    except (InputError, ValueError) as error:
        sys.exit(f"compare_models: {error}")
