"""What only a phantom's truth can tell of a scene."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from endogs.clip import Clip
from endogs.clip.splits import Split
from endogs.evaluate.evaluate import render_frame
from endogs.evaluate.metrics.point_tracks import read_tracks, track_errors
from endogs.phantom.judge import judge_phantom
from endogs.phantom.visibility import PhantomTruth
from endogs.scene import Scene


def phantom_errors(scene: Scene, clip: Clip, folder: Path, split: Split) -> dict[str, Any] | None:
    """Errors against the truth beside the clip, by name; None for a clip without one.

    Of all frames, as the phantom's judge has them: depth of tissue that every training frame shows, and behind the
    instruments where another shows it; points; floaters. Where the clip was read smaller or shorter than it is, depth
    over the test frames, and points.
    """
    if not (folder / "truth").is_dir() or scene.units != "mm":
        return None
    if clip.original_size == (clip.width, clip.height):
        truth = truth_of(folder)
        if len(truth) == len(clip) and truth.options.lens == "pinhole":
            errors = judge_phantom(scene, truth, split.train)
            return {
                "visible_mm": errors.always_visible.median,
                "behind_mm": errors.behind_seen.median,
                "behind_ratio": errors.hidden_ratio,
                "tracks_visible_mm": errors.track_visible_mm,
                "tracks_hidden_mm": errors.track_hidden_mm,
                "floaters": errors.floaters,
                "all": errors.as_dict(),
            }
    tracks = track_errors(scene, read_tracks(folder / "truth" / "tracks.npz", clip))
    followed = {"tracks_visible_mm": tracks.median_visible, "tracks_hidden_mm": tracks.median_hidden}
    return depth_errors_of(scene, clip, folder, split) | followed


@lru_cache(maxsize=1)
def truth_of(folder: Path) -> PhantomTruth:
    """The phantom's truth, which works out once for all runs which tissue is ever seen."""
    return PhantomTruth.read(folder)


def depth_errors_of(scene: Scene, clip: Clip, folder: Path, split: Split) -> dict[str, float]:
    """Median depth error over the test frames, mm: `visible` tissue, and tissue `behind` the instruments."""
    errors: dict[str, list[np.ndarray]] = {"visible": [], "behind": []}
    for i in split.test:
        _, depth = render_frame(scene, float(clip.times[i]), clip.camera(i))
        name = f"truth/depth_without_instruments/{i:06d}.png"
        truth = cv2.imread(str(folder / name), cv2.IMREAD_UNCHANGED).astype(np.float32) * 0.01
        truth = cv2.resize(truth, depth.shape[::-1], interpolation=cv2.INTER_NEAREST)
        mask = clip.tissue_mask(i)
        for where, chosen in (("visible", mask), ("behind", ~mask)):
            known = chosen & (depth > 0) & (truth > 0)
            errors[where].append(np.abs(depth - truth)[known])
    found = {name: np.concatenate(values) for name, values in errors.items()}
    return {f"{name}_mm": float(np.median(values)) for name, values in found.items() if values.size}
