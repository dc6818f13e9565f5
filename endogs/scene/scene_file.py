"""The scene file: one safetensors file with JSON beside the tensors; docs/SCENE_FORMAT.md describes it.

A stranger may have written it. Its sizes are held against the limits below, and the shapes of its tensors against the
model, before any of them is read.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from endogs.bounded_files import why
from endogs.errors import InputError
from endogs.folder_swap import standing
from endogs.gaussians import CHANNELS
from endogs.scene.appearance import PLAIN, Appearance
from endogs.scene.chain import SceneChain, SegmentFrames
from endogs.scene.deformation.deformation import Deformation
from endogs.scene.deformation.static import StaticDeformation
from endogs.scene.origin import FARTHEST, MOST_FRAMES, Origin
from endogs.scene.scene import Scene
from endogs.scene.stored_masks import StoredMasks
from endogs.scene.tensor_file import TensorFile, broken, write_tensor_file
from endogs.scene.visibility import Visibility

FORMAT = "endogs-scene"
VERSION = 3
"""The newest version that can be read: 1 is a scene, 2 a segment of a chain, or the file that names its segments, and 3
what holds a headlight."""
SEGMENTS = "segments"
"""Folder of a chain's segments, beside the file that names them."""
FILE_NAME = "scene.safetensors"
"""Name of the scene file in an output folder."""
LONGEST_SIDE = 16384
"""Pixels of an image's side: what graphics cards draw."""
MOST_GAUSSIANS = 100_000_000
"""5.6 GB at rest."""
LARGEST_NUMBER = 1e18
"""Largest focal length, coordinate of a principal point or entry of a pose: its square fits into float32."""
_DEFORMATION, _APPEARANCE = "deformation.", "appearance."
_VISIBILITY = ("visibility.drawn", "visibility.seen")
_MASKS = ("masks.packed", "masks.ends")
_IDENTITY = "identity"
_MISFITS = (ValueError, KeyError, TypeError, IndexError, OverflowError)
"""What a model's `from_parts` raises for tensors and settings that do not fit it or each other."""


def save_scene(scene: Scene, path: Path | str) -> None:
    """Writes a scene to a file, under a temporary name first: an interrupted save leaves the old file whole.

    Raises ValueError when a tensor is not finite, and InputError when the place is not writable.
    """
    tensors = {"base": scene.base.float()}
    tensors |= {_DEFORMATION + name: value.float() for name, value in scene.deformation.tensors().items()}
    if scene.visibility is not None:
        tensors |= dict(zip(_VISIBILITY, (scene.visibility.drawn, scene.visibility.seen), strict=True))
    tensors |= {_APPEARANCE + name: value for name, value in scene.appearance.tensors().items()}
    if scene.identity is not None:
        tensors[_IDENTITY] = scene.identity
    metadata = {
        "deformation": {"kind": scene.deformation.kind, "settings": scene.deformation.settings()},
    }
    if not scene.appearance.plain:
        metadata |= {"appearance": scene.appearance.description()}
    version = 3 if scene.appearance.headlight is not None else 1 if scene.identity is None else 2
    write_tensor_file(path, tensors | _mask_tensors(scene), about_scene(scene, version) | metadata)


def about_scene(scene: Scene, version: int) -> dict[str, Any]:
    """JSON of all that a scene knows beside its Gaussians."""
    one_camera = (scene.K[:1] == scene.K).all() and (scene.world_to_camera == scene.world_to_camera[:1]).all()
    frames = slice(0, 1) if one_camera else slice(None)
    return {
        "format": FORMAT,
        "version": version,
        "units": scene.units,
        "width": int(scene.width),
        "height": int(scene.height),
        "times": scene.times,
        "cameras": {"K": scene.K[frames], "world_to_camera": scene.world_to_camera[frames]},
        "origin": scene.origin.as_json(),
        "metadata": scene.metadata,
    }


def save_chain(chain: SceneChain, path: Path | str) -> None:
    """Writes the file that names a chain's segments, which stand in SEGMENTS beside it. Raises InputError."""
    listed = [{"first": segment.first, "last": segment.last} for segment in chain.segments]
    metadata = about_scene(chain, 2) | {"segments": listed, "gaussians": chain.gaussians}
    write_tensor_file(path, _mask_tensors(chain), metadata)


def _mask_tensors(scene: Scene) -> dict[str, Tensor]:
    if scene.masks is None:
        return {}
    arrays = (scene.masks.packed.copy(), scene.masks.ends.copy())  # torch wants writable ones
    return dict(zip(_MASKS, map(torch.from_numpy, arrays), strict=True))


