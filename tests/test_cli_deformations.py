"""The commands with every deformation, end to end on a tiny phantom."""

import json
import os
import signal

import pytest

from endogs.cli import main
from endogs.fit.loop import Fit
from endogs.scene.scene_file import load_scene

FIT = ("--preset", "fast", "--iterations", "12", "--gaussians", "500")


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip") / "phantom"
    assert run("phantom", folder, "--frames", 9, "--width", 64, "--height", 56) == 0
    return folder


@pytest.mark.parametrize("kind", ["bases", "hexplane", "mlp", "lowrank", "spline"])
def test_a_scene_is_fitted_rendered_exported_and_judged(clip, kind, tmp_path, capsys):
    scene = tmp_path / "scene"
    assert run("reconstruct", clip, "--out", scene, *FIT, "--deformation", kind) == 0
    assert load_scene(scene).deformation.kind == kind
    assert json.loads((scene / "metrics.json").read_text())["mean"]["psnr"] > 8
    assert run("render", scene, "--out", tmp_path / "images", "--time", "0.1") == 0
    assert run("export", "points", scene, "--time", "0.1", "--out", tmp_path / "points.ply") == 0
    assert run("export", "html", scene, "--out", tmp_path / "page.html") == 0
    assert ("became a spline" in capsys.readouterr().out) == (kind != "spline")


def test_another_deformation_does_not_resume(clip, tmp_path, capsys, monkeypatch):
    """A checkpoint says what it was made with."""
    out = tmp_path / "scene"
    take = Fit.advance

    def interrupted(fit, most):
        if fit.step == 5:
            os.kill(os.getpid(), signal.SIGINT)
        return take(fit, most)

    monkeypatch.setattr(Fit, "advance", interrupted)
    options = ("--out", out, *FIT, "--deformation", "lowrank")
    with pytest.raises(SystemExit):
        run("reconstruct", clip, *options)
    monkeypatch.setattr(Fit, "advance", take)
    assert run("reconstruct", clip, "--out", out, *FIT, "--deformation", "bases", "--resume") == 2
    assert "(--deformation lowrank then, bases now" in capsys.readouterr().err
    assert run("reconstruct", clip, *options, "--resume") == 0
    assert load_scene(out).deformation.kind == "lowrank"
