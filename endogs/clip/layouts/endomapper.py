"""An EndoMapper sequence: the colonoscope's video, or frames taken from it, with its fisheye calibration.

Azagra and others 2023, "EndoMapper dataset of complete calibrated endoscopy procedures", Scientific Data 10:671. As
published (Synapse syn26707219) a sequence is Sequences/Seq_NNN/ with Seq_NNN.mov and Seq_NNN_info.json, whose
`endoscope_number` names Calibrations/Endoscope_NN/Endoscope_NN_geometrical.xml two folders above.
"""

import re
from dataclasses import replace
from pathlib import Path

from endogs.bounded_files import is_file, listed, read_json
from endogs.clip.cameras.guessed_camera import camera_found
from endogs.clip.cameras.undistortion import undistort
from endogs.clip.cameras.vicalib_xml import read_vicalib
from endogs.clip.config import ClipOptions
from endogs.clip.layouts import image_folder, video
from endogs.clip.recording import Recording
from endogs.errors import InputError

KIND = "endomapper"
LANDMARKS: tuple[str, ...] = ("*geometrical.xml", "Seq_*_info.json")
CALIBRATION = "*geometrical.xml"
VIDEOS = (".mov", ".mp4", ".mkv", ".avi")


def why_not(path: Path, options: ClipOptions) -> str | None:
    """Why `path` has not this layout, None when it has."""
    if not path.is_dir():
        return "not a folder"
    if not list(path.glob(CALIBRATION)) and not list(path.glob("Seq_*_info.json")):
        return "neither *_geometrical.xml nor Seq_*_info.json"
    return None if _videos(path) or image_folder.why_not(path, options) is None else "neither a video nor images"


def read(path: Path, options: ClipOptions) -> Recording:
    """The frames as a pinhole camera sees them; the camera stands still and lengths are relative, as nothing says more.

    Images, in the folder or in images/, go before the video. Raises InputError when the calibration is missing, is not
    readable or is for frames of another size, and for several videos.
    """
    lens, size = read_vicalib(_calibration(path))
    if image_folder.why_not(path, options) is None:
        recording = image_folder.read(path, options)
    else:
        videos = _videos(path)
        if len(videos) > 1:
            raise InputError(
                f"{path}: {len(videos)} videos ({videos[0].name}, {videos[1].name}): keep the one to read."
            )
        # What is kept of the original would be turned anyway.
        recording = replace(video.read(videos[0], options, keep_bytes=0, square=False), source=path)
    if (recording.width, recording.height) != size:
        raise InputError(
            f"{path}: the frames are {recording.width} x {recording.height} but the calibration is for {size[0]} x "
            f"{size[1]}: give the original frames."
        )
    return undistort(replace(recording, kind=KIND, notes=camera_found(recording.notes)), lens, options)


def _videos(path: Path) -> list[Path]:
    return sorted(file for file in listed(path) if file.suffix.lower() in VIDEOS and is_file(file))


def _calibration(path: Path) -> Path:
    """The XML file of the endoscope, beside the video or where the data set keeps it."""
    beside = sorted(path.glob(CALIBRATION))
    if beside:
        return beside[0]
    info = sorted(path.glob("Seq_*_info.json"))[0]
    found = read_json(info)
    stated = str(found.get("endoscope_number") if isinstance(found, dict) else "")
    if not re.fullmatch("[0-9]{1,9}", stated):
        raise InputError(
            f"{info}: names no endoscope, so its calibration is unknown: put an Endoscope_NN_geometrical.xml beside it."
        )
    name = f"Endoscope_{int(stated):02d}"
    file = path.resolve().parent.parent / "Calibrations" / name / f"{name}_geometrical.xml"
    if not file.is_file():
        raise InputError(f"{info}: the calibration {file} is missing: copy {file.name} there or beside the video.")
    return file
