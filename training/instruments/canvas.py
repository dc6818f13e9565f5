"""A canvas that holds, for each pixel, how much of it is a tool, which way the tool faces there, and its material."""

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from training.instruments.fields import Field, Generator, smooth

CHANNELS = 8
"""Red, green, blue (linear), metal, gloss, roughness, and the normal's x and y."""


@dataclass(frozen=True)
class Material:
    """What a part is made of."""

    color: tuple[float, float, float]
    """Display values, 0 to 1; of a metal the tint of its mirror."""
    metal: float = 0.0
    """0 = lacquer or plastic, 1 = mirrors what is around it."""
    gloss: float = 0.3
    """Strength of the highlight."""
    rough: float = 0.25
    """Width of the highlight, as a slope."""
    grain: float = 0.1
    """Strength of small spots and scratches."""
    weave: float = 0.0
    """Strength of a woven or knitted pattern."""

    def values(self) -> NDArray[np.float32]:
        """The first six channels."""
        linear = np.square(np.array(self.color, np.float32))
        return np.concatenate([linear, np.array([self.metal, self.gloss, self.rough], np.float32)])


class Canvas:
    """The tools of one picture, part over part."""

    def __init__(self, rng: Generator, shape: tuple[int, int]) -> None:
        self.rng, self.shape = rng, shape
        self.values = np.zeros((*shape, CHANNELS), np.float32)
        self.alpha = np.zeros(shape, np.float32)
        self.grain = smooth(rng, shape, float(rng.uniform(1.5, 4)))

    def paint(
        self, box: "Box", alpha: Field, material: Material, nx: Field, ny: Field, tone: Field | float = 1.0
    ) -> None:
        """Lays a part over what is there: `alpha`, normal and brightness `tone` (h, w) of the pixels in `box`."""
        rows, columns = box.slices
        part = np.empty((*alpha.shape, CHANNELS), np.float32)
        part[..., :6] = material.values()
        shade = np.float32(material.grain) * self.grain[rows, columns]
        if material.weave:
            y, x = np.mgrid[rows, columns].astype(np.float32)
            period = np.float32(self.rng.uniform(1.2, 3.5))
            weave = np.sin((x + 0.3 * y) / period * 2) * np.sin((y - 0.3 * x) / period * 2)
            shade = shade + np.float32(material.weave) * weave
            nx = nx + 0.3 * np.float32(material.weave) * weave
        part[..., :3] *= (np.clip(1 + shade, 0.2, 3) * tone)[..., None]
        part[..., 6], part[..., 7] = nx, ny
        self.values[rows, columns] += (part - self.values[rows, columns]) * alpha[..., None]
        self.alpha[rows, columns] += (1 - self.alpha[rows, columns]) * alpha

    def box_of(self, points: NDArray, margin: float) -> "Box | None":
        """The pixels around points (n, 2), or None where they are outside the picture."""
        h, w = self.shape
        low, high = np.floor(points.min(0) - margin - 2), np.ceil(points.max(0) + margin + 2)
        x0, y0 = np.clip(low, 0, (w, h)).astype(int)
        x1, y1 = np.clip(high, 0, (w, h)).astype(int)
        return Box(x0, y0, x1, y1) if x1 - x0 > 1 and y1 - y0 > 1 else None


