"""Two batches of the same clips, clip by clip: what a change of endogs or of its options did to each of them."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from endogs.batches.record import Record
from endogs.batches.results import measures_in
from endogs.evaluate.evaluate import Metrics
from endogs.evaluate.paired import PairedDifference, paired_differences
from endogs.plain_text import plain

NOT_MEASURES = ("seconds", "memory_mb", "gaussians")
"""Numbers of a run that are compared too."""


@dataclass(frozen=True)
class Comparison:
    """This batch minus another, over the clips that both have finished."""

    other: str
    """The other batch's folder."""
    clips: list[str]
    """Names of the pairs, in order."""
    inputs: list[str]
    differences: list[PairedDifference]
    """By measure; its frames are numbers of `clips`."""
    left_out: list[str]
    """Sentences about clips that are no pair."""

    def as_json(self) -> dict[str, Any]:
        """For results.json."""
        return asdict(self)


def compared(records: Sequence[Record], others: Sequence[Record], other: str) -> Comparison:
    """Pairs clips by their pictures, or by their name where one was never opened, and takes differences.

    The same pictures may stand in several rows, with other options: then the name decides among them.
    """
    by_pictures: dict[str, list[Record]] = {}
    for one in others:
        if one.state == "finished" and one.identity is not None:
            by_pictures.setdefault(one.identity.pictures, []).append(one)
    pairs, left_out = [], []
    used: set[str] = set()
    for record in records:
        if record.state != "finished" or record.identity is None:
            left_out.append(f"{record.name}: {record.state} here")
            continue
        found = [one for one in by_pictures.get(record.identity.pictures, []) if one.name not in used]
        same = next((one for one in found if one.name == record.name), found[0] if len(found) == 1 else None)
        if same is None:
            what = (
                f"{len(found)} clips there have the same pictures" if found else "no finished clip there shows the same"
            )
            left_out.append(f"{record.name}: {what}")
            continue
        used.add(same.name)
        pairs.append((record, same))
    here, there = [one for one, _ in pairs], [one for _, one in pairs]
    differences = paired_differences(["there", "here"], [_table(there), _table(here)]) if pairs else []
    return Comparison(other, [one.name for one in here], [one.input for one in here], differences, left_out)


def comparison_csv(comparison: Comparison) -> str:
    """A line for each pair, with the difference of every measure, here minus there."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    names = [one.measure for one in comparison.differences]
    writer.writerow(["name", *(f"{name}_difference" for name in names)])
    by_measure = {one.measure: dict(zip(one.frames, one.values, strict=True)) for one in comparison.differences}
    for number, clip in enumerate(comparison.clips):
        writer.writerow([clip, *(by_measure[name].get(number) for name in names)])
    return stream.getvalue()


def comparison_lines(comparison: Comparison) -> list[str]:
    """The paired table as plain text: how every measure differs on the mean, and in how many clips it is better."""
    lines = [f"{len(comparison.clips)} clips, this batch minus {plain(comparison.other)}"]
    if comparison.differences:
        lines.append(f"{'':24}{'mean':>12}{'± s.e.':>12}{'better in':>16}")
    for one in comparison.differences:
        error = "-" if one.standard_error is None else f"{one.standard_error:.4f}"
        share = "-" if one.measure in NOT_MEASURES else f"{one.better} of {len(one.frames)}"
        lines.append(f"{one.measure:24}{one.mean:>+12.4f}{error:>12}{share:>16}")
    return lines + [f"left out: {plain(line)}" for line in comparison.left_out]


def _table(records: Sequence[Record]) -> Metrics:
    """The rows as the frames of one table, which `paired_differences` pairs."""
    names = measures_in(records)
    rows: list[dict[str, Any]] = [
        {"frame": number, **{name: one.measures.get(name) for name in names}}
        | {name: float(getattr(one, name)) for name in NOT_MEASURES}
        for number, one in enumerate(records)
    ]
    return Metrics(split="", label="", mean={}, baseline={}, per_frame=rows)
