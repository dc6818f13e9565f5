"""Rows about masks and depth files (INPUTS.md, part A), judged by the known instrument and the known surface."""

import importlib.util
import re
from dataclasses import replace

import numpy as np
from replayed.outcome import Outcome, Row, tried

from endogs.clip import ClipOptions

CLASSES = ("parts85", "types32", "types32_two")
WHOLE = 0.99
"""Share of the instrument that must be hidden; soft edges and JPEG lose a little."""


def label_rows() -> list[Row]:
    """The rows of cases 25 to 29, and of the masks of 31."""
    return [
        *(Row("25-multi-value-masks", name, masked_or_asked) for name in CLASSES),
        Row("25-multi-value-masks", "parts85", masked, ClipOptions(mask_values=("instrument=85,170,255",))),
        Row("25-multi-value-masks", "binary", masked),
        Row("26-endoscapes-labels", "endoscapes", lambda o: o.says("6 (", "255 (")),
        Row("26-endoscapes-labels", "endoscapes", masked, ClipOptions(mask_values=("instrument=6", "unknown=255"))),
        Row("27-class-maps", "cholec_ids", lambda o: o.says("11 (", "12 (", "21 (", "22 (", "31 (")),
        Row("27-class-maps", "cholec_ids", masked, ClipOptions(mask_values=("instrument=31",))),
        Row("27-class-maps", "cholec_colors", lambda o: o.says("#aaff00")),
        Row("27-class-maps", "cholec_colors", masked, ClipOptions(mask_values=("instrument=#aaff00",))),
        *(
            Row("28-mask-formats", name, masked_or_asked)
            for name in ("alpha_white", "alpha_black", "red_on_transparent", "instance_red_green", "davis_palette",
                         "soft", "jpeg", "rgb", "onebit", "sixteen", "sixteen_ids")
        ),
        Row("29-depth-kinds", "good", lambda o: proportional(o, 1.0)),
        Row("29-depth-kinds", "metres_npy", lambda o: proportional(o, 1.0)),
        Row("29-depth-kinds", "inverse", lambda o: o.says("--depth-is inverse")),
        Row("29-depth-kinds", "midas8", lambda o: o.says("--depth-is inverse")),
        Row("29-depth-kinds", "inverse", inversely, ClipOptions(depth_is="inverse")),
        Row("29-depth-kinds", "unknown_65535", saturated_is_unknown),
        Row("29-depth-kinds", "nan_inf_negative_npy", lambda o: proportional(o, 68 / 128)),
        Row("29-depth-kinds", "half", lambda o: o.clip is None and o.says("add what is missing")),
        Row("31-colmap-variants", "colmap_masks", masked),
        Row("31-colmap-variants", "colmap_masks_half", right_half_masked),
    ]  # fmt: skip


def masked(outcome: Outcome) -> bool:
    """Whether the drawn instrument is hidden whole, and less than a fifth of the rest with it."""
    if outcome.clip is None:
        return False
    found = [instrument(outcome, i) for i in range(len(outcome.clip))]
    hidden = [~outcome.clip.tissue_mask(i) for i in range(len(outcome.clip))]
    recall = np.mean([(mask & seen).sum() / seen.sum() for mask, seen in zip(hidden, found, strict=True)])
    beside = np.mean([(mask & ~seen).mean() for mask, seen in zip(hidden, found, strict=True)])
    return bool(recall >= WHOLE and beside < 0.2)


def masked_or_asked(outcome: Outcome) -> bool:
    """As `masked`, or refused with an example that, typed, hides the instrument."""
    if outcome.clip is not None:
        return masked(outcome)
    example = re.search(r"--mask-values (instrument=[^\s;]+)", outcome.refusal)
    return example is not None and masked(tried(outcome.path, ClipOptions(mask_values=(example[1],))))


def instrument(outcome: Outcome, index: int) -> np.ndarray:
    """bool (128, 160): where the case's own scene draws the instrument of frame `index`."""
    file = next(folder / "base_scene.py" for folder in outcome.path.parents if (folder / "base_scene.py").is_file())
    spec = importlib.util.spec_from_file_location("base_scene", file)
    assert spec is not None
    assert spec.loader is not None
    scene = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(scene)
    return np.asarray(scene.instrument(index, 160, 128, 8))


def right_half_masked(outcome: Outcome) -> bool:
    """Whether the columns from 76 on are hidden, and no others."""
    return outcome.clip is not None and bool((~outcome.clip.tissue_mask(0) == (np.arange(160) > 75)).all())


def surface(index: int) -> np.ndarray:
    """(128, 160) the case's depth in mm: the top of the picture is far, with a wave that moves."""
    rows, columns = np.mgrid[0:128, 0:160]
    return 60 + 30 * rows[::-1] / 127 + 3 * np.sin(columns / 20 + index / 3)


def proportional(outcome: Outcome, known: float) -> bool:
    """Whether depth is the surface's, up to one factor for all frames, and known in this share of the pixels."""
    if outcome.clip is None or not outcome.clip.has_depth:
        return False
    ratios = []
    for i in range(len(outcome.clip)):
        depth = outcome.clip.original_depth(i)
        assert depth is not None
        if abs(float((depth > 0).mean()) - known) > 0.01:
            return False
        ratios.append((depth / surface(i))[depth > 0])
    every = np.concatenate(ratios)
    return bool(np.ptp(every) < 0.02 * every.mean())


def inversely(outcome: Outcome) -> bool:
    """Whether what is near has the larger value, exactly as 1 / depth orders it."""
    if outcome.clip is None or not outcome.clip.has_inverse_depth:
        return False
    value = outcome.clip.inverse_depth(0)
    assert value is not None
    known = np.isfinite(value)
    follows = float(np.corrcoef(value[known], 1 / surface(0)[known])[0, 1]) > 0.999
    return follows and float(known.mean()) > 0.99 and not outcome.says("--depth-is inverse")


def saturated_is_unknown(outcome: Outcome) -> bool:
    """Whether the block of 65535 is unknown and all else known."""
    block = np.zeros((128, 160), bool)
    block[30:60, 40:90] = True
    depth = outcome.clip.original_depth(0) if outcome.clip is not None else None
    return depth is not None and bool(((depth == 0) == block).all()) and outcome.says("65535", "unknown")


def with_calibration(outcome: Outcome, name: str) -> Outcome:
    """The same input, read with --calibration NAME beside it."""
    return tried(outcome.path, replace(ClipOptions(), calibration=outcome.path.parent / name))
