"""Which tissue of a phantom is ever seen, and when: worked out again from the options that made the clip."""

from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from endogs.bounded_arrays import read_npz
from endogs.bounded_files import is_file, read_json
from endogs.clip.files.image_files import read_raw
from endogs.errors import InputError
from endogs.phantom.config import Phantom
from endogs.phantom.motion import Pull, camera_at, make_pulls, positions_at
from endogs.phantom.surface import Surface, make_surface

DEPTH_UNIT_MM = 0.01
"""Millimetres per unit of the 16-bit depth pictures; 0 is unknown."""
SAME_SURFACE_MM = 0.75
"""A grid point this near to the depth at its pixel is the surface that is seen there: grid cells are half a millimetre
wide, so a steep one rises that much within a pixel."""


def _is_of(value: Any, kind: Any) -> bool:
    """Whether a value from JSON is of the type of an option: a number, a whole one, or one of some words."""
    if get_origin(kind) is Literal:
        return value in get_args(kind)
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
        same = isinstance(values, dict) and set(values) == set(kinds)
        if not same or not all(_is_of(values[name], kind) for name, kind in kinds.items()):
            raise InputError(f"{path}: not the options of this version's phantom; make the clip anew")
        options = Phantom(folder, **values)
        options.check()
        return PhantomTruth(folder, options)

    def __len__(self) -> int:
        return self.options.frames

    def world_to_camera(self, frame: int) -> NDArray[np.float64]:
        """(4, 4) of the left camera."""
        return camera_at(self.options, frame / self.options.fps)

    @property
    def K(self) -> NDArray[np.float64]:
        """(3, 3) intrinsics, pixels."""
        o = self.options
        return np.array([[o.focal, 0, o.width / 2], [0, o.focal, o.height / 2], [0, 0, 1.0]])

    def tissue_depth(self, frame: int) -> NDArray[np.float32]:
        """z-depth (H, W) of the tissue in mm as if no instrument were there; 0 = none."""
        return self._depth(self.folder / "truth" / "depth_without_instruments" / f"{frame:06d}.png")

    def instrument(self, frame: int) -> NDArray[np.bool_]:
        """(H, W) True where an instrument is seen."""
        return self._picture(self.folder / "masks" / f"{frame:06d}.png") > 0

    def points(self, frame: int) -> NDArray[np.float64]:
        """World positions (V, 3), mm, of the grid points of the tissue."""
        surface, pulls = self._tissue
        return positions_at(self.options, surface, pulls, frame / self.options.fps).reshape(-1, 3)

    def project(self, frame: int, points: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Pixels (P, 2), centres at +0.5, and z-depth (P,) of world points (P, 3)."""
        pose = self.world_to_camera(frame)
        in_camera = points @ pose[:3, :3].T + pose[:3, 3]
        z = np.maximum(in_camera[:, 2], 1e-6)
        return in_camera[:, :2] / z[:, None] * self.options.focal + self.K[:2, 2], in_camera[:, 2]

    def seen_points(self, frame: int) -> NDArray[np.bool_]:
        """(V,) grid points that the frame shows: in the image, not behind tissue or an instrument."""
        points = self.points(frame)
        x, y, _, _ = self._pixels(frame, points)
        return self._in_front(frame, points) & ~self.instrument(frame)[y, x]

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
        cell = 0.5 * o.focal / o.distance
        found = np.where(distance < 3 * max(cell, 1.0), front[index], -1)
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
    def _tissue(self) -> tuple[Surface, list[Pull]]:
        # The same streams as in `endogs.phantom.render.Studio`.
        streams = np.random.SeedSequence(self.options.seed).spawn(4)
        surface_rng, _, pull_rng, _ = (np.random.default_rng(s) for s in streams)
        surface = make_surface(self.options, surface_rng)
        return surface, make_pulls(self.options, surface, pull_rng)

    def _depth(self, path: Path) -> NDArray[np.float32]:
        return self._picture(path).astype(np.float32) * np.float32(DEPTH_UNIT_MM)

    def _picture(self, path: Path) -> NDArray:
        picture = read_raw(path) if is_file(path) else None
        if picture is None or picture.shape != (self.options.height, self.options.width):
            raise InputError(f"{path}: missing or not of the phantom's size; make the clip anew with endogs phantom")
        return picture
