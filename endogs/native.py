"""The compiled kernels (`endogs._native`), or the reason why they are not there."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from types import ModuleType


def _keep_torch_to_one_thread() -> None:
    """In a forked child: torch's OpenMP still counts on the parent's threads, and waits for them at its next loop.

    One thread needs no others; torch's own data loaders do the same (`torch.utils.data._utils.worker`). Our kernels
    start threads of their own in the child (`cuda_ext/fork.cpp`), and lose nothing.
    """
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_keep_torch_to_one_thread)


@cache
def _load() -> tuple[ModuleType | None, str]:
    try:
        return import_module("endogs._native"), ""
    except ImportError as error:
        return None, str(error)


def available() -> bool:
    """Whether endogs was installed with its compiled part."""
    return _load()[0] is not None


def problem() -> str:
    """Why the compiled part cannot be loaded; empty when it can."""
    return _load()[1]


def module() -> ModuleType:
    """The compiled module. Raises RuntimeError with the reason when it is missing."""
    loaded, reason = _load()
    if loaded is None:
        raise RuntimeError(f"the compiled part of endogs is missing ({reason}); reinstall it where a C++ compiler is")
    return loaded


def instruction_sets() -> list[str]:
    """Instruction sets that this machine and build support, widest first, e.g. ["avx512", "avx2", "portable"]."""
    return list(module().instruction_sets())


def instruction_set() -> str:
    """The instruction set in use."""
    return str(module().instruction_set())


def use_instruction_set(name: str) -> None:
    """Switches every kernel to another instruction set. Raises ValueError for one that is not supported."""
    module().use_instruction_set(name)


def threads() -> int:
    """Number of threads the kernels use."""
    return int(module().threads())


def set_threads(count: int) -> None:
    """Sets the number of threads (>= 1). Results are bit-identical for any number."""
    module().set_threads(count)


def runs_on(device_type: str) -> bool:
    """Whether the kernels run on this type of torch device, "cpu" or "cuda"."""
    return available() if device_type == "cpu" else device_type == "cuda" and cuda_problem() == ""


def compiled_with_cuda() -> bool:
    """Whether the compiled part is there and holds kernels for NVIDIA GPUs."""
    return available() and bool(module().compiled_with_cuda)


def cuda_problem() -> str:
    """Why the CUDA part cannot run here, in one sentence; empty when a test kernel ran and was right."""
    if not available():
        return problem()
    return _cuda_self_check()


@cache
def _cuda_self_check() -> str:
    if not compiled_with_cuda():
        return "endogs was compiled without its CUDA kernels"
    said = str(module().cuda_self_check())
    return "there is no NVIDIA driver, or one too old" if "driver version is insufficient" in said else said


@contextmanager
def cores_for_kernels() -> Iterator[None]:
    """While the kernels are at work, torch keeps to one thread.

    Two pools on the same cores wait for each other: with anything else running, a step took 136 ms instead of 15.
    Without the kernels torch does the work, and keeps its threads.
    """
    import torch

    before = torch.get_num_threads()
    if available():
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
