"""Puts the tools of a canvas over tissue: their shading, what they mirror, their shadows, and what covers them."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.instruments.canvas import Canvas
from training.instruments.fields import Field, Generator, blob, smooth
from training.instruments.loose import LOOSE, LOOSE_SHARES
from training.instruments.tools import Pose, draw_tool, entering


@dataclass
class Composed:
    """A picture with tools."""

    image: NDArray[np.float32]
    """(h, w, 3) linear."""
    cover: Field
    """(h, w) share of each pixel that is tool."""


def with_tools(rng: Generator, tissue: NDArray[np.float32]) -> Composed:
    """`tissue` (h, w, 3), linear, with a random number of tools, in up to two layers."""
    h, w = tissue.shape[:2]
    count = int(rng.choice([1, 2, 3], p=[0.4, 0.43, 0.17]))
    loose = int(rng.choice([0, 1, 2], p=[0.68, 0.24, 0.08]))
    if rng.random() < 0.12:
        count, loose = 0, max(1, loose)
    image, cover = tissue, np.zeros((h, w), np.float32)
    if loose:
        canvas = Canvas(rng, (h, w))
        for _ in range(loose):
            LOOSE[int(rng.choice(len(LOOSE), p=LOOSE_SHARES))](canvas)
        image, cover = _over(rng, image, cover, canvas)
    if count:
        for _ in range(count):
            canvas = Canvas(rng, (h, w))
            pose = entering(rng, (h, w))
            draw_tool(canvas, pose)
            if rng.random() < 0.2:
                _hold(canvas, pose)
            image, cover = _over(rng, image, cover, canvas)
    return Composed(image, cover)


def _over(rng: Generator, image: NDArray, cover: Field, canvas: Canvas) -> tuple[NDArray, Field]:
    alpha = _overlapped(rng, canvas.alpha)
    if not (alpha > 0.5).any():
        return image, cover
    rows, columns = np.nonzero(alpha.max(1) > 0)[0], np.nonzero(alpha.max(0) > 0)[0]
    y0, y1, x0, x1 = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    painted = _shaded(rng, image, canvas.values[y0:y1, x0:x1], (y0, x0))
    tool = np.zeros_like(image)
    alpha = alpha.copy()
    tool[y0:y1, x0:x1] = painted * alpha[y0:y1, x0:x1, None]
    if rng.random() < 0.45:
        image = image * _shadow(rng, alpha)[..., None]
    if rng.random() < 0.3:  # the tool lies out of focus, or moves
        if rng.random() < 0.6:
            sigma = float(rng.uniform(0.5, 3.5))
            tool, alpha = cv2.GaussianBlur(tool, (0, 0), sigma), cv2.GaussianBlur(alpha, (0, 0), sigma)
        else:
            kernel = streak(rng, int(rng.integers(3, 17)))
            tool, alpha = cv2.filter2D(tool, -1, kernel), cv2.filter2D(alpha, -1, kernel)
    return image * (1 - alpha[..., None]) + tool, cover + (1 - cover) * alpha


def streak(rng: Generator, length: int) -> NDArray[np.float32]:
    """A kernel that smears by `length` pixels in a random direction."""
    kernel = np.zeros((length, length), np.uint8)
    angle, middle = rng.uniform(0, np.pi), (length - 1) / 2
    reach = np.array([np.cos(angle), np.sin(angle)]) * middle
    ends = np.round((np.array([middle, middle]) + np.stack([-reach, reach])) * 16).astype(int)
    cv2.line(kernel, tuple(map(int, ends[0])), tuple(map(int, ends[1])), 255, 1, cv2.LINE_AA, 4)
    values = kernel.astype(np.float32)
    return values / values.sum()


def _overlapped(rng: Generator, alpha: Field) -> Field:
    """Sometimes tissue or blood lies over a part of the tool."""
    if rng.random() > 0.18:
        return alpha
    return alpha * (1 - blob(rng, alpha.shape, float(rng.uniform(0.05, 0.25)), float(rng.uniform(20, 60)), 0.06))


def _hold(canvas: Canvas, pose: Pose) -> None:
    """Tissue that the tool holds hides its tip."""
    rng, (h, w) = canvas.rng, canvas.shape
    middle = pose.at([[float(rng.uniform(-0.8, 0.6)), float(rng.normal(0, 0.4))]])[0]
    size = pose.scale * float(rng.uniform(0.5, 1.6))
    y, x = np.ogrid[:h, :w]
    dx, dy = (x - middle[0]).astype(np.float32), (y - middle[1]).astype(np.float32)
    away = np.hypot(dx, dy * np.float32(rng.uniform(0.6, 1.6))) / np.float32(size)
    away += np.float32(rng.uniform(0.05, 0.3)) * smooth(rng, (h, w), max(6.0, size))
    canvas.alpha *= np.clip((away - 1) * np.float32(size / 2) + 0.5, 0, 1)


def _shadow(rng: Generator, alpha: Field) -> Field:
    """What is left of the light beside a tool (h, w): its shadow falls to a side, softer the farther it is."""
    shift = rng.normal(0, 9, 2)
    moved = cv2.warpAffine(alpha, np.float32([[1, 0, shift[0]], [0, 1, shift[1]]]), alpha.shape[::-1])
    return 1 - np.float32(rng.uniform(0.2, 0.85)) * cv2.GaussianBlur(moved, (0, 0), float(rng.uniform(1.2, 9)))


def _shaded(rng: Generator, tissue: NDArray, values: NDArray[np.float32], corner: tuple[int, int]) -> NDArray:
    """The tools' colours (h, w, 3) in a part of the picture whose upper left pixel is `corner` (y, x)."""
    color, metal, gloss, rough = values[..., :3], values[..., 3:4], values[..., 4], values[..., 5]
    nx, ny = values[..., 6], values[..., 7]
    nz = np.sqrt(np.clip(1 - nx * nx - ny * ny, 0.01, 1))
    height, width = tissue.shape[:2]
    h, w = nx.shape
    y, x = np.mgrid[:h, :w].astype(np.float32)
    x, y = x + np.float32(corner[1]), y + np.float32(corner[0])
    eye_x, eye_y = (x / width - 0.5) * np.float32(0.9), (y / height - 0.5) * np.float32(0.9)
    lamp = rng.normal(0, 0.3, 2)
    lx, ly = np.float32(lamp[0]) - eye_x, np.float32(lamp[1]) - eye_y
    facing = np.clip((nx * lx + ny * ly + nz) / np.sqrt(1 + lx * lx + ly * ly), 0, 1)
    # Half way between the lamp and the eye, a highlight as wide as the material is rough.
    hx, hy = (lx - eye_x) / 2, (ly - eye_y) / 2
    off_x, off_y = nx / nz - hx, ny / nz - hy
    highlight = gloss * np.exp(-(off_x * off_x + off_y * off_y) / np.maximum(rough * rough, 1e-4))
    weakest, strongest = (0.07, 0.35) if rng.random() < 0.2 else (0.3, 1.9)
    light = np.float32(np.exp(rng.uniform(np.log(weakest), np.log(strongest))))
    if rng.random() < 0.6:  # nearer to the lamp on one side
        light = light * np.exp(np.float32(rng.uniform(0.2, 1.2)) * smooth(rng, (h, w), 120))[..., None]
    # What does not come from the lamp comes from the tissue around and has its colours.
    ambient = np.float32(rng.uniform(0.02, 0.5))
    tint = tissue[::4, ::4].mean((0, 1))
    bounced = ambient * (tint / max(float(tint.max()), 1e-3)) ** np.float32(rng.uniform(0.3, 1.5))
    matt = color * (bounced + (1 - ambient) * facing[..., None]) * light
    result = matt
    if metal.max() > 0:
        # A mirror shows the tissue that lies along the reflected ray, and the dark behind the endoscope.
        reach = np.float32(rng.uniform(20, 110))
        around = tissue
        if rng.random() < 0.8:
            around = cv2.blur(tissue, (int(rng.integers(2, 15)),) * 2)
        seen = cv2.remap(
            around, x + reach * 2 * nx * nz, y + reach * 2 * ny * nz, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
        )
        grey = seen.mean(2, keepdims=True)
        seen = grey + (seen - grey) * np.float32(rng.uniform(0.1, 1.0))
        level = np.clip(np.abs(2 * nz * nz - 1), 0.15, 1)[..., None]
        own = (np.float32(rng.uniform(0.02, 0.6)) * facing**2)[..., None] * light
        mirror = color * (seen * level * np.float32(np.exp(rng.uniform(np.log(0.15), np.log(1.9)))) + own)
        result = matt * (1 - metal) + mirror * metal
    result = result + highlight[..., None] * light * np.float32(rng.uniform(0.3, 1.5))
    if rng.random() < 0.3:  # blood and fluid on it
        dirt = blob(rng, (h, w), float(rng.uniform(0.03, 0.35)), float(rng.uniform(5, 30)), 0.2)[..., None]
        blood = np.array([0.16, 0.012, 0.01], np.float32) * np.float32(rng.uniform(0.5, 2.5))
        result = result * (1 - 0.75 * dirt) + dirt * (0.7 * blood * facing[..., None] * light)
    return result