def load_scene(path: Path | str, device: torch.device | str = "cpu") -> Scene:
    """Reads a scene from a file, or from the folder that a fit wrote it to; of a `SceneChain` no segment yet.

    Raises InputError, one sentence, for a file that is missing, truncated, foreign, newer, inconsistent or not finite,
    and for a scene that is beyond the limits above or the memory there is.
    """
    file = TensorFile.open(_scene_path(path))
    path, metadata = file.path, file.metadata
    _check_version(path, metadata)
    width, height = _image_size(path, metadata)
    times, K, world_to_camera = _cameras(path, metadata)
    units = _entry(path, metadata, "units", str)
    if units not in ("mm", "relative"):
        raise broken(path, f"its units '{units}' are neither 'mm' nor 'relative'")
    about = _entry(path, metadata, "metadata", dict)
    try:
        origin = Origin.from_json(_origin(path, metadata))
    except ValueError as error:
        raise broken(path, str(error)) from error
    if max(origin.training_frames or (0,)) >= len(times):
        raise broken(path, f"its origin names the training frame {max(origin.training_frames or ())} of {len(times)}")
    if "segments" in metadata:
        return _chain(file, (times, K, world_to_camera), (width, height), units, origin).to(device)

    _check_tensors(path, file.tensors, len(times))
    _model(path, file.tensors, metadata)  # of tensors without memory: the shapes are checked before anything is read
    tensors = file.read(device)
    base, deformation, appearance = _model(path, tensors, metadata)
    try:
        deformation.check_values()
        appearance.check_values()
    except ValueError as error:
        raise broken(path, str(error)) from error
    visibility = Visibility(*(tensors[name].cpu() for name in _VISIBILITY)) if _VISIBILITY[0] in tensors else None
    masks = _stored_masks(path, tensors, width, height)
    identity = tensors.get(_IDENTITY)
    if identity is not None and (len(identity.unique()) != len(identity) or int(identity.min()) < 1):
        raise broken(path, f"its '{_IDENTITY}' are not different numbers from 1 up")
    return Scene(
        base,
        deformation,
        times,
        K,
        world_to_camera,
        width,
        height,
        units,
        about,
        visibility,
        appearance,
        origin,
        masks,
        identity,
        path,
    )


def _chain(
    file: TensorFile,
    cameras: tuple[np.ndarray, np.ndarray, np.ndarray],
    size: tuple[int, int],
    units: str,
    origin: Origin,
) -> Scene:
    """The chain that a file names the segments of; they are read from its folder when they are asked for."""
    path, metadata, frames = file.path, file.metadata, len(cameras[0])
    unknown = sorted(set(file.tensors) - set(_MASKS))
    if unknown:
        raise broken(path, f"it names segments and holds the tensor '{unknown[0]}'")
    _check_masks(path, file.tensors, frames)
    listed, gaussians = _entry(path, metadata, "segments", list), _entry(path, metadata, "gaussians", int)
    if not 1 <= len(listed) <= frames or not 0 <= gaussians <= LARGEST_NUMBER:
        raise broken(path, f"it names {len(listed)} segments with {gaussians} Gaussians for {frames} frames")
    segments = []
    for entry in listed:
        if not isinstance(entry, dict) or not all(type(entry.get(name)) is int for name in ("first", "last")):
            raise broken(path, "a segment does not say its first and last frame")
        segments.append(SegmentFrames(entry["first"], entry["last"]))
    masks = _stored_masks(path, file.read(), *size)
    about = _entry(path, metadata, "metadata", dict)
    frame = Scene(torch.zeros(0, CHANNELS), StaticDeformation(), *cameras, *size, units, about, origin=origin)
    frame.masks, frame.file = masks, path
    try:
        return SceneChain.of(frame, tuple(segments), lambda number: read_segment(path.parent, number), gaussians)
    except ValueError as error:
        raise broken(path, str(error)) from error


def segment_file(folder: Path, number: int) -> Path:
    """Where a segment of the chain in `folder` is."""
    return folder / SEGMENTS / f"{number:06d}.safetensors"


def read_segment(folder: Path, number: int) -> Scene:
    """A segment of the chain in `folder`. Raises InputError, one sentence, where it is not there or damaged."""
    file = segment_file(folder, number)
    if not file.is_file():
        raise InputError(f"{file}: this part of the scene is not there; copy the whole folder of the scene again")
    found = load_scene(file)
    if isinstance(found, SceneChain):
        raise broken(file, "it is a segment and names segments")
    return found


