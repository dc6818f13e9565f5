"""Splats in every format say the same, as other programs read them: splat-transform, pygltflib, plyfile, and our eyes'
stand-in, the rasterizer.
"""

import json

import numpy as np
import pytest
import torch
from plyfile import PlyData
from samples.player_scenes import sheet
from samples.splat_transform import convert
from scipy.spatial.transform import Rotation

from endogs.cli import main
from endogs.errors import InputError
from endogs.export.formats.antimatter_splat import ROW
from endogs.export.splats import export_splats
from endogs.gaussians import Gaussians
from endogs.render import rasterize
from endogs.scene.scene_file import save_scene

SH_C0 = 0.5 / np.sqrt(np.pi)
TIME = 0.37


def read_ply(path):
    """Gaussians of a splat PLY, by the names that viewers look for."""
    rows = PlyData.read(path)["vertex"].data
    columns = lambda *names: torch.from_numpy(np.stack([rows[name] for name in names], 1).astype(np.float32))
    return Gaussians(
        columns("x", "y", "z"),
        columns("rot_0", "rot_1", "rot_2", "rot_3"),
        columns("scale_0", "scale_1", "scale_2"),
        columns("opacity")[:, 0],
        columns("f_dc_0", "f_dc_1", "f_dc_2") * SH_C0 + 0.5,
    )


def read_glb(path):
    """Attributes by name, the primitive and the document, as pygltflib reads them."""
    import pygltflib

    document = pygltflib.GLTF2().load(str(path))
    described = json.loads(document.to_json())
    primitive = described["meshes"][0]["primitives"][0]
    types, widths = {5126: "<f4", 5121: "u1"}, {"SCALAR": 1, "VEC3": 3, "VEC4": 4}
    attributes = {}
    for name, number in primitive["attributes"].items():
        accessor = described["accessors"][number]
        view = described["bufferViews"][accessor["bufferView"]]
        width, kind = widths[accessor["type"]], np.dtype(types[accessor["componentType"]])
        start = view["byteOffset"] + (accessor["byteOffset"] or 0)
        flat = np.frombuffer(document.binary_blob(), kind, accessor["count"] * width, start)
        attributes[name.removeprefix("KHR_gaussian_splatting:")] = flat.reshape(-1, width).squeeze()
    return attributes, primitive, described


def covariances(quats_xyzw, scales):
    """(N, 3, 3), which say more than quaternions, whose sign and axes may differ."""
    axes = Rotation.from_quat(np.asarray(quats_xyzw, np.float64)).as_matrix() * np.asarray(scales)[:, None]
    return axes @ axes.transpose(0, 2, 1)


def test_the_ply_renders_as_the_scene_does(tmp_path):
    scene = sheet(moving_camera=True)
    (path,) = export_splats(scene, [TIME], tmp_path / "a.ply")
    ours, theirs = (
        rasterize(one, scene.camera(2), backend="reference").color for one in (scene.gaussians_at(TIME), read_ply(path))
    )
    np.testing.assert_allclose(theirs, ours, atol=1e-5)


@pytest.mark.parametrize("format", ["ply", "splat", "glb"])
def test_gaussians_that_are_not_finite_are_refused_before_a_byte_is_cast(tmp_path, format, recwarn):
    scene = sheet()
    scene.base[3, 11] = float("nan")
    with pytest.raises(InputError, match="its Gaussians are not finite without deformation"):
        export_splats(scene, "canonical", tmp_path / f"a.{format}")
    assert list(tmp_path.iterdir()) == []
    assert not recwarn.list


def test_splat_files_hold_32_bytes_a_gaussian_the_weightiest_first(tmp_path):
    scene = sheet()
    (path,) = export_splats(scene, [TIME], tmp_path / "a.splat")
    assert path.stat().st_size == 32 * len(scene)
    rows = np.frombuffer(path.read_bytes(), ROW)
    expected = scene.gaussians_at(TIME)
    opacity = torch.sigmoid(expected.opacity_logits)
    order = torch.argsort(-(opacity * expected.log_scales.sum(1).exp()), stable=True).numpy()
    np.testing.assert_array_equal(rows["position"], expected.means.numpy()[order])
    np.testing.assert_allclose(rows["scale"], expected.log_scales.exp().numpy()[order], rtol=1e-6)
    rgba = np.clip(np.column_stack([expected.colors, opacity])[order], 0, 1) * 255
    assert np.abs(rows["color"] - rgba).max() <= 0.51
    quats = (rows["quat"].astype(float) - 128) / 128
    quats /= np.linalg.norm(quats, axis=1, keepdims=True)
    assert np.abs((quats * expected.quats.numpy()[order]).sum(1)).min() > 0.999
    about = json.loads((tmp_path / "a.splat.json").read_text())
    assert (about["units"], about["time_seconds"]) == ("millimetres", TIME)


def test_splat_transform_reads_our_splat_file_as_our_ply(tmp_path):
    scene = sheet()
    (ply,) = export_splats(scene, [TIME], tmp_path / "ours.ply")
    (splat,) = export_splats(scene, [TIME], tmp_path / "ours.splat")
    theirs, ours = read_ply(convert(splat, tmp_path / "theirs.ply")), read_ply(ply)
    weight = torch.sigmoid(ours.opacity_logits) * ours.log_scales.sum(1).exp()
    order = torch.argsort(-weight, stable=True)
    np.testing.assert_allclose(theirs.means, ours.means[order], atol=1e-5)
    np.testing.assert_allclose(theirs.log_scales, ours.log_scales[order], atol=1e-4)
    np.testing.assert_allclose(theirs.colors, ours.colors[order].clamp(0, 1), atol=0.6 / 255)
    opacity = torch.sigmoid(ours.opacity_logits[order])
    np.testing.assert_allclose(torch.sigmoid(theirs.opacity_logits), opacity, atol=0.6 / 255)
    images = [rasterize(one, scene.camera(0)).color for one in (ours, theirs)]
    assert float((images[0] - images[1]).abs().mean()) < 0.005


