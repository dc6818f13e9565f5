"""Checkpoints of a fit: safetensors with JSON metadata, written under a temporary name and renamed."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from endogs.errors import InputError
from endogs.output import new_file

FILE_NAME = "last.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """A fit between two steps."""

    step: int
    """Steps done."""
    tensors: dict[str, Tensor]
    """Parameters, moments, step counts and residual maps, by name."""
    run: dict[str, Any]
    """JSON of what the run was started with; a run resumes only into the same."""
    log: list[dict[str, Any]]
    """Progress records so far."""


def save_checkpoint(checkpoint: Checkpoint, folder: Path) -> Path:
    """Write the checkpoint, replacing the folder's previous one only when it is complete.

    Raises InputError when the place is not writable.
    """
    path = folder / FILE_NAME
    metadata = {"step": checkpoint.step, "run": checkpoint.run, "log": checkpoint.log}
    tensors = {name: tensor.detach().contiguous().cpu() for name, tensor in checkpoint.tensors.items()}
    with new_file(path) as partial:
        save_file(tensors, partial, {"endogs": json.dumps(metadata)})
    return path


def load_checkpoint(folder: Path) -> Checkpoint:
    """Read the folder's checkpoint. Raises InputError when there is none or it cannot be read."""
    path = folder / FILE_NAME
    if not path.is_file():
        raise InputError(f"{path}: no checkpoint to resume from, as after a run that ended; run without --resume")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = json.loads(file.metadata()["endogs"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return Checkpoint(int(metadata["step"]), tensors, metadata["run"], metadata["log"])
    except Exception as error:
        raise InputError(f"{path}: the checkpoint cannot be read ({error}); run without --resume") from error
