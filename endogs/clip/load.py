"""Recognizes the layout of an input and reads it."""

import os
from pathlib import Path

from endogs.bounded_files import expanded, files_read, listed, why
from endogs.clip.cameras.pose_conventions import with_pose_convention, with_pose_unit
from endogs.clip.clip import Clip
from endogs.clip.config import ClipOptions
from endogs.clip.files.frame_families import UNREAD
from endogs.clip.files.image_files import list_images
from endogs.clip.files.mask_folder import check_mask_folder, with_mask_folder
from endogs.clip.files.telling_files import beside_note, has_landmark, telling, unused_note
from endogs.clip.layouts import (
    c3vd,
    calibrated_folder,
    colmap,
    dicom,
    dvrk,
    endomapper,
    endonerf,
    endoslam,
    hamlyn,
    image_folder,
    image_stack,
    nerfstudio,
    packed_video,
    scared,
    scared_video,
    simcol,
    stereo_video,
    stereomis,
    stereomis_frames,
    tum_rgbd,
    video,
)
from endogs.clip.recording import Recording
from endogs.errors import InputError

LAYOUTS = (
    dicom,
    packed_video,
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
    simcol,
    colmap,
    dvrk,
    stereo_video,
    image_stack,
    image_folder,
)
"""Readers, the most specific first; each has KIND, why_not(path, options), read(path, options), and LANDMARKS,
patterns of what no other layout has."""

PLAIN = ("video", "dicom", "image-folder", "image-stack", "stereo-video")
"""Layouts that come without a camera, and may be given one."""

VIDEO_SUFFIXES = (".mp4", ".mkv", ".avi", ".mov", ".mpg", ".mpeg", ".ts", ".webm", ".m4v", ".dcm")
"""Only to give advice; any file is tried as a video."""

INNER = 20
"""Folders inside that are tried, to give advice."""


def load_clip(path: Path | str, options: ClipOptions | None = None, look: bool = True) -> Clip:
    """Read a video file, an image folder or a data set in one of the `LAYOUTS`.

    With `look` the clip's camera, views, depth and poses are compared with its pictures (`endogs.clip.checks.look`);
    without, as for a clip that was looked at before, its checks stay empty. Raises InputError when the path is missing
    or has none of these layouts, saying why each was rejected, and for anything wrong inside the layout that fits."""
    options = options or ClipOptions()
    _check_numbers(options)
    path = _reached(Path(path))
    reasons: list[tuple[str, str]] = []
    near: list[tuple[str, str]] = []
    for layout in LAYOUTS:
        reason = layout.why_not(path, options)
        if reason is None:
            if near and layout is image_folder and options.calibration is None:
                raise InputError(_nearly(path, near))
            _check_video_options(path, layout.KIND, options, layout is packed_video)
            with files_read() as used:
                recording = with_pose_convention(with_pose_unit(layout.read(path, options), options), options)
                clip = _checked(with_mask_folder(recording, options), options, look)
            check_mask_folder(clip)
            clip.notes += unused_note(path, used, clip.notes, options.calibration is not None)
            if layout is image_folder:
                clip.notes += beside_note(path)
            return clip
        reasons.append((layout.KIND, reason))
        if has_landmark(path, layout.LANDMARKS):
            near.append((layout.KIND, reason))
    raise InputError(_nearly(path, near) if near else _rejected(path, reasons))


def _nearly(path: Path, near: list[tuple[str, str]]) -> str:
    """One sentence for a folder that holds what only some layouts have, but not all that these need."""
    lacks = "; ".join(f"{kind}: {reason}" for kind, reason in near)
    return (
        f"{path}: looks like one of these layouts, but is not whole ({lacks}): complete it, or give a folder with "
        "nothing but the frames to read them alone."
    )


def _reached(path: Path) -> Path:
    """The path without `~`; InputError when nothing is there, or nothing that can be read."""
    path = expanded(path)
    try:
        if not path.exists():
            raise InputError(f"{path}: no such file or folder: check the path.")
        if path.is_dir() and not any(path.iterdir()):
            raise InputError(f"{path}: the folder is empty: give a video, an image folder or a data set folder.")
        is_shut = not os.access(path, os.R_OK | (os.X_OK if path.is_dir() else 0))
    except (OSError, ValueError) as error:
        raise InputError(f"{str(path)[:200]}: cannot be reached ({why(error)}): check the path.") from error
    if is_shut:
        raise InputError(f"{path}: may not be read by you: change its permissions.")
    return path


