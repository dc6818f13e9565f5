"""Exports read back by other programs' readers."""

import numpy as np
import pytest
import torch
import tyro
from plyfile import PlyData

from endogs.errors import InputError
from endogs.export.commands import run_points, run_splats
from endogs.export.config import ExportPoints, ExportSplats
from endogs.export.formats.ply import write_ply
from endogs.export.points import export_points
from endogs.export.splats import export_splats
from endogs.gaussians import Gaussians
from endogs.open3d_library import import_open3d
from endogs.scene import Scene
from endogs.scene.deformation.deformation import Deformation
from endogs.scene.deformation.static import StaticDeformation
from endogs.scene.scene_file import save_scene

COUNT = 7


class Drift(Deformation):
    """Every Gaussian moves by 10 mm a second along x and fades."""

    kind = "drift"

    @classmethod
    def start(cls, base, start):
        return cls()

    def packed_at(self, base, time):
        moved = base.clone()
        moved[:, 0] += 10 * time
        moved[:, 10] -= time
        return moved

    def tensors(self):
        return {}

    def settings(self):
        return {}

    @classmethod
    def from_parts(cls, tensors, settings):
        return cls()

    def select(self, keep):
        return self


def make_scene(deformation=None, units="mm") -> Scene:
    rng = np.random.default_rng(0)
    base = torch.as_tensor(rng.normal(size=(COUNT, 14)), dtype=torch.float32)
    base[:, 2] += 70
    base[:, 10] = torch.linspace(-4, 4, COUNT)
    base[:, 11:14] = torch.linspace(-0.1, 1.1, COUNT)[:, None] * torch.tensor([1.0, 0.5, 0.25])
    K = np.tile(np.array([[50.0, 0, 16], [0, 50, 12], [0, 0, 1]]), (4, 1, 1))
    poses = np.tile(np.eye(4), (4, 1, 1))
    # An asymmetric first pose, so that camera and world axes cannot be confused.
    angle = 0.7
    poses[:, :3, :3] = [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
    poses[:, :3, 3] = 3, -2, 5
    return Scene(base, deformation or Drift(), np.array([0.0, 0.5, 1.0, 1.5]), K, poses, 32, 24, units)


def vertices(path):
    return PlyData.read(path)["vertex"].data


def table(rows, names):
    return np.stack([rows[name] for name in names], 1)


def test_points_ply_holds_centres_colours_units_and_time(tmp_path):
    scene = make_scene()
    (path,) = export_points(scene, [0.25], tmp_path / "cloud.ply", min_opacity=0.0)
    expected = scene.gaussians_at(0.25)
    rows = vertices(path)
    np.testing.assert_array_equal(table(rows, "xyz"), expected.means.numpy())
    colors = np.clip(expected.colors.numpy() * 255, 0, 255).round()
    np.testing.assert_array_equal(table(rows, ("red", "green", "blue")), colors)
    comments = PlyData.read(path).comments
    assert "units millimetres" in comments
    assert "time 0.250000 s since the clip's first frame" in comments
    relative = export_points(make_scene(units="relative"), "first", tmp_path / "relative.ply")
    assert any("relative" in line for line in PlyData.read(relative[0]).comments)


@pytest.mark.parametrize("format", ["ply", "pcd", "xyz"])
def test_open3d_reads_every_point_format(format, tmp_path):
    scene = make_scene()
    (path,) = export_points(scene, "first", tmp_path / f"cloud.{format}", min_opacity=0.0)
    cloud = import_open3d().io.read_point_cloud(str(path))
    np.testing.assert_allclose(np.asarray(cloud.points), scene.base[:, :3].numpy(), atol=1e-5)
    colors = scene.base[:, 11:].clamp(0, 1).numpy()
    if format == "xyz":
        rows = np.loadtxt(path)
        np.testing.assert_array_equal(rows[:, 3:], np.round(colors * 255))
    else:
        np.testing.assert_allclose(np.asarray(cloud.colors), colors, atol=0.5 / 255 + 1e-6)
        np.testing.assert_allclose(np.linalg.norm(cloud.normals, axis=1), 1, atol=1e-5)


def test_min_opacity_filters_by_the_opacity_at_that_time(tmp_path):
    scene = make_scene()
    for time in (0.0, 1.5):
        opaque = torch.sigmoid(scene.packed_at(time)[:, 10]) >= 0.5
        (path,) = export_points(scene, [time], tmp_path / f"{time}.ply", min_opacity=0.5)
        assert 0 < len(vertices(path)) == int(opaque.sum()) < COUNT
        np.testing.assert_array_equal(table(vertices(path), "xyz"), scene.packed_at(time)[opaque, :3].numpy())


SPLAT_FIELDS = [
    *("x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2"),
    *(f"f_rest_{i}" for i in range(45)),
    *("opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"),
]


def test_splats_are_the_62_floats_of_the_reference_implementation(tmp_path):
    scene = make_scene()
    (path,) = export_splats(scene, "canonical", tmp_path / "splats.ply")
    rows = vertices(path)
    assert list(rows.dtype.names) == SPLAT_FIELDS
    assert len(SPLAT_FIELDS) == 62
    assert {rows.dtype[name] for name in SPLAT_FIELDS} == {np.dtype("<f4")}
    canonical = Gaussians.from_packed(scene.base)
    np.testing.assert_array_equal(table(rows, "xyz"), canonical.means.numpy())
    shown = 0.5 + 0.28209479177387814 * table(rows, ("f_dc_0", "f_dc_1", "f_dc_2"))
    np.testing.assert_allclose(shown, canonical.colors.numpy(), atol=1e-6)
    assert not table(rows, [f"f_rest_{i}" for i in range(45)]).any()
    np.testing.assert_array_equal(rows["opacity"], canonical.opacity_logits.numpy())
    np.testing.assert_array_equal(table(rows, [f"scale_{i}" for i in range(3)]), canonical.log_scales.numpy())
    quats = canonical.quats / canonical.quats.norm(dim=1, keepdim=True)
    np.testing.assert_allclose(table(rows, [f"rot_{i}" for i in range(4)]), quats.numpy(), atol=1e-6)


def test_normals_are_the_shortest_axis_facing_the_first_camera(tmp_path):
    from scipy.spatial.transform import Rotation

    scene = make_scene()
    rows = vertices(export_splats(scene, "canonical", tmp_path / "splats.ply")[0])
    normals = table(rows, ("nx", "ny", "nz"))
    base = scene.base.numpy().astype(np.float64)
    axes = Rotation.from_quat(base[:, [4, 5, 6, 3]]).as_matrix()
    shortest = axes[np.arange(COUNT), :, base[:, 7:10].argmin(1)]
    np.testing.assert_allclose(np.abs((normals * shortest).sum(1)), 1, atol=1e-5)
    pose = scene.world_to_camera[0]
    eye = -pose[:3, :3].T @ pose[:3, 3]
    assert ((normals * (eye - base[:, :3])).sum(1) > 0).all()


def test_sequences_are_folders_with_one_file_a_frame(tmp_path):
    scene = make_scene()
    files = export_splats(scene, "all", tmp_path / "splats")
    assert [f.name for f in files] == ["000000.ply", "000001.ply", "000002.ply", "000003.ply"]
    assert sorted(tmp_path.iterdir()) == [tmp_path / "splats"], "temporary files were left"
    for file, time in zip(files, scene.times, strict=True):
        np.testing.assert_allclose(vertices(file)["x"], scene.base[:, 0].numpy() + 10 * time, atol=1e-5)
    files = export_points(scene, [0.1, 1.2], tmp_path / "clouds", "xyz", 0.0)
    np.testing.assert_allclose(np.loadtxt(files[1])[:, 0], scene.base[:, 0].numpy() + 12, atol=1e-5)
    with pytest.raises(InputError, match="not empty"):
        export_points(scene, "all", tmp_path / "clouds")


@pytest.mark.parametrize("time", [-0.2, 1.6, float("nan")])
def test_a_time_outside_the_clip_names_the_range(time, tmp_path):
    for export in (
        lambda: export_points(make_scene(), [0.0, time], tmp_path / "a.ply"),
        lambda: export_splats(make_scene(), [time], tmp_path / "a.ply"),
    ):
        with pytest.raises(InputError, match=r"runs from 0 to 1\.5 seconds"):
            export()
    assert not list(tmp_path.iterdir())


def test_other_bad_requests_are_sentences(tmp_path):
    scene = make_scene()
    with pytest.raises(InputError, match=r"opacity of 0\.99 or more; the highest is 0\.982"):
        export_points(scene, "first", tmp_path / "a.ply", min_opacity=0.99)
    with pytest.raises(InputError, match="from 0 to 1"):
        export_points(scene, "first", tmp_path / "a.ply", min_opacity=1.5)
    with pytest.raises(InputError, match="make them agree"):
        export_points(scene, "first", tmp_path / "a.xyz", "ply")
    with pytest.raises(InputError, match="names no time"):
        export_points(scene, [], tmp_path / "a.ply")
    with pytest.raises(InputError, match="neither a number of seconds"):
        export_splats(scene, "noon", tmp_path / "a.ply")
    assert not list(tmp_path.iterdir()), "a failed export left a file"
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        export_points(scene, "first", tmp_path / "file" / "a.ply")
    with pytest.raises(InputError, match="is a folder"):
        export_splats(scene, "canonical", tmp_path)


def test_a_failed_export_keeps_the_older_file(tmp_path):
    (tmp_path / "a.ply").write_text("older")
    with pytest.raises(InputError):
        export_points(make_scene(), "first", tmp_path / "a.ply", min_opacity=1.0)
    assert (tmp_path / "a.ply").read_text() == "older"
    export_points(make_scene(), "first", tmp_path / "a.ply")
    assert (tmp_path / "a.ply").read_bytes().startswith(b"ply\n")


def test_ply_columns_must_agree(tmp_path):
    with pytest.raises(ValueError, match="one length"):
        write_ply(tmp_path / "a.ply", {"x": np.zeros(3, np.float32), "y": np.zeros(4, np.float32)})
    with pytest.raises(ValueError, match="float32, uint8 or uint16"):
        write_ply(tmp_path / "a.ply", {"x": np.zeros(3)})


def test_verbs_read_a_scene_file_and_write_beside_it(tmp_path, capsys):
    save_scene(make_scene(StaticDeformation()), tmp_path / "scene.safetensors")
    (points,) = run_points(ExportPoints(tmp_path, min_opacity=0.0))
    (splats,) = run_splats(ExportSplats(tmp_path / "scene.safetensors", time=(1.0,), min_opacity=0.5))
    assert points == tmp_path / "points.ply"
    assert splats == tmp_path / "splats.ply"
    assert len(vertices(points)) == COUNT
    assert 0 < len(vertices(splats)) < COUNT
    assert len(run_points(ExportPoints(tmp_path, time="all", format="pcd"))) == 4
    assert (tmp_path / "points" / "000003.pcd").exists()
    assert str(splats) in capsys.readouterr().out
    with pytest.raises(InputError):
        run_points(ExportPoints(tmp_path / "nothing"))


@pytest.mark.parametrize(
    ("arguments", "time"),
    [([], "first"), (["--time", "all"], "all"), (["--time", "0.5"], (0.5,)), (["--time", "0", "1.5"], (0.0, 1.5))],
)
def test_command_line_accepts_seconds_and_words(arguments, time):
    assert tyro.cli(ExportPoints, args=["scene", *arguments]).time == time
