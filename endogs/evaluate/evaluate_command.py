"""`endogs evaluate`: read a scene and its clip, print the metrics."""

from endogs import native
from endogs.evaluate.config import Evaluate
from endogs.evaluate.evaluate import Metrics, evaluate_scene, write_metrics
from endogs.pictures.drawing_device import drawing_device
from endogs.scene.scene_file import load_scene
from endogs.scene.source_clip import fitted_split, load_source_clip


@native.cores_for_kernels()
def run_evaluate(config: Evaluate) -> Metrics:
    """Measure the scene, print the numbers, write them where `config.out` says, and return them."""
    scene = load_scene(config.scene).to(drawing_device(config.device, config.backend))
    clip = load_source_clip(scene, config.scene, config.clip)
    fitted = fitted_split(scene)
    metrics = evaluate_scene(scene, clip, config.split or fitted or "standard", backend=config.backend)
    print(summary(metrics))
    if config.split is not None and fitted is not None and config.split != fitted:
        print(f"The scene was fitted with --split {fitted}, not {config.split}.")
    if config.out is not None:
        write_metrics(metrics, config.out)
        print(f"wrote {config.out}")
    return metrics


def summary(metrics: Metrics) -> str:
    """A table in plain text: the scene's means, then each baseline's."""
    lines = [f"{metrics.label}, split {metrics.split}, {len(metrics.per_frame)} frames"]
    lines += [f"{'':20} {'PSNR':>7} {'masked':>7}   (dB; over all pixels with instruments zeroed / over tissue)"]
    lines += [_row("scene", metrics.mean)] + [_row(name, row) for name, row in metrics.baseline.items()]
    lines += [f"SSIM {_value(metrics.mean['ssim'], 4)}, over tissue {_value(metrics.mean['ssim_masked'], 4)}"]
    for name, unit in (("depth_median_abs_mm", " mm"), ("depth_median_abs", " world units")):
        if name in metrics.mean:
            relative = metrics.mean["depth_abs_rel"]
            percent = "not measured" if relative is None else f"{100 * relative:.2f} %"
            error = _value(metrics.mean[name], 3)
            lines += [f"depth: median error {error}{unit}, mean {percent}, alignment: {metrics.depth_alignment}"]
    return "\n".join(lines)


def _row(name: str, row: dict[str, float | None]) -> str:
    return f"{name.replace('_', ' '):20} {_value(row['psnr'], 2):>7} {_value(row['psnr_masked'], 2):>7}"


def _value(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
