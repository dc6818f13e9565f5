"""Tools with a shaft: where they come from, their shafts, wrists and jaws.

A tool is drawn in its own units: the shaft's diameter is 1, x runs from the tip back along the shaft and y across.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from training.instruments.canvas import Canvas, Material, Plate, Rod, Strand
from training.instruments.fields import Generator
from training.instruments.materials import any_part, ceramic, dull, lacquer, metal, vivid


@dataclass(frozen=True)
class Pose:
    """Where a tool's own coordinates lie in the picture."""

    origin: tuple[float, float]
    angle: float
    """Radians from the picture's x axis to the tool's x axis, which runs back towards the hand."""
    scale: float
    """Pixels of a shaft's diameter at the origin."""
    taper: float = 0.0
    """How much wider the tool gets per pixel towards the hand, as it comes nearer to the camera."""

    def at(self, points: NDArray | list) -> NDArray[np.float64]:
        """Picture points (n, 2) of tool points (n, 2)."""
        points = np.asarray(points, np.float64).reshape(-1, 2)
        x, y = points[:, 0] * self.scale, points[:, 1] * self.scale
        wide = 1 + self.taper * np.clip(x, -50, 400)
        x, y = x * np.sqrt(wide), y * wide
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        return np.stack([self.origin[0] + cos * x - sin * y, self.origin[1] + sin * x + cos * y], 1)

    def width(self, x: float) -> float:
        """Pixels per unit across, at `x`."""
        return self.scale * (1 + self.taper * float(np.clip(x * self.scale, -50, 400)))

    def bent(self, x: float, angle: float) -> "Pose":
        """The part beyond a joint at `x`: its own x = 0 lies at the joint, and it runs the other way, by `angle`."""
        joint = self.at([[x, 0]])[0]
        return replace(self, origin=(float(joint[0]), float(joint[1])), angle=self.angle + angle, scale=self.width(x))


def curve(control: list[tuple[float, float]], count: int = 16) -> NDArray[np.float64]:
    """A smooth line (count, 2) through a few points: interpolated by position along them, then rounded off."""
    points = np.asarray(control, np.float64)
    t = np.linspace(0, len(points) - 1, count)
    line = np.stack([np.interp(t, np.arange(len(points)), points[:, k]) for k in range(2)], 1)
    padded = np.pad(line, ((1, 1), (0, 0)), mode="edge")
    return np.concatenate([line[:1], (padded[:-2] + 2 * padded[1:-1] + padded[2:])[1:-1] / 4, line[-1:]])


def entering(rng: Generator, shape: tuple[int, int]) -> Pose:
    """A tool that comes in from a border, points roughly inwards, and shows anything from a tip to a long shaft."""
    h, w = shape
    low, high = ((5, 20), (16, 60), (40, 130))[int(rng.choice(3, p=[0.28, 0.42, 0.3]))]
    scale = float(np.exp(rng.uniform(math.log(low), math.log(high))))
    around = rng.uniform(0, 2 * math.pi)
    direction = np.array([math.cos(around), math.sin(around)])
    # From the middle outwards to the border, and a tip somewhere on the way in, or just at the rim.
    reach = min(w / 2 / max(abs(direction[0]), 1e-6), h / 2 / max(abs(direction[1]), 1e-6))
    side = np.array([-direction[1], direction[0]])
    depth = rng.uniform(-0.4, 0.75) if rng.random() < 0.74 else rng.uniform(0.75, 1.05)
    tip = np.array([w / 2, h / 2]) + direction * reach * depth + side * rng.normal(0, 0.18 * w)
    taper = float(rng.uniform(0, 0.004)) if rng.random() < 0.7 else 0.0
    return Pose((float(tip[0]), float(tip[1])), around + float(rng.normal(0, 0.35)), scale, taper)


def draw_tool(canvas: Canvas, pose: Pose) -> None:
    """One random tool with a shaft."""
    rng = canvas.rng
    head: Callable[[Canvas, Pose], float] = HEADS[int(rng.choice(len(HEADS), p=HEAD_SHARES))]
    if head in (suction, hook, plain):
        begin = head(canvas, pose)
        draw_shaft(canvas, pose, begin)
        return
    # The shaft lies at the back; wrist and jaws are drawn over it.
    wrist = float(rng.choice([0.0, 1.0, 1.6, 2.4]) * rng.uniform(0.7, 1.2))
    jaws = float(rng.uniform(0.9, 3.2))
    draw_shaft(canvas, pose, jaws + wrist)
    if wrist:
        draw_wrist(canvas, pose, jaws, jaws + wrist)
    joint = pose.bent(jaws, math.pi + float(rng.normal(0, 0.45 if wrist else 0.05)))
    head(canvas, replace(joint, taper=0.0, scale=joint.scale * float(rng.uniform(0.8, 1.2))))


