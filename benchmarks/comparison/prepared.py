"""What all runs on one split of one clip share: frames, masks, flow, depth, window, and what judges the scenes."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from endogs.clip import Clip, load_clip
from endogs.clip.splits import Split, split_frames
from endogs.device import usable_cores
from endogs.evaluate.evaluate import depth_alignment, render_frame
from endogs.evaluate.judged_frames import JudgedFrame, camera_of, check_split, judged_frames
from endogs.evaluate.measures import frame_depth_errors, image_errors
from endogs.evaluate.metrics.metrics import psnr, to_8bit
from endogs.fit.config import FitConfig, LearningRates
from endogs.fit.window import Window, frames_with_depth, whole_clip
from endogs.priors.depth.choose import choose_depth_prior
from endogs.priors.depth.clip_depth import ClipDepth
from endogs.priors.instruments.choose import with_instrument_masks
from endogs.priors.instruments.config import Sam2Options
from endogs.priors.motion.flow import ClipFlows
from endogs.scene import Scene

from .rows import ClipChoice, Row, parsed

MEASURES = frozenset({"psnr", "ssim", "flip"})
TRAINING_FRAMES = 16
"""Most frames that are drawn for the training PSNR."""
NO_RATES = LearningRates(0, 0, 0, 0, 0, 1)


@dataclass
class Prepared:
    """One split of one clip, ready for any model."""

    clip: Clip
    folder: Path
    split: Split
    flows: ClipFlows
    depth: ClipDepth
    device: torch.device
    seconds: float
    """Reading, masks, flow and depth."""
    judged: list[JudgedFrame]
    threads: int
    """For measuring."""
    warm: set[str] = field(default_factory=set)
    """Models that have trained in this process."""
    _windows: dict[str, Window] = field(default_factory=dict)

    def window(self, config: FitConfig) -> Window:
        """The training window, virtual frames included; made once for all configurations that see the same."""
        # What no view depends on is set aside, and not the other way round, so that a new option is safe.
        plain = {"iterations": 0, "initial_gaussians": 0, "insertions": (), "gaussians_cap": 0, "knot_frames": 1.0}
        plain |= {"base_rates": NO_RATES, "control_rates": NO_RATES}
        key = repr(replace(config, **plain))  # type: ignore[arg-type]
        if key not in self._windows:
            self._windows.clear()
            window = whole_clip(self.clip, self.split.train, self.flows, self.depth, config, self.device)
            if config.virtual_share > 0:
                window.prepare(range(len(window.real) + window.virtual_count))
            self._windows[key] = window
        return self._windows[key]

    def curve_psnr(self, scene: Scene) -> float:
        """Mean zeroed PSNR of the test frames, dB: of all, so that a curve ends where its table's row stands."""
        drawn = [
            to_8bit(render_frame(scene, frame.time, camera_of(scene, self.clip, frame))[0]) for frame in self.judged
        ]
        return float(np.mean([psnr(c, f.target, f.tissue_mask) for c, f in zip(drawn, self.judged, strict=True)]))

    def measured(self, scene: Scene) -> dict[str, Any]:
        """Means over the test frames, and PSNR over evenly spread training frames."""
        alignment = depth_alignment(scene, self.clip)

        def errors(drawn: tuple[JudgedFrame, NDArray[np.uint8], NDArray[np.float32]]) -> dict[str, float]:
            frame, color, depth = drawn
            found = image_errors(color, frame.target, frame.tissue_mask, MEASURES)
            if frame.depth is not None:
                mask, units = frame.tissue_mask, self.clip.units
                found |= frame_depth_errors(depth, frame.depth, mask, alignment, units)
            return found

        def draw(frame: JudgedFrame) -> tuple[JudgedFrame, NDArray[np.uint8], NDArray[np.float32]]:
            color, depth = render_frame(scene, frame.time, camera_of(scene, self.clip, frame))
            return frame, to_8bit(color), depth.astype(np.float32)

        with ThreadPoolExecutor(self.threads) as pool:
            rows = list(pool.map(errors, map(draw, self.judged)))
        seen = []
        for i in _spread(self.split.train, TRAINING_FRAMES):
            color, _ = render_frame(scene, float(self.clip.times[i]), self.clip.camera(i))
            seen.append(image_errors(color, self.clip.image(i), self.clip.tissue_mask(i), {"psnr"}))
        per_frame = [
            {"frame": frame.frame, "psnr": row["psnr"], "psnr_masked": row["psnr_masked"]}
            for frame, row in zip(self.judged, rows, strict=True)
        ]
        return {
            "test": _means(rows),
            "training": _means(seen),
            "per_frame": per_frame,
            "depth_alignment": alignment,
        }

    def baselines(self) -> dict[str, dict[str, float]]:
        """Means of the measures for what needs no scene."""
        rows: dict[str, list[dict[str, float]]] = {}
        for frame in self.judged:
            for name, guess in frame.guesses.items():
                errors = image_errors(guess, frame.target, frame.tissue_mask, MEASURES)
                rows.setdefault(name, []).append(errors)
        return {name: _means(found) for name, found in rows.items()}


def prepare(choice: ClipChoice, split_name: str, device: torch.device, priors: Path) -> Prepared:
    """Read the clip and make its priors; depth is kept in the folder `priors` for the next process."""
    begin = time.perf_counter()
    clip = load_clip(choice.path, parsed(Row("", ()), *choice.options).clip)
    split = split_frames(len(clip), split_name)  # type: ignore[arg-type]
    check_split(clip, split)
    clip = with_instrument_masks(clip, "auto", Sam2Options())
    flows = ClipFlows(clip.image)
    prior = choose_depth_prior("auto", clip)
    depth = ClipDepth(clip, prior, split.train, clip.tissue_mask, flows, priors)
    flows.precompute(split.train)
    depth.precompute(frames_with_depth(split.train, depth.kind))
    seconds = time.perf_counter() - begin
    judged = list(judged_frames(clip, split, clip.tissue_mask, flows))
    return Prepared(clip, choice.path, split, flows, depth, device, seconds, judged, usable_cores())


def _means(rows: list[dict[str, float]]) -> dict[str, float]:
    """Means over the frames where a value exists; NaN where none does."""
    found = {}
    for name in rows[0]:
        known = [row[name] for row in rows if np.isfinite(row[name])]
        found[name] = float(np.mean(known)) if known else float("nan")
    return found


def _spread(values: list, most: int) -> list:
    picks = np.unique(np.linspace(0, len(values) - 1, min(most, len(values))).round().astype(int))
    return [values[i] for i in picks]
