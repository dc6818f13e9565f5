"""A scene of a few Gaussians to store, and a way to spoil its file."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from endogs.geometry import look_at
from endogs.scene import Knots, Scene, SplineDeformation, StaticDeformation


def make_scene(moving_camera: bool = False, static: bool = False) -> Scene:
    generator = torch.Generator().manual_seed(4)
    times = np.array([0.0, 0.033366700033366705, 0.1, 0.25])
    knots = Knots.over(0.0, 0.25, 0.1)
    control = torch.randn(knots.count, 5, 14, generator=generator)
    eyes = [np.array([0.3 * i if moving_camera else 0.0, 0.1, -5.0]) for i in range(4)]
    poses = np.stack([look_at(eye, np.array([0.0, 0, 1]), np.array([0.0, -1, 0])) for eye in eyes])
    K = np.broadcast_to(np.array([[100.1, 0, 33.3], [0, 99.9, 20.7], [0, 0, 1]]), (4, 3, 3)).copy()
    return Scene(
        torch.randn(5, 14, generator=generator),
        StaticDeformation() if static else SplineDeformation(control, knots),
        times,
        K,
        poses,
        64,
        40,
        "mm",
        {"metrics": {"psnr": np.float64(38.5)}, "source": Path("a") / "b", "nested": [1, None, True, "x"]},
    )


def rewrite(path: Path, change: Any) -> None:
    """Lets `change(tensors, metadata)` spoil a scene file."""
    tensors = load_file(path)
    metadata = json.loads(header_of(path)["__metadata__"]["endogs"])
    change(tensors, metadata)
    save_file(tensors, path, {"endogs": json.dumps(metadata)})


def header_of(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    return json.loads(data[8 : 8 + struct.unpack("<Q", data[:8])[0]])
