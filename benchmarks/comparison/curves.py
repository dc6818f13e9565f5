"""PSNR of the test frames against training seconds, as one picture."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from endogs.evaluate.line_chart import Line, line_chart

Record = dict[str, Any]


def mean_curve(records: list[Record]) -> tuple[list[float], list[float]]:
    """Seconds and PSNR along runs of one model and budget, means over the seeds."""
    points = [[(p["seconds"], p["psnr"]) for p in record["curve"]] for record in records]
    shortest = min(len(p) for p in points)
    mean = np.mean([p[:shortest] for p in points], axis=0)
    return mean[:, 0].tolist(), mean[:, 1].tolist()


def panel(records: list[Record], baselines: dict[str, dict[str, float]], models: list[str], title: str) -> NDArray:
    """One split of one clip: each model's runs of the budget that took longest, and the baselines' levels."""
    lines = []
    for model in models:
        found = [r for r in records if r["model"] == model and "failed" not in r]
        if found:
            budget = max(found, key=lambda r: r["train_seconds"])["budget_seconds"]
            lines.append(Line(model, *mean_curve([r for r in found if r["budget_seconds"] == budget])))
    lines += [Line(name.replace("_", " "), [], [means["psnr"]], level=True) for name, means in baselines.items()]
    return line_chart(lines, f"{title}: test PSNR (zeroed), dB", "training seconds", (760, 440), log_x=True)


def grid(panels: list[NDArray], columns: int = 2) -> NDArray[np.uint8]:
    """Panels of one size, side by side in rows."""
    blank = np.full_like(panels[0], 255)
    columns = min(columns, len(panels))
    filled = panels + [blank] * (-len(panels) % columns)
    rows = [np.hstack(filled[i : i + columns]) for i in range(0, len(filled), columns)]
    return np.asarray(np.vstack(rows), np.uint8)
