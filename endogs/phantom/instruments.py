"""Metal instruments: a shaft, a wrist and two jaws that hold the tissue."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from endogs.phantom.config import Phantom
from endogs.phantom.motion import PULL_PERIOD, Pull

STEEL = (0.13, 0.133, 0.138, 0.66, 0.67, 0.68, 0.17)
DARK_STEEL = (0.045, 0.045, 0.047, 0.36, 0.36, 0.37, 0.2)
SHAFT = (0.055, 0.058, 0.065, 0.045, 0.045, 0.05, 0.36)
BAND = (0.30, 0.31, 0.33, 0.06, 0.06, 0.06, 0.4)
"""Materials: linear diffuse albedo (3), specular reflectance at normal incidence (3), roughness."""


@dataclass(frozen=True)
class Mesh:
    """A triangle mesh with a normal and a material at each vertex."""

    vertices: NDArray[np.float64]
    """(V, 3) mm."""
    normals: NDArray[np.float64]
    """(V, 3) unit, outwards."""
    material: NDArray[np.float64]
    """(V, 7) as the materials above."""
    triangles: NDArray[np.uint32]
    """(T, 3)."""

    def moved(self, pose: NDArray[np.float64]) -> "Mesh":
        """The mesh under a rigid transform (4, 4)."""
        rotation = pose[:3, :3]
        return Mesh(self.vertices @ rotation.T + pose[:3, 3], self.normals @ rotation.T, self.material, self.triangles)


def merged(meshes: list[Mesh]) -> Mesh:
    """All meshes as one."""
    offsets = np.cumsum([0] + [len(m.vertices) for m in meshes])
    return Mesh(
        np.concatenate([m.vertices for m in meshes]),
        np.concatenate([m.normals for m in meshes]),
        np.concatenate([m.material for m in meshes]),
        np.concatenate([m.triangles + np.uint32(o) for m, o in zip(meshes, offsets[:-1], strict=True)]),
    )


def sweep(centres: NDArray, radii: NDArray, material: tuple[float, ...], sides: int = 40) -> Mesh:
    """A closed tube along +z through centres (n, 3) with elliptic sections of half-axes radii (n, 2) in x and y, mm."""
    centres, radii = np.asarray(centres, np.float64), np.asarray(radii, np.float64)
    angle = np.linspace(0, 2 * math.pi, sides, endpoint=False)
    circle = np.stack([np.cos(angle), np.sin(angle)], -1)
    vertices = np.repeat(centres[:, None], sides, 1)
    vertices[..., :2] += circle * radii[:, None]
    along = np.gradient(vertices, axis=0)
    around = np.roll(vertices, -1, 1) - np.roll(vertices, 1, 1)
    normals = np.cross(around, along)
    outward = vertices - centres[:, None]
    normals *= np.where((normals * outward).sum(-1, keepdims=True) < 0, -1, 1)
    normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-12)
    rings = len(centres)
    index = np.arange(rings * sides).reshape(rings, sides)
    a, b = index[:-1], np.roll(index[:-1], -1, 1)
    c, d = index[1:], np.roll(index[1:], -1, 1)
    walls = np.stack([np.stack([a, b, c], -1), np.stack([d, c, b], -1)], 2).reshape(-1, 3)
    caps = []
    for ring in (index[0], index[-1]):
        caps.append(np.stack([np.full(sides - 2, ring[0]), ring[1:-1], ring[2:]], -1))
    triangles = np.concatenate([walls, *caps]).astype(np.uint32)
    flat_material = np.tile(np.array(material), (rings * sides, 1))
    return Mesh(vertices.reshape(-1, 3), normals.reshape(-1, 3), flat_material, triangles)


def lathe(profile: list[tuple[float, float]], material: tuple[float, ...]) -> Mesh:
    """A body of revolution about z through (z, radius) points, mm, with rounded edges between them."""
    z, radius = np.array(profile, np.float64).T
    # Doubling the points beside each corner keeps flat parts flat and the corner crisp but shaded smoothly.
    dense_z = np.unique(np.concatenate([z, z[:-1] + 0.12, z[1:] - 0.12, np.linspace(z[0], z[-1], 60)]))
    dense_radius = np.interp(dense_z, z, radius)
    centres = np.stack([np.zeros_like(dense_z), np.zeros_like(dense_z), dense_z], -1)
    return sweep(centres, np.stack([dense_radius, dense_radius], -1), material, 56)


def jaw(side: float, opening: float) -> Mesh:
    """One jaw, tip near the origin and hinge at z = 11 mm, opened by `opening` radians to `side` (+1 or -1) in x."""
    t = np.linspace(0, 1, 40)
    z = 11.5 * t
    width = 1.25 * np.sqrt(np.clip(1 - (1 - np.clip(t / 0.16, 0, 1)) ** 2, 0.004, 1)) * (0.82 + 0.5 * t)
    thickness = 0.75 * np.sqrt(np.clip(1 - (1 - np.clip(t / 0.12, 0, 1)) ** 2, 0.004, 1)) * (0.65 + 0.6 * t)
    # The jaws bow outwards and meet at their tips; fine serrations catch the light.
    bow = 1.15 * np.sin(math.pi * np.clip(t, 0, 1)) ** 0.8 + 0.22 + 0.03 * np.cos(2 * math.pi * t * 9) * (t < 0.75)
    centres = np.stack([side * bow, np.zeros_like(z), z], -1)
    mesh = sweep(centres, np.stack([thickness, width], -1), STEEL, 28)
    cos, sin = math.cos(side * opening), math.sin(side * opening)
    hinge = np.array([0.0, 0.0, 11.0])
    turn = np.eye(4)
    turn[:3, :3] = np.array([[cos, 0.0, -sin], [0.0, 1.0, 0.0], [sin, 0.0, cos]])
    turn[:3, 3] = hinge - turn[:3, :3] @ hinge
    return mesh.moved(turn)


def instrument_body(length: float, opening: float) -> Mesh:
    """An instrument along +z with the tips of its jaws at the origin, `length` mm long."""
    pin = lathe([(-2.1, 0.05), (-2.1 + 0.01, 0.75), (2.1 - 0.01, 0.75), (2.1, 0.05)], DARK_STEEL)
    across = np.eye(4)
    across[:3, :3] = [[1, 0, 0], [0, 0, -1], [0, 1, 0]]
    across[:3, 3] = [0, 0, 11.0]
    return merged(
        [
            jaw(1.0, opening),
            jaw(-1.0, opening),
            pin.moved(across),
            lathe([(9.4, 0.1), (9.6, 1.0), (10.6, 1.55), (12.5, 1.75), (15.0, 2.1)], DARK_STEEL),
            lathe([(13.0, 0.2), (13.2, 2.0), (15.8, 2.35), (17.0, 2.7), (18.6, 2.75), (18.8, 0.2)], STEEL),
            lathe([(18.2, 0.2), (18.4, 2.55), (20.4, 2.55), (20.5, 0.2)], DARK_STEEL),
            lathe([(20.2, 0.2), (20.5, 2.85), (22.2, 3.05), (23.4, 3.05), (23.5, 0.2)], STEEL),
            lathe([(23.3, 0.2), (23.4, 3.0), (length, 3.0)], SHAFT),
            lathe([(34.0, 2.9), (34.1, 3.04), (35.6, 3.04), (35.7, 2.9)], BAND),
        ]
    )


def incision(config: Phantom, k: int) -> NDArray[np.float64]:
    """Where instrument `k` enters (3,), world, mm."""
    side = 1.0 if k == 0 else -1.0
    return config.distance * np.array([side * 0.72, 0.40 if k == 0 else 0.30, 0.22])


def instruments_at(config: Phantom, pulls: list[Pull], positions: NDArray[np.float64], time: float) -> Mesh | None:
    """All instruments in the world at `time` seconds, holding the tissue's grid positions (R, C, 3); None if none.

    Each passes through a fixed point (the incision) outside the image, beside the camera, so that it enters from the
    border and turns about that point while it pulls.
    """
    meshes = []
    for k, pull in enumerate(pulls):
        side = 1.0 if k == 0 else -1.0
        pivot = incision(config, k)
        tip = positions[pull.vertex]
        axis = pivot - tip
        length = float(np.linalg.norm(axis))
        axis /= length
        roll = 0.9 * side + 0.25 * math.sin(2 * math.pi * time / PULL_PERIOD + pull.phase)
        right = np.cross(axis, [math.sin(roll), math.cos(roll), 0.0])
        right /= np.linalg.norm(right)
        pose = np.eye(4)
        pose[:3, :3] = np.stack([right, np.cross(axis, right), axis], 1)
        pose[:3, 3] = tip - 0.8 * axis  # the tips bite into the tissue
        opening = 0.03 + 0.02 * math.sin(2 * math.pi * time / PULL_PERIOD + 2 * pull.phase)
        meshes.append(instrument_body(length, opening).moved(pose))
    return merged(meshes) if meshes else None
