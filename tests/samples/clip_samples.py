"""Tiny clips written to disk for the tests of the readers, with values that tell every frame and pixel apart."""

import json
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

WIDTH, HEIGHT = 24, 16


def frame(index: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """uint8 (H, W, 3) RGB: red counts columns, green rows, blue frames."""
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0] = np.arange(width)[None] * (255 // width)
    image[..., 1] = np.arange(height)[:, None] * (255 // height)
    image[..., 2] = 10 + 12 * index
    return image


def write_images(folder: Path, count: int, name: str = "frame-{:06d}.color.png", **size: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        cv2.imwrite(str(folder / name.format(i)), frame(i, **size)[..., ::-1])


def write_masks(folder: Path, count: int, value: int = 255, name: str = "frame-{:06d}.mask.png") -> None:
    """Instrument in columns 0-5 of rows 0-3 and one more row per frame; `value` says what instruments hold."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        mask = np.full((HEIGHT, WIDTH), 255 - value, np.uint8)
        mask[: 4 + i, :6] = value
        cv2.imwrite(str(folder / name.format(i)), mask)


def depth_map(index: int) -> np.ndarray:
    """(H, W) integers: 1000 + 10 per column + 100 per row + 1 per frame, and an unknown corner pixel."""
    depth = 1000 + 10 * np.arange(WIDTH)[None] + 100 * np.arange(HEIGHT)[:, None] + index
    depth[0, -1] = 0
    return depth


def write_depth(folder: Path, count: int, dtype: type = np.uint16, name: str = "frame-{:06d}.depth.png") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        depth = depth_map(i)
        cv2.imwrite(str(folder / name.format(i)), (depth // 16 if dtype is np.uint8 else depth).astype(dtype))


def pose_row(rotation: np.ndarray, translation: np.ndarray, height: float, width: float, focal: float) -> np.ndarray:
    """One row (17,) of poses_bounds.npy from camera-to-world columns in the convention of the file."""
    matrix = np.concatenate([rotation, np.reshape(translation, (3, 1)), np.array([[height], [width], [focal]])], 1)
    return np.concatenate([matrix.ravel(), [0.5, 99.0]])


def write_endonerf(root: Path, count: int = 3, masks: bool = True) -> Path:
    """Still camera, focal 20 px."""
    write_images(root / "images", count)
    if masks:
        write_masks(root / "masks", count)
    rows = [pose_row(np.eye(3), np.zeros(3), HEIGHT, WIDTH, 20.0)] * count
    np.save(root / "poses_bounds.npy", np.stack(rows))
    return root


CALIBRATION = {
    "fx": 21.0,
    "fy": 22.0,
    "cx": 11.5,
    "cy": 8.25,
    "baseline_mm": 4.5,
    "fps": 25.0,
    "depth_unit_mm": 0.05,
}


def write_calibrated(root: Path, count: int = 3, **changes: object) -> Path:
    """Left and right views, masks and 16-bit depth; `changes` replace entries of calibration.json, None removes one."""
    write_images(root / "images", count, "{:06d}.png")
    write_masks(root / "masks", count, name="{:06d}.png")
    write_depth(root / "depth", count, name="{:06d}.png")
    (root / "images_right").mkdir()
    for i in range(count):
        cv2.imwrite(str(root / "images_right" / f"{i:06d}.png"), np.roll(frame(i), -2, 1)[..., ::-1])
    calibration = {key: value for key, value in {**CALIBRATION, **changes}.items() if value is not None}
    (root / "calibration.json").write_text(json.dumps(calibration))
    return root


def write_video(
    path: Path,
    times_ms: list[int],
    width: int = 64,
    height: int = 48,
    container: dict[str, str] | None = None,
    noise: int = 0,
    aspect: Fraction | None = None,
) -> Path:
    """H.264 with B-frames and a key frame every 8, frame i gray 20 + 4 i, at the given times in milliseconds."""
    generator = np.random.default_rng(0)
    with av.open(str(path), "w", options=container or {}) as output:
        stream = output.add_stream("libx264", rate=1000, options={"g": "8", "bf": "2", "crf": "10", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        for i, time in enumerate(times_ms):
            pixels = np.full((height, width, 3), 20 + 4 * i, np.uint8)
            if noise:
                pixels = pixels + generator.integers(0, noise, pixels.shape, dtype=np.uint8)
            picture = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            picture.pts, picture.time_base = time, Fraction(1, 1000)
            output.mux(stream.encode(picture))
        output.mux(stream.encode(None))
    return path
