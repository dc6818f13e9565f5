"""Recognizes the layout of an input and reads it."""

from pathlib import Path

from endogs.clip import (
    c3vd,
    calibrated_folder,
    colmap,
    dvrk,
    endomapper,
    endonerf,
    endoslam,
    hamlyn,
    image_folder,
    nerfstudio,
    scared,
    scared_video,
    stereo_video,
    stereomis,
    stereomis_frames,
    tum_rgbd,
    video,
)
from endogs.clip.clip import Clip
from endogs.clip.config import ClipOptions
from endogs.clip.pose_conventions import with_pose_convention
from endogs.clip.recording import Recording
from endogs.errors import InputError
from endogs.home_folder import with_home

LAYOUTS = (
    video,
    calibrated_folder,
    scared,
    scared_video,
    stereomis,
    stereomis_frames,
    hamlyn,
    tum_rgbd,
    c3vd,
    endonerf,
    nerfstudio,
    endomapper,
    endoslam,
    colmap,
    dvrk,
    stereo_video,
    image_folder,
)
"""Readers, the most specific first; each has KIND, why_not(path) and read(path, options)."""

VIDEO_SUFFIXES = (".mp4", ".mkv", ".avi", ".mov", ".mpg", ".mpeg", ".ts", ".webm", ".m4v")
"""Only to give advice; any file is tried as a video."""

INNER = 20
"""Folders inside that are tried, to give advice."""


def load_clip(path: Path | str, options: ClipOptions | None = None) -> Clip:
    """Read a video file, an image folder or a data set in one of the `LAYOUTS`.

    Raises InputError when the path is missing or has none of these layouts, saying why each was rejected, and for
    anything wrong inside the layout that fits.
    """
    path, options = with_home(path), options or ClipOptions()
    _check_numbers(options)
    if not path.exists():
        raise InputError(f"{path}: no such file or folder: check the path.")
    if path.is_dir() and not any(path.iterdir()):
        raise InputError(f"{path}: the folder is empty: give a video, an image folder or a data set folder.")
    reasons = []
    for layout in LAYOUTS:
        reason = layout.why_not(path)
        if reason is None:
            _check_video_options(path, layout.KIND, options)
            return _checked(with_pose_convention(layout.read(path, options), options), options)
        reasons.append((layout.KIND, reason))
    raise InputError(_rejected(path, reasons))


def _rejected(path: Path, reasons: list[tuple[str, str]]) -> str:
    """One sentence with a line for every layout that was tried; layouts rejected for the same reason share a line."""
    videos = (
        sorted(file.name for file in path.iterdir() if file.suffix.lower() in VIDEO_SUFFIXES) if path.is_dir() else []
    )
    advice = f"perhaps you mean the video {path / videos[0]}" if videos else "give a video or a folder of images"
    inner = sorted(folder for folder in path.iterdir() if folder.is_dir()) if path.is_dir() else []
    fits = next((f for f in inner[:INNER] if any(layout.why_not(f) is None for layout in LAYOUTS)), None)
    if fits is not None:
        advice = f"perhaps you mean {fits}"
    kinds: dict[str, list[str]] = {}
    for kind, reason in reasons:
        kinds.setdefault(reason, []).append(kind)
    lines = [f"\n  {', '.join(names)}: {reason}" for reason, names in kinds.items()]
    return f"{path}: no known layout, {advice}; tried and rejected:{';'.join(lines)}."


def _checked(recording: Recording, options: ClipOptions) -> Clip:
    """The clip, with a note when its poses do not fit its images; a camera that stands still costs nothing."""
    clip = Clip(recording, options)
    if options.undistorted_degrees is not None and recording.outside is None:
        clip.notes.append("--undistorted-degrees changes nothing: this camera's lens is not known to bend lines.")
    if options.depth_unit_mm is not None and not clip.has_depth:
        clip.notes.append("--depth-unit-mm changes nothing: the clip has no depth files.")
    if not clip.static_camera:
        from endogs.clip.pose_check import check_poses

        clip.pose_check = check_poses(clip, recording)
        clip.notes += clip.pose_check.notes if clip.pose_check is not None else []
    return clip


def _check_video_options(path: Path, kind: str, options: ClipOptions) -> None:
    """InputError for options that this layout would not use."""
    if options.calibration is not None and kind not in ("video", "image-folder", "stereo-video"):
        raise InputError(f"{path}: --calibration is for videos and plain folders of images, but this is a {kind}.")
    if options.stereo is not None and kind != "video":
        raise InputError(f"{path}: --stereo is for one video file that holds both views, but this is a {kind}.")


def _check_numbers(options: ClipOptions) -> None:
    """InputError for options that no layout could use."""
    if options.mask_instrument_value not in (None, 0, 255):
        raise InputError(f"--mask-instrument-value {options.mask_instrument_value} must be 255 or 0.")
