"""`endogs doctor`: every finding is said, and nothing missing is an error."""

from types import SimpleNamespace

import pytest
import torch

from endogs import __version__, native
from endogs.cli import main
from endogs.doctor import PACKAGES, findings


def test_it_names_what_is_here(capsys):
    assert main(["doctor"]) == 0
    said = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert said.keys() == {"endogs", "python", "rasterizer", "CUDA", "device", "open3d", *PACKAGES}
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
