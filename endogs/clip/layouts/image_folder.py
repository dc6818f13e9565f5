"""A plain folder of images, or one with `images/` and no calibration."""

from dataclasses import replace
from pathlib import Path

from endogs.bounded_files import is_file, listed
from endogs.clip.cameras.calibration_json import with_calibration_file
from endogs.clip.cameras.guessed_camera import guessed_intrinsics, still_poses
from endogs.clip.config import ClipOptions
from endogs.clip.files.frame_folders import read_frame_folders
from endogs.clip.files.image_files import list_images
from endogs.clip.files.telling_files import VIDEOS
from endogs.clip.recording import Recording
from endogs.errors import InputError
from endogs.plain_text import plain

KIND = "image-folder"
LANDMARKS: tuple[str, ...] = ()


def why_not(path: Path, options: ClipOptions) -> str | None:
    """Why `path` is not an image folder, None when it is one."""
    if not path.is_dir():
        return "not a folder"
    if list_images(path) or list_images(path / "images"):
        return None
    return "neither the folder nor its images/ holds PNG, JPEG, BMP, TIFF or WebP files"


def read(path: Path, options: ClipOptions) -> Recording:
    """Images in natural order, with masks/, depth/ beside images/ where present; pose still.

    The camera is that of --calibration, or guessed; images_right/ needs --calibration.
    """
    folder = path / "images" if list_images(path / "images") else path
    frames = read_frame_folders(path, folder, options, fps=None, keep_outside=options.calibration is None)
    beside = _beside(path, folder, frames.total)
    K, notes = guessed_intrinsics(frames.width, frames.height, options)
    right_notes = []
    if frames.right_images is not None and options.calibration is None:
        right_notes.append(
            f"{len(frames.kept)} right views are not used: the distance between the cameras is unknown; --calibration "
            "says it."
        )
    unit = options.depth_unit_mm
    count = len(frames.times)
    recording = replace(
        frames.recording(path, KIND, K, still_poses(count)),
        poses_are_given=False,
        K_is_guess=options.focal is None,
        masks=frames.masks,
        mask_instrument_value=frames.mask_instrument_value,
        depth_unit=unit or 1.0,
        units="mm" if unit is not None and frames.depths is not None else "relative",
        right_images=None if options.calibration is None else frames.right_images,
        outside=frames.outside,
        notes=[*frames.notes, *beside, *notes, *right_notes],
    )
    return with_calibration_file(recording, options)


def _beside(path: Path, folder: Path, count: int) -> list[str]:
    """Sentences about pictures and videos of `path` that are not among the `count` frames in `folder`.

    Raises InputError where more pictures lie beside images/ than in it.
    """
    notes = []
    loose = list_images(path) if folder != path else []
    if len(loose) > count:
        raise InputError(
            f"{path}: holds {len(loose)} pictures, such as {plain(loose[0].name)}, and {count} more in images/, and "
            "which are the frames is not certain: give images/ itself for those, or move it elsewhere for the others."
        )
    if loose:
        notes.append(f"{len(loose)} pictures beside images/, such as {plain(loose[0].name)}, are not read.")
    videos = sorted(file.name for file in listed(path) if file.suffix.lower() in VIDEOS and is_file(file))
    if videos:
        more = f" and {len(videos) - 1} more" if len(videos) > 1 else ""
        notes.append(
            f"the {count} pictures are read, and not the video beside them, {plain(videos[0])}{more}: give it itself "
            "if it is the clip."
        )
    return notes