def draw_shaft(canvas: Canvas, pose: Pose, begin: float) -> None:
    """A tube from `begin` to beyond the border, in one to three sections with bands, grooves and print."""
    rng = canvas.rng
    ends = [begin]
    for _ in range(int(rng.integers(0, 3))):
        ends.append(ends[-1] + float(rng.uniform(0.3, 3)))
    ends.append(ends[-1] + 40)
    pick = rng.random()
    material = dull(rng) if pick < 0.3 else lacquer(rng) if pick < 0.72 else metal(rng)
    for first, last in pairwise(ends):
        radius = 0.5 * float(rng.uniform(0.9, 1.08))
        rings = []
        for _ in range(int(rng.integers(0, 5))):
            place = float(rng.uniform(0, 1)) * min(1.0, 6 / (last - first))
            wide, factor = float(rng.uniform(0.03, 0.4)), float(rng.choice([0.15, 0.4, 2.2, 4]))
            rings.append((place, wide / (last - first), factor))
        points = pose.at([[first, 0], [last, 0]])
        marks = int(rng.integers(5, 40)) if rng.random() < 0.2 else 0
        Rod(
            points[0], points[1], radius * pose.width(first), radius * pose.width(last), material, rings,
            float(rng.uniform(-0.5, 0.5)), marks, float(rng.choice([0.0, 0.15, 0.4, 0.8])),
        ).draw(canvas)  # fmt: skip
        if rng.random() < 0.6:
            pick = rng.random()
            material = dull(rng) if pick < 0.25 else lacquer(rng) if pick < 0.7 else any_part(rng)


def draw_wrist(canvas: Canvas, pose: Pose, begin: float, end: float) -> None:
    """A clevis: forks with holes, pins and cables between the shaft and the jaws."""
    rng = canvas.rng
    material = any_part(rng)
    length = end - begin
    for _ in range(int(rng.integers(1, 4))):
        y = float(rng.uniform(-0.35, 0.35))
        points = pose.at([[begin + 0.2 * rng.random() * length, y], [end + 0.3, y * 1.2]])
        Strand(points, 0.06 * pose.width(end), metal(rng), 0.5).draw(canvas)
    for side in (-1.0, 1.0):
        inner = float(rng.uniform(-0.15, 0.3))
        outline = [
            (end + 0.2, side * 0.5), (begin + 0.3 * length, side * 0.5), (begin - 0.25, side * 0.38),
            (begin - 0.3, side * inner), (begin + 0.25 * length, side * inner), (end + 0.2, side * inner),
        ]  # fmt: skip
        tilt = (float(rng.normal(0, 0.35)), float(rng.normal(0, 0.35)))
        holes = []
        if rng.random() < 0.4:
            holes.append(pose.at(disc((begin + 0.5 * length, side * 0.5 * (0.5 + inner)), 0.1)))
        Plate(pose.at(outline), material, holes, max(1.5, 0.12 * pose.width(begin)), tilt).draw(canvas)
        if rng.random() < 0.4:
            material = any_part(rng)
    for _ in range(int(rng.integers(1, 4))):  # pins, pulleys and screws
        at = (begin + float(rng.uniform(-0.1, 1.0)) * length, float(rng.uniform(-0.3, 0.3)))
        size = float(rng.uniform(0.07, 0.3))
        Plate(pose.at(disc(at, size)), any_part(rng), [], max(1.0, 0.3 * size * pose.width(begin))).draw(canvas)
    if rng.random() < 0.5:
        y = float(rng.uniform(-0.4, 0.4))
        line = curve([(begin - 0.2, y), (begin + 0.5 * length, -y), (end + 0.4, y * 0.5)])
        Strand(pose.at(line), 0.05 * pose.width(begin), metal(rng), 0.6).draw(canvas)


def disc(centre: tuple[float, float], radius: float) -> NDArray[np.float64]:
    """A circle's points (20, 2)."""
    angle = np.linspace(0, 2 * math.pi, 20, endpoint=False)
    return np.asarray(centre) + radius * np.stack([np.cos(angle), np.sin(angle)], 1)


