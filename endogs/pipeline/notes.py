"""Notes of `endogs reconstruct`: each function looks for one thing worth a sentence, and gives None otherwise."""

import torch

from endogs import native
from endogs.render import choose_backend


def slow_note(device: torch.device) -> str | None:
    """Without the compiled kernels a fit takes hours, and nothing else would say why."""
    if choose_backend(device=device) != "reference":
        return None
    return (
        f"the compiled kernels are missing ({native.problem()}), and plain torch is hundreds of times slower, hours "
        "instead of a minute; install GCC or Clang and then endogs again (pip install . in its folder)"
    )
