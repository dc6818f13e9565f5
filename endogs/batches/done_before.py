"""What of a batch is done already, without opening a clip, also under another name."""

from dataclasses import replace

from endogs.batches.batch_folder import BatchFolder
from endogs.batches.identity import files_signature
from endogs.batches.job import Job
from endogs.batches.record import Record, read_record, write_record
from endogs.pipeline.result_files import is_whole


def rename_results(folder: BatchFolder, jobs: list[Job]) -> None:
    """Gives what was done under another name the name that its clip has in this list, as when a second row of the same
    clip has come, or a pattern has taken the place of a list.

    It is the same clip when its place and its options are; whether it has changed is seen as always. A record is
    written before and removed after its result has moved, so that an interruption costs nothing.
    """
    names = {job.name for job in jobs}
    new = {
        (str(job.input), job.digest): job.name
        for job in jobs
        if job.said is None and not (folder.record(job.name).exists() or folder.result(job.name).exists())
    }
    for path in folder.path.glob("records/*.json") if new else ():
        record = None if path.stem in names else read_record(path)
        if record is None or not record.over or (record.input, record.digest) not in new:
            continue
        name = new.pop((record.input, record.digest))
        write_record(folder.record(name), replace(record, name=name))
        for old, place in (
            (folder.result(path.stem), folder.result(name)),
            (folder.log(path.stem), folder.log(name)),
        ):
            if old.exists() and not place.exists():
                old.rename(place)
        path.unlink()


def sorted_out(
    folder: BatchFolder, jobs: list[Job], retry_failed: bool, overwrite: bool = False
) -> tuple[dict[str, Record], list[Job]]:
    """What is known already of clips that need not be run, by name, and the jobs that are left.

    A clip is done when its record says so of the same options, its files have not changed and its result is whole;
    whether one whose files have changed shows the same is seen when it is opened. One that failed with the same options
    is done too, unless it shall be tried again, or an older result may have been in its way that `overwrite` lets it
    replace; and so is one whose row is wrong.
    """
    known: dict[str, Record] = {}
    left = []
    for job in jobs:
        record = read_record(folder.record(job.name)) or Record(job.name, str(job.input))
        if job.said is not None:
            known[job.name] = replace(record, state="failed", error=job.said, digest="")
        elif record.over and record.digest == job.digest and _still_true(folder, job, record, retry_failed, overwrite):
            known[job.name] = record
        else:
            left.append(job)
    return known, left


def _still_true(folder: BatchFolder, job: Job, record: Record, retry_failed: bool, overwrite: bool) -> bool:
    if record.state == "failed":
        return not (retry_failed or (overwrite and folder.result(job.name).exists()))
    unchanged = record.signature is not None and record.signature == files_signature(job.input, job.files)
    return unchanged and record.input == str(job.input) and is_whole(folder.result(job.name))
