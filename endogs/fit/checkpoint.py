"""Checkpoints of a fit: safetensors with JSON metadata, written under a temporary name and renamed."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from endogs.errors import InputError

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
    """Write the checkpoint, replacing the folder's previous one only when it is complete."""
    folder.mkdir(parents=True, exist_ok=True)
    path, temporary = folder / FILE_NAME, folder / (FILE_NAME + ".tmp")
    metadata = {"step": checkpoint.step, "run": checkpoint.run, "log": checkpoint.log}
    tensors = {name: tensor.detach().contiguous().cpu() for name, tensor in checkpoint.tensors.items()}
    save_file(tensors, temporary, {"endogs": json.dumps(metadata)})
    os.replace(temporary, path)
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