def test_gltf_follows_the_extension_and_turns_y_up(tmp_path):
    scene = sheet()
    (path,) = export_splats(scene, [TIME], tmp_path / "a.glb")
    attributes, primitive, document = read_glb(path)
    assert document["extensionsUsed"] == ["KHR_gaussian_splatting"]
    assert primitive["mode"] == 0
    described = primitive["extensions"]["KHR_gaussian_splatting"]
    assert (described["kernel"], described["colorSpace"]) == ("ellipse", "srgb_rec709_display")
    expected, flip = scene.gaussians_at(TIME), np.diag([1.0, -1, -1])
    np.testing.assert_allclose(attributes["POSITION"], expected.means.numpy() @ flip)
    np.testing.assert_allclose(attributes["OPACITY"], torch.sigmoid(expected.opacity_logits), atol=1e-6)
    np.testing.assert_allclose(attributes["SH_DEGREE_0_COEF_0"] * SH_C0 + 0.5, expected.colors, atol=1e-6)
    ours = covariances(expected.quats[:, [1, 2, 3, 0]], expected.log_scales.exp())
    np.testing.assert_allclose(covariances(attributes["ROTATION"], attributes["SCALE"]), flip @ ours @ flip, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(attributes["ROTATION"], axis=1), 1, atol=1e-5)
    assert document["nodes"][0]["scale"] == [0.001] * 3
    assert "millimetres" in document["asset"]["extras"]["units"]
    position = document["accessors"][primitive["attributes"]["POSITION"]]
    np.testing.assert_allclose(position["max"], attributes["POSITION"].max(0))
    assert "makes metres" in document["asset"]["extras"]["units"]
    relative = read_glb(export_splats(sheet(units="relative"), "canonical", tmp_path / "relative.glb")[0])[2]
    assert relative["nodes"][0].get("scale") in (None, [])
    units = relative["asset"]["extras"]["units"]
    assert units == "vertices in relative (median depth of the first frame is 100)"


def test_splat_transform_makes_the_same_gltf_of_our_ply(tmp_path):
    """It turns PLYs half around z, and we around x; between the two lies half a turn around y."""
    scene = sheet()
    (ply,) = export_splats(scene, [TIME], tmp_path / "ours.ply")
    (glb,) = export_splats(scene, [TIME], tmp_path / "ours.glb")
    theirs, ours = read_glb(convert(ply, tmp_path / "theirs.glb"))[0], read_glb(glb)[0]
    turn = np.diag([-1.0, 1, -1])
    nearest = np.argmin(((theirs["POSITION"] @ turn)[:, None] - ours["POSITION"][None]).__pow__(2).sum(2), 1)
    assert len(np.unique(nearest)) == len(scene)
    np.testing.assert_allclose(theirs["POSITION"] @ turn, ours["POSITION"][nearest], atol=1e-4)
    np.testing.assert_allclose(theirs["SCALE"], ours["SCALE"][nearest], rtol=1e-5)
    np.testing.assert_allclose(theirs["OPACITY"], ours["OPACITY"][nearest], atol=1e-6)
    np.testing.assert_allclose(theirs["SH_DEGREE_0_COEF_0"], ours["SH_DEGREE_0_COEF_0"][nearest], atol=1e-5)
    levels = theirs["COLOR_0"].astype(int) - ours["COLOR_0"][nearest]
    assert np.abs(levels).max() <= 1  # they round once more, from the PLY's coefficients
    turned = turn @ covariances(theirs["ROTATION"], theirs["SCALE"]) @ turn
    np.testing.assert_allclose(turned, covariances(ours["ROTATION"], ours["SCALE"])[nearest], atol=1e-4)


@pytest.mark.parametrize("format", ["splat", "glb"])
def test_a_sequence_has_a_file_a_frame(format, tmp_path):
    scene = sheet(frames=3)
    files = export_splats(scene, "all", tmp_path / "all", format=format)
    assert [file.name for file in files] == [f"00000{i}.{format}" for i in range(3)]
    assert {file.name for file in (tmp_path / "all").iterdir()} - {f.name for f in files} == (
        {"units.json"} if format == "splat" else set()
    )
    if format == "glb":
        np.testing.assert_allclose(read_glb(files[2])[0]["POSITION"][:, 0], scene.packed_at(1.2)[:, 0])


def test_an_ending_and_a_format_must_agree(tmp_path):
    with pytest.raises(InputError, match="make them agree"):
        export_splats(sheet(), "canonical", tmp_path / "a.splat", format="glb")
    assert not list(tmp_path.iterdir())


def test_a_splat_file_never_appears_without_its_units(tmp_path, capsys):
    save_scene(sheet(), tmp_path / "scene.safetensors")
    (tmp_path / "z.splat.json").mkdir()
    assert main(["export", "splats", str(tmp_path), "--out", str(tmp_path / "z.splat")]) == 2
    assert "z.splat.json is a folder" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scene.safetensors", "z.splat.json"]
