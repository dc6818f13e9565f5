"""Which tissue of a phantom is ever seen, and when: worked out again from the options that made the clip."""

from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from endogs.bounded_arrays import read_npz
from endogs.bounded_files import is_file, read_json
from endogs.clip.files.image_files import read_raw
from endogs.errors import InputError
from endogs.phantom.anatomy import Anatomy, make_anatomy
from endogs.phantom.config import LATER, Phantom
from endogs.phantom.events import Events
from endogs.phantom.optics import Optics, make_optics
from endogs.phantom.path import TRAJECTORY, CameraPath, camera_path

DEPTH_UNIT_MM = 0.01
"""Millimetres per unit of the 16-bit depth pictures; 0 is unknown."""
SAME_SURFACE_MM = 0.75
"""A grid point this near to the depth at its pixel is the surface that is seen there: grid cells are half a millimetre
wide, so a steep one rises that much within a pixel."""


def _is_of(value: Any, kind: Any) -> bool:
    """Whether a value from JSON is of the type of an option: a number, a whole one, or one of some words."""
    if get_origin(kind) is Literal:
        return isinstance(value, str) and value in get_args(kind)
    if get_origin(kind) in (Union, UnionType):
        return any(value is None if part is type(None) else _is_of(value, part) for part in get_args(kind))
    if get_origin(kind) is tuple:
        return isinstance(value, list | tuple) and all(isinstance(part, str) for part in value)
    if kind is Path:
        return isinstance(value, str)
    return type(value) is kind or (kind is float and type(value) is int)