def _rejected(path: Path, reasons: list[tuple[str, str]]) -> str:
    """One sentence with a line for every layout that was tried; layouts rejected for the same reason share a line."""
    kinds: dict[str, list[str]] = {}
    for kind, reason in reasons:
        kinds.setdefault(reason, []).append(kind)
    lines = [f"\n  {', '.join(names)}: {reason}" for reason, names in kinds.items()]
    return f"{path}: no known layout, {_advice(path)}; tried and rejected:{';'.join(lines)}."


def _advice(path: Path) -> str:
    """What to give in place of `path`: a video in it, a data set one or two folders down, or a folder of frames."""
    if not path.is_dir():
        return "give a video or a folder of images"
    videos = sorted(file.name for file in listed(path) if file.suffix.lower() in VIDEO_SUFFIXES)
    inner = sorted(folder for folder in listed(path) if folder.is_dir())[:INNER]
    inner += [deeper for folder in inner for deeper in sorted(listed(folder)) if deeper.is_dir()][:INNER]
    plain_images = []
    for folder in inner:
        fits = next((layout for layout in LAYOUTS if layout.why_not(folder, ClipOptions()) is None), None)
        if fits is image_folder:
            plain_images.append(folder)
        elif fits is not None:
            return f"perhaps you mean {folder} ({fits.KIND})"
    if len(videos) > 1:
        return (
            f"perhaps you mean one of its {len(videos)} videos, such as {path / videos[0]} (parts of one recording can "
            "be joined without loss, for example by FFmpeg's concat)"
        )
    if videos:
        return f"perhaps you mean the video {path / videos[0]}"
    unread = list_images(path, UNREAD) or list_images(path / "images", UNREAD)
    if unread:
        kinds = ", ".join(sorted({file.suffix[1:].upper() for file in unread}))
        return f"as its {len(unread)} {kinds} files are not read: save them as PNG or JPEG under the same names"
    # A folder of masks or of depth is no clip, and beside poses frames alone are half of one.
    tells = {name for name, _ in telling(path)}
    frames = [
        folder for folder in plain_images if f"{folder.name}/" not in {name for name, _ in telling(folder.parent)}
    ]
    if not frames:
        return "give a video or a folder of images"
    unused = ", ".join(sorted(tells)[:3])
    alone = f"; read so, the camera stands still and {unused} are not used" if tells else ""
    return f"perhaps you mean the frames in {frames[0]}{alone}"


def _checked(recording: Recording, options: ClipOptions, look: bool) -> Clip:
    """The clip, with notes about options that change nothing and about what does not fit its pictures."""
    clip = Clip(recording, options)
    if options.undistorted_degrees is not None and recording.outside is None:
        clip.notes.append("--undistorted-degrees changes nothing: this camera's lens is not known to bend lines.")
    if options.mask_values and not clip.masks_are_given:
        clip.notes.append("--mask-values changes nothing: the clip has no mask files.")
    if options.depth_unit_mm is not None and not clip.has_depth:
        clip.notes.append(
            "--depth-unit-mm changes nothing: "
            + ("inverse depth has no unit." if clip.has_inverse_depth else "the clip has no depth files.")
        )
    if options.depth_is == "inverse" and not clip.has_inverse_depth:
        clip.notes.append("--depth-is inverse changes nothing: the clip has no depth files.")
    if look:
        from endogs.clip.checks.look import look_at

        look_at(clip, recording, options)
    return clip


def _check_video_options(path: Path, kind: str, options: ClipOptions, is_packed: bool) -> None:
    """InputError for options that this layout would not use."""
    if options.calibration is not None and kind not in PLAIN:
        raise InputError(
            f"{path}: --calibration is for videos and plain folders of images, but this is a {kind}: leave it out."
        )
    if options.images is not None and kind not in ("image-folder", "calibrated-folder", "endonerf", "colmap"):
        raise InputError(
            f"{path}: --images is for folders of images that no file lists and for COLMAP models, but this is a "
            f"{kind}: leave it out."
        )
    if options.stereo is not None and not is_packed:
        raise InputError(
            f"{path}: --stereo is for one video file that holds both views, but this is a {kind}: leave it out."
        )


def _check_numbers(options: ClipOptions) -> None:
    """InputError for options that no layout could use."""
    if options.mask_values and options.mask_instrument_value is not None:
        raise InputError("--mask-values and --mask-instrument-value say the same thing twice: give one of them.")
    if options.mask_instrument_value not in (None, 0, 255):
        raise InputError(f"--mask-instrument-value {options.mask_instrument_value} must be 255 or 0.")
