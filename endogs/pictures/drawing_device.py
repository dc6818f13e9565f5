"""Where `--device` and `--backend` together want pictures drawn."""

import torch

from endogs.device import DeviceName, choose_device
from endogs.errors import InputError
from endogs.render import choose_backend


def drawing_device(device: DeviceName, backend: str) -> torch.device:
    """The device for a backend. Raises InputError when the two cannot be had together here, saying why."""
    chosen = choose_device(device)
    try:
        choose_backend(backend, chosen)
    except RuntimeError as error:
        raise InputError(f"--backend {backend}: {error}") from error
    return chosen