def _check_version(path: Path, metadata: dict[str, Any]) -> None:
    if metadata.get("format") != FORMAT:
        raise InputError(f"{path}: not a scene; give a file that endogs wrote")
    version = metadata.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise broken(path, f"its format version {version!r} is not a number from 1 up")
    if version > VERSION:
        raise InputError(
            f"{path}: scene format {version}, and this endogs reads {VERSION}: install a newer endogs, or fit it again "
            "where one before the first release wrote it"
        )


def _origin(path: Path, metadata: dict[str, Any]) -> Any:
    """What the scene says of its origin; scenes from before the first release said nothing there."""
    if "origin" not in metadata:
        raise InputError(f"{path}: says nothing of its origin, as scenes from before the first release: fit it again")
    return _entry(path, metadata, "origin", dict)


def _image_size(path: Path, metadata: dict[str, Any]) -> tuple[int, int]:
    width, height = _entry(path, metadata, "width", int), _entry(path, metadata, "height", int)
    if width < 1 or height < 1:
        raise broken(path, f"its image size {width} x {height} is not positive")
    if max(width, height) > LONGEST_SIDE:
        raise broken(path, f"its image size {width} x {height} is beyond {LONGEST_SIDE} pixels a side")
    return width, height


def _cameras(path: Path, metadata: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times (F,), intrinsics (F, 3, 3) and poses (F, 4, 4)."""
    times = _numbers(path, metadata, "times", (-1,), FARTHEST)
    if len(times) == 0 or np.any(np.diff(times) < 0):
        raise broken(path, "its 'times' are empty or run backwards")
    if len(times) > MOST_FRAMES:
        raise broken(path, f"its {len(times)} frames are more than {MOST_FRAMES}")
    cameras = _entry(path, metadata, "cameras", dict)
    K = _per_frame(path, _numbers(path, cameras, "K", (-1, 3, 3), LARGEST_NUMBER), len(times))
    poses = _numbers(path, cameras, "world_to_camera", (-1, 4, 4), LARGEST_NUMBER)
    world_to_camera = _per_frame(path, poses, len(times))
    focals = K[:, [0, 1], [0, 1]]
    if focals.min() <= 0:
        raise broken(path, "a focal length in 'K' is not positive")
    if focals.min() < 1 / LARGEST_NUMBER:
        raise broken(path, f"a focal length in 'K' is {focals.min():g} pixels, less than any lens has")
    rotation = world_to_camera[:, :3, :3]
    if not np.allclose(rotation @ rotation.swapaxes(1, 2), np.eye(3), atol=1e-3):
        raise broken(path, "a pose in 'world_to_camera' is not rigid")
    return times, K, world_to_camera


def _check_tensors(path: Path, tensors: dict[str, Tensor], frames: int) -> None:
    """Names, types and shapes of all that is not the deformation's or the appearance's own."""
    base = tensors.get("base")
    if base is None or base.ndim != 2 or base.shape[1] != CHANNELS or base.dtype != torch.float32:
        found = "is missing" if base is None else f"is {tuple(base.shape)} {base.dtype}"
        raise broken(path, f"its Gaussians 'base' should be (N, {CHANNELS}) torch.float32 but it {found}")
    if len(base) > MOST_GAUSSIANS:
        raise broken(path, f"its {len(base)} Gaussians are more than {MOST_GAUSSIANS}")
    for name, value in tensors.items():
        if name.startswith((_DEFORMATION, _APPEARANCE)):
            wanted = torch.int32 if name.endswith(".neighbours") else torch.float32
            if value.dtype != wanted:
                raise broken(path, f"its tensor '{name}' is {value.dtype} and should be {wanted}")
        elif name not in ("base", _IDENTITY, *_VISIBILITY, *_MASKS):
            raise broken(path, f"it holds the unknown tensor '{name}'")
    bits = (len(base), -(-frames // 8))
    if not _held(tensors, _VISIBILITY, (bits, torch.uint8), (bits, torch.uint8)):
        raise broken(path, f"its {' and '.join(_VISIBILITY)} should both be {bits} torch.uint8")
    identity = tensors.get(_IDENTITY)
    if identity is not None and (identity.dtype != torch.int64 or tuple(identity.shape) != (len(base),)):
        raise broken(path, f"its '{_IDENTITY}' should be ({len(base)},) torch.int64")
    _check_masks(path, tensors, frames)


def _check_masks(path: Path, tensors: dict[str, Tensor], frames: int) -> None:
    if not _held(tensors, _MASKS, (None, torch.uint8), ((frames,), torch.int64)):
        raise broken(path, f"its {' and '.join(_MASKS)} should be (B,) torch.uint8 and ({frames},) torch.int64")


def _held(
    tensors: dict[str, Tensor], names: tuple[str, str], *wanted: tuple[tuple[int, ...] | None, torch.dtype]
) -> bool:
    """Whether none of `names` is there, or both in the shapes (None: a row of any length) and types that are wanted."""
    held = [tensors[name] for name in names if name in tensors]
    if not held:
        return True
    return len(held) == len(names) and all(
        one.dtype == dtype and (one.ndim == 1 if shape is None else tuple(one.shape) == shape)
        for one, (shape, dtype) in zip(held, wanted, strict=True)
    )


def _model(path: Path, tensors: dict[str, Tensor], metadata: dict[str, Any]) -> tuple[Tensor, Deformation, Appearance]:
    """Canonical Gaussians, deformation and appearance, whose shapes fit each other."""
    from endogs.scene import DEFORMATIONS  # the package imports Scene, which this module needs first

    base = tensors["base"]
    description = _entry(path, metadata, "deformation", dict)
    kind = _entry(path, description, "kind", str)
    if kind not in DEFORMATIONS:
        raise broken(path, f"its deformation '{kind}' is none of {', '.join(DEFORMATIONS)}")
    parts = {n.removeprefix(_DEFORMATION): value for n, value in tensors.items() if n.startswith(_DEFORMATION)}
    try:
        deformation = DEFORMATIONS[kind].from_parts(parts, _entry(path, description, "settings", dict))
        deformation.check(len(base))
    except _MISFITS as error:
        raise broken(path, f"its '{kind}' deformation does not fit its {len(base)} Gaussians ({error})") from error
    parts = {n.removeprefix(_APPEARANCE): value for n, value in tensors.items() if n.startswith(_APPEARANCE)}
    if "appearance" not in metadata:
        if parts:
            raise broken(path, f"it holds the unknown tensor '{_APPEARANCE}{min(parts)}'")
        return base, deformation, PLAIN
    try:
        appearance = Appearance.from_parts(parts, _entry(path, metadata, "appearance", dict))
        appearance.check(len(base))
    except _MISFITS as error:
        raise broken(path, f"its appearance does not fit its {len(base)} Gaussians ({error})") from error
    return base, deformation, appearance


def _stored_masks(path: Path, tensors: dict[str, Tensor], width: int, height: int) -> StoredMasks | None:
    if _MASKS[0] not in tensors:
        return None
    try:
        return StoredMasks(width, height, *(tensors[name].cpu().numpy() for name in _MASKS))
    except ValueError as error:
        raise broken(path, str(error)) from error


def _scene_path(path: Path | str) -> Path:
    path = Path(path)
    try:
        path = standing(path)
        there, folder = path.exists(), path.is_dir()
    except (OSError, ValueError) as error:  # a name that is too long, or no name
        raise InputError(
            f"{path}: no such scene ({why(error)}); give a {FILE_NAME} or the folder that holds one"
        ) from error
    if not there:
        raise InputError(f"{path}: no such scene; give a {FILE_NAME} or the folder that holds one")
    if folder:
        if not (path / FILE_NAME).is_file():
            raise InputError(f"{path}: a folder without a {FILE_NAME}; give the output folder of endogs reconstruct")
        return path / FILE_NAME
    return path


def _entry(path: Path, holder: dict[str, Any], name: str, kind: type) -> Any:
    value = holder.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise broken(path, f"its metadata lacks '{name}' or holds the wrong kind of value there")
    return value


def _numbers(path: Path, holder: dict[str, Any], name: str, shape: tuple[int, ...], largest: float) -> np.ndarray:
    """The float64 array of the given shape, -1 for any length, whose entries are within +-`largest`."""
    try:
        array = np.array(_entry(path, holder, name, list), dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise broken(path, f"its '{name}' is not an array of numbers") from error
    if array.ndim != len(shape) or any(want not in (-1, has) for want, has in zip(shape, array.shape, strict=True)):
        raise broken(path, f"its '{name}' has shape {array.shape}, expected {shape} with -1 for any length")
    if not np.isfinite(array).all():
        raise broken(path, f"its '{name}' is not finite")
    if array.size and np.abs(array).max() > largest:
        raise broken(path, f"its '{name}' holds numbers beyond {largest:g}")
    return array


def _per_frame(path: Path, array: np.ndarray, frames: int) -> np.ndarray:
    """One matrix per frame; a static camera is stored once."""
    if len(array) not in (1, frames):
        raise broken(path, f"it has {len(array)} cameras for {frames} frames")
    return np.broadcast_to(array, (frames, *array.shape[1:])).copy()
