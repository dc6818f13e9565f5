"""What the table says of a result, read from its files: numbers, curves with few points, and a small picture."""

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.bounded_files import read_json, read_text

WIDTH = 96
"""Pixels."""
QUALITY = 60
"""Of JPEG; such a picture has about 2 kB."""
POINTS = 24
"""Points of a curve in the table."""


def facts_of(result: Path) -> dict[str, Any]:
    """Fields of a `Record` from a result's run.json, and of a complete one from its metrics and preview.

    Raises InputError where a file cannot be read.
    """
    run = read_json(result / "run.json")
    facts: dict[str, Any] = {
        "gaussians": int(run["gaussians"]),
        "iterations": int(run["iterations"]),
        "memory_mb": float(run["peak_memory_mb"]),
        "device": str(run["device"]),
        "versions": {str(name): str(version) for name, version in run["versions"].items()},
        "steps_psnr": few([json.loads(line).get("psnr") for line in read_text(result / "metrics.jsonl").splitlines()]),
    }
    if run["interrupted"]:
        return facts
    facts["thumbnail"] = thumbnail_of(result / "preview.mp4")
    if (result / "metrics.json").is_file():
        metrics = read_json(result / "metrics.json")
        facts["measures"] = measures_of(metrics)
        facts["label"] = str(metrics["label"])
        facts["frames_psnr"] = few([row["psnr"] for row in metrics["per_frame"] if row["psnr"] is not None])
    return facts


def measures_of(metrics: dict[str, Any]) -> dict[str, float | None]:
    """The means of metrics.json, with the best PSNR that a baseline has."""
    found: dict[str, float | None] = dict(metrics["mean"])
    baselines = [row["psnr"] for row in metrics["baseline"].values() if row.get("psnr") is not None]
    return found | ({"psnr_baseline": max(baselines)} if baselines else {})


def thumbnail_of(preview: Path) -> str:
    """The rendering in the middle of preview.mp4, as a JPEG in base64; empty where the video cannot be read."""
    film = cv2.VideoCapture(str(preview))
    try:
        film.set(cv2.CAP_PROP_POS_FRAMES, int(film.get(cv2.CAP_PROP_FRAME_COUNT)) // 2)
        there, image = film.read()
    finally:
        film.release()
    if not there:
        return ""
    return jpeg(image[:, image.shape[1] // 3 : 2 * image.shape[1] // 3])


def jpeg(image: NDArray[Any]) -> str:
    """An image (H, W, 3) in OpenCV's BGR, shrunk to WIDTH, as a JPEG in base64."""
    height = max(1, round(image.shape[0] * WIDTH / image.shape[1]))
    small = cv2.resize(image, (WIDTH, height), interpolation=cv2.INTER_AREA)
    return base64.b64encode(cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()).decode()


def few(values: Sequence[float | None]) -> list[float | None]:
    """Up to POINTS of the values, evenly spread with the first and the last, to two digits."""
    chosen = np.unique(np.linspace(0, len(values) - 1, min(POINTS, len(values))).round().astype(int))
    return [None if (value := values[i]) is None else round(value, 2) for i in chosen]
