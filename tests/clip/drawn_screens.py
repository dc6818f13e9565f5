"""Screens as endoscopes' processors and video editors draw them: panels with text, insets, pillars."""

import cv2
import numpy as np

Box = tuple[int, int, int, int]
Color = tuple[int, int, int]

LINES = ("ID: 000000", "Name: PHANTOM", "03/05/2024", "Gr: B3")


def moving_tissue(index: int, width: int, height: int, seed: int = 0) -> np.ndarray:
    """uint8 (H, W, 3) RGB: red noise of several sizes under a light that falls off, drifting with `index`."""
    generator = np.random.default_rng(seed)
    light = np.zeros((height, width), np.float32)
    for cell, share in ((50, 0.5), (18, 0.3), (7, 0.2)):
        noise = generator.random((height // cell + 6, width // cell + 6)).astype(np.float32)
        large = cv2.resize(noise, (width + 60, height + 60), interpolation=cv2.INTER_CUBIC)
        x, y = 30 + round(12 * np.sin(0.7 * index)), 30 + round(9 * np.cos(0.5 * index))
        light += share * large[y : y + height, x : x + width]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    color = np.array([170, 100, 90]) * light[..., None] + np.array([60, 15, 12])
    color = color * (1 - 0.25 * (x * x + y * y))[..., None] + generator.normal(0, 1.5, (height, width, 3))
    return np.clip(color, 0, 255).astype(np.uint8)


def screen(
    size: tuple[int, int],
    box: Box,
    color: Color,
    shape: str = "rectangle",
    gradient: float = 0,
    count: int = 5,
    seed: int = 0,
) -> tuple[list[np.ndarray], np.ndarray]:
    """Frames (H, W, 3) with the view in `box` on a background of one color, and where the background is (H, W)."""
    width, height = size
    x0, y0, x1, y1 = box
    view = np.zeros((height, width), np.uint8)
    if shape == "disc":
        cv2.circle(view, ((x0 + x1) // 2, (y0 + y1) // 2), min(x1 - x0, y1 - y0) // 2, 1, -1)
    elif shape == "octagon":
        c = (y1 - y0) // 6
        corners = [(x0 + c, y0), (x1 - c, y0), (x1 - 1, y0 + c), (x1 - 1, y1 - c), (x1 - c, y1 - 1), (x0 + c, y1 - 1)]
        cv2.fillPoly(view, [np.array([*corners, (x0, y1 - c), (x0, y0 + c)])], 1)
    else:
        view[y0:y1, x0:x1] = 1
    seen = view.astype(bool)
    frames = []
    for index in range(count):
        shade = np.linspace(-gradient / 2, gradient / 2, height)[:, None, None]
        frame = np.clip(np.broadcast_to(np.array(color, float), (height, width, 3)) + shade, 0, 255).astype(np.uint8)
        text(frame, *(_free_corner(size, box)), (225, 225, 225) if max(color) < 150 else (10, 10, 10), index)
        whole = np.zeros_like(frame)
        whole[y0:y1, x0:x1] = moving_tissue(index, x1 - x0, y1 - y0, seed)
        frame[seen] = whole[seen]
        frames.append(frame)
    return frames, ~seen


def text(frame: np.ndarray, x: int, y: int, color: Color, index: int) -> None:
    """Draw a patient's data and a running clock into a frame."""
    for line, words in enumerate((*LINES, f"13:05:{index:02d}")):
        cv2.putText(frame, words, (x, y + 16 * line), cv2.FONT_HERSHEY_SIMPLEX, 0.38, color, 1, cv2.LINE_AA)


def with_inset(frames: list[np.ndarray], box: Box, outline: Color | None = None) -> list[np.ndarray]:
    """The frames with another picture in `box`."""
    x0, y0, x1, y1 = box
    drawn = [frame.copy() for frame in frames]
    for index, frame in enumerate(drawn):
        frame[y0:y1, x0:x1] = moving_tissue(3 * index, x1 - x0, y1 - y0, seed=77)
        if outline is not None:
            cv2.rectangle(frame, (x0 - 1, y0 - 1), (x1, y1), outline, 1)
    return drawn


def with_pillars(frames: list[np.ndarray], width: int, blur: float = 12) -> list[np.ndarray]:
    """The frames in the middle of wider ones, whose sides show a blurred, enlarged copy."""
    height, inner = frames[0].shape[:2]
    wide = []
    for frame in frames:
        factor = width / inner
        large = cv2.resize(frame, (width, round(height * factor)))
        top = (large.shape[0] - height) // 2
        picture = cv2.GaussianBlur(large[top : top + height], (0, 0), blur)
        left = (width - inner) // 2
        picture[:, left : left + inner] = frame
        wide.append(picture)
    return wide


def compressed(frames: list[np.ndarray], quality: int) -> list[np.ndarray]:
    """The frames after JPEG."""
    return [cv2.imdecode(cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 1) for frame in frames]


def _free_corner(size: tuple[int, int], box: Box) -> tuple[int, int]:
    x0, y0, x1, _ = box
    if max(x0, size[0] - x1) < 60:
        return 6, 14
    return (6, max(20, y0 + 10)) if x0 >= size[0] - x1 else (x1 + 6, 20)
