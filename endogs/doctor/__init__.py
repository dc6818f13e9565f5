"""`endogs doctor`: what this installation can do on this machine, line by line."""

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from endogs import native
from endogs.doctor.config import Doctor
from endogs.errors import InputError
from endogs.version import __version__

PACKAGES = ("torch", "numpy", "scipy", "opencv-python-headless", "av", "tyro", "rich", "safetensors", "viser", "gsplat")


def run_doctor(config: Doctor) -> None:
    """Prints the findings; a missing optional part is said, never an error."""
    del config
    width = max(len(name) for name, _ in findings())
    for name, finding in findings():
        print(f"{name:<{width}}  {finding}")


def findings() -> list[tuple[str, str]]:
    """(what, what was found) pairs, in reading order."""
    rows = [
        ("endogs", __version__),
        ("python", f"{sys.version.split()[0]} on {platform.system()} {platform.machine()}"),
        ("rasterizer", _rasterizer()),
        ("CUDA", _cuda()),
        ("device", _device()),
    ]
    rows += [(name, _version(name)) for name in PACKAGES]
    return [*rows, ("open3d", _open3d())]


def _rasterizer() -> str:
    if not native.available():
        return f"reference (slow: {native.problem()}); install endogs where a C++ compiler is to get `native`"
    others = ", ".join(native.instruction_sets())
    return f"native, {native.instruction_set()} of {others}, {native.threads()} threads"


def _cuda() -> str:
    problem = native.cuda_problem()
    if not native.available():
        problem = "no kernels for GPUs either, as the compiled part is missing"
    if problem and not native.compiled_with_cuda():
        return f"{problem}; to fit on an NVIDIA GPU, put the CUDA toolkit's nvcc on the PATH and install endogs again"
    return problem or "a test kernel ran on device 0"


def _device() -> str:
    from endogs.device import choose_device, device_name

    device = choose_device("auto")
    if device.type == "cpu":
        return "fits run on the processor"
    import torch

    free, total = torch.cuda.mem_get_info(device)
    return f"fits run on {device_name(device)}, {free / 1e9:.1f} of {total / 1e9:.1f} GB free"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _open3d() -> str:
    from endogs.open3d_library import import_open3d

    try:
        return str(import_open3d().__version__)
    except InputError as error:
        return str(error)
