"""What of a batch is done already, without opening a clip."""

from dataclasses import replace

from endogs.batches.batch_folder import BatchFolder
from endogs.batches.identity import files_signature
from endogs.batches.job import Job
from endogs.batches.record import Record, read_record
from endogs.pipeline.result_files import is_whole


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
