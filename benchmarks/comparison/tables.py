"""The records of all runs as Markdown tables: one per split of a clip, means over the seeds with their spread."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

Record = dict[str, Any]


def _at(*keys: str) -> Callable[[Record], float | None]:
    def value(record: Record) -> float | None:
        found: Any = record
        for key in keys:
            found = None if found is None else found.get(key)
        return found

    return value


def _pair(part: str) -> tuple[Callable[[Record], float | None], ...]:
    return _at(part, "psnr"), _at(part, "psnr_masked")


COLUMNS: tuple[tuple[str, tuple[Callable[[Record], float | None], ...], int], ...] = (
    ("test PSNR zeroed / masked", _pair("test"), 2),
    ("training PSNR", _pair("training"), 2),
    ("SSIM", (_at("test", "ssim"),), 4),
    ("FLIP", (_at("test", "flip"),), 4),
    ("depth error, mm", (_at("test", "depth_median_abs_mm"),), 3),
    ("abs-rel", (_at("test", "depth_abs_rel"),), 4),
    ("median depth error, visible / behind, mm", (_at("phantom", "visible_mm"), _at("phantom", "behind_mm")), 3),
    ("mean behind / mean visible", (_at("phantom", "behind_ratio"),), 2),
    ("tracks, visible / hidden, mm", (_at("phantom", "tracks_visible_mm"), _at("phantom", "tracks_hidden_mm")), 3),
    ("floaters", (_at("phantom", "floaters"),), 1),
    ("steps", (_at("steps"),), 0),
    ("training s", (_at("train_seconds"),), 1),
    ("it/s", (lambda r: r["steps"] / r["train_seconds"],), 1),
    ("set-up s", (lambda r: r["priors_seconds"] + r["views_seconds"] + r["init_seconds"],), 1),
    ("MB", (_at("peak_mb"),), 0),
    ("GPU MB", (_at("gpu_peak_mb"),), 0),
    ("parameters, M", (lambda r: r["parameters"] / 1e6,), 1),
    ("Gaussians", (_at("gaussians"),), 0),
    ("render fps", (_at("render_fps"),), 0),
)
"""Heading, values between slashes, digits."""


def cell(records: list[Record], values: Iterable[Callable[[Record], float | None]], digits: int) -> str:
    """Means over the records, with the standard deviation where there are several; empty where nothing was measured."""
    parts = []
    for value in values:
        found = [v for v in (value(record) for record in records) if v is not None and np.isfinite(v)]
        if not found:
            parts.append("")
            continue
        spread = f" ± {np.std(found, ddof=1):.{digits}f}" if len(found) > 1 and digits > 0 else ""
        parts.append(f"{np.mean(found):.{digits}f}{spread}")
    return " / ".join(parts) if any(parts) else ""


def budget(record: Record) -> str:
    """What a run was allowed, as the table says it."""
    seconds = record["budget_seconds"]
    return "steps" if seconds is None else f"{seconds:g} s" + ", stopped" * bool(record.get("stopped"))


def split_table(records: list[Record], baselines: dict[str, dict[str, float]], models: list[str]) -> str:
    """The table of one split of one clip; columns without any value are left out, and failed runs say why."""
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        groups.setdefault((budget(record), record["model"]), []).append(record)
    good = {key: [r for r in found if "failed" not in r] for key, found in groups.items()}
    used = [column for column in COLUMNS if any(cell(found, column[1], column[2]) for found in good.values() if found)]
    used = used or list(COLUMNS[:1])
    lines = ["| model | budget | seeds | " + " | ".join(name for name, _, _ in used) + " |"]
    lines += ["|" + "---|" * (3 + len(used))]
    for name, means in baselines.items():
        cells = [cell([{"test": means, "steps": None}], v, d) if n in BASELINE_COLUMNS else "" for n, v, d in used]
        lines += [f"| *{name.replace('_', ' ')}* | | | " + " | ".join(cells) + " |"]
    for allowed, model in sorted(groups, key=lambda key: (order_of(key[0]), models.index(key[1]))):
        found = good[allowed, model]
        failed = [r["failed"] for r in groups[allowed, model] if "failed" in r]
        if found:
            cells = [cell(found, values, digits) for _, values, digits in used]
            note = f" ({len(failed)} failed)" if failed else ""
            lines += [f"| {model} | {allowed} | {len(found)}{note} | " + " | ".join(cells) + " |"]
        else:
            lines += [f"| {model} | {allowed} | failed | {failed[0].replace('|', '/')} " + "| " * len(used)]
    return "\n".join(lines)


def summary_table(records: list[Record], baselines: dict[tuple[str, str], dict[str, Any]], models: list[str]) -> str:
    """PSNR and SSIM of the test frames by model, a column for each clip and split; failed runs are left out."""
    shown = (COLUMNS[0][1][:1], 2), (COLUMNS[2][1], 3)
    good = [r for r in records if "failed" not in r]
    columns = sorted({(r["clip"], r["split"]) for r in records})

    def row(name: str, found: Callable[[tuple[str, str]], list[Record]], more: str) -> str:
        cells = [
            [cell(found(column), values, digits) for values, digits in zip(shown, (2, 3), strict=True)]
            for column in columns
        ]
        return f"| {name} | " + " | ".join(" / ".join(filter(None, pair)) for pair in cells) + f" | {more} |"

    lines = ["| PSNR / SSIM | " + " | ".join(f"{clip} {split}" for clip, split in columns) + " | training s |"]
    lines += ["|" + "---|" * (2 + len(columns))]
    for name in dict.fromkeys(name for means in baselines.values() for name in means):
        here = lambda column, name=name: [{"test": m[name]} for m in [baselines.get(column, {})] if name in m]
        lines += [row(f"*{name.replace('_', ' ')}*", here, "")]
    for allowed, model in sorted(
        {(budget(r), r["model"]) for r in good}, key=lambda key: (order_of(key[0]), models.index(key[1]))
    ):
        of_row = [r for r in good if (budget(r), r["model"]) == (allowed, model)]
        here = lambda column, rows=of_row: [r for r in rows if (r["clip"], r["split"]) == column]
        lines += [row(f"{model}, {allowed}", here, cell(of_row, (_at("train_seconds"),), 0))]
    return "\n".join(lines)


BASELINE_COLUMNS = {"test PSNR zeroed / masked", "SSIM", "FLIP"}


def order_of(allowed: str) -> float:
    """Budgets in steps first, then by seconds."""
    return -1.0 if allowed == "steps" else float(allowed.split()[0])
