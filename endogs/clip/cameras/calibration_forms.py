"""Calibrations as other programs write them, turned into the entries of a calibration.json.

What is read, by the names that it holds:

- OpenCV's samples and FileStorage (docs.opencv.org, tutorial on camera calibration; samples/cpp/stereo_calib.cpp):
  camera_matrix and distortion_coefficients, or M1 D1 M2 D2 (K1 D1 K2 D2) with R and T of the right camera;
- ROS's camera_calibration_parsers: the same names with distortion_model, which may be equidistant;
- Kalibr's camchain (github.com/ethz-asl/kalibr/wiki/yaml-formats): cam0 with intrinsics, distortion_coeffs and
  resolution, cam1 with T_cn_cnm1 in metres;
- ORB-SLAM's and NR-SLAM's settings: Camera.fx ... with Camera.type (Camera.model) PinHole or KannalaBrandt8, whose k
  count from 0 or from 1, and Camera.bf (Stereo.bf), the baseline times fx;
- OneSLAM's calibration.json: intrinsics with fx, fy, cx, cy;
- FISHEYE_OPENCV with fx, fy, cx, cy, k1 to k4, w and h (REIM-NeRF);
- MATLAB's cameraParameters (FocalLength, PrincipalPoint, ImageSize, RadialDistortion, TangentialDistortion, or
  IntrinsicMatrix, which MATLAB has transposed), pixels counted from 1; and the Calib_Results.m of Bouguet's toolbox
  (fc, cc, kc, nx, ny), pixels counted from 0.

All but MATLAB's, OneSLAM's and REIM-NeRF's put pixel centres at integers from 0.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from endogs.clip.cameras.calibration_names import nearly_known
from endogs.errors import InputError

Array = NDArray[np.float64]
Entries = dict[str, Any]

SHORTEST_BASELINE_MM = 0.05
"""No two eyes are so near: a smaller translation counts in metres, of which the same number would be 50 mm."""
PAIRS = (
    ("K1", "D1", "K2", "D2"),
    ("M1", "D1", "M2", "D2"),
    ("KL", "DL", "KR", "DR"),
    ("cameraMatrix1", "distCoeffs1", "cameraMatrix2", "distCoeffs2"),
    ("camera_matrix_1", "dist_coeffs_1", "camera_matrix_2", "dist_coeffs_2"),
    ("camera_matrix_left", "dist_coeffs_left", "camera_matrix_right", "dist_coeffs_right"),
)
"""Names of the matrices and distortions of the left and the right camera."""
MATRICES = ("camera_matrix", "cameraMatrix", "Camera_Matrix", "CameraMatrix", "K", "mtx", "intrinsic_matrix")
DISTORTIONS = (
    "distortion_coefficients",
    "Distortion_Coefficients",
    "dist_coeffs",
    "dist_coeff",
    "distCoeffs",
    "distortion",
    "dist",
    "D",
)
OF_THE_FOLDER = ("fps", "depth_unit_mm", "depth_along")
"""Entries of a calibration.json that are not about the camera and may stand in any form."""
KALIBR = ("camera_model", "intrinsics", "distortion_model", "distortion_coeffs", "resolution", "T_cn_cnm1")
"""Names of a camera in Kalibr's camchain."""
READ = (
    *(*MATRICES[:5], "intrinsic_matrix", *DISTORTIONS[:7], "distortion_model", "camera_model", "fisheye_model"),
    *(name for names in PAIRS for name in names if len(name) > 2),
    *("image_width", "image_height", "image_size", "imageSize", "ImageSize", "resolution", "img_size"),
    *("FocalLength", "PrincipalPoint", "IntrinsicMatrix", "RadialDistortion", "TangentialDistortion"),
    *(f"Camera.{name}" for name in ("type", "model", "width", "height", "fps", "bf", "fx", "fy", "cx", "cy")),
    *(f"Camera.{name}" for name in ("k0", "k1", "k2", "k3", "k4", "p1", "p2")),
    *("Stereo.bf", "intrinsics", "distortion_coeffs", *OF_THE_FOLDER),
)
"""Names that the forms have; a short one says too little to be known when it is misspelt."""
OTHERS = (
    *("camera_name", "camera_id", "new_camera_matrix", "optimal_camera_matrix", "projection_matrix", "Intrinsics"),
    *("NumRadialDistortionCoefficients", "EstimateTangentialDistortion", "Camera.newWidth", "Camera.newHeight"),
)
"""Names in such files of something else that look like those."""
FISHEYE_OPENCV = ("FISHEYE_OPENCV", "OPENCV_FISHEYE")
"""One lens, by the name of REIM-NeRF and by COLMAP's and nerfstudio's."""
PERSPECTIVE = ("plumb_bob", "rational_polynomial", "radtan", "none", "pinhole", "")
FISHEYES = ("equidistant", "fisheye", "kannala_brandt", "kannalabrandt8", "equi")


