"""`make` says what it does while pip is silent. The Makefile runs here with a Python that does nothing."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).parents[1] / "Makefile"
DOES_NOTHING = "#!/bin/sh\nexit 0\n"


def executable(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(DOES_NOTHING)
    path.chmod(0o755)
    return path


@pytest.mark.skipif(not shutil.which("make"), reason="no make here")
@pytest.mark.parametrize("nvcc", [True, False])
def test_setup_says_what_takes_so_long(tmp_path, nvcc):
    shutil.copy(MAKEFILE, tmp_path)
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).touch()
    executable(tmp_path / ".venv" / "bin" / "python")
    compiler = executable(tmp_path / "nvcc") if nvcc else tmp_path / "no-such-compiler"
    # Under `make test` this make would take itself for a part of that one, and announce its folder.
    outer = {"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES"}
    environment = {k: v for k, v in os.environ.items() if k not in outer} | {"CUDACXX": str(compiler)}
    command = ["make", "setup", f"PYTHON={executable(tmp_path / 'python')}"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    first = done.stdout.splitlines()[0]
    assert first.startswith("Setting up .venv, silently: downloading packages, compiling the kernels")
    assert "minutes" in first
    assert ("CUDA" in first) == nvcc
    again = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert "Setting up" not in again.stdout


@pytest.mark.skipif(not shutil.which("make"), reason="no make here")
def test_the_demo_made_again_removes_nothing(tmp_path):
    shutil.copy(MAKEFILE, tmp_path)
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).touch()
    for name in ("python", "endogs"):
        executable(tmp_path / ".venv" / "bin" / name)
    (tmp_path / ".venv" / ".ready").touch()
    names = ("clip/calibration.json", "clip/mine.txt", "scene/mine.txt", "points/mine.txt", "mine/thesis.tex")
    for name in (*names, "splats.ply", "player.html"):
        (tmp_path / "demo" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "demo" / name).touch()
    before = sorted(tmp_path.rglob("*"))
    subprocess.run(["make", "demo", "clean"], cwd=tmp_path, capture_output=True, check=True)
    assert sorted(tmp_path.rglob("*")) == [p for p in before if tmp_path / ".venv" not in (p, *p.parents)]
