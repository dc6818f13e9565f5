"""What a queue of many clips costs: a real scheduler and real workers, and clips that take no time.

    python benchmarks/batch_queue.py [--clips 10000] [--keep DIR]

Each clip's task writes the record that a finished clip has, with a picture of usual size. Scheduler, client and queue
share one process, whose memory is looked at; beside it the same tasks are given to the scheduler all at once. Then the
size of the results, how long it takes to write them, and how long a browser takes to open and to sort them, where
Chromium is on the path.
"""

import argparse
import base64
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def done_at_once(order: Any, key: str = "") -> Any:
    """A task's stand-in: the record of a finished clip, of about the size that it has."""
    from endogs.batches.batch_folder import BatchFolder
    from endogs.batches.clip_task import Outcome
    from endogs.batches.identity import Identity
    from endogs.batches.job import job_of
    from endogs.batches.record import Record, write_record

    job = job_of(order.job)
    value = (hash(job.name) % 1000) / 100
    record = Record(
        job.name,
        str(job.input),
        "finished",
        identity=Identity("0" * 32, "0" * 32, job.digest),
        digest=job.digest,
        frames=60,
        seconds=50.0,
        measures={name: 30.0 + value for name in ("psnr", "psnr_masked", "ssim", "ssim_masked", "psnr_baseline")},
        steps_psnr=[20.0 + step / 2 for step in range(24)],
        frames_psnr=[30.0] * 8,
        thumbnail=base64.b64encode(os.urandom(1900)).decode(),
        versions={"endogs": "0.1.0"},
    )
    write_record(BatchFolder(Path(order.folder)).record(job.name), record)
    return Outcome(record)


class Nobody:
    """An audience that says nothing."""

    def __getattr__(self, name: str) -> Any:
        return lambda *words: None


def resident_mb() -> float:
    """This process's memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def measured(how: str, clips: int, out: Path) -> None:
    """One run in a process of its own; prints a table's row."""
    from endogs.batches.batch_folder import ClaimedFolder
    from endogs.batches.capacity import needs
    from endogs.batches.clip_list import jobs_of, rows_from
    from endogs.batches.clip_queue import BatchQueue
    from endogs.batches.clip_task import Order
    from endogs.batches.config import Batch
    from endogs.batches.local_workers import Layout, local_client

    with ClaimedFolder(out) as folder, local_client(Layout(2, 1, 4, 8e9, 0)) as client:
        batch = Batch(Path("clips"), out=out, device="cpu")
        jobs = jobs_of(batch, rows_from([f"/data/case{number}/film.mp4" for number in range(clips)]), Path("/data"))
        before, begin = resident_mb(), time.monotonic()
        peak = before
        if how == "queue":
            queue = BatchQueue(client, folder, jobs, Nobody(), own_cluster=True, task=done_at_once)
            turn, most = queue._turn, 0

            def watched() -> None:
                nonlocal peak, most
                turn()
                peak, most = max(peak, resident_mb()), max(most, len(queue.given))

            queue._turn = watched  # type: ignore[method-assign]
            queue.run()
            count = len(queue.records)
        else:
            orders = [
                Order(folder.identifier or "", "run", str(folder.path), j.as_json(), 1e9, False, False) for j in jobs
            ]
            futures = [
                client.submit(done_at_once, order, key=f"k{i}", pure=False, resources=needs(1, 1e9, False))
                for i, order in enumerate(orders)
            ]
            most = len(futures)
            while not all(future.done() for future in futures):
                peak = max(peak, resident_mb())
                time.sleep(0.5)
            count = len(client.gather(futures))
            peak = max(peak, resident_mb())
        seconds = time.monotonic() - begin
        print(f"| {how} | {count} | {most} | {seconds:.0f} | {before:.0f} | {peak - before:+.0f} |", flush=True)


def table(clips: int, out: Path) -> None:
    """What writing, reading and showing the table costs."""
    from endogs.batches.batch_folder import BatchFolder
    from endogs.batches.record import read_record
    from endogs.batches.result_files import write_results
    from endogs.batches.results import in_order

    folder = BatchFolder(out.resolve())
    begin = time.monotonic()
    records = in_order(record for path in folder.path.glob("records/*.json") if (record := read_record(path)))
    reading = time.monotonic() - begin
    about = {
        "list": "clips",
        "started": "",
        "seconds": 0.0,
        "options": {},
        "versions": {"endogs": ""},
        "stopped_by": None,
    }
    begin = time.monotonic()
    write_results(folder, about, records, None)
    writing = time.monotonic() - begin
    sizes = ", ".join(
        f"results{end} {(folder.path / f'results{end}').stat().st_size / 1e6:.1f} MB"
        for end in (".html", ".json", ".csv")
    )
    print(f"\n{len(records)} records read in {reading:.1f} s; results written in {writing:.1f} s: {sizes}")
    sys.path.insert(0, str(HERE.parent / "tests"))
    from samples.chromium import Chromium, executable

    if executable() is None:
        print("no Chromium on the path")
        return
    browser = Chromium(1400, 900)
    begin = time.monotonic()
    browser.open((folder.path / "results.html").as_uri())
    opened = time.monotonic() - begin
    press = "[...document.querySelectorAll('#clips th button')].find(b => b.textContent === 'PSNR').click()"
    timed = "(() => {{ const t = performance.now(); {}; return performance.now() - t; }})()"
    sort = browser.run(timed.format(press))
    scroll = browser.run(timed.format("find('scroll').scrollTop = 100000; draw()"))
    heap = browser.run("performance.memory.usedJSHeapSize") / 1e6
    browser.close()
    print(f"opened in {opened:.1f} s, sorted in {sort:.0f} ms, drawn after scrolling in {scroll:.0f} ms, {heap:.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=10_000)
    parser.add_argument("--keep", type=Path, help="leave the results here")
    parser.add_argument("--part", choices=("queue", "all at once"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    out = options.keep or Path(tempfile.mkdtemp())
    if options.part is not None:
        measured(options.part, options.clips, out / options.part.replace(" ", "-"))
        return
    print(
        "| given to the scheduler | clips | most at a time | s | MB before | MB more |\n|---|---|---|---|---|---|",
        flush=True,
    )
    for part in ("queue", "all at once"):
        command = [sys.executable, __file__, "--part", part, "--clips", str(options.clips), "--keep", str(out)]
        done = subprocess.run(command, check=part == "queue")
        if done.returncode:
            print(f"| {part} | {options.clips} | did not finish | | | |", flush=True)
    table(options.clips, out / "queue")
    if options.keep is None:
        shutil.rmtree(out)


if __name__ == "__main__":
    main()
