"""Light and shade that look like tools and are none: clipped highlights, shadows from out of view, narrow dark gaps."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from training.instruments.fields import Field, Generator, draw_line, smooth, walk


def glaring(rng: Generator, image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Linear tissue (h, w, 3) with a few saturated mirror images of the lamp: spots, bars, rings and crescents."""
    if rng.random() > 0.35:
        return image
    h, w = image.shape[:2]
    light = np.zeros((h, w), np.float32)
    middle = rng.uniform(0.1, 0.9, 2) * (w, h)
    spread, largest = float(rng.uniform(0.02, 0.3)) * w, float(np.exp(rng.uniform(math.log(3), math.log(22))))
    for _ in range(int(rng.integers(1, 9))):
        mask = np.zeros((h, w), np.uint8)
        x, y = (float(v) for v in middle + rng.normal(0, spread, 2))
        size, turn = largest * float(rng.uniform(0.2, 1.0)), float(rng.uniform(0, 360))
        axes = (max(1, round(16 * size)), max(1, round(16 * size * float(rng.uniform(0.15, 1.0)))))
        centre = (round(16 * x), round(16 * y))
        if rng.random() < 0.5:
            begin, arc = float(rng.uniform(0, 360)), float(rng.uniform(60, 360))
            thick = max(1, round(size * float(rng.uniform(0.15, 0.5))))
            cv2.ellipse(mask, centre, axes, turn, begin, begin + arc, 255, thick, cv2.LINE_AA, 4)
        else:
            cv2.ellipse(mask, centre, axes, turn, 0, 360, 255, -1, cv2.LINE_AA, 4)
        light = np.maximum(light, mask.astype(np.float32) / 255)
    if rng.random() < 0.5:  # broken up by the tissue's grain
        light *= np.clip(0.6 + smooth(rng, (h, w), float(rng.uniform(2, 8))), 0, 1)
    light = cv2.GaussianBlur(light, (0, 0), float(rng.uniform(0.5, 1.8)))
    bloom = cv2.GaussianBlur(light, (0, 0), float(rng.uniform(3, 9))) * np.float32(rng.uniform(0, 0.3))
    tint = np.array([1, 1, float(rng.uniform(1, 1.25))], np.float32)
    return image + ((light + bloom) * np.float32(rng.uniform(0.5, 4)))[..., None] * tint


def shaded(rng: Generator, image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Linear tissue (h, w, 3) with straight shadows from out of view, and narrow gaps without light."""
    shape = image.shape[:2]
    if rng.random() < 0.2:
        image = image * (1 - np.float32(rng.uniform(0.3, 0.9)) * _band(rng, shape))[..., None]
    if rng.random() < 0.25:
        image = image * (1 - np.float32(rng.uniform(0.6, 0.97)) * _gap(rng, shape))[..., None]
    return image


def _band(rng: Generator, shape: tuple[int, int]) -> Field:
    """A straight bar (h, w) from a border inwards, 0 to 1, with soft sides."""
    h, w = shape
    around = float(rng.uniform(0, 2 * math.pi))
    direction = np.array([math.cos(around), math.sin(around)])
    side = np.array([-direction[1], direction[0]])
    tip = (
        np.array([w / 2, h / 2]) + direction * float(rng.uniform(-0.3, 0.4)) * w + side * float(rng.normal(0, 0.2)) * w
    )
    wide, far = float(np.exp(rng.uniform(math.log(4), math.log(45)))), tip + direction * 2 * w
    widths = wide * float(rng.uniform(0.3, 1.0)), wide * float(rng.uniform(1.0, 2.0))
    corners = [tip + side * widths[0], far + side * widths[1], far - side * widths[1], tip - side * widths[0]]
    mask = np.zeros(shape, np.uint8)
    cv2.fillPoly(mask, [np.round(np.array(corners)).astype(np.int32)], 255, cv2.LINE_AA)
    return cv2.GaussianBlur(mask.astype(np.float32) / 255, (0, 0), float(rng.uniform(1.2, 10)))


def _gap(rng: Generator, shape: tuple[int, int]) -> Field:
    """A bent dark line (h, w), 0 to 1, thick in its middle: a cleft between folds, or the edge of one."""
    h, w = shape
    points = walk(
        rng,
        rng.uniform(0, 1, 2) * (w, h),
        rng.uniform(0, 2 * np.pi),
        6,
        int(rng.integers(6, 40)),
        float(rng.uniform(0.01, 0.2)),
    )
    mask, thickest = np.zeros(shape, np.uint8), float(np.exp(rng.uniform(math.log(2), math.log(18))))
    for k in range(len(points) - 1):
        here = thickest * math.sin(math.pi * (k + 1) / len(points))
        draw_line(mask, points[k : k + 2], max(1.0, here))
    gap = cv2.GaussianBlur(mask.astype(np.float32) / 255, (0, 0), float(rng.uniform(0.7, 2.5)))
    if rng.random() < 0.5:  # one side lies in soft shade
        shift = rng.normal(0, thickest, 2)
        moved = cv2.warpAffine(gap, np.float32([[1, 0, shift[0]], [0, 1, shift[1]]]), (w, h))
        gap = np.maximum(gap, 0.6 * cv2.GaussianBlur(moved, (0, 0), max(1.0, thickest)))
    return gap
