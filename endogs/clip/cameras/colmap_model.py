"""COLMAP's sparse models: cameras and image poses, from binary or text files.

Facts from COLMAP's documentation, doc/format.rst and doc/cameras.rst of github.com/colmap/colmap, and the parameter
lists of its src/colmap/sensor/models.h: little-endian binaries, Hamilton quaternions w first, world-to-camera with
OpenCV's axes, pixel coordinates from the image's upper left corner, so that centres are at +0.5.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from endogs.bounded_files import is_file, read_bytes, read_text
from endogs.clip.cameras.lenses import Brown, KannalaBrandt, Lens
from endogs.clip.files.number_files import LARGEST, finite_numbers
from endogs.errors import InputError
from endogs.geometry import rigid, rotation_from_quaternion

MODELS = {
    "SIMPLE_PINHOLE": (0, 1, 0),
    "PINHOLE": (1, 2, 0),
    "SIMPLE_RADIAL": (2, 1, 1),
    "RADIAL": (3, 1, 2),
    "OPENCV": (4, 2, 4),
    "OPENCV_FISHEYE": (5, 2, 4),
    "FULL_OPENCV": (6, 2, 8),
    "SIMPLE_RADIAL_FISHEYE": (8, 1, 1),
    "RADIAL_FISHEYE": (9, 1, 2),
}
"""The camera models that are read: their number in binary files, and how many focal lengths and distortion parameters
they have before and after the principal point."""
MODEL_NAMES = {number: name for name, (number, *_) in MODELS.items()}
LONGEST = 2**30
"""Bytes of a binary file: images.bin of 4000 images with 10 000 points each."""
LONGEST_NAME = 4096
"""Bytes of a path on Linux; no file has a longer one."""
SUFFIXES = (".bin", ".txt")
"""COLMAP prefers binary files where both are."""


@dataclass(frozen=True)
class ColmapCamera:
    """One camera of a model."""

    model: str
    width: int
    height: int
    parameters: tuple[float, ...]

    @property
    def K(self) -> NDArray[np.float64]:
        """(3, 3), pixel centres at +0.5, without the distortion."""
        *focal, cx, cy = self.parameters[: MODELS[self.model][1] + 2]
        return np.array([[focal[0], 0, cx], [0, focal[-1], cy], [0, 0, 1]])

    def lens(self, scale: float = 1.0) -> Lens | None:
        """The lens for images `scale` times as large, None for a camera without distortion."""
        K = self.K * np.array([[scale], [scale], [1.0]])
        bent = self.parameters[MODELS[self.model][1] + 2 :]
        k1, k2, third, fourth, *more = (*bent, 0.0, 0.0, 0.0, 0.0)
        if "FISHEYE" in self.model:
            return KannalaBrandt(K, (k1, k2, third, fourth))
        return Brown(K, (k1, k2, third, fourth, *more)[: max(4, len(bent))]) if any(bent) else None


@dataclass(frozen=True)
class ColmapImage:
    """One registered image."""

    name: str
    camera: int
    """Identifier of its camera."""
    world_to_camera: NDArray[np.float64]
    """(4, 4), OpenCV axes."""
    identifier: int = 0
    """By which points name it."""


def model_file(folder: Path, name: str) -> Path | None:
    """The file `name` ("cameras" or "images") of the model in `folder`, None when it has none."""
    return next((path for suffix in SUFFIXES if is_file(path := folder / (name + suffix))), None)


def registered_count(folder: Path) -> int | None:
    """How many images the model in `folder` seems to hold, from the beginning of its file; None without a model."""
    file = model_file(folder, "images")
    if file is None or model_file(folder, "cameras") is None:
        return None
    if file.suffix == ".bin":
        with file.open("rb") as opened:
            head = opened.read(8)
        return int(struct.unpack("<Q", head)[0]) if len(head) == 8 else 0
    return (len(_lines(file)) + 1) // 2


def read_model(folder: Path) -> tuple[dict[int, ColmapCamera], list[ColmapImage]]:
    """Cameras by identifier, and the images, of the model in `folder`.

    Raises InputError for missing, truncated and unreadable files, camera models that are not read, images of no
    camera, and models without images.
    """
    files: list[Path] = []
    for name in ("cameras", "images"):
        file = model_file(folder, name)
        if file is None:
            raise InputError(f"{folder}: no {name}.bin or {name}.txt: give the whole sparse model.")
        files.append(file)
    cameras_file, images_file = files
    cameras = read_cameras(cameras_file)
    images = (_binary_images if images_file.suffix == ".bin" else _text_images)(images_file)
    if not images:
        raise InputError(f"{images_file}: no image is registered: reconstruct the clip with COLMAP again.")
    lost = next((image for image in images if image.camera not in cameras), None)
    if lost is not None:
        raise InputError(f"{images_file}: {lost.name} has camera {lost.camera}, which {cameras_file.name} lacks.")
    return cameras, images


def read_cameras(file: Path) -> dict[int, ColmapCamera]:
    """Cameras by identifier of a cameras.bin or a cameras.txt. Raises InputError as `read_model`."""
    cameras = (_binary_cameras if file.suffix == ".bin" else _text_cameras)(file)
    for number, camera in cameras.items():
        sizes_fit = min(camera.width, camera.height) > 0 and max(camera.width, camera.height) <= LARGEST
        if not sizes_fit or not all(abs(value) <= LARGEST for value in camera.parameters):
            raise InputError(f"{file}: size or parameters of camera {number} are no usual numbers: correct it.")
    return cameras


def read_points(folder: Path) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Points (P, 3) of the model in `folder`, and pairs (S,): identifiers of the images, and which point they see.

    Raises InputError for a missing, truncated or unreadable points3D file.
    """
    file = model_file(folder, "points3D")
    if file is None:
        raise InputError(f"{folder}: no points3D.bin or points3D.txt: give the whole sparse model.")
    points, images = (_binary_points if file.suffix == ".bin" else _text_points)(file)
    places = np.array(points, np.float64).reshape(-1, 3)
    if not (np.abs(places) <= LARGEST).all():
        raise InputError(f"{file}: positions of points are no usual numbers: copy it again.")
    seen = np.repeat(np.arange(len(points)), [len(track) for track in images])
    return places, np.array([image for track in images for image in track], np.int64), seen


