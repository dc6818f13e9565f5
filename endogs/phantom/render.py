"""Ray-casts the phantom: pictures, depth with and without the instruments, masks and tracks."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from endogs.geometry import invert_rigid
from endogs.phantom.anatomy import make_anatomy, streams
from endogs.phantom.config import Phantom
from endogs.phantom.events import Events
from endogs.phantom.exposure import WANTED, Exposure, green_weighted
from endogs.phantom.instruments import Mesh
from endogs.phantom.light import Lamp, reflection_geometry, shade_metal, shade_tissue, unit
from endogs.phantom.optics import make_optics
from endogs.phantom.path import camera_path
from endogs.phantom.placement import check_placement
from endogs.phantom.rays import cast, caster
from endogs.phantom.relief import Relief, look_up
from endogs.phantom.sensor import expose, vignette

VISIBLE_TOLERANCE = 0.05
"""A track is hidden when something lies this many mm in front of it."""


@dataclass(frozen=True)
class View:
    """What one camera sees at one instant."""

    image: NDArray[np.uint8]
    """(H, W, 3) sRGB."""
    depth: NDArray[np.float32]
    """(H, W) z-depth in mm of what is seen, instruments included; 0 where nothing is hit."""
    tissue_depth: NDArray[np.float32]
    """(H, W) z-depth in mm of the tissue as if no instrument were there."""
    instrument: NDArray[np.bool_]
    """(H, W) True where an instrument is seen."""


@dataclass(frozen=True)
class Frame:
    """One instant of the clip."""

    left: View
    right: View | None
    world_to_camera: NDArray[np.float64]
    """(4, 4) of the left camera."""
    lamp: Lamp
    tracks: NDArray[np.float32]
    """(P, 3) world positions, mm, of the followed surface points."""
    visible: NDArray[np.bool_]
    """(P,) True where the left camera sees the point: in the image, not behind tissue or an instrument, and not in a
    blackout."""
    gain: float
    """Exposure relative to that of the first frame."""


def interpolate(values: NDArray, corners: NDArray, weights: NDArray) -> NDArray[np.float32]:
    """Vertex `values` (V, C) at points on triangles with `corners` (N, 3) and barycentric `weights` (N, 3)."""
    return np.einsum("nk,nkc->nc", weights, values[corners].astype(np.float32))


class Studio:
    """Everything of a phantom that does not change from frame to frame."""

    def __init__(self, config: Phantom) -> None:
        self.config = config
        self.optics = make_optics(config)
        self.K, self.rays = self.optics.K, self.optics.rays
        self.path = camera_path(config)
        self.anatomy = make_anatomy(config, self.path, self.optics)
        self.surface = self.anatomy.surface
        check_placement(config, self.anatomy, self.path, self.optics)
        self.texture = self.anatomy.texture
        self.events = Events(config.events, self.path.jump)
        self.falloff = vignette(config.width, config.height, config.vignetting)
        self.track_vertices = self._choose_tracks(streams(config)[3])
        self._shaped: tuple[bytes, Any, Relief] | None = None
        self.intensity = 1.0
        self.intensity = self._suitable_intensity()
        self.exposure = Exposure(config)

    def frames(self) -> Iterator[Frame]:
        """The clip's frames, in order."""
        for index in range(self.config.frames):
            yield self._frame(index)

    def lamp_at(self, world_to_camera: NDArray[np.float64]) -> Lamp:
        """The lamp: at the camera, or midway between the two cameras of a stereo view."""
        offset = np.array([self.config.baseline / 2 if self.config.view == "stereo" else 0.0, 0, 0])
        camera_to_world = invert_rigid(world_to_camera)
        position = camera_to_world[:3, :3] @ offset + camera_to_world[:3, 3]
        return Lamp(position, self.intensity, self.anatomy.reference_distance)

    def _choose_tracks(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """Grid points, without repetition, inside a view a fifth wider than the first one; along a trajectory, in the
        colon and for a fisheye those that some views show."""
        rest = self.surface.rest.reshape(-1, 3)
        if self.config.trajectory is None and self.config.anatomy == "abdomen" and self.optics.bent is None:
            x, y = (rest[:, :2] / rest[:, 2:] * self.config.focal).T
            inside = (np.abs(x) < 0.6 * self.config.width) & (np.abs(y) < 0.6 * self.config.height)
            candidates = np.flatnonzero(inside)
        else:
            candidates = self._points_in_views(rest)
        return np.sort(rng.permutation(candidates)[: self.config.tracks])

    def _points_in_views(self, rest: NDArray[np.float64]) -> NDArray[np.int64]:
        """Grid points that some of up to a dozen frames show, at rest."""
        columns = self.surface.rest.shape[1]
        once = np.arange(len(rest)) % columns != columns - 1 if self.surface.closed else np.ones(len(rest), bool)
        scene = caster(rest, self.surface.triangles)
        seen = np.zeros(len(rest), bool)
        poses = self.path.world_to_camera
        for pose in poses[np.unique(np.linspace(0, len(poses) - 1, 12).round().astype(int))]:
            seen |= self._visible(rest, pose, [scene])
        return np.flatnonzero(seen & once)

    def _suitable_intensity(self) -> float:
        """Lamp intensity at which the tissue of the first frame has a mean green-weighted level like a real clip's."""
        positions = self.anatomy.positions(0.0)
        world_to_camera = self.path.world_to_camera[0]
        scene, relief = self._shape(positions)
        rays = self.rays[2::5, 2::5]
        radiance, _ = self._tissue(scene, relief, world_to_camera, rays, self.lamp_at(world_to_camera))
        outside = self.optics.outside
        level = green_weighted(self.config, radiance, None if outside is None else ~outside[2::5, 2::5])
        return float(WANTED[self.config.anatomy] / max(level, 1e-9) * 2**self.config.exposure)

    def _shape(self, positions: NDArray[np.float64]) -> tuple[Any, Relief]:
        """What rays need of the tissue's grid; kept while the tissue stands still."""
        key = hashlib.blake2b(positions.tobytes(), digest_size=16).digest()
        if self._shaped is None or self._shaped[0] != key:
            scene = caster(positions.reshape(-1, 3), self.surface.triangles)
            self._shaped = key, scene, Relief.of(self.surface, positions)
        return self._shaped[1], self._shaped[2]

    def _frame(self, index: int) -> Frame:
        config = self.config
        time = index / config.fps
        positions = self.anatomy.positions(time)
        world_to_camera = self.path.world_to_camera[index]
        tissue, relief = self._shape(positions)
        tools = self.anatomy.tools(positions, time)
        tool_scene = None if tools is None else caster(tools.vertices, tools.triangles)
        lamp = self.lamp_at(world_to_camera)

        def view(pose: NDArray[np.float64], eye: int) -> View:
            return self._view(tissue, relief, tools, tool_scene, pose, lamp, index, eye)

        left, right = view(world_to_camera, 0), None
        if config.view == "stereo":
            shift = np.eye(4)
            shift[0, 3] = -config.baseline
            right = view(shift @ world_to_camera, 1)
        points = positions.reshape(-1, 3)[self.track_vertices]
        visible = self._visible(points, world_to_camera, [tissue] + ([tool_scene] if tool_scene else []))
        visible &= not self.events.is_black(index)
        return Frame(left, right, world_to_camera, lamp, points.astype(np.float32), visible, self.exposure.gain)

    def _visible(self, points: NDArray, world_to_camera: NDArray, scenes: list[Any]) -> NDArray[np.bool_]:
        """Which points (P, 3) the camera sees past all scenes."""
        in_camera = points @ world_to_camera[:3, :3].T + world_to_camera[:3, 3]
        seen = self.optics.in_view(self.optics.project(in_camera)) & (in_camera[:, 2] > 0)
        origin = invert_rigid(world_to_camera)[:3, 3]
        distance = np.linalg.norm(points - origin, axis=-1)
        for scene in scenes:
            hit = cast(scene, origin, (points - origin) / distance[:, None])["t_hit"]
            seen &= hit > distance - VISIBLE_TOLERANCE
        return seen

    def _tissue(
        self, scene: Any, relief: Relief, world_to_camera: NDArray, rays: NDArray, lamp: Lamp
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Radiance (h, w, 3) and z-depth (h, w) of the tissue along camera rays (h, w, 3) with z = 1."""
        camera_to_world = invert_rigid(world_to_camera)
        origin = camera_to_world[:3, 3]
        directions = (rays @ camera_to_world[:3, :3].T).astype(np.float32)
        hits = cast(scene, origin, directions)
        depth = np.where(np.isfinite(hits["t_hit"]), hits["t_hit"], 0).astype(np.float32)
        grid = self.surface.grid_coordinates(np.where(depth > 0, hits["primitive_ids"], 0), hits["primitive_uvs"])
        albedo, normals = look_up(relief, self.texture, grid, depth, rays, self.config.focal)
        points = (origin + directions * depth[..., None]).reshape(-1, 3).astype(np.float32)
        geometry = reflection_geometry(points, unit(normals), origin, lamp)
        radiance = shade_tissue(albedo, geometry, self.config.wetness)
        radiance[depth.reshape(-1) == 0] = 0
        return radiance.reshape(*depth.shape, 3), depth

    def _view(
        self,
        tissue: Any,
        relief: Relief,
        tools: Mesh | None,
        tool_scene: Any,
        world_to_camera: NDArray,
        lamp: Lamp,
        index: int,
        eye: int,
    ) -> View:
        radiance, tissue_depth = self._tissue(tissue, relief, world_to_camera, self.rays, lamp)
        outside = self.optics.outside
        if outside is not None:
            radiance[outside], tissue_depth[outside] = 0, 0
        depth, instrument = tissue_depth, np.zeros(tissue_depth.shape, bool)
        if tools is not None:
            depth = tissue_depth.copy()
            surroundings = radiance[tissue_depth > 0].mean(0)
            window = self._window(tools, world_to_camera)
            instrument[window] = self._draw_tools(
                tools, tool_scene, world_to_camera, lamp, surroundings, window, radiance, depth
            )
        if outside is not None:
            radiance[outside], depth[outside], instrument[outside] = 0, 0, False
        if eye == 0 and not self.events.is_black(index):
            self.exposure.see(radiance, None if outside is None else ~outside)
        gain = np.float32(self.exposure.gain)
        radiance = self.events.applied(self.config, index, radiance * gain if gain != 1 else radiance)
        if outside is not None:
            radiance[outside] = 0
        rng = np.random.default_rng([self.config.seed, index, eye])
        image = expose(radiance, self.falloff, self.config.noise * float(np.sqrt(gain)), rng)
        return View(image, depth, tissue_depth, instrument)

    def _window(self, tools: Mesh, world_to_camera: NDArray) -> tuple[slice, slice]:
        """The (rows, columns) of the image that the tools can touch."""
        points = tools.vertices @ world_to_camera[:3, :3].T + world_to_camera[:3, 3]
        if self.optics.bent is not None:
            return slice(0, self.config.height), slice(0, self.config.width)
        pixels = points[:, :2] / np.maximum(points[:, 2:], 1e-3) * self.config.focal + self.K[:2, 2]
        size = np.array([self.config.width, self.config.height])
        low = np.clip(np.floor(pixels.min(0)), 0, size).astype(int)
        high = np.clip(np.ceil(pixels.max(0)), 0, size).astype(int)
        return slice(low[1], high[1]), slice(low[0], high[0])

    def _draw_tools(
        self,
        tools: Mesh,
        scene: Any,
        world_to_camera: NDArray,
        lamp: Lamp,
        surroundings: NDArray,
        window: tuple[slice, slice],
        radiance: NDArray[np.float32],
        depth: NDArray[np.float32],
    ) -> NDArray[np.bool_]:
        """Draws the tools into `radiance` and `depth` where they are nearest; returns where, within the window.

        Depth and mask are those of the pixel's centre; the colour is the mean over four rays, for smooth outlines.
        """
        camera_to_world = invert_rigid(world_to_camera)
        rotation, origin = camera_to_world[:3, :3], camera_to_world[:3, 3]
        rays = self.rays[window]
        if rays.size == 0:
            return np.zeros(rays.shape[:2], bool)
        nearest = depth[window]
        behind = np.where(nearest == 0, np.inf, nearest)
        covered = np.zeros((*nearest.shape, 1), np.float32)
        color = np.zeros((*nearest.shape, 3), np.float32)
        for x, y in ((-1, -1), (1, -1), (-1, 1), (1, 1)):
            directions = (self.optics.shifted(x * 0.25, y * 0.25)[window] @ rotation.T).astype(np.float32)
            hits = cast(scene, origin, directions)
            seen = hits["t_hit"] < behind
            corners = tools.triangles[hits["primitive_ids"][seen]]
            uv = hits["primitive_uvs"][seen]
            weights = np.stack([1 - uv.sum(-1), uv[:, 0], uv[:, 1]], -1)
            normals = unit(interpolate(tools.normals, corners, weights))
            points = origin.astype(np.float32) + directions[seen] * hits["t_hit"][seen][:, None]
            geometry = reflection_geometry(points, normals, origin, lamp)
            covered[seen] += 0.25
            material = interpolate(tools.material, corners, weights)
            color[seen] += 0.25 * shade_metal(material, geometry, surroundings)
        radiance[window] = color + (1 - covered) * radiance[window]
        middle = cast(scene, origin, (rays @ rotation.T).astype(np.float32))["t_hit"]
        seen = middle < behind
        nearest[seen] = middle[seen]
        return seen
