"""Packed stereo: one video whose frames hold both views, as --stereo says."""

from dataclasses import replace
from pathlib import Path

from endogs.clip.cameras.guessed_camera import camera_found, guessed_intrinsics
from endogs.clip.checks.packing import check_packing
from endogs.clip.config import ClipOptions
from endogs.clip.files.packed_views import PackedViews
from endogs.clip.layouts import video
from endogs.clip.layouts.stereo_video import KIND, calibrated
from endogs.clip.recording import Recording
from endogs.errors import InputError

LANDMARKS: tuple[str, ...] = ()
NARROW, WIDE = 0.95, 2.4
"""Width over height of views: endoscopes' lie between the 1 of a square and the 1.78 of 16:9, and half of or twice that
is beyond."""


def why_not(path: Path, options: ClipOptions) -> str | None:
    """Why `path` has not this layout, None when it has."""
    return "--stereo says nothing of packed views" if options.stereo is None else video.why_not(path, options)


def read(path: Path, options: ClipOptions) -> Recording:
    """One file whose frames hold two views as `options.stereo` says, with the camera of --calibration, or guessed."""
    plain = replace(options, crop=None, max_size=None, calibration=None, stereo=None)
    whole = video.read(path, plain, keep_bytes=0, square=False)
    beside = options.stereo == "side-by-side"
    if (whole.width if beside else whole.height) % 2:
        raise InputError(f"{path}: frames of {whole.width} x {whole.height} are not two views {options.stereo}.")
    width, height = (whole.width // 2, whole.height) if beside else (whole.width, whole.height // 2)
    packed = PackedViews(whole.images, width, height)
    aspect = _pixel_aspect(width, height)
    K, camera_notes = guessed_intrinsics(width, height, options, aspect)
    if aspect != 1 and options.calibration is None:
        camera_notes.append(
            f"each view has {width} x {height} pixels, as where views were squeezed to half to fit into one frame: the "
            f"intrinsics take pixels for {2 if aspect > 1 else 0.5} times as wide as high; --calibration says better."
        )
    recording = replace(
        whole,
        kind=KIND,
        width=width,
        height=height,
        K=K[None].repeat(len(whole.times), 0),
        images=packed.view(0, 0),
        packed=packed,
        right_images=packed.view(0, width) if beside else packed.view(height, 0),
        notes=[*(note for note in camera_found(whole.notes) if "--stereo" not in note), *camera_notes],
    )
    try:
        return calibrated(recording, options.calibration, options)
    except InputError as error:  # a calibration for the other packing's views is no wrong calibration
        wrong = check_packing(packed, len(recording.times), options.stereo or "side-by-side").contradiction
        raise (error if wrong is None else InputError(f"{path}: {wrong.rstrip('.')}")) from error


def _pixel_aspect(width: int, height: int) -> float:
    """Width over height of the pixels of a view, by its shape: half side-by-side views are squeezed to half."""
    shape = width / height
    return 2.0 if shape < NARROW else 0.5 if shape > WIDE else 1.0