class _Bytes:
    """The values of a binary file one after the other."""

    def __init__(self, file: Path) -> None:
        self.file, self.data, self.at = file, read_bytes(file, LONGEST), 0

    def take(self, form: str) -> tuple:  # type: ignore[type-arg]
        """Little-endian values as `struct` names them; InputError where the file ends before them."""
        try:
            values = struct.unpack_from("<" + form, self.data, self.at)
        except struct.error as error:
            raise self.truncated() from error
        self.at += struct.calcsize("<" + form)
        return values

    def text(self) -> str:
        """A name that ends with a zero byte."""
        end = self.data.find(b"\0", self.at, self.at + LONGEST_NAME)
        if end < 0:
            raise self.truncated()
        found = self.data[self.at : end].decode("utf-8", "replace")
        self.at = end + 1
        return found

    def skip(self, count: int) -> None:
        """Pass over bytes."""
        self.at += count
        if self.at > len(self.data):
            raise self.truncated()

    def truncated(self) -> InputError:
        return InputError(f"{self.file}: truncated after {len(self.data)} bytes, or no COLMAP file: copy it again.")


def _binary_cameras(file: Path) -> dict[int, ColmapCamera]:
    data = _Bytes(file)
    cameras = {}
    for _ in range(data.take("Q")[0]):
        identifier, number, width, height = data.take("IiQQ")
        if number not in MODEL_NAMES:
            raise _unknown_model(file, f"number {number}")
        name = MODEL_NAMES[number]
        cameras[identifier] = ColmapCamera(name, width, height, data.take("d" * _parameter_count(name)))
    return cameras


