"""What is said about the values in mask files: what they hold, and options that these files can be read with."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from endogs.clip.files.mask_classes import COLOR, MANY_VALUES, brightness, value_name
from endogs.clip.files.mask_softness import NOISE, STRAY

HIDDEN_SUSPICIOUS = 0.6
"""A larger share may mean it, and is worth a note."""


def listed(shares: dict[int, float]) -> str:
    """Classes with their shares of the pixels, most frequent first: "0 (91 %), 85 (5 %), 255 (4 %)"."""
    most = sorted(shares, key=lambda value: -shares[value])
    words = [f"{value_name(value)} ({_percent(shares[value])} %)" for value in most[:12]]
    return ", ".join(words) + (f" and {len(most) - 12} more" if len(most) > 12 else "")


def _percent(share: float) -> str:
    """Two digits, and never "1e+02"."""
    return f"{100 * share:.2g}" if share < 0.995 else "100"


def held(shares: dict[int, float], between: float, bright_is_instrument: bool) -> str:
    """What masks of two values hold and mean: "255 = instrument"."""
    bright = [value for value in shares if value > 0]
    if not bright:
        return "0 everywhere = " + ("tissue" if bright_is_instrument else "instrument")
    name = value_name(bright[0])
    if not bright_is_instrument:
        name = "0" if 0 in shares else f"{name} everywhere = tissue, 0"
    top = int(brightness(np.array(bright[:1], np.int32))[0])
    words = "" if between < STRAY else f" (soft edges are halved at {top // 2})"
    return f"{name} = instrument{words}"


def examples(shares: dict[int, float]) -> str:
    """Options that these classes can be read with."""
    bright = sorted(value for value in shares if value > 0)
    rarest_first = sorted(bright, key=lambda value: shares[value])
    example = bright if shares.get(0, 0) > 0.5 else rarest_first[:1]
    words = f"--mask-values instrument={_joined(example)}"
    unknown = 255 if 255 in bright else rarest_first[-1] if len(example) > 1 else rarest_first[1]
    rest = [value for value in example if value != unknown] or [value for value in rarest_first if value != unknown][:1]
    if sum(shares[value] for value in {*rest, unknown}) > HIDDEN_SUSPICIOUS:
        return words
    name = value_name(unknown)
    return f"{words}; --mask-values instrument={_joined(rest)} unknown={name} leaves {name} out"


def _joined(values: Sequence[int]) -> str:
    """Values as --mask-values names them, with three and more in a row as a range."""
    runs: list[list[int]] = []
    for value in values:
        if runs and value == runs[-1][-1] + 1 and value < COLOR:
            runs[-1].append(value)
        else:
            runs.append([value])
    words = []
    for run in runs:
        words += [f"{run[0]}-{run[-1]}"] if len(run) > 2 else [value_name(value) for value in run]
    return ",".join(words)


def many_values(folder: Path, levels: Sequence[NDArray[np.int32]], is_lossy: bool) -> str:
    """The refusal of masks (H, W) whose values are neither two nor soft edges between two."""
    values, numbers = np.unique(np.concatenate([one.ravel() for one in levels]), return_counts=True)
    shares = dict(zip(values.tolist(), (numbers / numbers.sum()).tolist(), strict=True))
    bright = sorted(value for value in shares if value > 0)
    # Of labels all are named, but for the noise of compression around black; of what fades the brighter half.
    lowest = bright[-1] // 2 if len(bright) > MANY_VALUES else max(2, round(NOISE * bright[-1])) if is_lossy else 0
    least = next((value for value in bright if value > lowest), bright[-1])
    while sum(shares[value] for value in bright if value >= least) > HIDDEN_SUSPICIOUS and least < bright[-1]:
        least = next(value for value in bright if value > least)
    example = f"{least}-{bright[-1]}" if least < bright[-1] else f"{least}"
    return (
        f"{folder}: the masks hold {len(shares)} different values, {listed(shares)}, which are neither two nor the "
        "soft edges of two, so only you know which are instruments: say so, for example with --mask-values "
        f"instrument={example}; all others are tissue."
    )


def remedy(named: Sequence[str], shares: dict[int, float], other: str) -> str:
    """What to do about masks that hide nearly everything, as the end of a sentence."""
    if named:
        return f", which hold {listed(shares)}: name other values with --mask-values"
    if len(shares) == 1:
        return (
            f", because they hold nothing but {value_name(next(iter(shares)))} and tell no instrument from tissue: "
            f"write them again, or use {other} to take everything for tissue"
        )
    return f", so they seem to be the other way round: use {other}"
