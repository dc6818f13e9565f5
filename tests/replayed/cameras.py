"""Rows about cameras, poses and calibrations (INPUTS.md, part A), judged by the camera that drew the pictures."""

import numpy as np
from replayed.frames import even
from replayed.labels import with_calibration
from replayed.outcome import Outcome, Row, tried

from endogs.clip import ClipOptions

DRAWN = (170.0, 170.0, 80.0, 64.0)
"""fx, fy, cx, cy of the cases' camera in pixels of 160 x 128."""
UNEVEN = (0, 0.1, 0.2, 0.3, 2, 4, 6, 8)
"""Seconds of the eight frames of the uneven transforms."""


def camera_rows() -> list[Row]:
    """The rows of cases 30 to 34."""
    return [
        *(
            Row("30-nerfstudio-variants", name, fits)
            for name in ("plain", "backslash", "windows_absolute", "no_extension", "bom", "bom16", "case",
                         "fisheye_nerfstudio", "fisheye_ingp", "ingp", "polycam", "depth_scale_factor")
        ),
        Row("30-nerfstudio-variants", "fisheye_ingp", lambda o: same_pictures(o, "fisheye_nerfstudio")),
        Row("30-nerfstudio-variants", "irregular_time", lambda o: fits(o) and at_times(o, UNEVEN)),
        Row("30-nerfstudio-variants", "irregular_timestamp", lambda o: fits(o) and o.says("not used", "timestamp")),
        Row("30-nerfstudio-variants", "dnerf_time", lambda o: fits(o) and o.says("from 0 to 1")),
        Row("30-nerfstudio-variants", "fps_top", lambda o: even(o, 0.04) or o.says("not used", "fps")),
        Row("30-nerfstudio-variants", "one_missing", lambda o: o.clip is None and o.says("missing.png")),
        *(
            Row("31-colmap-variants", name, fits)
            for name in ("plain", "no_points", "crlf", "bom", "shuffled", "sparse_text", "dense", "colmap_sparse",
                         "two_names", "extension_case", "path_names", "simple_radial")
        ),
        Row("31-colmap-variants", "subfolder", lambda o: fits(o) or o.says("subfolder")),
        Row("31-colmap-variants", "unregistered", lambda o: o.holds(6) and o.says("2 of 8")),
        Row("31-colmap-variants", "one_line_each", lambda o: fits(o) or o.says("second line")),
        *(
            Row("31-colmap-variants", name, lambda o: fits(o) or o.says("undistort the images"))
            for name in ("three_four", "rad_tan", "fov")
        ),
        *(
            Row("32-calibration-files", f"clip.mp4 with {name}", calibrated)
            for name in ("good.json", "column.json", "bom.json", "opencv.yml", "opencv.json", "ros.yaml", "kalibr.yaml",
                         "matlab.json", "cameras.txt")
        ),
        *(
            Row("32-calibration-files", f"clip.mp4 with {name}", refused_by_name)
            for name in ("calib.mat", "double.json")
        ),
        *(
            Row("33-ros-yaml", name, lambda o: same_camera(o, "plain"))
            for name in ("plain", "no_commas", "block_lists", "inline_maps", "quoted", "crlf", "empty_distortion")
        ),
        *(
            Row("34-endoscopy-screens", f"{name}.mp4", panel_left_out)
            for name in ("panel_black", "panel_blue", "panel_grey", "panel_grey_rect")
        ),
        Row("34-endoscopy-screens", "black_pillars.mp4", pillars_left_out),
    ]  # fmt: skip


def camera_is(outcome: Outcome, most: float = 1.0) -> bool:
    """Whether the camera is the one that drew, to so many pixels; an undistorted one may have another focal length."""
    K = outcome.clip.K[0] if outcome.clip is not None else np.zeros((3, 3))
    return bool(np.abs(np.array([K[0, 0], K[1, 1], K[0, 2], K[1, 2]]) - DRAWN).max() <= most)


def fits(outcome: Outcome) -> bool:
    """Eight frames whose moving camera fits what the pictures show, without a guess or a contradiction."""
    clip = outcome.clip
    if clip is None or len(clip) != 8 or clip.static_camera or clip.contradictions or clip.K_is_guess:
        return False
    return clip.pose_check is not None and clip.pose_check.error <= min(0.5, clip.pose_check.bound)


def at_times(outcome: Outcome, times: tuple[float, ...]) -> bool:
    """Whether the frames have these seconds."""
    return outcome.clip is not None and bool(np.allclose(outcome.clip.times, times, atol=1e-3))


def same_pictures(outcome: Outcome, other: str) -> bool:
    """Whether the undistorted pictures and the camera are those of the folder `other`."""
    there = tried(outcome.path.parent / other, ClipOptions()).clip
    if outcome.clip is None or there is None:
        return False
    apart = np.abs(outcome.clip.image(3).astype(float) - there.image(3))
    return bool(np.allclose(outcome.clip.K, there.K, atol=0.01) and apart.mean() < 0.5)


def same_camera(outcome: Outcome, other: str) -> bool:
    """Whether intrinsics, poses and baseline are those of the folder `other`, and stereo."""
    there = tried(outcome.path.parent / other, ClipOptions()).clip
    if outcome.clip is None or there is None:
        return False
    # Without its distortion a lens is another one: only its size and side may be compared.
    atol = 15.0 if outcome.path.name == "empty_distortion" else 1e-6
    return outcome.clip.has_right and bool(np.allclose(outcome.clip.K, there.K, atol=atol))


def calibrated(outcome: Outcome) -> bool:
    """Whether the calibration named in the row gives a camera of that focal length, in the middle, and no guess."""
    found = with_calibration(*_parts(outcome))
    return found.clip is not None and not found.clip.K_is_guess and camera_is(found, most=12.0)


def refused_by_name(outcome: Outcome) -> bool:
    """Whether the calibration is refused with its name and what is wanted."""
    input, name = _parts(outcome)
    found = with_calibration(input, name)
    return found.clip is None and found.says(name) and (found.says("calibrat") or found.says("fx"))


def _parts(outcome: Outcome) -> tuple[Outcome, str]:
    input, _, name = outcome.path.name.partition(" with ")
    return Outcome(outcome.path.with_name(input)), name


def panel_left_out(outcome: Outcome) -> bool:
    """Whether the 31 % on the left, with the name, are outside the view, and the picture's middle inside."""
    if outcome.clip is None:
        return False
    ignored = outcome.clip.ignored
    inside = float(ignored[40:250, 200:420].mean())
    return float(ignored[:, :140].mean()) > 0.98 and inside < 0.02


def pillars_left_out(outcome: Outcome) -> bool:
    """Whether the 80 columns on either side are outside the view, and the middle is inside."""
    ignored = outcome.clip.ignored if outcome.clip is not None else np.zeros((256, 480), bool)
    return bool(ignored[:, :76].all() and ignored[:, -76:].all() and ignored[20:230, 100:380].mean() < 0.02)
