"""Checkpoints of a fit: safetensors with JSON metadata and a checksum, whole or not there, and read like a stranger's.

What a file announces is compared with the model that the options build before any tensor is read, so that no file makes
anything large, and what was read is compared with the checksum, so that a damaged one never goes on as another fit.
"""

import json
import math
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from endogs.bounded_files import parse_json
from endogs.errors import InputError
from endogs.output import new_file, to_json
from endogs.scene.deformation.knots import Knots
from endogs.system_refusals import system_errors

FILE_NAME = "last.safetensors"
FORMAT = "endogs-checkpoint-1"
IDENTITY, LARGEST_IDENTITY = "identity", 2**53
"""Rows of a segment's Gaussians that go on from the segment before, and what no chain has as many as."""
BREAKPOINTS, TRACK_BREAKPOINTS = "breakpoints", "track_breakpoints"
"""Names of the tensors that hold the knots of the deformation, or of the splines that it starts from."""
ANEW = "start anew with --overwrite instead of --resume"
MOST_KNOTS = 1_000_000
ANY, MOST_ANY = -1, 64
"""In a layout, a size from 1 to MOST_ANY that the number of Gaussians decides, such as that of their neighbours."""
DTYPES = {"F32": torch.float32, "F64": torch.float64, "I64": torch.int64, "I32": torch.int32, "U8": torch.uint8}
"""Types of a checkpoint's tensors, by their names in the file."""
Layout = Mapping[str, tuple[torch.dtype, tuple[int, ...]]]
"""Type and shape of tensors by name."""


@dataclass(frozen=True)
class Checkpoint:
    """A fit between two steps."""

    step: int
    """Steps done."""
    tensors: Mapping[str, Tensor]
    """Parameters, moments, step counts and residual maps, by name; those of a file are read when they are asked for."""
    run: dict[str, Any]
    """JSON of what the run was started with; a run resumes only into the same."""
    log: list[dict[str, Any]]
    """Progress records so far."""
    path: Path | None = None
    """The file that it was read from."""
    checksum: str | None = None
    """What the file says its `checksum_of` is."""

    @property
    def layout(self) -> Layout:
        """Types and shapes, of a file without reading its tensors."""
        if isinstance(self.tensors, StoredTensors):
            return self.tensors.layout
        return layout_of(self.tensors)

    def knots(self) -> Knots | None:
        """The knots in it, None for a deformation without. Raises InputError when they are none."""
        for name in (BREAKPOINTS, TRACK_BREAKPOINTS):
            if name not in self.layout:
                continue
            dtype, shape = self.layout[name]
            if dtype != torch.float64 or len(shape) != 1 or not 2 <= shape[0] <= MOST_KNOTS:
                raise damaged(self.path, f"its {name} are no knots")
            values = self.tensors[name].tolist()
            try:
                if not all(math.isfinite(value) for value in values):
                    raise ValueError("not finite")
                return Knots(tuple(values))
            except ValueError as error:
                raise damaged(self.path, f"its {name} are no knots: {error}") from error
        return None

    def read(self) -> dict[str, Tensor]:
        """All its tensors. Raises InputError when they are not those that were written."""
        found = {name: self.tensors[name] for name in sorted(self.layout)}
        if self.checksum is not None and self.checksum != checksum_of(self._text(), found):
            raise damaged(self.path, "its checksum is that of another content")
        return found

    def _text(self) -> str:
        # What is not finite, as the PSNR before the first frame, has no word in JSON.
        log = to_json(self.log)
        return json.dumps({"format": FORMAT, "step": self.step, "run": self.run, "log": log}, allow_nan=False)


class StoredTensors(Mapping[str, Tensor]):
    """The tensors of a safetensors file, each read when it is asked for."""

    def __init__(self, path: Path) -> None:
        """Reads the header. Raises InputError for types that no checkpoint has, and what safetensors raises."""
        self._path = path
        self._file = safe_open(path, framework="pt")
        self.metadata: dict[str, str] = self._file.metadata() or {}
        self.layout: dict[str, tuple[torch.dtype, tuple[int, ...]]] = {}
        for name in self._file.keys():  # noqa: SIM118 (not a dict)
            part = self._file.get_slice(name)
            kind = part.get_dtype()
            if kind not in DTYPES:
                raise damaged(path, f"a tensor of type {kind} is none of a checkpoint's")
            self.layout[name] = (DTYPES[kind], tuple(part.get_shape()))

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.layout:
            raise KeyError(name)
        try:
            return self._file.get_tensor(name)
        except SafetensorError as error:
            raise damaged(self._path, f"{name}: {error}") from error

    def __iter__(self) -> Iterator[str]:
        return iter(self.layout)

    def __len__(self) -> int:
        return len(self.layout)


def save_checkpoint(checkpoint: Checkpoint, folder: Path) -> Path:
    """Write the checkpoint; it survives a power cut, and replaces the folder's previous one only when it is complete.

    Raises InputError when the place is not writable.
    """
    write_checkpoint(checkpoint, folder).close()
    return folder / FILE_NAME


