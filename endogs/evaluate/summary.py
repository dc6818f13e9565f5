"""Metrics as plain text: a table for a scene, and one for several."""

from collections.abc import Sequence

from endogs.evaluate.evaluate import Metrics
from endogs.evaluate.paired import PairedDifference
from endogs.evaluate.path_table import lost_line, number, path_table
from endogs.evaluate.pose_corrections import pose_lines

COLUMNS = {
    "psnr": ("PSNR", 2),
    "psnr_masked": ("masked", 2),
    "ssim": ("SSIM", 4),
    "ms_ssim": ("MS-SSIM", 4),
    "flip": ("FLIP", 4),
    "lpips_alex": ("LPIPS", 4),
}
"""Columns of the table by measure: heading and digits."""
DEPTH = (
    ("depth_median_abs_mm", "median error {:.3f} mm"),
    ("depth_median_abs", "median error {:.3f} world units"),
    ("depth_rmse_mm", "RMSE {:.3f} mm"),
    ("depth_rmse", "RMSE {:.3f} world units"),
    ("depth_abs_rel", "abs-rel {:.4f}"),
    ("depth_within_1_25", "within a factor of 1.25 {:.2%}"),
    ("depth_spearman", "rank correlation {:.3f}"),
)


def summary(metrics: Metrics) -> str:
    """A table in plain text: the scene's means, then each baseline's, then what has no baseline."""
    rows = {"scene": metrics.mean} | metrics.baseline
    lines = [f"{metrics.label}, split {metrics.split}, {len(metrics.per_frame)} frames"]
    lines += table(rows)
    lines += ["(PSNR in dB; all but masked over all pixels with instruments zeroed, masked over tissue)"]
    return "\n".join(lines + depth_lines(metrics) + whole_clip_lines(metrics) + trajectory_lines(metrics))


def table(rows: dict[str, dict[str, float | None]]) -> list[str]:
    """A line of headings and one per row, with the columns that any row has."""
    names = [name for name in COLUMNS if any(name in row for row in rows.values())]
    wide = max(20, *(len(name) for name in rows))
    lines = [" " * wide + "".join(f"{COLUMNS[name][0]:>9}" for name in names)]
    for label, row in rows.items():
        cells = "".join(f"{value_text(row.get(name), COLUMNS[name][1]):>9}" for name in names)
        lines.append(f"{label.replace('_', ' '):{wide}}{cells}")
    return lines


def depth_lines(metrics: Metrics) -> list[str]:
    """The depth errors with their alignment; nothing where no depth was given or asked for."""
    if metrics.depth_alignment is None or not any(name in metrics.mean for name, _ in DEPTH):
        return []
    known = [(text, metrics.mean.get(name)) for name, text in DEPTH]
    said = [text.format(value) for text, value in known if value is not None]
    return [f"depth: {', '.join(said) or 'not measured'}; alignment: {metrics.depth_alignment}"]


def whole_clip_lines(metrics: Metrics) -> list[str]:
    """A sentence for each measure over the whole clip, and for poses that are not the clip's."""
    lines = []
    if temporal := metrics.whole_clip.get("temporal"):
        ratio, still = (value_text(temporal[name], 2) for name in ("warping_error_ratio", "still_flicker_ratio"))
        warped = value_text(temporal["warping_error_scene"], 2), value_text(temporal["warping_error_video"], 2)
        lines += [
            f"temporal: warping error {warped[0]} of 255 (the video's own: {warped[1]}), {ratio} of the video's; over "
            f"still pixels {still} of the video's"
        ]
    if tracks := metrics.whole_clip.get("tracks"):
        seen, hidden, far = (
            value_text(tracks[name], 3) for name in ("median_visible", "median_hidden", "percentile_95")
        )
        lines += [
            f"tracks: {tracks['points']} points, median error {seen} {tracks['unit']} where visible, {hidden} where "
            f"hidden, 95 % below {far}"
        ]
    if found := metrics.whole_clip.get("sparse_points"):
        low, high = (number(value) for value in found["frame_scale_range"])
        spread = "-" if found["frame_scale_spread"] is None else f"{found['frame_scale_spread']:.2%}"
        lines += [
            f"depth at known points: abs-rel {found['abs_rel']:.4f} (median {found['median_abs_rel']:.4f}) with one "
            f"scale of {found['scale']:.4g}; scales of single frames spread by {spread} ({low} to {high} of it); "
            f"{found['sightings']} sightings in {found['frames']} frames"
        ]
        if "abs_rel_unscaled" in found:
            lines += [
                f"depth at known points in mm, unscaled: abs-rel {found['abs_rel_unscaled']:.4f}, median error "
                f"{found['median_abs_unscaled']:.3f} mm"
            ]
    if found := metrics.whole_clip.get("trajectory"):
        still = found["absolute"]["se3" if found["alignment"] == "rigid" else "sim3"]["ratio_to_zero_motion"]
        lines += [
            f"trajectory: ATE {found['ate_rmse']:.4g}, {still:.3g} of a still camera's, RPE "
            f"{found['rpe_translation_rmse']:.4g} and {found['rpe_rotation_degrees_rmse']:.4g} degrees, "
            f"{found['poses']} poses, alignment: {found['alignment']}"
        ]
    return lines + pose_lines(metrics.poses)


def trajectory_lines(metrics: Metrics) -> list[str]:
    """Every way to compare the cameras, as a table; nothing where no trajectory was given."""
    found = metrics.whole_clip.get("trajectory")
    return [] if found is None else [lost_line(found["lost"], found["frames"]), *path_table(found)]


def comparison_summary(names: Sequence[str], found: Sequence[Metrics], differences: Sequence[PairedDifference]) -> str:
    """The scenes' means in one table, and how each differs from the first, frame by frame."""
    first = found[0]
    rows = dict(zip(names, (metrics.mean for metrics in found), strict=True)) | first.baseline
    lines = [f"{first.label}, split {first.split}, {len(first.per_frame)} frames", *table(rows), ""]
    lines += [f"{'paired differences to ' + names[0]:32}{'mean':>10}{'± s.e.':>9}{'better in':>14}"]
    for d in differences:
        digits = COLUMNS.get(d.measure, ("", 4))[1]
        share = f"{d.better} of {len(d.frames)}"
        error = value_text(d.standard_error, digits)
        lines.append(f"{d.name + ', ' + d.measure:32}{d.mean:>+10.{digits}f}{error:>9}{share:>14}")
    for name, metrics in zip(names, found, strict=True):
        lines += [f"{name}, {line}" for line in depth_lines(metrics) + whole_clip_lines(metrics)]
        lines += trajectory_lines(metrics)
    return "\n".join(lines)


def value_text(value: float | None, digits: int) -> str:
    """A number, or a dash for one that could not be measured."""
    return "-" if value is None else f"{value:.{digits}f}"
