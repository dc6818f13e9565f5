"""A scene's metrics on a split of its clip, in the form of metrics.json."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from endogs.camera import Camera
from endogs.clip import Clip
from endogs.clip.splits import Split, SplitName, split_frames
from endogs.errors import InputError
from endogs.evaluate.baselines import TEMPORAL, temporal_baselines
from endogs.evaluate.metrics import Alignment, depth_abs_rel, depth_median_abs, psnr, psnr_masked, ssim_pair
from endogs.evaluate.right_view import predict_right_view
from endogs.output import new_file
from endogs.priors.flow import ClipFlows
from endogs.render import rasterize
from endogs.scene import Scene
from endogs.scene.source_clip import check_frames, fitted_split, judged_masks

MaskOf = Callable[[int], NDArray[np.bool_]]


@dataclass(frozen=True)
class Metrics:
    """What metrics.json holds. Values that could not be measured (a frame without tissue) are None."""

    split: str
    """Name of the split whose test frames were judged."""
    label: str
    """What the PSNR is: "test PSNR", or "training PSNR" when the fit has seen any of the frames."""
    mean: dict[str, float | None]
    """psnr, psnr_masked (dB), ssim, ssim_masked, and where depth is given depth_median_abs_mm (or depth_median_abs in
    world units when they are not millimetres) and depth_abs_rel: means over the test frames."""
    baseline: dict[str, dict[str, float | None]]
    """psnr and psnr_masked (dB) of each baseline of the split, over the same frames and masks."""
    per_frame: list[dict[str, Any]]
    """The values behind `mean`, by test frame, with "frame" (index) and "time" (seconds)."""
    depth_alignment: Alignment | None = None
    """How rendered depth was brought to the given depth's scale; None where no depth is given."""

    def as_dict(self) -> dict[str, Any]:
        """The JSON object of metrics.json."""
        found: dict[str, Any] = {"split": self.split, "label": self.label, "mean": self.mean}
        found |= {"baseline": self.baseline, "per_frame": self.per_frame}
        if self.depth_alignment is not None:
            found["depth_alignment"] = self.depth_alignment
        return found


def evaluate_scene(
    scene: Scene,
    clip: Clip,
    split: Split | SplitName = "standard",
    *,
    tissue_mask: MaskOf | None = None,
    flows: ClipFlows | None = None,
    backend: str = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> Metrics:
    """Render the split's test frames and compare them with the clip; the baselines are judged on the same pixels.

    `tissue_mask(i)` is (H, W) of frame i, not eroded, by default as the fit's `--masks` said. `flows` shares a cache of
    optical flow. `progress(done, total)` is called after each frame. On the novel-view split the right camera's image
    is judged where the left view shows tissue of known depth. Raises InputError for a clip that is not the scene's, a
    split without test frames, and novel views of a clip without right views or depth.
    """
    check_frames(scene, clip)
    split = split_frames(len(clip), split) if isinstance(split, str) else split
    if not split.test:
        raise InputError(f"{clip.source}: too few frames for --split {split.name}; use --split all")
    right = split.test_view == "right"
    if right and not (clip.has_right and clip.has_depth):
        raise InputError(f"{clip.source}: --split novel-view needs right views and depth; use --split standard")
    masks = judged_masks(scene, clip) if tissue_mask is None else tissue_mask
    flows = ClipFlows(clip.image) if flows is None else flows
    alignment = depth_alignment(scene, clip)
    if right and alignment != "none":
        raise InputError(
            f"{clip.source}: --split novel-view needs a scene in the clip's units, to know where its right camera is; "
            "fit it with --depth given"
        )

    per_frame: list[dict[str, Any]] = []
    baseline: dict[str, list[dict[str, float]]] = {}
    for done, i in enumerate(split.test, 1):
        camera = clip.right_camera(i) if right else clip.camera(i)
        color, depth = _render(scene, float(clip.times[i]), camera, backend)
        mask = masks(i)
        if right:
            target, mask, guesses = _right(clip, i, mask)
        else:
            target = clip.image(i)
            guesses = temporal_baselines(clip, flows, split.train, i, split.name) if split.name in TEMPORAL else {}
        row: dict[str, Any] = {"frame": i, "time": float(clip.times[i])} | _color_errors(color, target, mask)
        row["ssim"], row["ssim_masked"] = ssim_pair(color, target, mask)
        given = None if right else clip.depth(i)
        if given is not None:
            name = "depth_median_abs_mm" if clip.units == "mm" else "depth_median_abs"
            row[name] = depth_median_abs(depth, given, mask, alignment)
            row["depth_abs_rel"] = depth_abs_rel(depth, given, mask, alignment)
        per_frame.append(row)
        for name, guess in guesses.items():
            baseline.setdefault(name, []).append(_color_errors(guess, target, mask))
        if progress is not None:
            progress(done, len(split.test))

    fitted = fitted_split(scene)
    learned = split if fitted is None else split_frames(len(clip), fitted)
    seen = not right and not set(split.test).isdisjoint(learned.train)
    return Metrics(
        split.name,
        "training PSNR" if seen else "test PSNR",
        _means([{k: v for k, v in row.items() if k not in ("frame", "time")} for row in per_frame]),
        {name: _means(rows) for name, rows in baseline.items()},
        [{k: _number(v) for k, v in row.items()} for row in per_frame],
        alignment if clip.has_depth and not right else None,
    )


def depth_alignment(scene: Scene, clip: Clip) -> Alignment:
    """`none` where the scene was fitted to depth in the clip's units, otherwise the scale is free: `median scale`."""
    metric = scene.metadata.get("depth_kind", "metric") == "metric"
    return "none" if metric and scene.units == clip.units else "median scale"


def write_metrics(metrics: Metrics, path: Path) -> None:
    """Write metrics.json, under a temporary name first. Raises InputError when the place is not writable."""
    with new_file(path) as partial:
        partial.write_text(json.dumps(metrics.as_dict(), indent=1, allow_nan=False) + "\n")


def _render(scene: Scene, time: float, camera: Camera, backend: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Colour (H, W, 3) and depth (H, W), 0 = nothing drawn."""
    import torch

    with torch.no_grad():
        rendering = rasterize(scene.gaussians_at(time), camera.to(scene.base.device), backend=backend)
    return rendering.color.float().cpu().numpy(), rendering.depth.float().cpu().numpy()


def _right(
    clip: Clip, i: int, tissue_mask: NDArray[np.bool_]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], dict[str, NDArray[np.uint8]]]:
    """The right image, the pixels to judge and the baselines."""
    target, depth = clip.right_image(i), clip.depth(i)
    assert target is not None
    assert depth is not None
    assert clip.baseline is not None
    view = predict_right_view(clip.image(i), depth, tissue_mask, float(clip.K[i, 0, 0]), clip.baseline)
    return (
        target,
        view.tissue_mask & ~clip.ignored,
        {"left_shifted": view.left_shifted, "depth_warp": view.depth_warp},
    )


def _color_errors(prediction: NDArray[Any], target: NDArray[np.uint8], mask: NDArray[np.bool_]) -> dict[str, float]:
    return {"psnr": psnr(prediction, target, mask), "psnr_masked": psnr_masked(prediction, target, mask)}


def _means(rows: list[dict[str, float]]) -> dict[str, float | None]:
    """Means over the rows where a value exists."""
    found: dict[str, float | None] = {}
    for name in rows[0]:
        values = [row[name] for row in rows if math.isfinite(row[name])]
        found[name] = float(np.mean(values)) if values else None
    return found


def _number(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
