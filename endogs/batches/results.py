"""What came of a batch: a row for each clip, with mean, median and worst of every measure, as JSON and as CSV."""

import csv
import io
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from endogs.batches.record import Record, record_of
from endogs.bounded_files import read_json
from endogs.clip.files.image_files import natural_key
from endogs.errors import InputError
from endogs.evaluate.paired import less_is_better
from endogs.output import to_json
from endogs.plain_text import plain

FORMAT = "endogs-batch-results-1"
JSON = "results.json"
LONGEST = 512 * 2**20
"""Bytes of a results.json that is read: 100 000 clips have some 400 MB with their pictures."""
RANKS = {"failed": 0, "interrupted": 1, "running": 2, "waiting": 3, "finished": 4}
"""States in the table's order: failures first."""
PLAIN_COLUMNS = (
    "name",
    "state",
    "error",
    "input",
    "seconds",
    "memory_mb",
    "gaussians",
    "iterations",
    "frames",
    "width",
    "height",
    "seed",
    "device",
    "cores",
    "worker",
    "attempts",
    "resumed",
    "started",
    "label",
)
FORMULA = ("=", "+", "-", "@", "\t")
"""What a spreadsheet takes for the beginning of a formula."""


@dataclass(frozen=True)
class Spread:
    """One measure over the clips that have it."""

    measure: str
    clips: int
    mean: float
    median: float
    worst: float
    worst_clip: str


def in_order(records: Iterable[Record]) -> list[Record]:
    """Failures first, then what is not done, then by name, of which clip2 comes before clip10."""
    return sorted(records, key=lambda record: (RANKS[record.state], natural_key(Path(record.name)), record.name))


def measures_in(records: Sequence[Record]) -> list[str]:
    """The measures that any clip has, in the order of their first appearance."""
    return list(dict.fromkeys(name for record in records for name in record.measures))


def spreads_of(records: Sequence[Record]) -> list[Spread]:
    """Every measure over the finished clips that have a value of it."""
    found = []
    finished = [record for record in records if record.state == "finished"]
    for measure in measures_in(finished):
        known = [(value, one.name) for one in finished if (value := one.measures.get(measure)) is not None]
        if known:
            values = [value for value, _ in known]
            worst = (max if less_is_better(measure) else min)(known)
            found.append(Spread(measure, len(known), statistics.fmean(values), statistics.median(values), *worst))
    return found


def results_json(batch: dict[str, Any], records: Sequence[Record], comparison: Any = None) -> dict[str, Any]:
    """The content of results.json: what the batch was, every measure's spread, and all that is known of each clip."""
    counts = {state: sum(record.state == state for record in records) for state in RANKS}
    content = {"format": FORMAT, "batch": batch, "counts": counts, "measures": spreads_of(records)}
    content |= {} if comparison is None else {"comparison": comparison}
    found: dict[str, Any] = to_json(content | {"clips": list(records)})
    return found


def csv_text(records: Sequence[Record]) -> str:
    """A line for each clip: what is known of it, its measures, and its options in one cell."""
    measures = measures_in(records)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*PLAIN_COLUMNS, *measures, "endogs", "options"])
    for record in records:
        cells = [getattr(record, name) for name in PLAIN_COLUMNS]
        cells += [record.measures.get(name) for name in measures]
        options = " ".join(f"{name}={value}" for name, value in record.options.items())
        writer.writerow([_cell(cell) for cell in [*cells, record.versions.get("endogs", ""), options]])
    return stream.getvalue()


def read_results(folder: Path) -> list[Record]:
    """The records of another batch's results.json. Raises InputError where there is none."""
    path = folder / JSON
    if not path.is_file():
        raise InputError(f"{folder}: holds no {JSON}; give the --out folder of another batch for --compare.")
    content = read_json(path, LONGEST)
    rows = content.get("clips") if isinstance(content, dict) and content.get("format") == FORMAT else None
    if not isinstance(rows, list):
        raise InputError(f"{path}: not the results of a batch of this endogs; run that batch again to write them.")
    found = [record_of(row) if isinstance(row, dict) else None for row in rows]
    return [record for record in found if record is not None]


def has_comparison(folder: Path) -> bool:
    """Whether the results in a batch's folder were compared with another's; False for results that cannot be read."""
    try:
        content = read_json(folder / JSON, LONGEST)
    except (InputError, OSError):
        return False
    return isinstance(content, dict) and content.get("format") == FORMAT and "comparison" in content


def _cell(value: Any) -> Any:
    """A cell as text on one line that no spreadsheet takes for a formula; numbers as they are."""
    if value is None or isinstance(value, int | float):
        return value
    text = plain(value)
    return f"'{text}" if text.startswith(FORMULA) else text
