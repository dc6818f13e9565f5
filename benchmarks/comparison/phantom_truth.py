"""What only a phantom's truth can tell of a scene."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from endogs.clip import Clip
from endogs.clip.splits import Split
from endogs.evaluate.evaluate import render_frame
from endogs.scene import Scene


def phantom_errors(scene: Scene, clip: Clip, folder: Path, split: Split) -> dict[str, Any] | None:
    """Errors against the truth beside the clip, by name; None for a clip without one.

    Median depth error over the test frames, mm: `visible` tissue, and tissue `behind` the instruments.
    """
    if not (folder / "truth").is_dir():
        return None
    errors: dict[str, list[np.ndarray]] = {"visible": [], "behind": []}
    for i in split.test:
        _, depth = render_frame(scene, float(clip.times[i]), clip.camera(i))
        name = f"truth/depth_without_instruments/{i:06d}.png"
        truth = cv2.imread(str(folder / name), cv2.IMREAD_UNCHANGED).astype(np.float32) * 0.01
        mask = clip.tissue_mask(i)
        for where, chosen in (("visible", mask), ("behind", ~mask)):
            known = chosen & (depth > 0) & (truth > 0)
            errors[where].append(np.abs(depth - truth)[known])
    found = {name: np.concatenate(values) for name, values in errors.items()}
    return {f"{name}_mm": float(np.median(values)) for name, values in found.items() if values.size}
