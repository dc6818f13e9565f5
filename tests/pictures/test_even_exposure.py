"""`render --even-exposure` says when there is no exposure to leave out."""

from dataclasses import replace

import pytest
import torch

from endogs.cli import main
from endogs.scene.appearance import Exposure
from endogs.scene.scene_file import save_scene


@pytest.mark.parametrize("changes", [False, True])
def test_a_scene_without_changes_of_exposure_is_named(scene, changes, tmp_path, capsys):
    if changes:
        exposure = Exposure(scene.times, 0.1 * torch.randn(len(scene.times), 2, 3))
        scene = replace(scene, appearance=replace(scene.appearance, exposure=exposure))
    save_scene(scene, tmp_path / "scene.safetensors")
    words = ["--out", str(tmp_path / "pictures"), "--time", "0"]
    assert main(["render", str(tmp_path), *words, "--even-exposure"]) == 0
    assert ("--even-exposure changes nothing" in capsys.readouterr().err) is not changes
