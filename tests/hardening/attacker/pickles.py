"""Code in files that should hold none: it makes the canary file when somebody runs it."""

import os
import pickle
from pathlib import Path


class _Runs:
    """Unpickled, it makes a file."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.canary),)


def pickle_that_makes(canary: Path) -> bytes:
    """A pickle that makes `canary` when it is loaded."""
    return pickle.dumps(_Runs(canary), protocol=2)


def torch_file_that_makes(path: Path, canary: Path) -> None:
    """A torch file (.bin, .pt) that makes `canary` when it is loaded without weights_only."""
    import torch

    torch.save({"weight": _Runs(canary)}, path)


def module_that_makes(canary: Path) -> str:
    """Python text that makes `canary` when it is imported."""
    return f"import os\nos.makedirs({str(canary)!r}, exist_ok=True)\n"