@dataclass(frozen=True)
class PhantomTruth:
    """The truth of a phantom clip: the depth and motion of its tissue, and which of it the clip shows."""

    folder: Path
    """The clip's folder, as `endogs phantom` wrote it."""
    options: Phantom
    """What made it."""

    @staticmethod
    def read(folder: Path) -> "PhantomTruth":
        """The truth beside a clip; raises InputError when `folder` is not a phantom's."""
        path = folder / "truth" / "phantom.json"
        if not is_file(path):
            raise InputError(f"{path}: no options of a phantom; give a folder made by endogs phantom")
        values = read_json(path)
        hints = get_type_hints(Phantom)
        kinds = {entry.name: hints[entry.name] for entry in fields(Phantom) if entry.name != "out"}
        same = isinstance(values, dict) and set(kinds) - LATER <= set(values) <= set(kinds)
        if not same or not all(_is_of(value, kinds[name]) for name, value in values.items()):
            raise InputError(f"{path}: not the options of this version's phantom; make the clip anew")
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        if values.get("trajectory") is not None:
            # Its copy, whatever it was called; with it the camera is neither still nor drifting by itself.
            values |= {"trajectory": folder / "truth" / TRAJECTORY, "camera": None}
        options = Phantom(folder, **values)
        options.check()
        return PhantomTruth(folder, options)

    def __len__(self) -> int:
        return self.options.frames

    def world_to_camera(self, frame: int) -> NDArray[np.float64]:
        """(4, 4) of the left camera."""
        return self._path.world_to_camera[frame]

    @property
    def K(self) -> NDArray[np.float64]:
        """(3, 3) intrinsics, pixels; of a fisheye those of its middle."""
        return self._optics.K

    def events(self, frame: int) -> list[str]:
        """What happens in a frame: blackout, smoke, blur, or jump where the camera has just jumped."""
        return Events(self.options.events, self._path.jump).names(frame)

    def tissue_depth(self, frame: int) -> NDArray[np.float32]:
        """z-depth (H, W) of the tissue in mm as if no instrument were there; 0 = none."""
        return self._depth(self.folder / "truth" / "depth_without_instruments" / f"{frame:06d}.png")

    def instrument(self, frame: int) -> NDArray[np.bool_]:
        """(H, W) True where an instrument is seen."""
        return self._picture(self.folder / "masks" / f"{frame:06d}.png") > 0

    def points(self, frame: int) -> NDArray[np.float64]:
        """World positions (V, 3), mm, of the grid points of the tissue."""
        return self._anatomy.positions(frame / self.options.fps).reshape(-1, 3)

    def project(self, frame: int, points: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Pixels (P, 2), centres at +0.5, and z-depth (P,) of world points (P, 3)."""
        pose = self.world_to_camera(frame)
        in_camera = points @ pose[:3, :3].T + pose[:3, 3]
        if self.options.lens == "fisheye":
            return self._optics.project(in_camera), in_camera[:, 2]
        z = np.maximum(in_camera[:, 2], 1e-6)
        return in_camera[:, :2] / z[:, None] * self.options.focal + self.K[:2, 2], in_camera[:, 2]

    def seen_points(self, frame: int) -> NDArray[np.bool_]:
        """(V,) grid points that the frame shows: in the image, not behind tissue or a tool; none in a blackout."""
        points = self.points(frame)
        x, y, _, _ = self._pixels(frame, points)
        return self._in_front(frame, points) & ~self.instrument(frame)[y, x] & ("blackout" not in self.events(frame))

    def times_seen(self, frames: list[int]) -> NDArray[np.int32]:
        """(V,) in how many of the frames each grid point is seen."""
        return np.sum([self.seen_points(frame) for frame in frames], axis=0, dtype=np.int32)

    def point_at_pixels(self, frame: int) -> NDArray[np.int64]:
        """(H, W) the grid point nearest in the image to each pixel's centre, of those that no tissue hides; -1 where
        none is within three pixels' width of a grid cell.
        """
        from scipy.spatial import cKDTree

        points = self.points(frame)
        pixels, _ = self.project(frame, points)
        front = np.flatnonzero(self._in_front(frame, points))
        o = self.options
        x, y = np.meshgrid(np.arange(o.width) + 0.5, np.arange(o.height) + 0.5)
        distance, index = cKDTree(pixels[front]).query(np.stack([x, y], -1).reshape(-1, 2))
        if o.anatomy == "abdomen":
            widths = np.full(distance.shape, 0.5 * o.focal / o.distance)
        else:
            widths = 0.5 * o.focal / np.maximum(self.tissue_depth(frame).ravel(), 1.0)
        found = np.where(distance < 3 * np.maximum(widths, 1.0), front[index], -1)
        return found.reshape(o.height, o.width)

    def tracks(self) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """World positions (F, P, 3), mm, of followed surface points, and whether each frame shows them (F, P)."""
        return self._tracks

    def tracks_inside(self) -> NDArray[np.bool_]:
        """(F, P) followed points that are seen or behind an instrument: inside the image and not behind tissue."""
        return self._inside

    def _in_front(self, frame: int, points: NDArray[np.floating]) -> NDArray[np.bool_]:
        """(P,) surface points (P, 3) in the image that no other tissue hides."""
        x, y, inside, z = self._pixels(frame, points)
        return inside & (np.abs(self.tissue_depth(frame)[y, x] - z) < SAME_SURFACE_MM)

    def _pixels(self, frame: int, points: NDArray[np.floating]) -> tuple[NDArray, NDArray, NDArray, NDArray]:
        """Column and row (P,), clamped; whether inside; z-depth."""
        pixels, z = self.project(frame, points)
        size = np.array([self.options.width, self.options.height])
        inside = ((pixels >= 0) & (pixels < size)).all(1) & (z > 0)
        x, y = np.clip(pixels, 0, size - 1).astype(int).T
        return x, y, inside, z

    @cached_property
    def _tracks(self) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        path = self.folder / "truth" / "tracks.npz"
        if not is_file(path):
            raise InputError(f"{path}: missing; make the clip anew with endogs phantom")
        held = read_npz(path, ("positions", "visible"))
        positions, visible = held.get("positions", np.zeros(0)), held.get("visible", np.zeros(0))
        if positions.ndim != 3 or positions.shape != (*visible.shape, 3) or len(positions) != len(self):
            raise InputError(f"{path}: not the tracks of this phantom; make the clip anew with endogs phantom")
        return positions, visible.astype(bool)

    @cached_property
    def _inside(self) -> NDArray[np.bool_]:
        positions, visible = self._tracks
        return visible | np.stack([self._in_front(k, positions[k]) for k in range(len(self))])

    @cached_property
    def _optics(self) -> Optics:
        return make_optics(self.options)

    @cached_property
    def _path(self) -> CameraPath:
        return camera_path(self.options)

    @cached_property
    def _anatomy(self) -> Anatomy:
        return make_anatomy(self.options, self._path, self._optics)

    def _depth(self, path: Path) -> NDArray[np.float32]:
        return self._picture(path).astype(np.float32) * np.float32(DEPTH_UNIT_MM)

    def _picture(self, path: Path) -> NDArray:
        picture = read_raw(path) if is_file(path) else None
        if picture is None or picture.shape != (self.options.height, self.options.width):
            raise InputError(f"{path}: missing or not of the phantom's size; make the clip anew with endogs phantom")
        return picture
