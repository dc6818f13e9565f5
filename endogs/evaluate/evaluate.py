"""A scene's metrics on a split of its clip, in the form of metrics.json."""

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from endogs.camera import Camera
from endogs.clip import Clip
from endogs.clip.splits import Split, SplitName, split_frames, without
from endogs.errors import InputError
from endogs.evaluate.judged_frames import MaskOf, camera_of, check_split, judged_frames
from endogs.evaluate.measures import AFTER_A_FIT, frame_depth_errors, image_errors
from endogs.evaluate.metrics.depth_errors import Alignment
from endogs.evaluate.pose_corrections import pose_corrections
from endogs.output import to_json, write_json
from endogs.pictures.source_clip import check_frames, fitted_split, judged_masks
from endogs.priors.motion.flow import ClipFlows
from endogs.scene import Scene
from endogs.scene.drawing import draw_scene

if TYPE_CHECKING:
    from endogs.evaluate.metrics.lpips import Lpips


FLOWS_KEPT = 16
"""Flows that are kept at a time, of neighbours of a test frame: a clip may be of any length."""


@dataclass(frozen=True)
class Metrics:
    """What metrics.json holds. Values that could not be measured (a frame without tissue) are None."""

    split: str
    """Name of the split whose test frames were judged."""
    label: str
    """What the PSNR is: "test PSNR", or "training PSNR" when the fit has seen any of the frames."""
    mean: dict[str, float | None]
    """Means over the test frames: psnr, psnr_masked (dB), ssim, ssim_masked, and where depth is given
    depth_median_abs_mm and depth_rmse_mm (without _mm in world units that are not millimetres), depth_abs_rel,
    depth_within_1_25 and depth_spearman; more when more was asked for."""
    baseline: dict[str, dict[str, float | None]]
    """psnr and psnr_masked (dB) of each baseline of the split, over the same frames and masks."""
    per_frame: list[dict[str, Any]]
    """The values behind `mean`, by test frame, with "frame" (index) and "time" (seconds)."""
    depth_alignment: Alignment | None = None
    """How rendered depth was brought to the given depth's scale; None where no depth is given."""
    poses: dict[str, Any] | None = None
    """How far the scene's poses are from the clip's, which a fit may refine; None where they are the same."""
    whole_clip: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What is measured over the clip and not per frame, by name: "temporal", "tracks", "trajectory"."""

    def as_dict(self) -> dict[str, Any]:
        """The JSON object of metrics.json."""
        found: dict[str, Any] = {"split": self.split, "label": self.label, "mean": self.mean}
        found |= {"baseline": self.baseline, "per_frame": self.per_frame}
        if self.depth_alignment is not None:
            found["depth_alignment"] = self.depth_alignment
        if self.poses is not None:
            found["poses"] = self.poses
        if self.whole_clip:
            found["whole_clip"] = self.whole_clip
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
    measures: Collection[str] = AFTER_A_FIT,
    lpips: "Lpips | None" = None,
) -> Metrics:
    """Render the split's test frames and compare them with the clip; the baselines are judged on the same pixels.

    `tissue_mask(i)` is (H, W) of frame i, not eroded, by default as the fit's `--masks` said. The scene's own cameras
    are used, and frames without a pose or tissue are left out. `flows` shares a cache of optical flow.
    `progress(done, total)` is called after each frame. `measures` are names of `endogs.evaluate.measures.EVERY_FRAME`;
    beyond those of a fit, the baselines get the same ones. On the novel-view split the right camera's image is judged
    where the left view shows tissue of known depth. Raises InputError for a clip that is not the scene's, a split
    without test frames, and novel views of a clip without right views or depth.
    """
    check_frames(scene, clip)
    split = split_frames(len(clip), split) if isinstance(split, str) else split
    split = without(split, scene.origin.left_out)
    check_split(clip, split)
    right = split.test_view == "right"
    masks = judged_masks(scene, clip) if tissue_mask is None else tissue_mask
    flows = ClipFlows(clip.image, most=FLOWS_KEPT) if flows is None else flows
    alignment = depth_alignment(scene, clip)
    if right and alignment != "none":
        raise InputError(
            f"{clip.source}: --split novel-view needs a scene in the clip's units, to know where its right camera is; "
            "fit it with reconstruct --depth given"
        )

    # After a fit the baselines are only there to compare PSNR with.
    for_baselines = frozenset({"psnr"}) if measures == AFTER_A_FIT else frozenset(measures)
    per_frame: list[dict[str, Any]] = []
    baseline: dict[str, list[dict[str, float]]] = {}
    for done, judged in enumerate(judged_frames(clip, split, masks, flows), 1):
        color, depth = render_frame(scene, judged.time, camera_of(scene, clip, judged), backend)
        mask = judged.tissue_mask
        row: dict[str, Any] = {"frame": judged.frame, "time": judged.time}
        row |= image_errors(color, judged.target, mask, measures, lpips)
        if judged.depth is not None and "depth" in measures:
            row |= frame_depth_errors(depth, judged.depth, mask, alignment, clip.units)
        per_frame.append(row)
        for name, guess in judged.guesses.items():
            errors = image_errors(guess, judged.target, mask, for_baselines, lpips)
            baseline.setdefault(name, []).append(errors)
        if progress is not None:
            progress(done, len(split.test))

    fitted = fitted_split(scene)
    learned = split if fitted is None else without(split_frames(len(clip), fitted), scene.origin.left_out)
    seen = not right and not set(split.test).isdisjoint(learned.train)
    return Metrics(
        split.name,
        "training PSNR" if seen else "test PSNR",
        _means([{k: v for k, v in row.items() if k not in ("frame", "time")} for row in per_frame]),
        {name: _means(rows) for name, rows in baseline.items()},
        to_json(per_frame),
        alignment if clip.has_depth and not right else None,
        pose_corrections(scene, clip, learned),
    )


def depth_alignment(scene: Scene, clip: Clip) -> Alignment:
    """`none` where the scene was fitted to depth in the clip's units, otherwise the scale is free: `median scale`."""
    metric = scene.origin.depth_kind in (None, "metric")
    return "none" if metric and scene.units == clip.units else "median scale"


def write_metrics(metrics: Metrics, path: Path) -> None:
    """Write metrics.json, under a temporary name first. Raises InputError when the place is not writable."""
    write_json(path, metrics.as_dict())


def render_frame(
    scene: Scene, time: float, camera: Camera, backend: str = "auto"
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Colour (H, W, 3) and z-depth (H, W), 0 = nothing drawn, of the scene at `time` seconds."""
    rendering = draw_scene(scene, time, camera, backend)
    return rendering.color.float().cpu().numpy(), rendering.depth.float().cpu().numpy()


def _means(rows: list[dict[str, float]]) -> dict[str, float | None]:
    """Means over the rows where a value exists."""
    found: dict[str, float | None] = {}
    for name in rows[0]:
        values = [row[name] for row in rows if math.isfinite(row[name])]
        found[name] = float(np.mean(values)) if values else None
    return found
