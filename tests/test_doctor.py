"""`endogs doctor`: every finding is said, and nothing missing is an error."""

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
    assert found["CUDA"] == "no module named endogs._native"
    assert found["no-such-package"] == "not installed"
