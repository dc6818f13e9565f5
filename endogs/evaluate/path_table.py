"""A comparison of camera paths as plain text."""

from collections.abc import Iterable
from typing import Any

NAMES = {
    "first_frame": "first frame shared",
    "se3": "SE(3)-aligned",
    "sim3": "Sim(3)-aligned",
}
HEAD = ("RMSE", "mean", "median", "max", "% of path", "still camera", "ratio", "scale")
"""Of the absolute errors; the still camera's RMSE, and the ratio to it."""
STEP_HEAD = ("pairs", "RMSE", "mean", "Sim(3) RMSE", "RMSE, deg", "mean, deg")


def path_table(found: dict[str, Any], unit: str = "the reference's units") -> list[str]:
    """Lines with the numbers of `PathComparison.as_dict`; `unit` is that of lengths."""
    lines = [_row(f"ATE of {found['poses']} poses", HEAD), *_absolute(found["absolute"])]
    if found["absolute_keyframes"] is not None:
        lines += [f"ATE of {found['keyframes']} keyframes, aligned alone", *_absolute(found["absolute_keyframes"])]
    lines.append(_row("RPE", STEP_HEAD))
    for row in found["relative"]:
        names = ("translation_rmse", "translation_mean", "translation_rmse_scaled")
        values = [row[name] for name in (*names, "rotation_degrees_rmse", "rotation_degrees_mean")]
        name = f"  {row['frames']} frame{'s' if row['frames'] > 1 else ''}"
        lines.append(_row(name, (str(row["pairs"]), *map(number, values))))
    lines.append(
        f"(lengths in {unit}; the path is {number(found['path_length'])} long, the estimate's "
        f"{number(found['estimated_path_length'])} in its own)"
    )
    if (jitter := found["jitter"]) is not None:
        lines.append(
            f"jitter from frame to frame where the reference stands still ({jitter['poses']} poses in "
            f"{jitter['parts']} part{'s' if jitter['parts'] > 1 else ''}): {number(jitter['translation_rms'])} and "
            f"{number(jitter['rotation_degrees_rms'])} degrees"
        )
    else:
        lines.append("jitter: not measured, as the reference never stands still for ten poses")
    return lines


def lost_line(lost: int, expected: int) -> str:
    """How many frames have no estimate."""
    return f"lost: {lost} of {expected} frames ({lost / expected:.1%})"


def _absolute(rows: dict[str, Any]) -> list[str]:
    lines = []
    for key, row in rows.items():
        shown = [number(row[name]) for name in ("rmse", "mean", "median", "max", "percent_of_path", "zero_motion_rmse")]
        shown += [number(row["ratio_to_zero_motion"]), number(row["scale"]) if key == "sim3" else ""]
        lines.append(_row(f"  {NAMES[key]}", shown))
    return lines


def _row(name: str, cells: Iterable[str]) -> str:
    return f"{name:22}" + "".join(f"{cell:>13}" for cell in cells).rstrip()


def number(value: float | None) -> str:
    """Four digits, or a dash for what could not be measured."""
    return "-" if value is None or value != value else f"{value:.4g}"