@dataclass(frozen=True)
class Box:
    """Pixels x0 to x1 and y0 to y1, the ends excluded."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)


@dataclass
class Rod:
    """A round rod between two points of the picture; what is drawn on it is given along it, 0 to 1."""

    start: NDArray
    """(2,) x and y, pixels."""
    end: NDArray
    start_radius: float
    end_radius: float
    material: Material
    rings: list[tuple[float, float, float]] = field(default_factory=list)
    """Position, width, and factor on the brightness of bands around the rod."""
    bulge: float = 0.0
    """How far its ends are rounded by perspective, in radii."""
    marks: int = 0
    """Number of small printed signs along it."""
    brushed: float = 0.0
    """Strength of streaks along it."""

    def draw(self, canvas: Canvas) -> None:
        """Paints it."""
        start, end = np.asarray(self.start, np.float64), np.asarray(self.end, np.float64)
        length = float(np.linalg.norm(end - start))
        widest = max(self.start_radius, self.end_radius)
        box = canvas.box_of(np.stack([start, end]), widest * (1 + abs(self.bulge)))
        if box is None or length < 0.5:
            return
        rows, columns = box.slices
        y, x = np.ogrid[rows, columns]
        ux, uy = (end - start) / length
        dx, dy = (x + 0.5 - start[0]).astype(np.float32), (y + 0.5 - start[1]).astype(np.float32)
        along = np.float32(ux) * dx + np.float32(uy) * dy
        across = np.float32(ux) * dy - np.float32(uy) * dx
        t = along / np.float32(length)
        radius = self.start_radius + np.float32(self.end_radius - self.start_radius) * np.clip(t, 0, 1)
        s = np.clip(across / radius, -1, 1)
        round_ = np.sqrt(1 - s * s)
        if self.bulge:
            along = along - np.float32(self.bulge) * radius * round_
        alpha = np.clip(radius - np.abs(across) + 0.5, 0, 1)
        alpha *= np.clip(along + 0.5, 0, 1) * np.clip(np.float32(length) - along + 0.5, 0, 1)
        alpha *= np.minimum(2 * radius, 1)
        tone = np.ones_like(alpha)
        for place, width, factor in self.rings:
            inside = np.clip((width / 2 - np.abs(along / np.float32(length) - place)) * length + 0.5, 0, 1)
            tone *= 1 + (factor - 1) * inside
        for _ in range(self.marks):
            place, size = canvas.rng.uniform(0, 1), canvas.rng.uniform(0.05, 0.5) * widest
            inside = (np.abs(along - place * length) < size) & (np.abs(s - canvas.rng.uniform(-0.6, 0.6)) < 0.12)
            tone = np.where(inside, np.float32(canvas.rng.choice([0.3, 2.5])), tone)
        if self.brushed:
            row = np.clip(along / 16 + 40, 0, canvas.shape[0] - 1).astype(np.float32)
            column = np.clip(across / widest * 30 + canvas.shape[1] / 2, 0, canvas.shape[1] - 1).astype(np.float32)
            streaks = cv2.remap(canvas.grain, column, row, cv2.INTER_LINEAR)
            tone *= np.clip(1 + np.float32(self.brushed) * streaks, 0.2, 3)
        # The normal stands across the rod: the direction (-uy, ux) times s.
        canvas.paint(box, alpha, self.material, np.float32(-uy) * s, np.float32(ux) * s, tone)


@dataclass
class Plate:
    """A flat part with bevelled edges and holes."""

    outline: NDArray
    """(n, 2) x and y, pixels."""
    material: Material
    holes: list[NDArray] = field(default_factory=list)
    bevel: float = 3.0
    """Width of the rounded rim, pixels."""
    tilt: tuple[float, float] = (0.0, 0.0)
    """The normal of its flat part."""

    def draw(self, canvas: Canvas) -> None:
        """Paints it."""
        box = canvas.box_of(np.asarray(self.outline), 1)
        if box is None:
            return
        offset = np.array([box.x0, box.y0])
        mask = np.zeros((box.y1 - box.y0, box.x1 - box.x0), np.uint8)
        rings = [self.outline, *self.holes]
        fixed = [np.round((np.asarray(ring) - offset) * 16 - 8).astype(np.int32) for ring in rings]
        cv2.fillPoly(mask, fixed[:1], 255, cv2.LINE_AA, 4)
        for hole in fixed[1:]:
            cv2.fillPoly(mask, [hole], 0, cv2.LINE_AA, 4)
        _round_part(canvas, box, mask, self.material, self.bevel, self.tilt)


@dataclass
class Strand:
    """A thread, cable, wire or needle along a line."""

    points: NDArray
    """(n, 2) x and y, pixels."""
    thickness: float
    """Pixels; below one it is fainter."""
    material: Material
    twist: float = 0.0
    """Strength of a braid's light and dark."""

    def draw(self, canvas: Canvas) -> None:
        """Paints it."""
        box = canvas.box_of(np.asarray(self.points), self.thickness)
        if box is None:
            return
        mask = np.zeros((box.y1 - box.y0, box.x1 - box.x0), np.uint8)
        fixed = np.round((np.asarray(self.points) - (box.x0, box.y0)) * 16).astype(np.int32)
        value = int(255 * min(1.0, self.thickness))
        cv2.polylines(mask, [fixed], False, value, max(1, round(self.thickness)), cv2.LINE_AA, 4)
        tone: Field | float = 1.0
        if self.twist:
            y, x = np.ogrid[box.slices]
            tone = (1 + np.float32(self.twist) * np.sin((x + y) * np.float32(2.2))).astype(np.float32)
        _round_part(canvas, box, mask, self.material, max(1.0, self.thickness / 2), (0.0, 0.0), tone)


def _round_part(
    canvas: Canvas,
    box: Box,
    mask: NDArray[np.uint8],
    material: Material,
    bevel: float,
    tilt: tuple[float, float],
    tone: Field | float = 1.0,
) -> None:
    """Paints a shape whose rim bends away from the eye over `bevel` pixels."""
    distance = cv2.distanceTransform((mask > 127).astype(np.uint8), cv2.DIST_L2, 3)
    inside = np.clip(distance / np.float32(bevel), 0, 1)
    dome = np.sqrt(1 - (1 - inside) ** 2)
    if bevel > 2:
        dome = cv2.GaussianBlur(dome, (0, 0), 0.8)
    kernel = np.array([[-0.5, 0, 0.5]], np.float32)
    gx = cv2.filter2D(dome, -1, kernel) * np.float32(bevel)
    gy = cv2.filter2D(dome, -1, kernel.T) * np.float32(bevel)
    nx, ny = np.float32(tilt[0]) - gx, np.float32(tilt[1]) - gy
    norm = np.maximum(1, np.sqrt(nx * nx + ny * ny) * np.float32(1.05))
    canvas.paint(box, mask.astype(np.float32) / 255, material, nx / norm, ny / norm, tone)
