"""`endogs doctor`: every finding is said, and nothing missing is an error."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from endogs import __version__, native
from endogs.cli import main
from endogs.doctor import EXTRAS, PACKAGES, findings


def test_it_names_what_is_here(capsys):
    assert main(["doctor"]) == 0
    said = dict(re.split(r"  +", line, maxsplit=1) for line in capsys.readouterr().out.splitlines())
    tools = {"endogs", "python", "rasterizer", "CUDA", "device", "C++ compiler", "nvcc"}
    assert said.keys() == {*tools, "open3d", *PACKAGES, *EXTRAS}
    assert said["endogs"] == __version__
    assert said["numpy"][0].isdigit()
    assert said["open3d"]
    if native.available():
        assert said["rasterizer"].startswith(f"native, {native.instruction_set()} of ")
        assert said["rasterizer"].endswith(f"{native.threads()} threads")


def test_a_missing_compiled_part_and_a_missing_package_are_findings(monkeypatch):
    monkeypatch.setattr(native, "_load", lambda: (None, "no module named endogs._native"))
    monkeypatch.setattr("endogs.doctor.PACKAGES", ("torch", "no-such-package"))
    found = dict(findings())
    assert found["rasterizer"].startswith("reference (slow: no module named endogs._native)")
    assert found["CUDA"].startswith("no kernels for GPUs either, as the compiled part is missing; ")
    assert found["no-such-package"] == "not installed"


def build(with_cuda: bool, said: str) -> SimpleNamespace:
    """As the compiled module, as far as the doctor asks it."""
    return SimpleNamespace(
        compiled_with_cuda=with_cuda,
        cuda_self_check=lambda: said,
        instruction_sets=lambda: ["portable"],
        instruction_set=lambda: "portable",
        threads=lambda: 1,
    )


@pytest.mark.parametrize(
    ("with_cuda", "said", "finding"),
    [
        (False, "compiled without CUDA", "compiled without its CUDA kernels; to fit on an NVIDIA GPU, put the CUDA "),
        (True, "CUDA driver version is insufficient for CUDA runtime version", "there is no NVIDIA driver"),
        (True, "", "a test kernel ran on device 0"),
    ],
)
def test_what_keeps_a_gpu_from_being_used(monkeypatch, with_cuda, said, finding):
    monkeypatch.setattr(native, "_load", lambda: (build(with_cuda, said), ""))
    monkeypatch.setattr(native, "_cuda_self_check", native._cuda_self_check.__wrapped__)  # past the cache
    monkeypatch.setattr("endogs.device.choose_device", lambda name: torch.device("cpu"))
    found = dict(findings())["CUDA"]
    assert finding in found
    assert ("install endogs again" in found) == (not with_cuda)


def test_a_library_that_is_missing_is_told_with_the_extra_that_brings_it(monkeypatch):
    monkeypatch.setitem(EXTRAS, "no-such-package", ("learned", "nothing"))
    assert dict(findings())["no-such-package"] == "not installed: pip install 'endogs[learned]' (nothing)"


def test_the_extras_are_those_that_can_be_installed():
    tomllib = pytest.importorskip("tomllib")
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    extras = {name: packages for name, packages in project["optional-dependencies"].items() if name != "test"}
    brought = {re.split("[<>=]", package)[0]: name for name, packages in extras.items() for package in packages}
    assert {package: extra for package, (extra, _) in EXTRAS.items()} == brought
    needed = {re.split("[<>=;]", package)[0] for package in project["dependencies"]}
    assert set(PACKAGES) <= needed


def compiler(folder: Path, name: str, does: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{does}\n")
    (folder / name).chmod(0o755)


def test_compilers_are_named_with_their_versions(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    for variable in ("CXX", "CUDACXX"):
        monkeypatch.delenv(variable, raising=False)
    found = dict(findings())
    assert found["C++ compiler"].startswith("not found; needed only to install endogs")
    assert found["nvcc"].startswith("not found; needed only to install endogs")
    compiler(tmp_path, "g++", "echo g++ 13.2; echo more")
    compiler(tmp_path, "nvcc", "echo nvcc: NVIDIA; echo Cuda compilation tools, release 12.8, V12.8.1")
    found = dict(findings())
    assert found["C++ compiler"] == f"g++ 13.2 ({tmp_path}/g++)"
    assert found["nvcc"] == f"Cuda compilation tools, release 12.8, V12.8.1 ({tmp_path}/nvcc)"
    compiler(tmp_path, "nvcc", "exit 1")
    monkeypatch.setenv("CXX", "icpx")
    found = dict(findings())
    assert found["C++ compiler"].startswith("CXX names icpx, which is not there")
    assert found["nvcc"] == f"{tmp_path}/nvcc does not say its version: check its installation"