def as_entries(found: Entries, file: Path) -> Entries:
    """The entries of a calibration.json that say what `found` says; `found` itself where it has none of these forms.

    Raises InputError, naming `file`, for matrices of another shape and lens models that are not read.
    """
    forms: tuple[tuple[Callable[[Entries], bool], Callable[[Entries, Path], Entries]], ...] = (
        (lambda f: isinstance(f.get("intrinsics"), dict), _oneslam),
        (lambda f: any(name in f for name in ("FocalLength", "IntrinsicMatrix")), _matlab),
        (lambda f: "fc" in f and "cc" in f, _bouguet),
        (lambda f: any(names[0] in f for names in PAIRS), _opencv_pair),
        (lambda f: any(name in f for name in MATRICES), _opencv),
        (lambda f: isinstance(f.get("cam0"), dict), _kalibr),
        (lambda f: "Camera.fx" in f or "Camera1.fx" in f, _orbslam),
        (lambda f: str(f.get("model", f.get("camera_model", ""))).upper() in FISHEYE_OPENCV, _fisheye_opencv),
    )
    read = next((read for fits, read in forms if fits(found)), None)
    if read is None:
        return found
    misspelt = {name: found[name] for name in nearly_known(found, READ, OTHERS)}
    for name in ("cam0", "cam1"):
        inner = found.get(name)
        misspelt |= {
            f"{name}.{entry}": None for entry in nearly_known(inner if isinstance(inner, dict) else (), KALIBR)
        }
    return {name: found[name] for name in OF_THE_FOLDER if name in found} | read(found, file) | misspelt


def matlab_text(text: str) -> Entries | None:
    """The entries `name = [numbers]` or `name: [numbers]` of a MATLAB text, None when it has none that matter."""
    found: Entries = {}
    for name, values in re.findall(r"(?m)^\s*(\w+)\s*[=:]\s*\[([^\]]*)\]", text):
        rows = [[float(word) for word in _numbers_in(row)] for row in values.split(";")]
        flat = [row for row in rows if row]
        found[name] = (
            flat if len({len(row) for row in flat}) == 1 and len(flat) > 1 else [v for row in flat for v in row]
        )
    for name, value in re.findall(r"(?m)^\s*(\w+)\s*[=:]\s*([-+\d.eE]+)\s*;?\s*(?:%.*)?$", text):
        try:
            found[name] = float(value)
        except ValueError:
            continue
    return found if {"FocalLength", "IntrinsicMatrix", "fc"} & set(found) else None


