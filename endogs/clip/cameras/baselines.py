"""Distances between the two cameras of a pair: what is no endoscope's counts in another unit than was taken.

The eyes of stereo endoscopes lie 3.5 to 8 mm apart: those of the da Vinci in SCARED and StereoMIS 4.1 to 4.4, of the
Hamlyn videos 5.1 to 5.4. Single tubes with two pupils have about 1 mm, exoscopes and microscopes up to about 30.
"""

from math import log
from pathlib import Path

from endogs.errors import InputError

POSSIBLE_MM = (0.05, 150.0)
"""Nearer eyes see no depth, as a pupil is wider; the farthest are those of stereo cameras beside an operating table."""
USUAL_MM = (1.0, 30.0)
"""Eyes of endoscopes, exoscopes and microscopes."""
TYPICAL_MM = 5.0
UNITS = {
    1000.0: "metres where millimetres are due",
    100.0: "decimetres where millimetres are due",
    10.0: "centimetres where millimetres are due",
    0.1: "tenths of a millimetre where millimetres are due",
    0.01: "centimetres where metres are due, as in files of ROS and Kalibr",
    0.001: "millimetres where metres are due, as in files of ROS and Kalibr, or in micrometres",
}
"""What a file counts in when its length, as it was taken, must be multiplied by this."""


def check_baseline(baseline: float, source: Path | str) -> None:
    """Raises InputError, which names `source`, for a `baseline` in mm that no two cameras of one device have."""
    if POSSIBLE_MM[0] <= baseline <= POSSIBLE_MM[1]:
        return
    low, high = POSSIBLE_MM
    raise InputError(
        f"{source}: the cameras are {baseline:.4g} mm apart, which no pair is ({low:g} to {high:g} mm; stereo "
        f"endoscopes have 3.5 to 8): {_advice(baseline)}."
    )


def baseline_notes(baseline: float | None) -> list[str]:
    """A sentence for a possible `baseline` in mm that is not usual, nothing otherwise."""
    if baseline is None or USUAL_MM[0] <= baseline <= USUAL_MM[1]:
        return []
    low, high = USUAL_MM
    return [
        f"stereo: the cameras are {baseline:.4g} mm apart, and those of endoscopes {low:g} to {high:g} mm (mostly 3.5 "
        f"to 8); all lengths follow from it: {_advice(baseline)}."
    ]


def _advice(baseline: float) -> str:
    """What would make a `baseline` in mm usual."""
    usual = [factor for factor in UNITS if USUAL_MM[0] <= factor * baseline <= USUAL_MM[1]]
    if not usual:
        return "correct it in the calibration"
    factor = min(usual, key=lambda factor: abs(log(factor * baseline / TYPICAL_MM)))
    return (
        f"{factor * baseline:.4g} mm, {factor:g} times as much, would be right if the calibration counts in "
        f"{UNITS[factor]}; write it in the unit that is due"
    )
