"""Tensors and JSON in one safetensors file, read and written once each: no copy of a scene beside the scene.

No pickle anywhere. What a file says of itself is checked before anything of its size is allocated: the library checks
that its tensors lie in the file, one after the other; dtypes, the metadata's depth and the memory are checked here.
"""

import json
import math
import shutil
import stat
import struct
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from endogs.bounded_files import parse_json
from endogs.errors import InputError
from endogs.gaussians import all_finite
from endogs.memory_budget import require_memory
from endogs.output import new_file
from endogs.plain_text import is_text, plain
from endogs.system_refusals import system_errors

_KEY = "endogs"
DTYPES = {"F32": torch.float32, "U8": torch.uint8, "I32": torch.int32, "I64": torch.int64}
"""What scenes are made of, by the names of safetensors; all else is refused."""
LONGEST_REASON = 300
"""Letters of what a sentence quotes from a file."""
JSON_GROWTH = 32
"""Bytes that Python takes, at most, for a byte of JSON: an empty object and its comma, 3 letters, take 72."""


@dataclass(frozen=True)
class TensorFile:
    """What a file holds, before any of it is read."""

    path: Path
    metadata: dict[str, Any]
    """The JSON beside the tensors."""
    tensors: dict[str, Tensor]
    """The tensors' shapes and types, as tensors of the device `meta`, which have no memory."""
    offsets: Mapping[str, int]
    """Where each tensor's bytes begin in the file."""

    @staticmethod
    def open(path: Path) -> "TensorFile":
        """Raises InputError for a file that is no regular one, unreadable, cut off, foreign, with tensors of types that
        no scene has, or whose metadata is not JSON.
        """
        try:
            if not stat.S_ISREG(path.stat().st_mode):
                raise InputError(f"{path}: not a regular file; give a scene file")
            with path.open("rb") as opened, safe_open(_library_path(path, opened), "pt") as file:
                text = (file.metadata() or {}).get(_KEY)
                slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
                found = {name: (one.get_dtype(), one.get_shape()) for name, one in slices.items()}
            if text is None:
                raise InputError(f"{path}: a safetensors file but not a scene; give a file that endogs wrote")
            offsets = _offsets(path)
        except (SafetensorError, ValueError) as error:
            raise InputError(
                f"{path}: not a whole scene file ({plain(error, LONGEST_REASON)}); it was cut off or is of another kind"
            ) from error
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror or error}); check the path") from error
        except MemoryError as error:  # the library maps the whole file, however little of it is read
            raise InputError(
                f"{path}: the scene does not fit into the memory there is; use a machine with more memory"
            ) from error
        for name, (dtype, _) in found.items():
            if dtype not in DTYPES:
                raise broken(path, f"its tensor '{name}' is of type {dtype}, none of {', '.join(DTYPES)}")
        try:
            shapes = {
                name: torch.empty(shape, dtype=DTYPES[dtype], device="meta") for name, (dtype, shape) in found.items()
            }
        except (RuntimeError, OverflowError, TypeError) as error:  # sides beyond 63 bits, of a tensor without entries
            raise broken(path, f"a tensor has a shape that none can have ({error})") from error
        return TensorFile(path, _parsed(path, text), shapes, offsets)

    def read(self, device: torch.device | str = "cpu") -> dict[str, Tensor]:
        """All tensors, in memory of their own.

        Raises InputError where memory does not suffice, the file has changed, or a number is not finite.
        """
        size = sum(value.nbytes for value in self.tensors.values())
        require_memory(1.1 * size, f"{self.path}: the scene", "use a machine with more memory, or a smaller scene")
        found = {}
        try:
            with self.path.open("rb") as file:
                for name, like in self.tensors.items():
                    value = torch.empty(like.shape, dtype=like.dtype)
                    file.seek(self.offsets[name])
                    if file.readinto(value.numpy().reshape(-1).view(np.uint8).data) != like.nbytes:
                        raise InputError(f"{self.path}: not a whole scene file; it changed while it was read")
                    if not all_finite(value):
                        raise broken(self.path, f"its tensor '{name}' is not finite")
                    found[name] = value.to(device)
        except OSError as error:
            raise InputError(f"{self.path}: cannot be read ({error.strerror or error}); check the path") from error
        return found


def write_tensor_file(path: Path | str, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    """Writes tensors and JSON metadata to one safetensors file, under a temporary name first.

    Numpy numbers and arrays become JSON numbers and lists, paths become strings, and numbers that are not finite become
    null, which JSON has no other word for. Raises ValueError naming a tensor that is not finite or a value that JSON
    cannot hold, and InputError where the place is not writable or full.
    """
    path = Path(path)
    for name, value in tensors.items():
        if not all_finite(value):
            raise ValueError(f"'{name}' is not finite; the scene was not written to {path}")
    text = json.dumps(_plain(metadata), allow_nan=False, separators=(",", ":"))
    with new_file(path) as partial, system_errors():
        if is_text(partial):
            save_file(_apart(tensors), partial, {_KEY: text})
        else:
            with tempfile.TemporaryDirectory() as folder:
                save_file(_apart(tensors), Path(folder) / "scene", {_KEY: text})
                shutil.move(Path(folder) / "scene", partial)


def broken(path: Path, what: str) -> InputError:
    """The sentence for a file that cannot be a scene, because of `what`."""
    return InputError(f"{path}: not a valid scene, {plain(what, LONGEST_REASON)}; write it again")


def _library_path(path: Path, opened: IO[bytes]) -> Path | str:
    """What the library can open in place of `path`, which is `opened`."""
    return path if is_text(path) else f"/dev/fd/{opened.fileno()}"


def _offsets(path: Path) -> dict[str, int]:
    """Where tensors begin, from a header that the library has checked: 8 bytes of its length N, then N of JSON."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        require_memory(JSON_GROWTH * length, f"{path}: the scene's header", "use a machine with more memory")
        header = parse_json(file.read(length))
    return {name: 8 + length + entry["data_offsets"][0] for name, entry in header.items() if name != "__metadata__"}


def _parsed(path: Path, text: str) -> dict[str, Any]:
    require_memory(JSON_GROWTH * len(text), f"{path}: the scene's metadata", "use a machine with more memory")
    try:
        metadata = parse_json(text)
    except ValueError as error:
        raise broken(path, f"its metadata is not JSON ({error})") from error
    if not isinstance(metadata, dict):
        raise InputError(f"{path}: not a scene; give a file that endogs wrote")
    return metadata


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors on the CPU, contiguous and none in another's memory, as safetensors wants them; copied only then."""
    found: dict[str, Tensor] = {}
    taken: set[int] = set()
    for name, value in tensors.items():
        owned = value.detach().to("cpu").contiguous()
        place = owned.untyped_storage().data_ptr()
        if place in taken:
            owned = owned.clone()
        taken.add(place)
        found[name] = owned
    return found


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
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return str(value)  # a reader refuses integers of more than 64 bits
    if value is None or isinstance(value, str | int):
        return value
    raise ValueError(f"a {type(value).__name__} has no place in a scene's metadata")
