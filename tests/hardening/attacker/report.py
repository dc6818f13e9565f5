"""Numbers of an attack by family, and what failed, as JSON and as a table."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from attacker.outcome import FAULTS, KINDS, Finding


def summary(seed: int, cases: int, seconds: float, findings: Iterable[Finding]) -> dict[str, Any]:
    """JSON: by family how many cases ended how, in how many distinct places, and every failure with its number."""
    findings = list(findings)
    families: dict[str, dict[str, int]] = {}
    for name in dict.fromkeys(sorted(finding.family for finding in findings)):
        families[name] = _counts([finding for finding in findings if finding.family == name])
    places: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.outcome in FAULTS:
            places.setdefault(f"{finding.outcome}: {finding.place}", []).append(finding)
    words: dict[str, list[int]] = {}
    for finding in findings:
        for wrong in finding.words:
            words.setdefault(wrong, []).append(finding.number)
    return {
        "seed": seed,
        "cases": cases,
        "seconds": round(seconds, 1),
        "families": families,
        "all": _counts(findings),
        "places": {
            place: {
                "times": len(those),
                "cases": [one.number for one in those][:20],
                "about": those[0].about[:300],
                "said": those[0].sentence[:300],
                "arguments": those[0].arguments,
            }
            for place, those in sorted(places.items(), key=lambda entry: -len(entry[1]))
        },
        "words": dict(sorted(words.items(), key=lambda entry: -len(entry[1]))),
        "slowest": [
            [f.number, round(f.seconds, 1), f.about[:100]] for f in sorted(findings, key=lambda f: -f.seconds)[:10]
        ],
        "failures": [asdict(finding) for finding in findings if finding.outcome in FAULTS or finding.words],
    }


def _counts(findings: list[Finding]) -> dict[str, int]:
    counted = Counter(finding.outcome for finding in findings)
    return {
        "tried": len(findings),
        **{kind: counted[kind] for kind in KINDS},
        "places": len({finding.place for finding in findings if finding.outcome == "traceback"}),
        "words": sum(bool(finding.words) for finding in findings),
    }


def table(report: dict[str, Any]) -> str:
    """The numbers as a Markdown table."""
    columns = ("tried", *KINDS, "places", "words")
    lines = ["| family | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, counts in [*report["families"].items(), ("all", report["all"])]:
        lines.append(f"| {name} | " + " | ".join(str(counts[column]) for column in columns) + " |")
    return "\n".join(lines)


def write(report: dict[str, Any], path: Path) -> None:
    """Write the report as JSON."""
    path.write_text(json.dumps(report, indent=1, ensure_ascii=True) + "\n")