def _blade(length: float, base: float, tip: float, bow: float, side: float, teeth: int, depth: float) -> NDArray:
    """The outline (n, 2) of one jaw along +x; its inner edge, towards -`side`, may carry teeth."""
    x = np.linspace(0, length, 48)
    t = x / length
    width = base + (tip - base) * t
    width = width * np.sqrt(np.clip((1 - t) / 0.12, 0, 1)) ** 0.7
    middle = bow * np.sin(np.pi * 0.5 * t) * t * length
    outer = middle + width / 2
    inner = middle - width / 2
    if teeth:
        inner = inner + depth * np.abs(((teeth * t) % 1) - 0.5) * 2 * (t < 0.9)
    line = np.concatenate([np.stack([x, outer], 1), np.stack([x, inner], 1)[::-1]])
    return line * np.array([1.0, side])


def jaws(canvas: Canvas, pose: Pose) -> float:
    """Graspers and forceps: straight, curved, toothed, fenestrated, of metal or insulated; closed to wide open."""
    rng = canvas.rng
    length = float(rng.uniform(0.9, 3.4))
    base, tip = float(rng.uniform(0.25, 0.6)), float(rng.uniform(0.08, 0.5))
    bow = float(rng.choice([0.0, 0.0, 0.15, 0.35]) * rng.choice([-1, 1]))
    teeth = int(rng.choice([0, 0, 8, 14, 22]))
    opening = float(rng.choice([0.0, 0.12, 0.3, 0.55]) * rng.uniform(0.6, 1.4))
    window = rng.random() < 0.35
    material = ceramic(rng) if rng.random() < 0.08 else metal(rng)
    single = rng.random() < 0.12
    for side in (-1.0, 1.0)[: 1 if single else 2]:
        part = pose.bent(0, side * opening)
        if rng.random() < 0.15:
            material = any_part(rng)
        outline = _blade(length, base, tip, bow * side if rng.random() < 0.7 else bow, side, teeth, 0.08)
        holes = []
        if window:
            inner = _blade(length * rng.uniform(0.5, 0.75), base * 0.5, max(tip, 0.2) * 0.5, bow, side, 0, 0)
            holes.append(part.at(inner + np.array([0.2 * length, 0])))
        tilt = (float(rng.normal(0, 0.4)), float(rng.normal(0, 0.4)))
        bevel = max(1.2, float(rng.uniform(0.06, 0.25)) * pose.scale)
        Plate(part.at(outline), material, holes, bevel, tilt).draw(canvas)
        if window and rng.random() < 0.5:
            Plate(holes[0], any_part(rng), [], bevel, tilt).draw(canvas)
    Plate(pose.at(disc((0, 0), float(rng.uniform(0.2, 0.45)))), any_part(rng), [], 0.15 * pose.scale).draw(canvas)
    return 0.0


def slender(canvas: Canvas, pose: Pose) -> float:
    """Long thin jaws as broad as their shaft or narrower, often with a slot, that hold something between them."""
    rng = canvas.rng
    length, width = float(rng.uniform(2.0, 5.5)), float(rng.uniform(0.16, 0.42))
    opening = float(rng.choice([0.0, 0.05, 0.14, 0.3]) * rng.uniform(0.7, 1.3))
    material, slotted = metal(rng, 0.04), rng.random() < 0.5
    for side in (-1.0, 1.0):
        part = pose.bent(0, side * opening)
        outline = _blade(length, width, width * float(rng.uniform(0.5, 1.0)), float(rng.uniform(0, 0.15)), side, 0, 0)
        slot = _blade(0.7 * length, 0.4 * width, 0.4 * width, 0, side, 0, 0) + np.array([0.15 * length, 0])
        holes = [part.at(slot)] if slotted else []
        tilt = (float(rng.normal(0, 0.4)), float(rng.normal(0, 0.4)))
        Plate(part.at(outline), material, holes, max(1.0, 0.1 * pose.scale), tilt).draw(canvas)
    return 0.0


def scissors(canvas: Canvas, pose: Pose) -> float:
    """Two thin pointed blades."""
    rng = canvas.rng
    length, opening = float(rng.uniform(1.2, 3)), float(rng.uniform(0.02, 0.5))
    material, bow = metal(rng, 0.02), float(rng.choice([0.0, 0.25, 0.4]))
    for side in (-1.0, 1.0):
        outline = _blade(length, float(rng.uniform(0.25, 0.45)), 0.06, bow * side, side, 0, 0)
        tilt = (float(rng.normal(0, 0.3)), float(rng.normal(0, 0.3)))
        Plate(pose.bent(0, side * opening).at(outline), material, [], 0.1 * pose.scale, tilt).draw(canvas)
    Plate(pose.at(disc((0.1, 0), 0.15)), metal(rng), [], 0.1 * pose.scale).draw(canvas)
    return 0.0


