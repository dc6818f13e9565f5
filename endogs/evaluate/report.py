"""The report: one HTML file without scripts or links, with tables, curves, and the worst frames with error maps."""

import base64
import html
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.clip import Clip
from endogs.clip.splits import Split
from endogs.depth_colors import color_depth, robust_range
from endogs.evaluate.evaluate import Metrics, render_frame
from endogs.evaluate.judged_frames import JudgedFrame, MaskOf, camera_of, judged_frames
from endogs.evaluate.line_chart import Line, line_chart
from endogs.evaluate.metrics.depth_errors import aligned_depth
from endogs.evaluate.metrics.flip import flip_map
from endogs.evaluate.metrics.metrics import psnr_masked, to_8bit
from endogs.evaluate.paired import PairedDifference, less_is_better
from endogs.evaluate.summary import COLUMNS, depth_lines, trajectory_lines, value_text, whole_clip_lines
from endogs.output import new_file
from endogs.plain_text import plain
from endogs.priors.motion.flow import ClipFlows
from endogs.scene import Scene

WORST = 4
"""Frames shown, those with the lowest PSNR over tissue of any scene."""
PANEL, SMALLEST_PANEL = 420, 240
"""Most and fewest pixels across a picture."""
CHART = (560, 300)
"""Width and height of a chart, pixels."""
CHARTED = {
    "psnr_masked": "PSNR over tissue, dB",
    "psnr": "PSNR, instruments zeroed, dB",
    "ssim": "SSIM",
    "ms_ssim": "MS-SSIM",
    "flip": "FLIP",
    "lpips_alex": "LPIPS (AlexNet)",
    "depth_median_abs_mm": "median depth error, mm",
    "depth_median_abs": "median depth error, world units",
    "depth_abs_rel": "relative depth error",
}
"""Measures that get a chart, with their titles; all are in the JSON file."""
DEPTH_SHOWN = 0.05
"""Relative depth error that is drawn brightest."""
STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 1800px; padding: 0 1.5em; color: #222; }
h1 { font-size: 1.5em; } h2 { font-size: 1.2em; margin-top: 2em; } p.note { color: #555; max-width: 60em; }
table { border-collapse: collapse; margin: 1em 0; } th, td { padding: .25em .8em; text-align: right; }
th { border-bottom: 2px solid #888; } td { border-bottom: 1px solid #ddd; } td:first-child, th:first-child
{ text-align: left; } .charts, .row { display: flex; flex-wrap: wrap; gap: .6em; } figure { margin: 0 0 .6em; }
figure img { display: block; max-width: 100%; } figcaption { color: #444; font-size: .87em; }
"""


def write_report(
    path: Path,
    names: Sequence[str],
    scenes: Sequence[Scene],
    found: Sequence[Metrics],
    differences: Sequence[PairedDifference],
    clip: Clip,
    split: Split,
    masks: MaskOf,
    flows: ClipFlows,
    backend: str = "auto",
    camera_charts: Sequence[NDArray[np.uint8]] = (),
) -> None:
    """Write the report of scenes judged on the same split: `found` and `differences` as `endogs evaluate` has them.

    `camera_charts` are RGB pictures of the scenes' camera paths, where they were compared.

    The file appears under its name only when complete. Raises InputError when it cannot be written.
    """
    first = found[0]
    parts = [f"<h1>{html.escape(', '.join(names))}</h1>"]
    parts += [
        f"<p>{html.escape(first.label)} on {html.escape(plain(clip.name))}, split {html.escape(split.name)}: "
        f"{len(first.per_frame)} frames of {clip.width} x {clip.height}.</p>",
        means_table(names, found),
        "<p class=note>PSNR in dB. All but <i>masked</i> are taken over whole frames with instruments zeroed in both "
        "images; <i>masked</i> looks at tissue alone. Baselines in italics predict each frame from its neighbours, or "
        "the right view from the left one and its depth, without a scene.</p>",
    ]
    for name, metrics in zip(names, found, strict=True):
        lines = depth_lines(metrics) + whole_clip_lines(metrics)
        parts += [f"<p>{html.escape(name + ', ' if len(names) > 1 else '')}{html.escape(line)}</p>" for line in lines]
    if differences:
        parts += [f"<h2>Differences to {html.escape(names[0])}</h2>", differences_table(differences)]
    parts += camera_parts(names, found, camera_charts)
    parts += ["<h2>Frame by frame</h2>", "<div class=charts>", *charts(names, found, differences), "</div>"]
    parts += [frames_table(name, metrics) for name, metrics in zip(names, found, strict=True)]
    parts += ["<h2>The worst frames</h2>"]
    parts += worst_rows(names, scenes, found, clip, split, masks, flows, backend)
    title = html.escape(f"endogs evaluate: {', '.join(names)}")
    page = f"<!doctype html>\n<html lang=en><meta charset=utf-8><title>{title}</title>\n<style>{STYLE}</style>\n"
    with new_file(path) as partial:
        partial.write_text(page + "\n".join(parts) + "\n</html>\n", encoding="utf-8")


def means_table(names: Sequence[str], found: Sequence[Metrics]) -> str:
    """Means of the scenes and baselines."""
    rows = [(html.escape(name), metrics.mean) for name, metrics in zip(names, found, strict=True)]
    rows += [(f"<i>{html.escape(name.replace('_', ' '))}</i>", row) for name, row in found[0].baseline.items()]
    used = [name for name in COLUMNS if any(name in row for _, row in rows)]
    head = "".join(f"<th>{COLUMNS[name][0]}" for name in used)
    cells = [(label, "".join(f"<td>{value_text(row.get(n), COLUMNS[n][1])}" for n in used)) for label, row in rows]
    return f"<table><tr><th>{head}" + "".join(f"<tr><td>{label}{values}" for label, values in cells) + "</table>"


def camera_parts(names: Sequence[str], found: Sequence[Metrics], pictures: Sequence[NDArray[np.uint8]]) -> list[str]:
    """The tables and pictures of camera paths; nothing where no trajectory was given."""
    if not pictures:
        return []
    parts = ["<h2>Cameras</h2>"]
    for name, metrics, picture in zip(names, found, pictures, strict=True):
        table = html.escape("\n".join(trajectory_lines(metrics)))
        parts += [f"<h3>{html.escape(name)}</h3>" if len(names) > 1 else "", f"<pre>{table}</pre>"]
        parts += [f"<p class=note>{html.escape(note)}</p>" for note in metrics.whole_clip["trajectory"]["notes"]]
        parts += [f'<img alt="" src="{_data_url(picture, ".png")}" width={picture.shape[1]}>']
    return parts


def frames_table(name: str, metrics: Metrics) -> str:
    """Every number of every frame, folded away."""
    measures = [key for key in metrics.per_frame[0] if key not in ("frame", "time")]
    head = "".join(f"<th>{key.replace('_', ' ')}" for key in measures)
    rows = [
        f"<tr><td>{row['frame']}<td>{row['time']:.3f}"
        + "".join(f"<td>{value_text(row.get(key), 4)}" for key in measures)
        for row in metrics.per_frame
    ]
    table = f"<table><tr><th>frame<th>seconds{head}{''.join(rows)}</table>"
    return f"<details><summary>{html.escape(name)}: every frame's numbers</summary>{table}</details>"


def differences_table(differences: Sequence[PairedDifference]) -> str:
    """Paired differences with their standard errors."""
    rows = [
        f"<tr><td>{html.escape(d.name)}<td>{d.measure}<td>{d.mean:+.4g}"
        f"<td>{'-' if d.standard_error is None else f'{d.standard_error:.2g}'}<td>{d.better} of {len(d.frames)}"
        for d in differences
    ]
    head = "<tr><th>scene<th>measure<th>mean difference<th>standard error<th>better in frames"
    return f"<table>{head}{''.join(rows)}</table>"


def charts(names: Sequence[str], found: Sequence[Metrics], differences: Sequence[PairedDifference]) -> list[str]:
    """A chart of each measure over time, of the paired differences in PSNR, and of the flicker."""
    first = found[0]
    pictures = []
    for measure, title in CHARTED.items():
        lines = [
            Line(
                name,
                [row["time"] for row in metrics.per_frame],
                [_or_nan(row.get(measure)) for row in metrics.per_frame],
            )
            for name, metrics in zip(names, found, strict=True)
        ]
        if not any(np.isfinite(line.y).any() for line in lines):
            continue
        lines += [
            Line(f"{name.replace('_', ' ')} (mean)", [], [_or_nan(row.get(measure))], level=True)
            for name, row in first.baseline.items()
            if row.get(measure) is not None
        ]
        better = "less is better" if less_is_better(measure) else "more is better"
        pictures.append(line_chart(lines, f"{title} ({better})", "seconds", CHART))
    at = {row["frame"]: row["time"] for row in first.per_frame}
    paired = [Line(d.name, [at[f] for f in d.frames], d.values) for d in differences if d.measure == "psnr_masked"]
    if paired:
        zero = Line(names[0], [], [0.0], level=True)
        pictures.append(line_chart([*paired, zero], f"PSNR over tissue minus that of {names[0]}, dB", "seconds", CHART))
    flicker = [m.whole_clip["temporal"] for m in found if "temporal" in m.whole_clip]
    if flicker:
        lines = [Line(n, t["frames"], [_or_nan(v) for v in t["scene"]]) for n, t in zip(names, flicker, strict=True)]
        lines += [Line("the video itself", flicker[0]["frames"], [_or_nan(v) for v in flicker[0]["video"]])]
        pictures.append(line_chart(lines, "warping error between frames, of 255 (less is better)", "frame", CHART))
    return [f'<img alt="" src="{_data_url(picture, ".png")}" width={picture.shape[1]}>' for picture in pictures]


def worst_rows(
    names: Sequence[str],
    scenes: Sequence[Scene],
    found: Sequence[Metrics],
    clip: Clip,
    split: Split,
    masks: MaskOf,
    flows: ClipFlows,
    backend: str,
) -> list[str]:
    """The worst frames as rows of pictures: the target, and per scene render, FLIP map and depth error."""
    chosen = worst_frames(found)
    parts = []
    for judged in judged_frames(clip, replace(split, test=chosen), masks, flows):
        parts += [f"<h3>frame {judged.frame}, {judged.time:.2f} s</h3>"]
        target = _figure(_zeroed(judged.target, judged.tissue_mask), "the clip, where it is judged")
        for name, scene, metrics in zip(names, scenes, found, strict=True):
            color, depth = render_frame(scene, judged.time, camera_of(scene, clip, judged), backend)
            drawn = to_8bit(color)
            label = f"{name}: " if len(names) > 1 else ""
            row = next(r for r in metrics.per_frame if r["frame"] == judged.frame)
            numbers = ", ".join(
                f"{COLUMNS[n][0]} {value_text(row.get(n), COLUMNS[n][1])}" for n in COLUMNS if row.get(n) is not None
            )
            parts += ["<div class=row>", target, _figure(drawn, f"{label}render; {numbers}")]
            parts += [_figure(error_colors(flip_map(drawn, judged.target, judged.tissue_mask)), f"{label}FLIP, 0 to 1")]
            parts += [_depth_figure(depth, judged, metrics, label), "</div>"]
        guess = {n: psnr_masked(g, judged.target, judged.tissue_mask) for n, g in judged.guesses.items()}
        said = ", ".join(f"{n.replace('_', ' ')} {value:.2f} dB" for n, value in guess.items())
        parts += [f"<p class=note>Without a scene, over tissue: {said}.</p>" if said else ""]
    return parts


def worst_frames(found: Sequence[Metrics]) -> list[int]:
    """The WORST frames by the lowest PSNR over tissue of any scene (or the first measure there is), in order."""
    rows: dict[int, float] = {}
    for metrics in found:
        measures = [name for name in metrics.per_frame[0] if name not in ("frame", "time")]
        measure = "psnr_masked" if "psnr_masked" in measures else measures[0]
        sign = -1 if less_is_better(measure) else 1
        for row in metrics.per_frame:
            if row.get(measure) is not None:
                rows[row["frame"]] = min(sign * row[measure], rows.get(row["frame"], np.inf))
    return sorted(sorted(rows, key=lambda frame: rows[frame])[:WORST])


def error_colors(error: NDArray[np.float32]) -> NDArray[np.uint8]:
    """RGB (H, W, 3) of errors in [0, 1]: black to yellow (magma)."""
    levels = np.clip(error * 255 + 0.5, 0, 255).astype(np.uint8)
    return np.asarray(cv2.applyColorMap(levels, cv2.COLORMAP_MAGMA)[..., ::-1], np.uint8)


def _depth_figure(depth: NDArray[np.float32], judged: JudgedFrame, metrics: Metrics, label: str) -> str:
    if judged.depth is None or metrics.depth_alignment is None:
        return _figure(color_depth(depth, *robust_range([depth])), f"{label}depth, blue near and red far")
    aligned = aligned_depth(depth, judged.depth, judged.tissue_mask, metrics.depth_alignment)
    known = judged.tissue_mask & (judged.depth > 0) & (aligned > 0)
    error = np.where(known, np.abs(aligned / np.maximum(judged.depth, 1e-9) - 1), 0).astype(np.float32)
    text = f"{label}relative depth error, 0 to {DEPTH_SHOWN:.0%}; alignment: {metrics.depth_alignment}"
    return _figure(error_colors(error / DEPTH_SHOWN), text)


def _figure(picture: NDArray[np.uint8], caption: str) -> str:
    height, width = picture.shape[:2]
    if width > PANEL:
        size = (PANEL, round(height * PANEL / width))
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    width = max(picture.shape[1], SMALLEST_PANEL)
    shown = f'<img alt="" src="{_data_url(picture, ".jpg")}" width={width}>'
    return f'<figure style="width:{width}px">{shown}<figcaption>{html.escape(caption)}</figcaption></figure>'


def _zeroed(image: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return np.asarray(image * mask[..., None], np.uint8)


def _data_url(picture: NDArray[np.uint8], ending: str) -> str:
    options = [cv2.IMWRITE_JPEG_QUALITY, 90] if ending == ".jpg" else []
    done, encoded = cv2.imencode(ending, np.ascontiguousarray(picture[..., ::-1]), options)
    if not done:
        raise ValueError(f"cannot encode a picture of shape {picture.shape}")
    kind = "jpeg" if ending == ".jpg" else "png"
    return f"data:image/{kind};base64,{base64.b64encode(encoded.tobytes()).decode()}"


def _or_nan(value: Any) -> float:
    return float("nan") if value is None else float(value)