def write_checkpoint(checkpoint: Checkpoint, folder: Path) -> ExitStack:
    """A whole checkpoint under a temporary name; when what is returned is closed it is on the disk, and the folder's.

    Both raise InputError when the place is not writable. Closing may be left to another thread.
    """
    tensors = {name: tensor.detach().contiguous().cpu() for name, tensor in checkpoint.tensors.items()}
    text = checkpoint._text()
    with ExitStack() as stack:
        partial = stack.enter_context(new_file(folder / FILE_NAME, durable=True))
        with system_errors():
            save_file(tensors, partial, {"endogs": text, "checksum": checksum_of(text, tensors)})
        return stack.pop_all()


def load_checkpoint(folder: Path) -> Checkpoint:
    """The folder's checkpoint, of which no tensor has been read yet.

    Raises InputError when there is none or it is not a checkpoint of this version.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        raise InputError(f"{path}: no checkpoint to resume from; leave out --resume")
    try:
        tensors = StoredTensors(path)
        about = parse_json(tensors.metadata.get("endogs", ""))
    except (SafetensorError, OSError, ValueError) as error:
        raise damaged(path, str(error)) from error
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise InputError(f"{path}: not a checkpoint of this version of endogs; {ANEW}")
    step, run, log = about.get("step"), about.get("run"), about.get("log")
    if type(step) is not int or step < 0:
        raise damaged(path, f"its step is {step!r:.40}")
    if not isinstance(run, dict) or not isinstance(run.get("fit", {}), dict):
        raise damaged(path, "it does not say what run it is of")
    checked = _checked_log(path, log, step)
    return Checkpoint(step, tensors, run, checked, path, tensors.metadata.get("checksum", ""))


def check_layout(found: Layout, expected: Layout, most: int, optional: Layout) -> None:
    """Raises ValueError unless the tensors are those of a model of up to `most` Gaussians.

    `expected` is the layout of the model without Gaussians: its zeros stand for their number.
    """
    if unknown := sorted(set(found) - set(expected) - set(optional)):
        raise ValueError(f"it has the unknown tensor {unknown[0]!r:.60}")
    if missing := sorted(set(expected) - set(found)):
        raise ValueError(f"it lacks {missing[0]}")
    count = found["base"][1][0] if found["base"][1] else -1
    if not 0 <= count <= most:
        raise ValueError(f"it has {count} Gaussians, and the run has at most {most}")
    for name, (dtype, shape) in found.items():
        kind, form = expected[name] if name in expected else optional[name]
        wanted = tuple(size or count for size in form)
        if len(shape) == len(form):
            wanted = tuple(
                has if size == ANY and 1 <= has <= MOST_ANY else size for has, size in zip(shape, wanted, strict=True)
            )
        if (dtype, shape) != (kind, wanted):
            raise ValueError(f"{name} is {shape} {dtype}, not {wanted} {kind}")


def check_values(tensors: Mapping[str, Tensor], step: int, count: int) -> None:
    """Raises ValueError for numbers that no fit of `count` Gaussians has after `step` steps."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point():
            unknown_yet = name == "squared_error" and bool(torch.isnan(tensor).all())
            if not (unknown_yet or bool(torch.isfinite(tensor.sum()) or torch.isfinite(tensor).all())):
                raise ValueError(f"{name} is not finite")
        elif tensor.numel():
            steps = "steps" in name.split(".")
            least, most = (-1, step) if name == "changed_before" else (0, step if steps else count - 1)
            most = LARGEST_IDENTITY if name == f"rows_{IDENTITY}" else most
            if int(tensor.min()) < least or int(tensor.max()) > most:
                raise ValueError(f"{name} is outside {least} to {most}")
    if int(tensors["steps"][0]) != step:
        raise ValueError(f"its step is {step}, and its optimizer's {int(tensors['steps'][0])}")


def layout_of(tensors: Mapping[str, Tensor]) -> Layout:
    """Types and shapes of tensors."""
    return {name: (tensor.dtype, tuple(tensor.shape)) for name, tensor in tensors.items()}


def checksum_of(text: str, tensors: Mapping[str, Tensor]) -> str:
    """CRC-32 (ISO 3309) of the metadata and of all tensors on the CPU with their names, 8 hexadecimal digits."""
    total = zlib.crc32(text.encode())
    for name in sorted(tensors):
        total = zlib.crc32(name.encode(), total)
        total = zlib.crc32(tensors[name].contiguous().reshape(-1).view(torch.uint8).numpy().data, total)
    return f"{total:08x}"


def damaged(path: Path | None, what: str) -> InputError:
    """The sentence for a file that is no whole checkpoint."""
    return InputError(f"{path or 'the checkpoint'}: cannot be resumed from ({what:.300}); {ANEW}")


def _checked_log(path: Path, log: Any, step: int) -> list[dict[str, Any]]:
    if not isinstance(log, list) or len(log) > step + 1:
        raise damaged(path, "its log is none")
    before = 0
    for record in log:
        numbers = isinstance(record, dict) and all(
            value is None or (isinstance(value, int | float) and not isinstance(value, bool))
            for value in record.values()
        )
        if not numbers or type(record.get("step")) is not int or not before <= record["step"] <= step:
            raise damaged(path, "its log is none")
        if not isinstance(record.get("seconds"), int | float) or record["seconds"] < 0:
            raise damaged(path, "its log is none")
        before = record["step"]
    return [{name: math.nan if value is None else value for name, value in record.items()} for record in log]
