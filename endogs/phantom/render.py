"""Ray-casts the phantom: pictures, depth with and without the instruments, masks and tracks."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.geometry import invert_rigid, pixel_rays
from endogs.open3d_library import import_open3d
from endogs.phantom.config import Phantom
from endogs.phantom.instruments import Mesh, instruments_at
from endogs.phantom.light import Lamp, reflection_geometry, shade_metal, shade_tissue, unit
from endogs.phantom.motion import camera_at, make_pulls, positions_at
from endogs.phantom.sensor import expose, vignette
from endogs.phantom.surface import make_surface
from endogs.phantom.texture import make_texture

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
    """(P,) True where the left camera sees the point: in the image, not behind tissue or an instrument."""


def caster(vertices: NDArray, triangles: NDArray) -> Any:
    """An open3d RaycastingScene of one mesh: vertices (V, 3), triangles (T, 3)."""
    o3c = import_open3d().core
    scene = import_open3d().t.geometry.RaycastingScene()
    scene.add_triangles(o3c.Tensor(vertices.astype(np.float32)), o3c.Tensor(np.ascontiguousarray(triangles, np.uint32)))
    return scene


def cast(scene: Any, origin: NDArray, directions: NDArray) -> dict[str, NDArray]:
    """First hits of rays (..., 3) from `origin` (3,): t_hit (inf for none), primitive_ids, primitive_uvs."""
    rays = np.empty((*directions.shape[:-1], 6), np.float32)
    rays[..., :3] = origin
    rays[..., 3:] = directions
    hits = scene.cast_rays(import_open3d().core.Tensor(rays))
    return {name: hits[name].numpy() for name in ("t_hit", "primitive_ids", "primitive_uvs")}


def interpolate(values: NDArray, corners: NDArray, weights: NDArray) -> NDArray[np.float32]:
    """Vertex `values` (V, C) at points on triangles with `corners` (N, 3) and barycentric `weights` (N, 3)."""
    return np.einsum("nk,nkc->nc", weights, values[corners].astype(np.float32))


class Studio:
    """Everything of a phantom that does not change from frame to frame."""

    def __init__(self, config: Phantom) -> None:
        self.config = config
        # One independent stream per part, so that an option of one part leaves the others as they were.
        seeds = np.random.SeedSequence(config.seed).spawn(4)
        surface_rng, texture_rng, pull_rng, track_rng = (np.random.default_rng(s) for s in seeds)
        self.surface = make_surface(config, surface_rng)
        self.texture = make_texture(self.surface, config.distance / config.focal, texture_rng)
        self.pulls = make_pulls(config, self.surface, pull_rng)
        self.K = np.array(
            [[config.focal, 0, config.width / 2], [0, config.focal, config.height / 2], [0, 0, 1.0]], np.float64
        )
        self.rays = pixel_rays(self.K, config.width, config.height)
        self.falloff = vignette(config.width, config.height, config.vignetting)
        self.track_vertices = self._choose_tracks(track_rng)
        self.intensity = 1.0
        self.intensity = self._suitable_intensity()

    def frames(self) -> Iterator[Frame]:
        """The clip's frames, in order."""
        for index in range(self.config.frames):
            yield self._frame(index)

    def lamp_at(self, world_to_camera: NDArray[np.float64]) -> Lamp:
        """The lamp: at the camera, or midway between the two cameras of a stereo view."""
        offset = np.array([self.config.baseline / 2 if self.config.view == "stereo" else 0.0, 0, 0])
        camera_to_world = invert_rigid(world_to_camera)
        position = camera_to_world[:3, :3] @ offset + camera_to_world[:3, 3]
        return Lamp(position, self.intensity, self.config.distance)

    def _choose_tracks(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """Grid points, without repetition, inside a view a fifth wider than the first one."""
        rest = self.surface.rest.reshape(-1, 3)
        x, y = (rest[:, :2] / rest[:, 2:] * self.config.focal).T
        inside = (np.abs(x) < 0.6 * self.config.width) & (np.abs(y) < 0.6 * self.config.height)
        candidates = np.flatnonzero(inside)
        return np.sort(rng.permutation(candidates)[: self.config.tracks])

    def _suitable_intensity(self) -> float:
        """Lamp intensity at which the tissue of the first frame has a mean green-weighted level like a real clip's."""
        positions = positions_at(self.config, self.surface, self.pulls, 0.0)
        world_to_camera = camera_at(self.config, 0.0)
        scene = caster(positions.reshape(-1, 3), self.surface.triangles)
        rays = self.rays[2::5, 2::5]
        radiance, _ = self._tissue(scene, positions, world_to_camera, rays, self.lamp_at(world_to_camera))
        level = float(np.percentile(radiance @ np.array([0.3, 0.6, 0.1], np.float32), 70))
        return float(0.27 / max(level, 1e-9) * 2**self.config.exposure)

    def _frame(self, index: int) -> Frame:
        config = self.config
        time = index / config.fps
        positions = positions_at(config, self.surface, self.pulls, time)
        world_to_camera = camera_at(config, time)
        tissue = caster(positions.reshape(-1, 3), self.surface.triangles)
        tools = instruments_at(config, self.pulls, positions, time)
        tool_scene = None if tools is None else caster(tools.vertices, tools.triangles)
        lamp = self.lamp_at(world_to_camera)

        def view(pose: NDArray[np.float64], eye: int) -> View:
            rng = np.random.default_rng([config.seed, index, eye])
            return self._view(tissue, positions, tools, tool_scene, pose, lamp, rng)

        left, right = view(world_to_camera, 0), None
        if config.view == "stereo":
            shift = np.eye(4)
            shift[0, 3] = -config.baseline
            right = view(shift @ world_to_camera, 1)
        points = positions.reshape(-1, 3)[self.track_vertices]
        visible = self._visible(points, world_to_camera, [tissue] + ([tool_scene] if tool_scene else []))
        return Frame(left, right, world_to_camera, lamp, points.astype(np.float32), visible)

    def _visible(self, points: NDArray, world_to_camera: NDArray, scenes: list[Any]) -> NDArray[np.bool_]:
        """Which points (P, 3) the camera sees past all scenes."""
        in_camera = points @ world_to_camera[:3, :3].T + world_to_camera[:3, 3]
        pixels = in_camera[:, :2] / in_camera[:, 2:] * self.config.focal + self.K[:2, 2]
        seen = ((pixels >= 0) & (pixels < (self.config.width, self.config.height))).all(-1) & (in_camera[:, 2] > 0)
        origin = invert_rigid(world_to_camera)[:3, 3]
        distance = np.linalg.norm(points - origin, axis=-1)
        for scene in scenes:
            hit = cast(scene, origin, (points - origin) / distance[:, None])["t_hit"]
            seen &= hit > distance - VISIBLE_TOLERANCE
        return seen

    def _tissue(
        self, scene: Any, positions: NDArray, world_to_camera: NDArray, rays: NDArray, lamp: Lamp
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Radiance (h, w, 3) and z-depth (h, w) of the tissue along camera rays (h, w, 3) with z = 1."""
        camera_to_world = invert_rigid(world_to_camera)
        origin = camera_to_world[:3, 3]
        directions = (rays @ camera_to_world[:3, :3].T).astype(np.float32)
        hits = cast(scene, origin, directions)
        depth = np.where(np.isfinite(hits["t_hit"]), hits["t_hit"], 0).astype(np.float32)
        grid = self.surface.grid_coordinates(np.where(depth > 0, hits["primitive_ids"], 0), hits["primitive_uvs"])
        at_x, at_y = np.ascontiguousarray(grid[..., 0]), np.ascontiguousarray(grid[..., 1])

        rows, columns = positions.shape[:2]
        pitch = self.surface.extent[0] / (columns - 1), self.surface.extent[1] / (rows - 1)
        along_y, along_x = np.gradient(positions, pitch[1], pitch[0], axis=(0, 1))
        normal = np.cross(along_y, along_x)
        normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
        # Dividing by the squared length turns slopes per flat mm into slopes per stretched mm.
        along_x /= (along_x**2).sum(-1, keepdims=True)
        along_y /= (along_y**2).sum(-1, keepdims=True)

        def sample(values: NDArray, scale_x: float = 1.0, scale_y: float = 1.0) -> NDArray[np.float32]:
            map_x = (at_x + 0.5) * scale_x - 0.5 if scale_x != 1 else at_x
            map_y = (at_y + 0.5) * scale_y - 0.5 if scale_y != 1 else at_y
            values = np.ascontiguousarray(values, np.float32)
            sampled = np.asarray(
                cv2.remap(values, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32
            )
            return sampled.reshape(-1, values.shape[-1])

        texel_rows, texel_columns = self.texture.slope.shape[:2]
        scales = texel_columns / columns, texel_rows / rows
        slope = sample(self.texture.slope, *scales)
        normals = sample(normal) - slope[:, :1] * sample(along_x) - slope[:, 1:] * sample(along_y)
        points = (origin + directions * depth[..., None]).reshape(-1, 3).astype(np.float32)
        geometry = reflection_geometry(points, unit(normals), origin, lamp)
        radiance = shade_tissue(sample(self.texture.albedo, *scales), geometry, self.config.wetness)
        radiance[depth.reshape(-1) == 0] = 0
        return radiance.reshape(*depth.shape, 3), depth

    def _view(
        self,
        tissue: Any,
        positions: NDArray,
        tools: Mesh | None,
        tool_scene: Any,
        world_to_camera: NDArray,
        lamp: Lamp,
        rng: np.random.Generator,
    ) -> View:
        radiance, tissue_depth = self._tissue(tissue, positions, world_to_camera, self.rays, lamp)
        depth, instrument = tissue_depth, np.zeros(tissue_depth.shape, bool)
        if tools is not None:
            depth = tissue_depth.copy()
            surroundings = radiance[tissue_depth > 0].mean(0)
            window = self._window(tools, world_to_camera)
            instrument[window] = self._draw_tools(
                tools, tool_scene, world_to_camera, lamp, surroundings, window, radiance, depth
            )
        image = expose(radiance, self.falloff, self.config.noise, rng)
        return View(image, depth, tissue_depth, instrument)

    def _window(self, tools: Mesh, world_to_camera: NDArray) -> tuple[slice, slice]:
        """The (rows, columns) of the image that the tools can touch."""
        points = tools.vertices @ world_to_camera[:3, :3].T + world_to_camera[:3, 3]
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
        quarter = 0.25 / self.config.focal
        covered = np.zeros((*nearest.shape, 1), np.float32)
        color = np.zeros((*nearest.shape, 3), np.float32)
        for x, y in ((-1, -1), (1, -1), (-1, 1), (1, 1)):
            directions = ((rays + np.array([x * quarter, y * quarter, 0.0])) @ rotation.T).astype(np.float32)
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
