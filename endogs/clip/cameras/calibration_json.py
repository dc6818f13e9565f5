"""Cameras in a calibration.json: one camera or a pair, with or without distortion."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from endogs.bounded_files import NamedTwice, parse_json, read_bytes, read_text
from endogs.clip.cameras.baselines import check_baseline
from endogs.clip.cameras.calibration_forms import READ, as_entries, matlab_text
from endogs.clip.cameras.calibration_names import CAMERA, OWN, not_understood, unused_entries
from endogs.clip.cameras.colmap_camera import colmap_entries
from endogs.clip.cameras.guessed_camera import camera_found
from endogs.clip.cameras.lenses import Brown, KannalaBrandt, Lens, Mei, Scaramuzza
from endogs.clip.cameras.opencv_xml import opencv_xml
from endogs.clip.cameras.plausible_cameras import check_cameras
from endogs.clip.cameras.rectification import numbers, rectification, rectified
from endogs.clip.cameras.undistortion import undistort
from endogs.clip.config import ClipOptions
from endogs.clip.files.number_files import LARGEST
from endogs.clip.files.yaml_text import parse_yaml
from endogs.clip.recording import Recording
from endogs.errors import InputError

LONGEST = 1 << 20
"""Bytes of a calibration."""
FORMS = (
    "write fx, fy, cx, cy as docs/usage/CALIBRATION.md says, or give the YAML, JSON or XML of OpenCV, the YAML of ROS, "
    "of Kalibr or of ORB-SLAM, COLMAP's cameras.txt or MATLAB's text"
)
"""What to do about a file that is none of what is read."""
NAMES_ONE = {"fx", "fy", "cx", "cy", "polynomial", "fps", "depth_unit_mm", "first_frame_time", "camera_in_ecm"}
"""Entries of which a calibration.json has at least one."""
MODELS = ("pinhole", "fisheye", "omnidir", "scaramuzza")


def calibrate(recording: Recording, calibration: dict[str, Any], file: Path, options: ClipOptions) -> Recording:
    """The recording with the cameras of a calibration.json, its frames undistorted or rectified where it says so.

    It holds `fx`, `fy`, `cx`, `cy` (pixels, centres at +0.5) and may hold the `width` and `height` that it is for.
    Pairs: `baseline_mm` says that views are rectified and without distortion; with `translation_mm` they are not and
    become so (`endogs.clip.cameras.rectification` says what else may be there), and frames, masks and depth are then
    the rectified left view's; with neither the left view is read as a single one. Single views: `distortion` is
    OpenCV's k1 k2 p1 p2 [k3 ...], or with `model` "fisheye" the k1 to k4 of cv2.fisheye, with "omnidir" the k1 k2 p1 p2
    of cv2.omnidir with its `xi` and `skew`; "scaramuzza" has `polynomial` (a0, a1, a2, ...) and `stretch` (2 x 2) in
    place of fx and fy (`endogs.clip.cameras.lenses`). `depth_along` says whether depth files hold "z" (z-depth, the
    default) or the distance along each "ray".

    Raises InputError, naming `file`, for entries that are missing or not what they should be.
    """
    has_right = recording.right_images is not None
    notes = [*camera_found(recording.notes), *_unread(calibration, has_right, file)]
    recording = replace(recording, notes=list(dict.fromkeys(notes)), K_is_guess=False)
    baseline = positive(calibration, "baseline_mm", file, required=False)
    if recording.right_images is not None and baseline is None and "translation_mm" not in calibration:
        note = f"right views are not used: {file.name} has neither baseline_mm nor translation_mm."
        recording = replace(recording, right_images=None, notes=[*recording.notes, note])
    if recording.right_images is not None and "translation_mm" not in calibration and baseline is not None:
        check_baseline(baseline, file)
    right, count = recording.right_images, len(recording.times)
    lens = None if right is not None else _lens(calibration, file, recording.width, recording.height)
    if right is not None and calibration.get("model", "pinhole") != "pinhole":
        raise InputError(f"{file}: pairs of {calibration['model']} cameras are not read: rectify the views first.")
    along = calibration.get("depth_along", "z")
    if along not in ("z", "ray"):
        raise InputError(f'{file}: depth_along is {along!r} but must be "z" or "ray": correct it.')
    if lens is not None:
        units = "mm" if baseline is not None else recording.units
        return undistort(replace(recording, units=units), lens, options, along)
    K = _intrinsics(calibration, file, recording.width, recording.height, options)
    if right is not None and "translation_mm" not in calibration:
        _check_straight(calibration, file)
    if right is not None and "translation_mm" in calibration:
        if isinstance(calibration.get("right"), dict):
            _check_size(calibration["right"], file, recording.width, recording.height, "right: ")
        turned = rectification(calibration, K, (recording.width, recording.height), file)
        K, baseline = turned.K, turned.baseline
        how = f"stereo: the views are rectified as {file.name} says; rows and --crop count in the result."
        recording = rectified(recording, turned, how)
    return replace(
        recording,
        K=K[None].repeat(count, 0),
        units="mm" if baseline is not None else recording.units,
        baseline=baseline,
    )


def with_calibration_file(recording: Recording, options: ClipOptions) -> Recording:
    """The recording with the cameras of --calibration, as it is without that option."""
    if options.calibration is None:
        return recording
    return calibrate(recording, load_calibration(options.calibration), options.calibration, options)


def _unread(calibration: dict[str, Any], has_right: bool, file: Path) -> list[str]:
    """Sentences about entries of a calibration.json that are not understood, or without use."""
    notes = not_understood(calibration, OWN, file.name, READ)
    right = calibration.get("right")
    if isinstance(right, dict):
        notes += not_understood(right, (*CAMERA, "width", "height"), f"right in {file.name}")
    return [*notes, *unused_entries(calibration, has_right, file.name)]


def _check_straight(calibration: dict[str, Any], file: Path) -> None:
    """InputError when either camera of a pair that is called rectified has a distortion."""
    right = calibration.get("right")
    for source in (calibration, right if isinstance(right, dict) else {}):
        if "distortion" in source and numbers(source, "distortion", None, file).any():
            raise InputError(
                f"{file}: baseline_mm says that the views are rectified, but there is a distortion: give "
                "translation_mm in its place, or remove the distortion."
            )


def _lens(calibration: dict[str, Any], file: Path, width: int, height: int) -> Lens | None:
    """The lens of a single view, None for a pinhole without distortion."""
    model = calibration.get("model", "pinhole")
    if model not in MODELS:
        raise InputError(f"{file}: model is {model!r} but must be one of {', '.join(MODELS)}: correct it.")
    _check_size(calibration, file, width, height)
    if model == "scaramuzza":
        coefficients = tuple(float(a) for a in numbers(calibration, "polynomial", None, file).ravel())
        stretch = numbers(calibration, "stretch", (2, 2), file) if "stretch" in calibration else np.eye(2)
        if len(coefficients) < 2 or coefficients[0] <= 0:
            raise InputError(f"{file}: polynomial must hold a0, a1, ... with a0 positive (forward): turn its signs.")
        centre = positive(calibration, "cx", file), positive(calibration, "cy", file)
        (a, b), (c, d) = stretch.tolist()
        return Scaramuzza(coefficients, (centre[0] or 0.0, centre[1] or 0.0), ((a, b), (c, d)))
    bent = numbers(calibration, "distortion", None, file).ravel() if "distortion" in calibration else np.zeros(0)
    if model == "pinhole" and not bent.any():
        return None
    K = _intrinsics(calibration, file, width, height, ClipOptions())
    if model == "pinhole":
        if bent.size not in (4, 5, 8):
            raise InputError(f"{file}: distortion must hold 4, 5 or 8 numbers, as OpenCV orders them: correct it.")
        return Brown(K, tuple(bent.tolist()))
    if bent.size != 4:
        raise InputError(f"{file}: distortion of a {model} camera must hold 4 numbers: correct it.")
    k1, k2, k3, k4 = bent.tolist()
    if model == "fisheye":
        return KannalaBrandt(K, (k1, k2, k3, k4))
    if "skew" in calibration:
        K[0, 1] = float(numbers(calibration, "skew", (), file))
    return Mei(K, float(numbers(calibration, "xi", (), file)), (k1, k2, k3, k4))


def load_calibration(file: Path) -> dict[str, Any]:
    """The entries of a calibration.json, or of another program's file (`endogs.clip.cameras.calibration_forms`).

    InputError when the file cannot be read, saying which forms can.
    """
    if read_bytes(file, LONGEST).startswith((b"MATLAB 5.0", b"MATLAB 7.3", b"\x89HDF", b"PK")):
        raise InputError(f"{file}: holds numbers in a binary form that is not read: {FORMS}.")
    found: Any = colmap_entries(file)
    text = "" if found is not None else read_text(file, LONGEST)
    if found is None:
        found = matlab_text(text)
    if found is None and text.lstrip().startswith("<"):
        found = opencv_xml(text, file)
    if found is None:
        try:
            found = parse_json(text) if text.lstrip().startswith(("{", "[")) else parse_yaml(text)
        except NamedTwice as error:
            raise InputError(f"{file}: {error}: leave only the one that is meant.") from error
        except ValueError as error:
            raise InputError(f"{file}: not readable as JSON or YAML ({error}): {FORMS}.") from error
    if not isinstance(found, dict):
        raise InputError(f"{file}: must hold one object with fx, fy, cx, cy, or be another calibration: {FORMS}.")
    found = as_entries(found, file)
    if not NAMES_ONE & set(found):
        raise InputError(
            f"{file}: names no camera that is known here ({', '.join(map(str, list(found)[:6]))}): {FORMS}."
        )
    return dict(found)


def positive(calibration: dict[str, Any], name: str, file: Path, required: bool = True) -> float | None:
    """The positive number under `name`; None when it may be missing and is."""
    value = calibration.get(name)
    if value is None and not required:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= LARGEST:
        raise InputError(f"{file}: {name} is {value!r} but must be a positive number: correct it.")
    return float(value)


def _intrinsics(
    calibration: dict[str, Any], file: Path, width: int, height: int, options: ClipOptions
) -> NDArray[np.float64]:
    fx, fy, cx, cy = (positive(calibration, name, file) for name in ("fx", "fy", "cx", "cy"))
    _check_size(calibration, file, width, height)
    assert fx is not None
    assert fy is not None
    if options.focal is not None:
        fx, fy = options.focal, options.focal * fy / fx
    K = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], np.float64)
    check_cameras(K, width, height, file)
    return K


def _check_size(calibration: dict[str, Any], file: Path, width: int, height: int, whose: str = "") -> None:
    for name, size in (("width", width), ("height", height)):
        stated = positive(calibration, name, file, required=False)
        if stated is not None and stated != size:
            raise InputError(
                f"{file}: {whose}{name} is {stated:g} but the images have {size}: calibrate for these images."
            )
