"""The scene file: one safetensors file with JSON beside the tensors; docs/SCENE_FORMAT.md describes it.

No pickle anywhere: opening a stranger's scene runs no code.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from endogs.errors import InputError
from endogs.folder_swap import standing
from endogs.gaussians import CHANNELS
from endogs.output import new_file
from endogs.scene.appearance import PLAIN, Appearance
from endogs.scene.scene import Scene
from endogs.scene.visibility import Visibility
from endogs.tensor_files import system_errors

FORMAT = "endogs-scene"
VERSION = 3
"""The newest version that can be read."""
PLAIN_VERSION = 2
"""What scenes of plain colours are written as, for older readers."""
FILE_NAME = "scene.safetensors"
"""Name of the scene file in an output folder."""
_KEY = "endogs"
_DEFORMATION, _APPEARANCE = "deformation.", "appearance."
_VISIBILITY = ("visibility.drawn", "visibility.seen")


def save_scene(scene: Scene, path: Path | str) -> None:
    """Writes a scene to a file, under a temporary name first: an interrupted save leaves the old file whole.

    Raises ValueError when a tensor is not finite, and InputError when the place is not writable.
    """
    tensors = {"base": scene.base.float()}
    tensors |= {_DEFORMATION + name: value.float() for name, value in scene.deformation.tensors().items()}
    if scene.visibility is not None:
        tensors |= dict(zip(_VISIBILITY, (scene.visibility.drawn, scene.visibility.seen), strict=True))
    tensors |= {_APPEARANCE + name: value for name, value in scene.appearance.tensors().items()}
    one_camera = (scene.K[:1] == scene.K).all() and (scene.world_to_camera == scene.world_to_camera[:1]).all()
    frames = slice(0, 1) if one_camera else slice(None)
    metadata = {
        "units": scene.units,
        "width": int(scene.width),
        "height": int(scene.height),
        "times": scene.times,
        "cameras": {"K": scene.K[frames], "world_to_camera": scene.world_to_camera[frames]},
        "deformation": {"kind": scene.deformation.kind, "settings": scene.deformation.settings()},
        "metadata": scene.metadata,
    }
    if not scene.appearance.plain:
        metadata |= {"version": VERSION, "appearance": scene.appearance.description()}
    write_scene_file(path, tensors, metadata)


def load_scene(path: Path | str, device: torch.device | str = "cpu") -> Scene:
    """Reads a scene from a file, or from the folder that a fit wrote it to.

    Raises InputError, one sentence, for a file that is missing, truncated, foreign, newer, inconsistent or not finite.
    """
    from endogs.scene import DEFORMATIONS  # the package imports Scene, which this module needs first

    path = _scene_path(path)
    tensors, metadata = read_scene_file(path)
    base = tensors.pop("base", None)
    if base is None or base.ndim != 2 or base.shape[1] != CHANNELS or base.dtype != torch.float32:
        found = "is missing" if base is None else f"is {tuple(base.shape)} {base.dtype}"
        raise _broken(path, f"its Gaussians 'base' should be (N, {CHANNELS}) torch.float32 but it {found}")
    visible = [tensors.pop(name) for name in _VISIBILITY if name in tensors]
    looks = {name: tensors.pop(name).to(device) for name in list(tensors) if name.startswith(_APPEARANCE)}
    stray = [name for name in tensors if not name.startswith(_DEFORMATION)]
    if stray:
        raise _broken(path, f"it holds the unknown tensor '{stray[0]}'")

    units = _entry(path, metadata, "units", str)
    if units not in ("mm", "relative"):
        raise _broken(path, f"its units '{units}' are neither 'mm' nor 'relative'")
    width, height = _entry(path, metadata, "width", int), _entry(path, metadata, "height", int)
    if width < 1 or height < 1:
        raise _broken(path, f"its image size {width} x {height} is not positive")
    times = _numbers(path, metadata, "times", (-1,))
    if len(times) == 0 or np.any(np.diff(times) < 0):
        raise _broken(path, "its 'times' are empty or run backwards")
    cameras = _entry(path, metadata, "cameras", dict)
    K = _per_frame(path, _numbers(path, cameras, "K", (-1, 3, 3)), len(times))
    world_to_camera = _per_frame(path, _numbers(path, cameras, "world_to_camera", (-1, 4, 4)), len(times))
    if np.any(K[:, 0, 0] <= 0) or np.any(K[:, 1, 1] <= 0):
        raise _broken(path, "a focal length in 'K' is not positive")
    rotation = world_to_camera[:, :3, :3]
    if not np.allclose(rotation @ rotation.swapaxes(1, 2), np.eye(3), atol=1e-3):
        raise _broken(path, "a pose in 'world_to_camera' is not rigid")

    bits = (len(base), -(-len(times) // 8))
    if visible and [(tuple(one.shape), one.dtype) for one in visible] != [(bits, torch.uint8)] * len(_VISIBILITY):
        raise _broken(path, f"its {' and '.join(_VISIBILITY)} should both be {bits} torch.uint8")

    description = _entry(path, metadata, "deformation", dict)
    kind = _entry(path, description, "kind", str)
    if kind not in DEFORMATIONS:
        raise _broken(path, f"its deformation '{kind}' is none of {', '.join(DEFORMATIONS)}")
    parts = {name.removeprefix(_DEFORMATION): value.to(device) for name, value in tensors.items()}
    base = base.to(device)
    try:
        deformation = DEFORMATIONS[kind].from_parts(parts, _entry(path, description, "settings", dict))
        # A mask of the wrong length is refused, where a deformation of one Gaussian would silently serve all.
        deformation.kept(torch.ones(len(base), dtype=torch.bool, device=base.device))
    except (ValueError, KeyError, TypeError, IndexError, OverflowError) as error:
        raise _broken(path, f"its '{kind}' deformation does not fit its {len(base)} Gaussians ({error})") from error
    appearance = _appearance(path, looks, metadata, len(base))
    about = _entry(path, metadata, "metadata", dict)
    visibility = Visibility(*visible) if visible else None
    return Scene(base, deformation, times, K, world_to_camera, width, height, units, about, visibility, appearance)


def _appearance(path: Path, tensors: dict[str, Tensor], metadata: dict[str, Any], count: int) -> Appearance:
    """How `count` Gaussians look: plain where the file says nothing."""
    if "appearance" not in metadata:
        if tensors:
            raise _broken(path, f"it holds the unknown tensor '{min(tensors)}'")
        return PLAIN
    parts = {name.removeprefix(_APPEARANCE): value for name, value in tensors.items()}
    try:
        found = Appearance.from_parts(parts, _entry(path, metadata, "appearance", dict))
        found.check(count)
    except (ValueError, KeyError, TypeError, IndexError, OverflowError) as error:
        raise _broken(path, f"its appearance does not fit its {count} Gaussians ({error})") from error
    return found


def write_scene_file(path: Path | str, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    """Writes tensors and JSON metadata to one safetensors file, under a temporary name first.

    Numpy numbers and arrays become JSON numbers and lists, paths become strings, and numbers that are not finite become
    null, which JSON has no other word for. Raises ValueError naming a tensor that is not finite or a value that JSON
    cannot hold.
    """
    path = Path(path)
    for name, value in tensors.items():
        if not bool(torch.isfinite(value).all()):
            raise ValueError(f"'{name}' is not finite; the scene was not written to {path}")
    described = {"format": FORMAT, "version": PLAIN_VERSION, **metadata}
    text = json.dumps(_plain(described), allow_nan=False, separators=(",", ":"))
    # Clones, because safetensors refuses views that share memory.
    owned = {name: value.detach().to("cpu", copy=True).contiguous() for name, value in tensors.items()}
    with new_file(path) as partial, system_errors():
        save_file(owned, partial, {_KEY: text})


def read_scene_file(path: Path | str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The finite CPU tensors and the metadata that `write_scene_file` was given, without `format` and `version`.

    A folder stands for the scene file in it. Raises InputError for a file that is missing, unreadable, truncated,
    foreign, written by a newer version, or that holds a NaN or an infinity.
    """
    path = _scene_path(path)
    try:
        with safe_open(path, "pt") as file:
            text = (file.metadata() or {}).get(_KEY)
            if text is None:
                raise InputError(f"{path}: a safetensors file but not a scene; give a file that endogs wrote")
            metadata = _parse(path, text)
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 (not a dict)
    except SafetensorError as error:
        raise InputError(f"{path}: not a whole scene file ({error}); it was cut off or is of another kind") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}); check the path") from error
    for name, value in tensors.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise _broken(path, f"its tensor '{name}' is not finite")
    return tensors, metadata


