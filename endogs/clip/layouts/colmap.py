"""A folder with a COLMAP model: images/ and sparse/0/ (or another usual place), and what lies beside them.

Besides COLMAP's own layout: colmap/sparse/0 (nerfstudio's ns-process-data), distorted/sparse/0 with input/ (convert.py
of 3D Gaussian splatting), dense/0/sparse with dense/0/images (COLMAP's image_undistorter), and the models of EndoMapper
(Azagra and others 2023): sparse/0 to sparse/N with img_train/outN.png, of which out1.png is the first frame of the
sequence's video at 40 per second.
"""

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path, PureWindowsPath

import numpy as np
from numpy.typing import NDArray

from endogs.bounded_files import listed
from endogs.clip.cameras.colmap_model import ColmapCamera, ColmapImage, model_file, read_model, registered_count
from endogs.clip.cameras.focal_lengths import set_focal_length
from endogs.clip.cameras.undistortion import undistort
from endogs.clip.config import ClipOptions
from endogs.clip.files.frame_folders import read_frame_folders
from endogs.clip.files.written_paths import plain_name
from endogs.clip.layouts.colmap_images import image_root, images_of
from endogs.clip.recording import Recording
from endogs.errors import InputError

KIND = "colmap"
LANDMARKS: tuple[str, ...] = ("sparse*", "colmap", "dense", "distorted")


PLACES = (
    "sparse",
    "colmap/sparse",
    "sparse_text",
    "sparse_txt",
    "dense/0/sparse",
    "dense/sparse",
    "distorted/sparse",
    "colmap",
)
"""Where models are: in a numbered folder of the place, or in the place itself."""
ENDOMAPPER_FPS = 40.0


def why_not(path: Path, options: ClipOptions) -> str | None:
    """Why `path` has not this layout, None when it has."""
    if not path.is_dir():
        return "not a folder"
    model = _model(path)
    if model is None:
        return "no cameras and images, .bin or .txt, in sparse/0/ or sparse/"
    return None if image_root(path, model) is not None else "images/ holds no images"


def read(path: Path, options: ClipOptions) -> Recording:
    """The registered images in order of their names, which is taken for their order in time.

    Distorted cameras are undistorted, as long as all images share one. Lengths are relative, as a model has no unit.
    Raises InputError for models that cannot be read, images that are missing, images of several cameras of which
    --images chooses none, and images of another aspect than their camera.
    """
    folder = _model(path)
    assert folder is not None
    root = image_root(path, folder)
    assert root is not None
    cameras, registered = read_model(folder)
    whole = len(registered)
    image_folder, paths, registered = images_of(folder, root, registered, options.images)
    files = _places(registered, paths)
    missing = [image.name for image in registered if image.name not in files]
    if missing:
        raise InputError(
            f"{image_folder}: {len(missing)} of the model's {len(registered)} images are missing ({missing[0]}): "
            "copy them, or reconstruct what is there."
        )
    of_frame = {files[image.name]: image for image in registered}
    usable = np.array([i in of_frame for i in range(len(paths))])
    times, timing = _endomapper_times(paths)
    inside = image_folder.relative_to(root).as_posix()
    frames = read_frame_folders(
        path, image_folder, options, None, times, usable, instrument_value=0, known=paths, inside=inside
    )
    notes = [*frames.notes, *timing]
    where = folder.relative_to(path).as_posix()
    if where != "sparse/0" or image_folder != path / "images":
        notes.append(f"the model in {where}/ is read with the images in {image_folder.relative_to(path).as_posix()}/.")
    if len(registered) < whole:
        notes.append(f"--images leaves out {whole - len(registered)} of the model's {whole} images.")
    if not usable.all():
        notes.append(f"{(~usable).sum()} of {len(paths)} images have no pose in the model and are left out.")
    others = sorted(other.name for other in listed(folder.parent) if other != folder and model_file(other, "images"))
    if others:
        place = folder.parent.relative_to(path).as_posix()
        notes.append(
            f"{place}/{folder.name} is read, the one with most images; the other models of {place}/ "
            f"({', '.join(others)}) are not."
        )
    if frames.masks is not None and options.mask_instrument_value is None and not options.mask_values:
        notes.append("masks: black is left out, as COLMAP reads masks; --mask-instrument-value 255 for the other way.")
    if frames.right_images is not None:
        notes.append(
            f"{len(frames.kept)} right views are not used: a model does not say how far apart the cameras are."
        )

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
    if lens is None:
        set_focal_length(K, options.focal)
    poses = np.stack([image.world_to_camera for image in chosen])
    unit = options.depth_unit_mm
    if frames.depths is not None and unit is None:
        notes.append("depth: its unit is taken for the model's; --depth-unit-mm sets it.")
    recording = replace(
        frames.recording(path, KIND, K, poses),
        masks=frames.masks,
        mask_instrument_value=frames.mask_instrument_value,
        depth_unit=unit or 1.0,
        file_poses=poses,
        file_pose_convention="world-to-camera-opencv",
        notes=notes,
    )
    return recording if lens is None else undistort(recording, lens, options)


def _model(path: Path) -> Path | None:
    """The folder of the model with most images in the first place that has one, None when there is none."""
    for name in PLACES:
        place = path / name
        numbered = [place / "0", *sorted(place.glob("[0-9]*")), place] if place.is_dir() else []
        counts = [-1 if (count := registered_count(folder)) is None else count for folder in numbered]
        if counts and max(counts) >= 0:
            return numbered[counts.index(max(counts))]
    return None


def _places(registered: list[ColmapImage], paths: list[Path]) -> dict[str, int]:
    """Which of the files each registered image is, by its name in the model; those that are not there are left out.

    Names that were paths of another machine, or of other letter case, are found where only one file fits.
    """
    exact = {path.name: i for i, path in enumerate(paths)}
    alike: dict[str, list[int]] = {}
    for i, path in enumerate(paths):
        alike.setdefault(plain_name(path.name), []).append(i)
    found = {}
    last = [plain_name(PureWindowsPath(image.name).name) for image in registered]
    often = Counter(last)
    for image, name in zip(registered, last, strict=True):
        if image.name in exact:
            found[image.name] = exact[image.name]
        elif len(alike.get(name, [])) == 1 and often[name] == 1:
            found[image.name] = alike[name][0]
    return found or _by_stem(registered, paths)


def _by_stem(registered: list[ColmapImage], paths: list[Path]) -> dict[str, int]:
    """`_places` of images that were saved in another format since the model was made; empty where names repeat."""
    stems = {plain_name(path.stem): i for i, path in enumerate(paths)}
    wanted = [plain_name(PureWindowsPath(image.name).stem) for image in registered]
    if len(stems) < len(paths) or len(set(wanted)) < len(wanted):
        return {}
    return {image.name: stems[stem] for image, stem in zip(registered, wanted, strict=True) if stem in stems}


def _endomapper_times(paths: list[Path]) -> tuple[NDArray[np.float64] | None, list[str]]:
    """Times (F,) in seconds of images that are numbered as EndoMapper numbers a video's frames, and a note."""
    numbers = [re.fullmatch(r"out(\d+)", path.stem) for path in paths]
    if not paths or not all(numbers):
        return None, []
    times = np.array([int(number[1]) - 1 for number in numbers if number is not None]) / ENDOMAPPER_FPS
    return times, [
        f"names such as {paths[0].name} are taken for frames of EndoMapper's video, at {ENDOMAPPER_FPS:g}/s."
    ]


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
