"""`endogs doctor`: what this installation can do on this machine, line by line."""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

from endogs import native
from endogs.doctor.config import Doctor
from endogs.errors import InputError
from endogs.plain_text import plain
from endogs.version import __version__

PACKAGES = (
    "torch",
    "numpy",
    "scipy",
    "opencv-python-headless",
    "av",
    "tyro",
    "rich",
    "safetensors",
    "pyyaml",
    "viser",
    "openpyxl",
)
EXTRAS = {
    "transformers": ("learned", "learned depth, SAM 2"),
    "onnxruntime": ("learned", "depth models in ONNX files"),
    "pydicom": ("dicom", "DICOM files"),
    "OpenEXR": ("exr", "depth in EXR files"),
    "pycolmap": ("colmap", "reconstruct's --camera colmap"),
    "distributed": ("batch", "endogs batch: many clips on many machines"),
    "bokeh": ("batch", "the charts of Dask's dashboard"),
    "cryptography": ("batch", "workers of endogs batch on this machine"),
    "gsplat": ("gsplat", "render's --backend gsplat, on a GPU"),
}
"""Optional libraries: the extra of endogs that installs each, and what it is for."""
COMPILERS = ("c++", "g++", "clang++")
"""Names under which CMake finds a C++ compiler, in its order, where CXX says nothing."""
PATIENCE = 20.0
"""Seconds that a compiler may take to say its version."""


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
        ("C++ compiler", _compiler()),
        ("nvcc", _nvcc()),
    ]
    rows += [(name, _version(name)) for name in PACKAGES]
    return [*rows, ("open3d", _open3d()), *((name, _extra(name)) for name in EXTRAS)]


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


def _compiler() -> str:
    """The C++ compiler that building endogs would take."""
    wanted = os.environ.get("CXX")
    found = next((path for name in ([wanted] if wanted else COMPILERS) if (path := shutil.which(name))), None)
    if found is None:
        where = f"CXX names {wanted}, which is not there" if wanted else "not found"
        return f"{plain(where, 200)}; needed only to install endogs with its fast kernels: install GCC or Clang"
    return _says(found, lambda lines: lines[0])


def _nvcc() -> str:
    """The compiler of CUDA sources that building endogs would take."""
    found = shutil.which(os.environ.get("CUDACXX") or "nvcc")
    if found is None:
        return "not found; needed only to install endogs with kernels for NVIDIA GPUs"
    return _says(found, lambda lines: next((line for line in lines if "release" in line), lines[0]))


def _says(program: str, choose: Callable[[list[str]], str]) -> str:
    """The line that is chosen of what a program says of its version, and where the program is."""
    try:
        said = subprocess.run([program, "--version"], capture_output=True, timeout=PATIENCE, check=True).stdout
        return plain(f"{choose(said.decode(errors='replace').splitlines())} ({program})", 200)
    except (OSError, subprocess.SubprocessError, IndexError):
        return plain(f"{program} does not say its version: check its installation", 200)


def _extra(package: str) -> str:
    extra, purpose = EXTRAS[package]
    found = _version(package)
    return f"not installed: pip install 'endogs[{extra}]' ({purpose})" if found == "not installed" else found


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