def stapler(canvas: Canvas, pose: Pose) -> float:
    """Long broad jaws with rows of slots."""
    rng = canvas.rng
    length, material = float(rng.uniform(3, 8)), metal(rng) if rng.random() < 0.6 else lacquer(rng)
    for side in (-1.0, 1.0):
        part = pose.bent(0, side * float(rng.uniform(0, 0.25)))
        Plate(part.at(_blade(length, 0.55, 0.5, 0, side, 0, 0)), material, [], 0.15 * pose.scale).draw(canvas)
        slots = vivid(rng) if rng.random() < 0.4 else lacquer(rng)
        for x in np.arange(0.4, length - 0.4, 0.5):
            Strand(part.at([[x, side * 0.1], [x + 0.25, side * 0.1]]), 0.06 * pose.scale, slots).draw(canvas)
        if rng.random() < 0.4:
            material = any_part(rng)
    return 0.0


def paddle(canvas: Canvas, pose: Pose) -> float:
    """Retractors, ultrasound probes, clip appliers: a broad body with a step and markings."""
    rng = canvas.rng
    length, wide = float(rng.uniform(0.8, 3)), float(rng.uniform(0.4, 1.1))
    outline = _blade(length, wide, wide * float(rng.uniform(0.6, 1.3)), float(rng.uniform(-0.2, 0.2)), 1.0, 0, 0)
    material = any_part(rng) if rng.random() < 0.6 else vivid(rng)
    Plate(pose.at(outline), material, [], max(1.5, 0.25 * pose.scale)).draw(canvas)
    for _ in range(int(rng.integers(0, 5))):
        x = float(rng.uniform(0, length))
        Strand(pose.at([[x, -wide / 2.2], [x, wide / 2.2]]), 0.05 * pose.scale, any_part(rng)).draw(canvas)
    return 0.0


def suction(canvas: Canvas, pose: Pose) -> float:
    """A tube with holes near its open end."""
    rng = canvas.rng
    material = metal(rng) if rng.random() < 0.6 else lacquer(rng)
    radius = 0.5 * float(rng.uniform(0.85, 1.0))
    points = pose.at([[0, 0], [float(rng.uniform(2, 6)), 0]])
    bulge = float(rng.uniform(-0.4, 0.2))
    Rod(points[0], points[1], radius * pose.scale, radius * pose.scale, material, [], bulge).draw(canvas)
    for _ in range(int(rng.integers(0, 7))):
        centre = (float(rng.uniform(0.3, 2.2)), float(rng.uniform(-0.3, 0.3)))
        Plate(pose.at(disc(centre, 0.09)), Material((0.05, 0.03, 0.03), 0, 0.05), [], 1.0).draw(canvas)
    return float(rng.uniform(1.5, 5))


def hook(canvas: Canvas, pose: Pose) -> float:
    """Monopolar hooks, spatulas and needles on an insulated shaft."""
    rng = canvas.rng
    length, bend = float(rng.uniform(0.8, 2.5)), float(rng.uniform(-0.9, 0.9))
    line = curve([(0, bend), (0.1, 0.4 * bend), (0.4, 0), (length, 0), (length + 0.6, 0)], 24)
    Strand(pose.at(line), float(rng.uniform(0.12, 0.3)) * pose.scale, metal(rng)).draw(canvas)
    if rng.random() < 0.6:
        points = pose.at([[length * 0.6, 0], [length + 0.5, 0]])
        tube = ceramic(rng) if rng.random() < 0.6 else lacquer(rng)
        Rod(points[0], points[1], 0.2 * pose.scale, 0.3 * pose.scale, tube).draw(canvas)
    return length


def plain(canvas: Canvas, pose: Pose) -> float:
    """A shaft alone: blunt, or pointed as a trocar, a probe or a catheter."""
    rng = canvas.rng
    if rng.random() < 0.5:
        points = pose.at([[0, 0], [0.8, 0]])
        tip = float(rng.uniform(0.05, 0.45)) * pose.scale
        Rod(points[0], points[1], tip, 0.48 * pose.scale, any_part(rng)).draw(canvas)
        return 0.7
    return 0.0


HEADS = (jaws, slender, scissors, stapler, paddle, suction, hook, plain)
HEAD_SHARES = (0.37, 0.16, 0.09, 0.05, 0.07, 0.09, 0.09, 0.08)
