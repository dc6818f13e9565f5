"""Which frames show a Gaussian: known by arithmetic on a scene small enough to know, and kept in the scene file."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from samples.player_scenes import sheet

from endogs.errors import InputError
from endogs.pictures.find_visibility import find_visibility
from endogs.render import rasterize_packed
from endogs.render.blending import blending_weights
from endogs.scene import StaticDeformation
from endogs.scene.scene_file import load_scene, save_scene


def three_in_a_row():
    """Two splats side by side and one hidden behind the left; frames 0 to 9 of one still camera."""
    scene = sheet(still=True, frames=10)
    scene.world_to_camera[:] = np.eye(4)
    base = torch.zeros(3, 14)
    base[:, 3], base[:, 7:10], base[:, 10] = 1, np.log(4.0), 8
    base[:, :3] = torch.tensor([[-10.0, 0, 60], [10, 0, 60], [-12.0, 0, 72]])
    base[2, 7:10] = np.log(0.5)
    return replace(scene, base=base)


def test_blending_weights_are_what_features_composite_to():
    scene = sheet(still=True)
    camera, mask = scene.camera(0), torch.rand(scene.height, scene.width, generator=torch.Generator().manual_seed(0))
    weights = blending_weights(scene.base, camera, mask)
    for row in (5, 300, 700):
        one = torch.zeros(len(scene), 1)
        one[row] = 1
        image = rasterize_packed(scene.base, camera, features=one).features[..., 0]
        np.testing.assert_allclose(weights[row], [float((image * mask).sum()), float(image.sum())], rtol=2e-3)
    assert (weights[:, 1] > 0).float().mean() > 0.9


def test_fused_and_autograd_weights_agree(monkeypatch):
    scene = sheet(still=True)
    fused = blending_weights(scene.base, scene.camera(0))
    monkeypatch.setattr("endogs.native.available", lambda: False)
    np.testing.assert_allclose(blending_weights(scene.base, scene.camera(0)), fused, atol=2e-3)


def test_an_instrument_hides_what_it_covers_and_no_more():
    scene = three_in_a_row()

    def tissue(frame):
        mask = np.ones((scene.height, scene.width), bool)
        mask[:, : scene.width // 2] = frame % 3 != 0  # an instrument over the left half in frames 0, 3, 6, 9
        return mask

    found = find_visibility(scene, tissue)
    expected = np.array([[f % 3 != 0 for f in range(10)], [True] * 10, [False] * 10])
    np.testing.assert_array_equal(found.frames_seen(10), expected)
    np.testing.assert_array_equal(found.frames_drawn(10), [[True] * 10, [True] * 10, [False] * 10])
    kept = replace(scene, visibility=found).select(torch.tensor([1])).visibility
    np.testing.assert_array_equal(kept.frames_seen(10), expected[1:2])


def test_the_scene_file_keeps_it_and_does_without(tmp_path):
    scene = replace(three_in_a_row(), deformation=StaticDeformation())
    save_scene(scene, tmp_path / "without.safetensors")
    assert load_scene(tmp_path / "without.safetensors").visibility is None
    scene.visibility = find_visibility(scene, lambda frame: np.full((scene.height, scene.width), frame < 9))
    path = tmp_path / "with.safetensors"
    save_scene(scene, path)
    loaded = load_scene(path).visibility
    assert torch.equal(loaded.seen, scene.visibility.seen)
    assert torch.equal(loaded.drawn, scene.visibility.drawn)
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        header = file.metadata()
    tensors = load_file(path)
    for broken in (
        {"visibility.seen": None},
        {"visibility.seen": tensors["visibility.seen"][:2]},
        {"visibility.drawn": tensors["visibility.drawn"].float()},
    ):
        changed = {name: value for name, value in (tensors | broken).items() if value is not None}
        save_file(changed, path, header)
        with pytest.raises(InputError, match=r"should both be \(3, 2\)"):
            load_scene(path)
