"""What surgeons leave or hold in the picture without a shaft: threads, needles, clips, gauze, snares, caps, tubes."""

import math
from dataclasses import replace

import cv2
import numpy as np

from training.instruments.canvas import Box, Canvas, Plate, Rod, Strand
from training.instruments.fields import Generator, fractal, walk
from training.instruments.materials import any_part, cloth, lacquer, metal, vivid
from training.instruments.tools import Pose, curve, disc, entering


def _somewhere(rng: Generator, shape: tuple[int, int]) -> Pose:
    h, w = shape
    origin = rng.uniform(-0.02, 1.02, 2) * (w, h)
    scale = float(np.exp(rng.uniform(math.log(6), math.log(30))))
    return Pose((float(origin[0]), float(origin[1])), float(rng.uniform(0, 2 * math.pi)), scale)


def suture(canvas: Canvas) -> None:
    """A thread, often with its needle."""
    rng, (h, w) = canvas.rng, canvas.shape
    start = rng.uniform(0, 1, 2) * (w, h)
    points = walk(rng, start, rng.uniform(0, 6.28), 5, int(rng.integers(8, 45)), float(rng.uniform(0.05, 0.5)))
    thick = float(rng.uniform(0.9, 3.2))
    material = vivid(rng) if rng.random() < 0.6 else lacquer(rng)
    Strand(points, thick, replace(material, gloss=0.1), float(rng.uniform(0, 0.4))).draw(canvas)
    if rng.random() < 0.5:
        needle(canvas, points[0])


def needle(canvas: Canvas, at: np.ndarray | None = None) -> None:
    """A bent needle."""
    rng = canvas.rng
    pose = _somewhere(rng, canvas.shape)
    if at is not None:
        pose = replace(pose, origin=(float(at[0]), float(at[1])))
    arc = np.linspace(0, float(rng.uniform(1.5, 3.6)), 26)
    squash = float(rng.uniform(0.3, 1))
    points = pose.at(np.stack([1.6 * np.sin(arc), squash * 1.6 * (1 - np.cos(arc))], 1))
    Strand(points, float(rng.uniform(1.2, 4)), metal(rng, 0.02)).draw(canvas)


def clip(canvas: Canvas) -> None:
    """Clips of titanium or plastic on a vessel, one or a row."""
    rng = canvas.rng
    pose = _somewhere(rng, canvas.shape)
    material = metal(rng) if rng.random() < 0.5 else vivid(rng)
    for k in range(int(rng.integers(1, 5))):
        y = 0.8 * k
        opening = float(rng.uniform(0.05, 0.2))
        line = curve([(0, y + opening), (1.3, y + 0.1), (1.5, y), (1.3, y - 0.1), (0, y - opening)], 20)
        Strand(pose.at(line), float(rng.uniform(0.12, 0.25)) * pose.scale, material).draw(canvas)


