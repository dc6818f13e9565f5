"""The GPU's logic that needs no GPU (binning, sort keys, memory layout), compiled for the host from its headers."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
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