def _numbers_in(text: str) -> list[str]:
    return re.findall(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", text)


def _array(value: Any, sizes: tuple[int, ...], name: str, file: Path) -> Array:
    """The finite numbers of a list, or of an OpenCV matrix, flattened; `sizes` are how many there may be."""
    if isinstance(value, dict):
        value = value.get("data")
    try:
        numbers = np.asarray(value, np.float64).ravel()
    except (TypeError, ValueError):
        numbers = np.zeros(0)
    if (sizes and numbers.size not in sizes) or not np.isfinite(numbers).all():
        wanted = " or ".join(map(str, sizes)) or "finite"
        raise InputError(f"{file}: {name} must hold {wanted} numbers, but holds {str(value)[:80]!r}: correct it.")
    return numbers


def _camera(K: Array, shift: float = 0.5) -> Entries:
    """fx, fy, cx and cy of K (9 numbers), moved to pixel centres at +0.5."""
    return {"fx": K[0], "fy": K[4], "cx": K[2] + shift, "cy": K[5] + shift}


def _bent(values: Array) -> list[float]:
    """A distortion in one of the lengths that OpenCV has, without trailing zeros beyond the eighth."""
    if values.size > 8 and not values[8:].any():
        values = values[:8]
    lengths = [length for length in (4, 5, 8) if length >= values.size]
    return [float(v) for v in values] + [0.0] * ((lengths[0] if lengths else values.size) - values.size)


def _size(found: Entries, cx: float, cy: float, file: Path) -> Entries:
    """width and height, as far as the file says them; a pair of numbers is turned so that the centre is in the middle.

    OpenCV writes a Size as width and height, and SCARED's tools and MATLAB a shape, height first.
    """
    for width, height in (("image_width", "image_height"), ("image_Width", "image_Height"), ("width", "height")):
        if width in found and height in found:
            return {"width": found[width], "height": found[height]}
    for name in ("image_size", "imageSize", "ImageSize", "resolution", "img_size"):
        if name in found:
            a, b = _array(found[name], (2,), name, file)
            off = [abs(cx / w - 0.5) + abs(cy / h - 0.5) for w, h in ((a, b), (b, a)) if w > 0 and h > 0]
            turned = len(off) == 2 and off[1] < off[0]
            return {"width": float(b if turned else a), "height": float(a if turned else b)}
    return {}


def _lens(model: str, values: Array, file: Path) -> Entries:
    """model and distortion of a lens that another program calls `model`."""
    if model.lower() in FISHEYES:
        return {"model": "fisheye", "distortion": ([float(v) for v in values] + [0.0] * 4)[:4]}
    if model.lower() not in PERSPECTIVE:
        known = ", ".join(name for name in (*PERSPECTIVE, *FISHEYES) if name)
        raise InputError(f"{file}: the lens model {model} is not one of {known}: calibrate with one of these.")
    return {"distortion": _bent(values)} if values.any() else {}


def _first(found: Entries, names: tuple[str, ...]) -> str | None:
    return next((name for name in names if name in found), None)


def _opencv(found: Entries, file: Path) -> Entries:
    matrix, bent = _first(found, MATRICES), _first(found, DISTORTIONS)
    assert matrix is not None
    camera = _camera(_array(found[matrix], (9,), matrix, file))
    values = np.zeros(0) if bent is None else _array(found[bent], (), bent, file)
    model = found.get("distortion_model", found.get("camera_model", ""))
    model = model if isinstance(model, str) else ""
    if found.get("fisheye_model") in (1, True, "1"):
        model = "fisheye"
    return {**camera, **_size(found, camera["cx"], camera["cy"], file), **_lens(model, values, file)}


def _opencv_pair(found: Entries, file: Path) -> Entries:
    names = next(names for names in PAIRS if names[0] in found)
    sides = []
    for matrix, bent in (names[:2], names[2:]):
        if matrix in found:
            values = _array(found[bent], (), bent, file) if bent in found else np.zeros(0)
            sides.append({**_camera(_array(found[matrix], (9,), matrix, file)), "distortion": _bent(values)})
    entries = {**sides[0], **_size(found, sides[0]["cx"], sides[0]["cy"], file)}
    if len(sides) == 2 and "T" in found:
        rotation = _array(found["R"], (3, 9), "R", file) if "R" in found else np.eye(3).ravel()
        entries |= {
            "right": sides[1],
            "rotation": _rotation(rotation).tolist(),
            "translation_mm": _millimetres(_array(found["T"], (3,), "T", file)),
        }
    return entries


def _rotation(values: Array) -> Array:
    """(3, 3) of nine numbers, or of the three of a rotation vector."""
    import cv2

    if values.size == 3:
        return np.asarray(cv2.Rodrigues(values)[0], np.float64)
    return values.reshape(3, 3)


def _millimetres(translation: Array) -> list[float]:
    factor = 1000.0 if 0 < float(np.linalg.norm(translation)) < SHORTEST_BASELINE_MM else 1.0
    return [float(factor * value) for value in translation]


def _kalibr(found: Entries, file: Path) -> Entries:
    cameras = []
    for name in ("cam0", "cam1"):
        camera = found.get(name)
        if not isinstance(camera, dict):
            continue
        if camera.get("camera_model", "pinhole") != "pinhole":
            raise InputError(
                f"{file}: camera_model {str(camera['camera_model'])[:40]} is not read: let Kalibr fit pinhole-radtan "
                "or pinhole-equi."
            )
        fx, fy, cx, cy = _array(camera.get("intrinsics"), (4,), f"{name}.intrinsics", file)
        values = _array(camera.get("distortion_coeffs", []), (), f"{name}.distortion_coeffs", file)
        entries = {"fx": fx, "fy": fy, "cx": cx + 0.5, "cy": cy + 0.5}
        lens = _lens(str(camera.get("distortion_model", "none")), values, file)
        cameras.append({**entries, **_size(camera, cx, cy, file), **lens})
    entries = cameras[0]
    if len(cameras) == 2 and "T_cn_cnm1" in found["cam1"]:
        if any(camera.get("model") == "fisheye" for camera in cameras):
            raise InputError(f"{file}: pairs of equidistant cameras are not read: rectify the views first.")
        motion = _array(found["cam1"]["T_cn_cnm1"], (16,), "cam1.T_cn_cnm1", file).reshape(4, 4)
        right = {name: value for name, value in cameras[1].items() if name not in ("width", "height")}
        metres = 1000.0 * motion[:3, 3]
        entries |= {"right": right, "rotation": motion[:3, :3].tolist(), "translation_mm": metres.tolist()}
    return entries


def _orbslam(found: Entries, file: Path) -> Entries:
    prefix = "Camera." if "Camera.fx" in found else "Camera1."

    def number(name: str, default: float | None = None) -> float:
        value = found.get(prefix + name, found.get("Camera." + name, default))
        return float(_array(value, (1,), prefix + name, file)[0])

    fx, fy, cx, cy = (number(name) for name in ("fx", "fy", "cx", "cy"))
    entries: Entries = {"fx": fx, "fy": fy, "cx": cx + 0.5, "cy": cy + 0.5}
    if "Camera.width" in found and "Camera.height" in found:
        entries |= {"width": number("width"), "height": number("height")}
    if "Camera.fps" in found:
        entries["fps"] = number("fps")
    model = str(found.get("Camera.type", found.get("Camera.model", "PinHole"))).lower()
    if model == "kannalabrandt8":
        first = 0 if prefix + "k0" in found else 1
        values = np.array([number(f"k{first + i}", 0.0) for i in range(4)])
    elif model in ("pinhole", "rectified"):
        values = np.array([number(name, 0.0) for name in ("k1", "k2", "p1", "p2", "k3")])
        model = "pinhole"
    else:
        raise InputError(
            f"{file}: Camera.type {model} is not PinHole, Rectified or KannalaBrandt8: calibrate with one."
        )
    entries |= _lens(model, values, file)
    product = _first(found, ("Stereo.bf", "Camera.bf"))
    if product is not None and "distortion" not in entries:
        length = float(_array(found[product], (1,), product, file)[0]) / fx
        entries["baseline_mm"] = _millimetres(np.array([length]))[0]
    return entries


def _oneslam(found: Entries, file: Path) -> Entries:
    inner = found["intrinsics"]
    entries = {name: inner[name] for name in ("fx", "fy", "cx", "cy") if name in inner}
    rate = _first(found, ("fps", "FPS"))
    return {**entries, **({} if rate is None else {"fps": found[rate]})}


def _fisheye_opencv(found: Entries, file: Path) -> Entries:
    if "distortion" in found:
        values = _array(found["distortion"], (4,), "distortion", file).tolist()
    else:
        values = [float(_array(found.get(f"k{i}", 0.0), (1,), f"k{i}", file)[0]) for i in range(1, 5)]
    entries = {name: found.get(name, found.get(other)) for name, other in (("fx", "fl_x"), ("fy", "fl_y"))}
    entries |= {name: found.get(name) for name in ("cx", "cy")}
    size = {name: found[short] for name, short in (("width", "w"), ("height", "h")) if short in found}
    size |= {name: found[name] for name in ("width", "height") if name in found}
    return {**entries, **size, "model": "fisheye", "distortion": values}


def _matlab(found: Entries, file: Path) -> Entries:
    if "IntrinsicMatrix" in found:
        K = _array(found["IntrinsicMatrix"], (9,), "IntrinsicMatrix", file).reshape(3, 3)
        K = K.T if K[2, :2].any() else K
        camera = _camera(K.ravel(), -0.5)
    else:
        fx, fy = _array(found["FocalLength"], (2,), "FocalLength", file)
        cx, cy = _array(found.get("PrincipalPoint"), (2,), "PrincipalPoint", file)
        camera = {"fx": fx, "fy": fy, "cx": cx - 0.5, "cy": cy - 0.5}
    radial = _array(found.get("RadialDistortion", [0, 0]), (2, 3), "RadialDistortion", file)
    sideways = _array(found.get("TangentialDistortion", [0, 0]), (2,), "TangentialDistortion", file)
    bent = np.concatenate([radial[:2], sideways, radial[2:]])
    size: Entries = {}
    if "ImageSize" in found:
        height, width = _array(found["ImageSize"], (2,), "ImageSize", file)
        size = {"width": float(width), "height": float(height)}
    return {**camera, **size, **_lens("", bent, file)}


def _bouguet(found: Entries, file: Path) -> Entries:
    fx, fy = _array(found["fc"], (2,), "fc", file)
    cx, cy = _array(found["cc"], (2,), "cc", file)
    values = _array(found.get("kc", []), (0, 4, 5), "kc", file)
    size = {name: found[short] for name, short in (("width", "nx"), ("height", "ny")) if short in found}
    return {"fx": fx, "fy": fy, "cx": cx + 0.5, "cy": cy + 0.5, **size, **_lens("", values, file)}