def gauze(canvas: Canvas) -> None:
    """A swab, a piece of mesh or a sheet of bag in an uneven shape."""
    rng, (h, w) = canvas.rng, canvas.shape
    centre = rng.uniform(-0.05, 1.05, 2) * (w, h)
    size = float(np.exp(rng.uniform(math.log(18), math.log(110))))
    angle = np.linspace(0, 2 * math.pi, 40, endpoint=False)
    radius = size * (1 + 0.25 * np.interp(angle, np.linspace(0, 6.3, 9), np.append(rng.normal(0, 1, 8), 0)))
    stretch = float(rng.uniform(0.4, 1))
    points = centre + np.stack([radius * np.cos(angle), stretch * radius * np.sin(angle)], 1)
    box = canvas.box_of(points, 1)
    if box is None:
        return
    mask = np.zeros((box.y1 - box.y0, box.x1 - box.x0), np.uint8)
    cv2.fillPoly(mask, [np.round((points - (box.x0, box.y0)) * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    alpha = mask.astype(np.float32) / 255
    folds = fractal(rng, alpha.shape, float(rng.uniform(6, 30)), 3) * np.float32(rng.uniform(1, 5))
    nx = np.clip(-np.gradient(folds, axis=1), -0.9, 0.9) * 0.7
    ny = np.clip(-np.gradient(folds, axis=0), -0.9, 0.9) * 0.7
    material = cloth(rng) if rng.random() < 0.8 else vivid(rng)
    tone = np.ones_like(alpha)
    if rng.random() < 0.35:  # a mesh that shows tissue between its threads
        y, x = np.mgrid[box.slices].astype(np.float32)
        period = np.float32(rng.uniform(3, 8))
        holes = np.maximum(np.cos(2 * np.pi * (x + 0.2 * y) / period), np.cos(2 * np.pi * (y - 0.2 * x) / period))
        alpha = alpha * np.clip(holes * 2 + 0.6, 0.15, 1)
    canvas.paint(box, alpha, material, nx, ny, tone)


def snare(canvas: Canvas) -> None:
    """A wire loop out of a sheath, as in a colonoscope, or a basket."""
    rng = canvas.rng
    pose = entering(rng, canvas.shape)
    pose = replace(pose, scale=float(np.clip(pose.scale, 7, 26)))
    length, wide = float(rng.uniform(2, 6)), float(rng.uniform(0.6, 2.5))
    t = np.linspace(0, 2 * math.pi, 40)
    loop = np.stack([0.5 * length * (1 + np.cos(t)), wide * np.sin(t) * (1 - 0.3 * np.cos(t))], 1)
    wire = metal(rng)
    Strand(pose.at(loop), float(rng.uniform(1.0, 2.6)), wire, 0.4).draw(canvas)
    if rng.random() < 0.25:
        Strand(pose.at(loop * (1, 0.4)), float(rng.uniform(1.0, 2.2)), wire, 0.4).draw(canvas)
    sheath(canvas, pose, length)


def sheath(canvas: Canvas, pose: Pose, begin: float) -> None:
    """A thin flexible tube from `begin` on, along the pose."""
    rng = canvas.rng
    material = vivid(rng) if rng.random() < 0.5 else lacquer(rng)
    ends = pose.at([[begin, 0], [begin + 1.5, 0], [begin + 60, 0]])
    first = any_part(rng) if rng.random() < 0.3 else material
    Rod(ends[0], ends[1], 0.5 * pose.scale, 0.5 * pose.scale, first, [], float(rng.uniform(-0.4, 0.3))).draw(canvas)
    rings = [(float(rng.uniform(0, 0.2)), 0.01, float(rng.choice([0.3, 3]))) for _ in range(int(rng.integers(0, 4)))]
    Rod(ends[1], ends[2], 0.5 * pose.scale, 0.5 * pose.width(begin + 60), material, rings).draw(canvas)


def forceps(canvas: Canvas) -> None:
    """Small biopsy forceps, an injection needle or a balloon out of a sheath."""
    rng = canvas.rng
    pose = replace(entering(rng, canvas.shape), scale=float(rng.uniform(8, 32)))
    sheath(canvas, pose, 0.6)
    pick = rng.random()
    if pick < 0.5:
        for side in (-1, 1):
            part = pose.bent(0.6, math.pi + side * float(rng.uniform(0, 0.7)))
            cup = np.stack([np.linspace(0, 1.5, 12), side * 0.35 * np.sin(np.linspace(0, math.pi, 12))], 1)
            Plate(part.at(cup), metal(rng), [], 0.2 * pose.scale).draw(canvas)
    elif pick < 0.8:
        Strand(pose.at([[-1.5, 0], [0.6, 0]]), float(rng.uniform(1, 3)), metal(rng)).draw(canvas)
    else:
        body = lacquer(rng)
        Plate(pose.at(disc((-0.8, 0), 1.4)), replace(body, gloss=1.0), [], 1.2 * pose.scale).draw(canvas)


def cap(canvas: Canvas) -> None:
    """The rim of a cap at the end of the endoscope: a ring along the border of the view, clear, black or white."""
    rng, (h, w) = canvas.rng, canvas.shape
    y, x = np.mgrid[:h, :w].astype(np.float32)
    shift = rng.normal(0, 0.06, 2)
    u = (x / w - 0.5 - shift[0]) * 2
    v = (y / h - 0.5 - shift[1]) * 2
    power = float(rng.choice([2.0, 2.0, 4.0, 8.0]))
    radius = (np.abs(u) ** power + np.abs(v) ** power) ** (1 / power)
    inner = float(rng.uniform(0.72, 1.1))
    alpha = np.clip((radius - inner) * w / 3, 0, 1)
    if rng.random() < 0.6:
        angle, width = rng.uniform(0, 6.28), rng.uniform(0.3, 2.6)
        away = np.abs((np.arctan2(v, u) - angle + np.pi) % (2 * np.pi) - np.pi)
        alpha *= np.clip((width - away) * 6, 0, 1)
    clear = rng.random() < 0.5
    tone = 1 + np.float32(rng.uniform(0, 1.5)) * np.sin(radius * np.float32(rng.uniform(10, 60)))
    material = replace(lacquer(rng), gloss=1.0)
    if clear:
        alpha = alpha * np.float32(rng.uniform(0.6, 0.85))
        material = replace(material, color=(0.75, 0.75, 0.75))
    norm = np.maximum(np.hypot(u, v), 0.3)
    canvas.paint(Box(0, 0, w, h), alpha, material, -u / norm * 0.6, -v / norm * 0.6, np.clip(tone, 0.2, 3))


def tubing(canvas: Canvas) -> None:
    """A bent drain, catheter, vessel loop or cord."""
    rng, (h, w) = canvas.rng, canvas.shape
    points = walk(rng, rng.uniform(-0.1, 1.1, 2) * (w, h), rng.uniform(0, 6.28), 6, int(rng.integers(12, 60)), 0.12)
    material = vivid(rng) if rng.random() < 0.6 else lacquer(rng)
    Strand(points, float(np.exp(rng.uniform(math.log(2), math.log(24)))), material).draw(canvas)


LOOSE = (suture, needle, clip, gauze, snare, forceps, cap, tubing)
LOOSE_SHARES = (0.22, 0.08, 0.12, 0.17, 0.13, 0.14, 0.06, 0.08)