def _parse(path: Path, text: str) -> dict[str, Any]:
    try:
        metadata = json.loads(text, parse_constant=_reject_constant)
    except (ValueError, RecursionError) as error:
        raise _broken(path, f"its metadata is not JSON ({error})") from error
    if not isinstance(metadata, dict) or metadata.pop("format", None) != FORMAT:
        raise InputError(f"{path}: not a scene; give a file that endogs wrote")
    version = metadata.pop("version", None)
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise _broken(path, f"its format version {version!r} is not a number from 1 up")
    if version > VERSION:
        raise InputError(f"{path}: scene format {version}, this endogs reads up to {VERSION}; install a newer endogs")
    return metadata


def _reject_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _scene_path(path: Path | str) -> Path:
    path = standing(Path(path))
    if not path.exists():
        raise InputError(f"{path}: no such scene; give a {FILE_NAME} or the folder that holds one")
    if path.is_dir():
        if not (path / FILE_NAME).is_file():
            raise InputError(f"{path}: a folder without a {FILE_NAME}; give the output folder of endogs reconstruct")
        return path / FILE_NAME
    return path


def _broken(path: Path, what: str) -> InputError:
    return InputError(f"{path}: not a valid scene, {what}; write it again")


def _entry(path: Path, holder: dict[str, Any], name: str, kind: type) -> Any:
    value = holder.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise _broken(path, f"its metadata lacks '{name}' or holds the wrong kind of value there")
    return value


def _numbers(path: Path, holder: dict[str, Any], name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The float64 array of the given shape, -1 for any length."""
    try:
        array = np.array(_entry(path, holder, name, list), dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise _broken(path, f"its '{name}' is not an array of numbers") from error
    if array.ndim != len(shape) or any(want not in (-1, has) for want, has in zip(shape, array.shape, strict=True)):
        raise _broken(path, f"its '{name}' has shape {array.shape}, expected {shape} with -1 for any length")
    if not np.isfinite(array).all():
        raise _broken(path, f"its '{name}' is not finite")
    return array


def _per_frame(path: Path, array: np.ndarray, frames: int) -> np.ndarray:
    """One matrix per frame; a static camera is stored once."""
    if len(array) not in (1, frames):
        raise _broken(path, f"it has {len(array)} cameras for {frames} frames")
    return np.broadcast_to(array, (frames, *array.shape[1:])).copy()


def _plain(value: Any) -> Any:
    """JSON's own types for what a configuration or a report may hold."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, Path):
        return value.as_posix()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    raise ValueError(f"a {type(value).__name__} has no place in a scene's metadata")
