"""The scene file: what goes in comes out, and every broken file is told in one sentence."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from samples.stored_scenes import make_scene, rewrite

from endogs.errors import InputError
from endogs.scene.scene_file import load_scene, save_scene
from endogs.scene.tensor_file import TensorFile, write_tensor_file


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_scene(make_scene(), tmp_path / "scene.safetensors")
    return tmp_path / "scene.safetensors"


@pytest.mark.parametrize("moving_camera", [False, True])
@pytest.mark.parametrize("static", [False, True])
def test_what_goes_in_comes_out(tmp_path: Path, moving_camera: bool, static: bool) -> None:
    scene = make_scene(moving_camera, static)
    save_scene(scene, tmp_path / "new folder" / "scene.safetensors")
    for path in (tmp_path / "new folder", tmp_path / "new folder" / "scene.safetensors"):
        loaded = load_scene(path)
        assert torch.equal(loaded.base, scene.base)
        for time in (0.0, 0.07, 0.25):
            assert torch.equal(loaded.packed_at(time), scene.packed_at(time))
        for name in ("times", "K", "world_to_camera"):
            np.testing.assert_array_equal(getattr(loaded, name), getattr(scene, name))
            assert getattr(loaded, name).dtype == np.float64
        assert (loaded.width, loaded.height, loaded.units) == (64, 40, "mm")
        assert loaded.static_camera is not moving_camera
        assert loaded.metadata == {"metrics": {"psnr": 38.5}, "source": "a/b", "nested": [1, None, True, "x"]}
        assert type(loaded.deformation) is type(scene.deformation)


def test_a_scene_saved_twice_is_the_same_file(tmp_path: Path) -> None:
    save_scene(make_scene(), tmp_path / "a")
    save_scene(load_scene(tmp_path / "a"), tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_an_interrupted_save_leaves_the_old_file_and_nothing_else(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = saved.read_bytes()

    def interrupted(tensors: Any, path: Path, metadata: Any) -> None:
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr("endogs.scene.tensor_file.save_file", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_scene(make_scene(moving_camera=True), saved)
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


def test_views_that_share_memory_are_stored_apart(tmp_path: Path) -> None:
    numbers = torch.arange(12.0).reshape(3, 4)
    write_tensor_file(tmp_path / "f", {"a": numbers, "b": numbers.T, "c": numbers[1:]}, {})
    tensors = TensorFile.open(tmp_path / "f").read()
    assert torch.equal(tensors["a"], numbers)
    assert torch.equal(tensors["b"], numbers.T)
    assert torch.equal(tensors["c"], numbers[1:])


def test_metadata_numbers_that_are_not_finite_become_null(tmp_path: Path) -> None:
    write_tensor_file(tmp_path / "f", {}, {"psnr": float("inf"), "per_frame": np.array([1.0, np.nan])})
    assert TensorFile.open(tmp_path / "f").metadata == {"psnr": None, "per_frame": [1.0, None]}


def test_a_tensor_that_is_not_finite_is_not_written(tmp_path: Path) -> None:
    scene = make_scene()
    scene.base[2, 3] = torch.nan
    with pytest.raises(ValueError, match="'base' is not finite"):
        save_scene(scene, tmp_path / "scene.safetensors")
    assert not list(tmp_path.iterdir())


def test_metadata_that_json_cannot_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a set has no place"):
        write_tensor_file(tmp_path / "f", {}, {"x": {1, 2}})


def test_a_missing_scene_and_a_folder_without_one_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere: no such scene"):
        load_scene(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"a folder without a scene\.safetensors"):
        load_scene(tmp_path)


@pytest.mark.parametrize("kept", [0, 5, 8, 300, -1])
def test_a_truncated_file_is_told(saved: Path, kept: int) -> None:
    saved.write_bytes(saved.read_bytes()[:kept])
    with pytest.raises(InputError, match="not a whole scene file"):
        load_scene(saved)


def test_foreign_files_are_told(saved: Path) -> None:
    saved.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    with pytest.raises(InputError, match="not a whole scene file"):
        load_scene(saved)
    save_file({"weight": torch.zeros(3)}, saved)
    with pytest.raises(InputError, match="a safetensors file but not a scene"):
        load_scene(saved)
    save_file({"weight": torch.zeros(3)}, saved, {"endogs": json.dumps({"format": "something else", "version": 1})})
    with pytest.raises(InputError, match="not a scene"):
        load_scene(saved)


@pytest.mark.parametrize("text", ["{", "[" * 100_000, '{"format": "endogs-scene", "version": NaN}', "[]", '""'])
def test_metadata_that_is_not_json_is_told(saved: Path, text: str) -> None:
    save_file({}, saved, {"endogs": text})
    with pytest.raises(InputError, match=r"not a (valid )?scene"):
        load_scene(saved)


def test_a_pickle_is_never_unpickled(saved: Path, tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "exploded",))

    torch.save({"base": Bomb()}, saved)
    with pytest.raises(InputError):
        load_scene(saved)
    assert not (tmp_path / "exploded").exists()


def test_a_newer_version_is_told(saved: Path) -> None:
    rewrite(saved, lambda tensors, metadata: metadata.update(version=9))
    with pytest.raises(InputError, match="scene format 9, and this endogs reads 3: install a newer endogs"):
        load_scene(saved)


def _set(name: str, value: Any) -> Any:
    return lambda tensors, metadata: metadata.__setitem__(name, value)


def _set_in(outer: str, name: str, value: Any) -> Any:
    return lambda tensors, metadata: metadata[outer].__setitem__(name, value)


def _tensor(name: str, change: Any) -> Any:
    return lambda tensors, metadata: tensors.__setitem__(name, change(tensors.get(name)))


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda tensors, metadata: tensors.pop("base"), "'base' should be .* is missing"),
        (_tensor("base", lambda base: base[:, :13].contiguous()), r"'base' should be \(N, 14\).*\(5, 13\)"),
        (_tensor("base", lambda base: base.double()), "of type F64"),
        (_tensor("base", lambda base: base * torch.inf), "'base' is not finite"),
        (_tensor("extra", lambda nothing: torch.zeros(1)), "unknown tensor 'extra'"),
        (_tensor("deformation.control", lambda c: c[:, :1].contiguous()), "does not fit its 5 Gaussians"),
        (_tensor("deformation.control", lambda c: c[:-1].contiguous()), "does not fit its 5 Gaussians"),
        (_tensor("deformation.control", lambda c: c / 0), "'deformation.control' is not finite"),
        (lambda tensors, metadata: tensors.pop("deformation.control"), "does not fit its 5 Gaussians"),
        (_set("version", 0), "format version 0"),
        (_set("version", True), "format version True"),
        (_set("units", "furlongs"), "furlongs"),
        (_set("width", 0), "image size 0 x 40"),
        (_set("height", "40"), "'height'"),
        (_set("times", []), "times"),
        (_set("times", [0, 2, 1, 3]), "run backwards"),
        (_set("times", [0, None, 1, 3]), "'times' is not finite"),
        (_set("times", [[0, 1], [2]]), "'times' is not an array"),
        (_set("cameras", None), "'cameras'"),
        (_set_in("cameras", "K", [[1, 2], [3, 4]]), r"'K' has shape \(2, 2\)"),
        (_set_in("cameras", "K", np.zeros((1, 3, 3)).tolist()), "focal length"),
        (_set_in("cameras", "K", np.ones((3, 3, 3)).tolist()), "3 cameras for 4 frames"),
        (_set_in("cameras", "world_to_camera", np.ones((1, 4, 4)).tolist()), "not rigid"),
        (_set_in("deformation", "kind", "origami"), "'origami' is none of spline"),
        (_set_in("deformation", "settings", {}), "does not fit"),
        (_set_in("deformation", "settings", None), "'settings'"),
        (lambda tensors, metadata: metadata.pop("metadata"), "'metadata'"),
    ],
)
def test_an_inconsistent_file_is_told(saved: Path, spoil: Any, told: str) -> None:
    rewrite(saved, spoil)
    with pytest.raises(InputError, match=told) as caught:
        load_scene(saved)
    assert str(saved) in str(caught.value)