def _binary_images(file: Path) -> list[ColmapImage]:
    data = _Bytes(file)
    images = []
    for _ in range(data.take("Q")[0]):
        identifier, *pose, camera = data.take("I7dI")
        name = data.text()
        data.skip(24 * data.take("Q")[0])  # the points: x, y and an identifier
        images.append(ColmapImage(name, camera, _pose(pose, file, name), identifier))
    return images


def _text_cameras(file: Path) -> dict[int, ColmapCamera]:
    cameras = {}
    for line in _lines(file):
        if not line:
            continue
        identifier, model, *numbers = line.split() if len(line.split()) > 1 else (line, "")
        if model not in MODELS:
            raise _unknown_model(file, model[:60])
        number, *values = _floats(file, line, [identifier, *numbers])
        if len(values) != 2 + _parameter_count(model):
            raise InputError(
                f"{file}: camera {identifier} is {model} and needs {_parameter_count(model)} parameters, not "
                f"{len(values) - 2}: copy the file again."
            )
        cameras[int(number)] = ColmapCamera(model, int(values[0]), int(values[1]), tuple(values[2:]))
    return cameras


def _text_images(file: Path) -> list[ColmapImage]:
    images = []
    lines = _lines(file)
    for line, points in zip(lines[::2], [*lines[1::2], ""], strict=False):
        if not line:
            continue
        fields = line.split(maxsplit=9)
        if len(points.split()) % 3:
            raise InputError(
                f"{file}: the line after {fields[-1][:60]} holds no points: every image has a second line with its "
                "points, which may be empty."
            )
        if len(fields) != 10:
            raise InputError(f"{file}: {line[:60]!r} is not an image with pose, camera and name: copy the file again.")
        identifier, *values = _floats(file, line, fields[:9])
        name = fields[9][:LONGEST_NAME]
        images.append(ColmapImage(name, int(values[7]), _pose(values[:7], file, name), int(identifier)))
    return images


def _binary_points(file: Path) -> tuple[list[tuple[float, ...]], list[tuple[int, ...]]]:
    data = _Bytes(file)
    points, images = [], []
    for _ in range(data.take("Q")[0]):
        points.append(data.take("Q3d3Bd")[1:4])
        images.append(data.take(f"{2 * data.take('Q')[0]}I")[::2])
    return points, images


def _text_points(file: Path) -> tuple[list[tuple[float, ...]], list[tuple[int, ...]]]:
    points, images = [], []
    for line in _lines(file):
        if not line:
            continue
        words = line.split()
        if len(words) < 8 or len(words) % 2:
            raise InputError(f"{file}: {line[:60]!r} is not a point with its images: copy the file again.")
        values = _floats(file, line, words)
        points.append(tuple(values[1:4]))
        images.append(tuple(int(value) for value in values[8::2]))
    return points, images


def _lines(file: Path) -> list[str]:
    """Lines without the comments; trailing empty ones are dropped."""
    lines = [line.strip() for line in read_text(file).splitlines()]
    return [line for line in lines if not line.startswith("#")]


def _parameter_count(model: str) -> int:
    return MODELS[model][1] + 2 + MODELS[model][2]


def _floats(file: Path, line: str, texts: list[str]) -> list[float]:
    numbers = finite_numbers("".join(texts), texts)
    if not numbers:
        raise InputError(f"{file}: {line[:60]!r} holds something that is no number of use: copy it again.")
    return numbers


def _pose(values: list[float], file: Path, name: str) -> NDArray[np.float64]:
    if not (np.abs(values) <= LARGEST).all() or not any(values[:4]):
        raise InputError(f"{file}: the pose of {name} is not finite or has no rotation: reconstruct it again.")
    return rigid(rotation_from_quaternion(np.array(values[:4])), np.array(values[4:]))


def _unknown_model(file: Path, model: str) -> InputError:
    return InputError(
        f"{file}: camera model {model} is not one of {', '.join(MODELS)}: undistort the images with "
        "colmap image_undistorter."
    )
