"""`endogs evaluate`: read scenes and their clip, print the metrics, write JSON and a report."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from endogs import native
from endogs.clip.splits import Split, split_frames, without
from endogs.errors import InputError
from endogs.evaluate.config import Evaluate
from endogs.evaluate.evaluate import FLOWS_KEPT, Metrics, evaluate_scene, write_metrics
from endogs.evaluate.measures import EVERY_FRAME
from endogs.evaluate.paired import PairedDifference, paired_differences
from endogs.evaluate.path_chart import path_chart, write_path_chart
from endogs.evaluate.scene_cameras import SceneCameras
from endogs.evaluate.summary import comparison_summary, summary
from endogs.evaluate.whole_clip import read_truths, whole_clip
from endogs.evaluate.writable import check_outputs
from endogs.output import write_json
from endogs.pictures.drawing_device import drawing_device
from endogs.pictures.source_clip import fitted_split, judged_masks, load_source_clip
from endogs.plain_text import plain
from endogs.priors.motion.flow import ClipFlows
from endogs.scene import Scene
from endogs.scene.scene_file import load_scene

WHOLE_FRAMES = 240
"""Frames of a clip, at most, whose flows are all kept."""


@native.cores_for_kernels()
def run_evaluate(config: Evaluate) -> list[Metrics]:
    """Measure the scenes, print the numbers, write them where `config` says, and return them, one per scene.

    Raises InputError for what cannot be read, compared or written, before anything is measured where that is known.
    """
    check_config(config)
    lpips = None
    if config.lpips_weights is not None:
        from endogs.evaluate.metrics.lpips import load_lpips

        lpips = load_lpips(config.lpips_weights)
    device = drawing_device(config.device, config.backend)
    scenes = [load_scene(path).to(device) for path in config.scenes]
    clip = load_source_clip(scenes[0], config.scenes[0], config.clip)
    left_out = {frame for scene in scenes for frame in scene.origin.left_out}
    split = without(split_frames(len(clip), chosen_split(config, scenes)), left_out)
    truths = read_truths(config, clip, scenes)
    # Several scenes share the flows of a short clip; those of a long one do not fit into memory.
    masks = judged_masks(scenes[0], clip, config.masks)
    flows = ClipFlows(clip.image, most=None if len(clip) <= WHOLE_FRAMES else FLOWS_KEPT)
    wanted = {name.replace("-", "_") for name in config.measures}
    found = []
    for path, scene in zip(config.scenes, scenes, strict=True):
        metrics = evaluate_scene(
            scene,
            clip,
            split,
            tissue_mask=masks,
            flows=flows,
            backend=config.backend,
            measures=wanted & EVERY_FRAME,
            lpips=lpips,
        )
        whole = whole_clip(config, path, scene, clip, masks, flows, truths)
        found.append(replace(metrics, whole_clip=whole))
    names = distinct_names(config.scenes)
    differences = paired_differences(names, found)
    print(summary(found[0]) if len(found) == 1 else comparison_summary(names, found, differences))
    tell_about_splits(config, scenes, split)
    if config.out is not None:
        write_numbers(config.out, names, found, differences)
        print(f"wrote {plain(config.out)}")
    charts = [camera_chart(cameras) for cameras in truths.cameras.values()]
    if config.trajectory_plot is not None:
        write_path_chart(config.trajectory_plot, charts[0])
        print(f"wrote {plain(config.trajectory_plot)}")
    if config.report is not None:
        from endogs.evaluate.report import write_report

        write_report(
            config.report, names, scenes, found, differences, clip, split, masks, flows, config.backend, charts
        )
        print(f"wrote {plain(config.report)}")
    return found


def camera_chart(cameras: SceneCameras) -> NDArray[np.uint8]:
    """Both paths as a picture."""
    matched = cameras.matched
    return path_chart(matched.times, matched.estimated, matched.true, "mm" if cameras.units == "mm" else "")


def check_config(config: Evaluate) -> None:
    """Raises InputError for no scene, no measure, and for outputs that could not be written after minutes of work."""
    if not config.scenes:
        raise InputError("evaluate needs a scene: name a scene file, or the folder that a fit wrote.")
    if not {"psnr", "ssim", "ms-ssim", "flip", "lpips", "depth"} & set(config.measures):
        raise InputError("--measures: nothing of a frame would be measured; name at least psnr.")
    if config.report is not None and config.report.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{config.report}: the report is one HTML file; give a name in .html.")
    if config.trajectory_plot is not None and config.trajectory_plot.suffix.lower() != ".png":
        raise InputError(f"{config.trajectory_plot}: the plot is a PNG picture; give a name in .png.")
    for option, path in (("--trajectory-plot", config.trajectory_plot), ("--keyframes", config.keyframes)):
        if path is not None and config.trajectory is None:
            raise InputError(f"{option} is about camera paths; give --trajectory too.")
    if config.trajectory_plot is not None and len(config.scenes) > 1:
        raise InputError("--trajectory-plot draws one scene's cameras; name one scene, or use --report.")
    outputs = {"--out": config.out, "--report": config.report, "--trajectory-plot": config.trajectory_plot}
    read = [config.tracks, config.keyframes, config.sparse_points, config.lpips_weights]
    check_outputs(outputs, [*read, config.trajectory if isinstance(config.trajectory, Path) else None])


def chosen_split(config: Evaluate, scenes: list[Scene]) -> Any:
    """Name of the split to judge. Raises InputError when the scenes were fitted with several and none is asked for."""
    fitted = {name for scene in scenes if (name := fitted_split(scene)) is not None}
    if config.split is None and len(fitted) > 1:
        raise InputError(
            f"the scenes were fitted with the splits {', '.join(sorted(fitted))}; choose one with --split."
        )
    return config.split or (fitted.pop() if fitted else "standard")


def tell_about_splits(config: Evaluate, scenes: list[Scene], split: Split) -> None:
    """Say which scenes were fitted with another split than the one judged."""
    for path, scene in zip(config.scenes, scenes, strict=True):
        fitted = fitted_split(scene)
        if fitted is not None and fitted != split.name:
            which = "The scene" if len(scenes) == 1 else plain(path)
            print(f"{which} was fitted with --split {fitted}, not {split.name}.")


def distinct_names(paths: tuple[Path, ...]) -> list[str]:
    """Short names of scenes, as plain text: the folder's or file's, with as much of the path as tells them apart."""
    whole = [path.resolve() for path in paths]
    parts = [(p.parent if p.name == "scene.safetensors" else p.with_suffix("")).parts for p in whole]
    for depth in range(1, max(len(p) for p in parts) + 1):
        names = [plain("/".join(p[-depth:])) for p in parts]
        if len(set(names)) == len(names):
            return names
    return [f"{plain(p[-1])} ({k})" for k, p in enumerate(parts, 1)]


def write_numbers(path: Path, names: list[str], found: list[Metrics], differences: list[PairedDifference]) -> None:
    """One scene's metrics in the form of metrics.json, or {"scenes": by name, "differences": to the first}."""
    if len(found) == 1:
        write_metrics(found[0], path)
        return
    content = {
        "scenes": {name: metrics.as_dict() for name, metrics in zip(names, found, strict=True)},
        "differences": [difference.as_dict() for difference in differences],
    }
    write_json(path, content)
