"""Cameras in the XML files of Vicalib and Calibu, by which EndoMapper's endoscopes are calibrated."""

import re
from pathlib import Path

import numpy as np

from endogs.bounded_files import parse_xml, read_bytes
from endogs.clip.cameras.lenses import HALF_PIXEL, Brown, KannalaBrandt, Lens
from endogs.clip.files.image_headers import LARGEST_SIDE
from endogs.clip.files.number_files import finite_numbers
from endogs.errors import InputError

PARAMETERS = {
    "calibu_fu_fv_u0_v0": 4,
    "calibu_fu_fv_u0_v0_k1_k2": 6,
    "calibu_fu_fv_u0_v0_k1_k2_k3": 7,
    "calibu_fu_fv_u0_v0_kb4": 8,
}
"""How many parameters a camera model has."""
LONGEST = 2**20
"""Bytes of a calibration, which has about 2 kB."""


def read_vicalib(file: Path) -> tuple[Lens, tuple[int, int]]:
    """The lens of the first camera in `file` and the (width, height) that it is for.

    `<params>` holds [fx; fy; cx; cy; ...] with pixel centres at integers, as EndoMapper's own script
    (github.com/endomapper/EM_Dataset-GeometricCalibration, Reproject.py) hands them to cv2.fisheye; the rest are
    Kannala and Brandt's k1 to k4, or the radial k1, k2 [k3]. Raises InputError for what is no such file, and for other
    camera models.
    """
    try:
        root = parse_xml(read_bytes(file, LONGEST))
    except ValueError as error:
        raise InputError(f"{file}: not readable as XML ({error}): copy it again.") from error
    camera = root.find(".//camera_model")
    if camera is None:
        raise InputError(f"{file}: holds no camera_model: give the geometrical calibration of the endoscope.")
    model = camera.get("type", "")
    if model not in PARAMETERS:
        raise InputError(f"{file}: camera model {model[:60]!r} is not one of {', '.join(PARAMETERS)}.")
    try:
        inside = (camera.findtext("params") or "").strip(" []\n\t;")
        values = finite_numbers(inside, re.split(r"[;,\s]+", inside))
        width, height = int(camera.findtext("width") or ""), int(camera.findtext("height") or "")
    except ValueError as error:
        raise InputError(f"{file}: width, height or params hold something that is no number: copy it again.") from error
    if len(values) != PARAMETERS[model] or min(width, height, *values[:2]) <= 0 or max(width, height) > LARGEST_SIDE:
        raise InputError(f"{file}: {model} needs {PARAMETERS[model]} parameters, its size and focal lengths positive.")
    fx, fy, cx, cy, *bent = values
    K = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]) + HALF_PIXEL
    if model.endswith("kb4"):
        k1, k2, k3, k4 = bent
        return KannalaBrandt(K, (k1, k2, k3, k4)), (width, height)
    k1, k2, k3 = (*bent, 0.0, 0.0, 0.0)[:3]
    return Brown(K, (k1, k2, 0.0, 0.0, k3)), (width, height)
