"""The command line of the attack."""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from attacker import report
from attacker.families import FAMILIES
from attacker.outcome import FAULTS, Finding
from attacker.server import BESIDE, PATIENCE, attack, import_everything


def main(arguments: Sequence[str] | None = None) -> int:
    """Attack, print a table, and return 0 if nothing failed, 1 otherwise."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=7, help="of everything random")
    parser.add_argument("--cases", type=int, default=8000, help="how many")
    parser.add_argument("--first", type=int, default=0, help="number of the first")
    parser.add_argument("--only", type=int, nargs="+", help="replay these cases, and keep their folders")
    parser.add_argument(
        "--family", nargs="+", choices=sorted(FAMILIES), default=[], help="only cases of these families"
    )
    parser.add_argument("--jobs", type=int, default=2, help="cases at the same time")
    parser.add_argument("--patience", type=float, default=PATIENCE, help="seconds before a case hangs")
    parser.add_argument("--report", type=Path, help="JSON file of the numbers and failures")
    parser.add_argument("--keep", type=Path, help="folder where cases stay")
    options = parser.parse_args(arguments)
    slow = () if options.family and "models" not in options.family else ("transformers", "open3d")
    import_everything((*BESIDE, *slow))
    keep = options.keep
    if options.only and keep is None:
        keep = Path("attack-replay").resolve()
    numbers = options.only or range(options.first, options.first + options.cases)
    began = time.monotonic()
    done = 0

    def seen(finding: Finding) -> None:
        nonlocal done
        done += 1
        if options.only:
            _tell(finding, keep)
        elif done % 250 == 0:
            print(f"{done} cases, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)

    findings = attack(
        numbers, options.seed, FAMILIES, options.jobs, keep, frozenset(options.family), options.patience, seen
    )
    found = report.summary(options.seed, len(findings), time.monotonic() - began, findings)
    if options.report is not None:
        report.write(found, options.report)
    print(report.table(found))
    for place, what in found["places"].items():
        print(f"{what['times']:4d} x {place}   e.g. --only {what['cases'][0]}")
    for wrong, those in found["words"].items():
        print(f"{len(those):4d} x words: {wrong}   e.g. --only {those[0]}")
    return int(any(finding.outcome in FAULTS or finding.words for finding in findings))


def _tell(finding: Finding, keep: Path | None) -> None:
    """All that is known of a replayed case."""
    place = f"{keep}/{finding.number}"
    print(f"case {finding.number} ({finding.family}): {finding.about}")
    print(f"  endogs {' '.join(map(repr, finding.arguments))}   in {place}/case")
    print(f"  {finding.outcome} {finding.place}; {finding.seconds:.2f} s, {finding.growth / 1e6:.0f} MB more")
    print(f"  words: {finding.words}")
    for name in ("stdout", "stderr"):
        text = Path(place, name).read_text("utf-8", "replace")
        if text.strip():
            print(f"  {name}:\n" + "\n".join(f"    {line!a}"[:400] for line in text.splitlines()[-25:]))
