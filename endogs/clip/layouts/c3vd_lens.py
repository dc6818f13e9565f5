"""The omnidirectional lens of a C3VD folder: from a file beside the frames, or the published one."""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from endogs.clip.cameras.lenses import Scaramuzza
from endogs.clip.files.image_files import check_sizes, read_gray
from endogs.clip.files.number_files import finite_numbers, read_text
from endogs.errors import InputError

FILES = ("camera_intrinsics.txt", "config.ini")
"""The file that replaces the published lens, and the second version's own."""
SAME_ASPECT = 0.01
"""Relative difference of two scales that are still called one."""
CF_HQ190L = {
    "width": 1350,
    "height": 1080,
    "cx": 678.544839263292,
    "cy": 542.975887548343,
    "a0": 769.243600037458,
    "a1": 0.0,
    "a2": -0.000812770624150226,
    "a3": 6.25674244578925e-07,
    "a4": -1.19662182144280e-09,
    "c": 0.999986882249990,
    "d": 0.00288273829525059,
    "e": -0.00296316513429569,
}
"""The calibration that the data set's example uses, pixel centres at integers."""


def lens_of_images(path: Path, width: int, height: int) -> tuple[Scaramuzza, NDArray[np.bool_] | None, list[str]]:
    """The lens of images of this size in the folder `path`, where they show nothing (H, W), and notes.

    A calibration for images of another size but the same aspect is scaled. Raises InputError for another aspect, for
    missing numbers, and for those of another model of lens.
    """
    places = [folder / name for folder in (path, path.resolve().parent) for name in FILES]
    file = next((place for place in places if place.is_file()), None)
    numbers = read_intrinsics(file) if file is not None else dict(CF_HQ190L)
    source = str(file) if file is not None else "the published calibration of CF-HQ190L"
    if file is None and (path / "rgb").is_dir():
        source += " in the first version (the second has its own in config.ini, which is not there)"
    scale = width / numbers["width"]
    if abs(height / numbers["height"] / scale - 1) > SAME_ASPECT:
        raise InputError(
            f"{path}: the images are {width} x {height} but {source} is for {numbers['width']:g} x "
            f"{numbers['height']:g}, of another aspect: write the calibration of these images into {path / FILES[0]}."
        )
    # With r and z in pixels of the smaller image a_i r^i keeps its meaning when a_i is multiplied by scale^(1 - i).
    polynomial = tuple(numbers[f"a{power}"] * scale ** (1 - power) for power in range(5))
    centre = (numbers["cx"] + 0.5) * scale, (numbers["cy"] + 0.5) * scale
    lens = Scaramuzza(polynomial, centre, ((numbers["c"], numbers["d"]), (numbers["e"], 1.0)), float(width + height))
    notes = [f"the lens is that of {source}; {FILES[0]} replaces it."] if file is None or file.name != FILES[0] else []
    if scale != 1:
        notes.append(f"the lens's calibration is scaled from {numbers['width']:g} x {numbers['height']:g}.")
    outside = None if file is None else _outside(file, (width, height), numbers, notes)
    return lens, outside, notes


def read_intrinsics(path: Path) -> dict[str, float]:
    """The numbers of a calibration by name; InputError naming those that are missing or wrong."""
    text = read_text(path)
    found = {"a1": 0.0} | (_table(text) or {})
    for name, value in re.findall(r"(?m)^[ \t]*[\"']?(\w+)[\"']?[ \t]*[=:, \t][ \t]*([-+\d.eE]+)", text):
        for number in finite_numbers(value, [value]):
            found[name] = number
    missing = [name for name in CF_HQ190L if name not in found]
    if missing:
        raise InputError(
            f"{path}: has no number for {', '.join(missing)}: one name and its number are needed per line, such as "
            "a0 = 769.24."
        )
    if min(found["a0"], found["width"], found["height"]) <= 0:
        raise InputError(
            f"{path}: a0 is {found['a0']:g} and the size {found['width']:g} x {found['height']:g}, which must be "
            "positive: a0 is the focal length in pixels, not a coefficient of another model of lens."
        )
    return found


def _table(text: str) -> dict[str, float] | None:
    """Numbers on the line after their names, as the first version's download has them; None for another form."""
    lines = [line.split() for line in text.splitlines() if line.strip()]
    if len(lines) < 2 or len(lines[0]) != len(lines[1]) or len(lines[0]) < 10:
        return None
    try:
        found = {name.lower(): float(value) for name, value in zip(lines[0], lines[1], strict=True)}
    except ValueError:
        return None
    if {"e", "f", "g"} <= set(found):
        found["c"], found["d"], found["e"] = found["e"], found["f"], found["g"]
    # MATLAB's first pixel is 1.
    return {**found, "cx": found.get("cx", np.nan) - 1, "cy": found.get("cy", np.nan) - 1}


def _outside(
    file: Path, size: tuple[int, int], numbers: dict[str, float], notes: list[str]
) -> NDArray[np.bool_] | None:
    """(height, width) True where the mask that the file names is 0; None when it names none that is there."""
    import cv2

    named = re.search(r"(?m)^\s*mask\s*=\s*(\S+)", read_text(file))
    if named is None:
        return None
    mask = file.parent / Path(named[1].replace("\\", "/")).name
    if not mask.is_file():
        notes.append(f"{file.name} names the mask {mask.name}, which is not there, and is read without it.")
        return None
    check_sizes([mask], int(numbers["width"]), int(numbers["height"]), file)
    seen = cv2.resize((read_gray(mask) > 0).astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    notes.append(f"{mask.name}: {100 * (~seen).mean():.1f} % of every frame is left out, where it is 0.")
    return np.asarray(~seen)
