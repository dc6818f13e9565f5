"""A folder with a COLMAP model: images/ and sparse/0/ (or sparse/), and what lies beside them."""

from pathlib import Path

import numpy as np

from endogs.clip.colmap_model import ColmapCamera, model_file, read_model
from endogs.clip.config import ClipOptions
from endogs.clip.frame_folders import read_frame_folders
from endogs.clip.image_files import list_images
from endogs.clip.recording import Recording
from endogs.clip.telling_files import FRAME_FOLDERS
from endogs.clip.undistortion import undistort
from endogs.errors import InputError

KIND = "colmap"
LANDMARKS: tuple[str, ...] = ("sparse*", "colmap", "dense", "distorted")
USES: tuple[str, ...] = (*FRAME_FOLDERS, "sparse*", "colmap", "dense", "distorted")


def why_not(path: Path) -> str | None:
    """Why `path` has not this layout, None when it has."""
    if not path.is_dir():
        return "not a folder"
    if _model(path) is None:
        return "no cameras and images, .bin or .txt, in sparse/0/ or sparse/"
    return None if list_images(path / "images") else "images/ holds no images"


def read(path: Path, options: ClipOptions) -> Recording:
    """The registered images in order of their names, which is taken for their order in time.

    Distorted cameras are undistorted, as long as all images share one. Lengths are relative, as a model has no unit.
    Raises InputError for models that cannot be read, images that are missing or in subfolders, and images of another
    aspect than their camera.
    """
    folder = _model(path)
    assert folder is not None
    cameras, registered = read_model(folder)
    files = {file.name: i for i, file in enumerate(list_images(path / "images"))}
    nested = next((image.name for image in registered if "/" in image.name or "\\" in image.name), None)
    if nested is not None:
        raise InputError(f"{folder}: {nested} is in a subfolder of images/: only images in images/ itself are read.")
    missing = [image.name for image in registered if image.name not in files]
    if missing:
        raise InputError(
            f"{path / 'images'}: {len(missing)} of the model's {len(registered)} images are missing ({missing[0]}): "
            "copy them, or reconstruct what is there."
        )
    of_frame = {files[image.name]: image for image in registered}
    usable = np.array([i in of_frame for i in range(len(files))])
    frames = read_frame_folders(path, path / "images", options, fps=None, usable=usable)
    notes = list(frames.notes)
    if not usable.all():
        notes.append(f"{(~usable).sum()} of {len(files)} images have no pose in the model and are left out.")
    others = sorted(other.name for other in folder.parent.iterdir() if other != folder and model_file(other, "images"))
    if others:
        notes.append(f"sparse/{folder.name} is read; the other models of sparse/ ({', '.join(others)}) are not.")
    if frames.right_images is not None:
        notes.append("right views are not used: a model does not say how far apart the cameras are.")

    chosen = [of_frame[i] for i in frames.kept]
    used = {image.camera: cameras[image.camera] for image in chosen}
    scales = {i: _scale(camera, frames.width, frames.height, folder, notes) for i, camera in used.items()}
    K = np.stack([used[image.camera].K * [[scales[image.camera]], [scales[image.camera]], [1]] for image in chosen])
    lenses = {i: camera.lens(scales[i]) for i, camera in used.items()}
    if len({(camera.model, camera.parameters) for camera in used.values()}) > 1 and any(lenses.values()):
        raise InputError(
            f"{folder}: {len(used)} cameras with distortion: undistort the images with colmap image_undistorter, or "
            "let them share one camera."
        )
    lens = next(iter(lenses.values()))
    if lens is None and options.focal is not None:
        K[:, 1, 1] *= options.focal / K[:, 0, 0]
        K[:, 0, 0] = options.focal
    poses = np.stack([image.world_to_camera for image in chosen])
    unit = options.depth_unit_mm
    if frames.depths is not None and unit is None:
        notes.append("depth: its unit is taken for the model's; --depth-unit-mm sets it.")
    recording = Recording(
        source=path,
        kind=KIND,
        width=frames.width,
        height=frames.height,
        times=frames.times,
        K=K,
        world_to_camera=poses,
        images=frames.images,
        masks=frames.masks,
        mask_instrument_value=frames.mask_instrument_value,
        depths=frames.depths,
        depth_unit=unit or 1.0,
        depth_is_quantized=frames.depth_is_quantized,
        file_poses=poses,
        file_pose_convention="world-to-camera-opencv",
        notes=notes,
    )
    return recording if lens is None else undistort(recording, lens, options)


def _model(path: Path) -> Path | None:
    """The folder of the model, None when there is none."""
    folders = [path / "sparse" / "0", path / "sparse"]
    return next((folder for folder in folders if model_file(folder, "cameras") and model_file(folder, "images")), None)


def _scale(camera: ColmapCamera, width: int, height: int, folder: Path, notes: list[str]) -> float:
    """How much larger the images are than the camera's; InputError when they have another aspect."""
    scale = width / camera.width
    if abs(height / camera.height / scale - 1) > 0.01:
        raise InputError(
            f"{folder}: the camera is for images of {camera.width} x {camera.height} but images/ holds {width} x "
            f"{height}, of another aspect: give the images that COLMAP saw."
        )
    note = f"the model is for images of {camera.width} x {camera.height}: it is scaled to {width} x {height}."
    if scale != 1 and note not in notes:
        notes.append(note)
    return scale
