"""The files of a batch's results, and what is said at its end."""

import sys
from collections.abc import Sequence
from typing import Any

from endogs.batches.batch_folder import BatchFolder
from endogs.batches.compare import Comparison, comparison_csv, comparison_lines
from endogs.batches.record import Record
from endogs.batches.results import JSON, csv_text, has_comparison, results_json, spreads_of
from endogs.batches.results_page import page_of
from endogs.output import new_file, write_json
from endogs.plain_text import plain
from endogs.progress import duration

CSV, PAGE, COMPARISON = "results.csv", "results.html", "comparison.csv"


def write_results(
    folder: BatchFolder, about: dict[str, Any], records: Sequence[Record], comparison: Comparison | None
) -> None:
    """Writes the table as JSON, CSV and a page, and the comparison where there is one, each whole or not at all.

    A comparison that an earlier run of this batch wrote and this one does not make is removed: it is of other results.
    Raises InputError where that cannot be done.
    """
    if comparison is None and (folder.path / COMPARISON).is_file() and has_comparison(folder.path):
        (folder.path / COMPARISON).unlink()
    content = results_json(about, records, None if comparison is None else comparison.as_json())
    write_json(folder.path / JSON, content)
    texts = {CSV: csv_text(records), PAGE: page_of(content)}
    texts |= {} if comparison is None else {COMPARISON: comparison_csv(comparison)}
    for name, text in texts.items():
        with new_file(folder.path / name) as partial:
            partial.write_text(text, encoding="utf-8", newline="")


def tell_end(folder: BatchFolder, records: Sequence[Record], comparison: Comparison | None) -> None:
    """To standard output: the spread of each measure, the comparison, and where the table is; failures to standard
    error."""
    finished = sum(record.state == "finished" for record in records)
    seconds = sum(record.seconds for record in records)
    print(f"{finished} of {len(records)} clip{'s' * (len(records) != 1)} finished, {duration(seconds)} of work in all")
    spreads = spreads_of(records)
    if spreads:
        print(f"{'':24}{'clips':>6}{'mean':>12}{'median':>12}{'worst':>12}")
    for one in spreads:
        numbers = f"{one.clips:>6}{one.mean:>12.4f}{one.median:>12.4f}{one.worst:>12.4f}"
        print(f"{one.measure:24}{numbers}  {one.worst_clip}")
    if comparison is not None:
        print("\n".join(comparison_lines(comparison)))
    for record in records:
        if record.state == "failed":
            print(f"failed: {record.name}: {plain(record.error)}", file=sys.stderr)
    left = sum(not record.over for record in records)
    if left:
        print(f"{left} not done yet: the same command goes on with them", file=sys.stderr)
    print(plain(folder.path / PAGE))
