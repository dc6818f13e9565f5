"""Where tensors live and kernels run, the processor or an NVIDIA GPU, and how many cores there are for the rest."""

import os
from typing import TYPE_CHECKING, Literal

from endogs import native
from endogs.errors import InputError

if TYPE_CHECKING:
    import torch

DeviceName = Literal["auto", "cpu", "cuda"]


def choose_device(name: DeviceName) -> "torch.device":
    """The device that `--device` stands for here. Raises InputError, saying why, when a GPU is asked for in vain."""
    import torch

    if name == "cpu":
        return torch.device("cpu")
    problem = native.cuda_problem()
    if not problem and not torch.cuda.is_available():
        problem = f"torch {torch.__version__} cannot use it; install a torch with CUDA"
    if not problem:
        return torch.device("cuda", torch.cuda.current_device())
    if name == "cuda":
        raise InputError(f"--device cuda: no GPU can be used here ({problem}); use --device cpu")
    return torch.device("cpu")


def device_name(device: "torch.device") -> str:
    """What a person calls the device: "cpu", or the GPU's model."""
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def usable_cores() -> int:
    """Cores that this process may use: fewer than the machine has where it was confined to some."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS or Windows
        return os.cpu_count() or 1
