"""The GPU's logic that needs no GPU (binning, sort keys, memory layout), compiled for the host from its headers."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from endogs.fit.cuda_steps import BAD_GAUSSIAN, BAD_GRADIENT, BAD_LOSS, DEPTH_MODES, OVERFLOW, SLICES
from endogs.gaussians import CHANNELS
from endogs.render import cuda
from endogs.render.rendering import PLANES

ROOT = Path(__file__).parents[2]
COMPILER = shutil.which("c++") or shutil.which("g++")


@pytest.mark.skipif(COMPILER is None, reason="no C++ compiler")
@pytest.mark.skipif(not (ROOT / "cuda_ext").is_dir(), reason="the sources are not here")
def test_binning_agrees_with_the_obvious_way(tmp_path: Path) -> None:
    program = tmp_path / "binning"
    sources = ["-I", str(ROOT / "cuda_ext"), str(ROOT / "tests/cuda_logic/binning.cpp")]
    warnings = ["-Wall", "-Wextra", "-Werror"]
    subprocess.run([str(COMPILER), "-std=c++20", "-O1", *warnings, *sources, "-o", str(program)], check=True)
    result = subprocess.run([str(program)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout
    assert result.stdout == "binning agrees\n"


def test_python_and_cuda_give_the_same_names_to_the_same_numbers() -> None:
    """Failures, kinds of depth and row lengths cross the border between the languages as bare numbers."""
    header = "".join(
        (ROOT / "cuda_ext" / name).read_text()
        for name in ("cuda/records.h", "cuda/memory_layout.h", "cuda/rows.cuh", "kernels.h")
    )
    there = {name: int(number) for name, number in re.findall(r"\b(k[A-Z]\w+) = (\d+)\b", header)}
    failures = {"kOverflow": OVERFLOW, "kBadGaussian": BAD_GAUSSIAN, "kBadLoss": BAD_LOSS, "kBadGradient": BAD_GRADIENT}
    modes = {"kMetricDepth": "metric", "kLogDepth": "logdepth", "kRelativeDepth": "depth", "kDisparity": "disparity"}
    sizes = {"kSums": cuda.SUMS, "kRows": cuda.ROWS, "kPlanes": PLANES, "kChannels": CHANNELS, "kSlices": SLICES}
    for name, number in {**failures, **{name: DEPTH_MODES[kind] for name, kind in modes.items()}, **sizes}.items():
        assert there[name] == number, name
