"""Meshes lie on the surface, are cut where it jumps, and are the same to every reader."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from plyfile import PlyData
from samples.player_scenes import pose, sheet

from endogs.camera import Camera
from endogs.cli import main
from endogs.errors import InputError
from endogs.export.config import ExportMesh
from endogs.export.mesh import export_mesh, surface
from endogs.export.meshing import DepthView, fuse, without_edges
from endogs.geometry import pixel_rays
from endogs.open3d_library import import_open3d
from endogs.scene import StaticDeformation
from endogs.scene.appearance import Appearance, Exposure
from endogs.scene.scene_file import save_scene

WIDTH, HEIGHT = 120, 90
K = np.array([[110.0, 0, 55], [0, 118, 49], [0, 0, 1]])
NORMAL, OFFSET = np.array([0.3, -0.15, 1.0]), 60.0
"""The plane NORMAL . x = OFFSET, in camera axes of the first pose."""


def plane_view(world_to_camera):
    """What a camera sees of a plane of the world, coloured by where it is."""
    rays = pixel_rays(K, WIDTH, HEIGHT)
    rotation, shift = world_to_camera[:3, :3], world_to_camera[:3, 3]
    normal = rotation @ NORMAL  # the plane in this camera's axes
    depth = (OFFSET + normal @ shift) / (rays @ normal)
    points = (rays * depth[..., None] - shift) @ rotation
    color = np.stack([points[..., 0] / 200 + 0.5, points[..., 1] / 200 + 0.5, np.full(depth.shape, 0.25)], -1)
    camera = Camera.from_numpy(K, world_to_camera, WIDTH, HEIGHT)
    return DepthView(camera, depth.astype(np.float32), color.astype(np.float32))


@pytest.mark.parametrize("turns", [[0.0], [0.0, 0.3, 0.6]])
def test_vertices_lie_on_the_plane_with_its_colours(turns):
    mesh = fuse([plane_view(pose(turn)) for turn in turns], 1.0)
    distance = (mesh.vertices @ NORMAL - OFFSET) / np.linalg.norm(NORMAL)
    assert len(mesh.triangles) > 4000
    assert np.abs(distance.mean()) < 0.01  # half a pixel's shift would make it 0.06
    assert np.abs(distance).mean() < 0.1
    assert np.abs(distance).max() < 0.5
    inside = np.abs(mesh.vertices[:, :2]).max(1) < 90  # where colours are not clipped
    errors = (200 * (mesh.colors[:, :2] - 0.5) - mesh.vertices[:, :2])[inside]
    assert np.abs(errors).mean() < 0.4  # mm; a pixel is 0.5 mm wide
    assert np.abs(errors.mean(0)).max() < 0.1
    eye = -pose(turns[0])[:3, :3].T @ pose(turns[0])[:3, 3]
    a, b, c = (mesh.vertices[mesh.triangles[:, i]] for i in range(3))
    towards = (np.cross(b - a, c - a) * (eye - a)).sum(1)
    assert (towards > 0).mean() > 0.99  # counter-clockwise seen from the camera
    assert ((mesh.normals * (eye - mesh.vertices)).sum(1) > 0).mean() > 0.99


def test_no_triangle_bridges_a_jump():
    depth = np.full((HEIGHT, WIDTH), 60, np.float32)
    depth[:, 50:] = 66
    camera = Camera.from_numpy(K, np.eye(4), WIDTH, HEIGHT)
    color = np.full((HEIGHT, WIDTH, 3), 0.5, np.float32)
    bridged = fuse([DepthView(camera, depth, color)], 1.0)
    cut = fuse([DepthView(camera, without_edges(depth, K, 80), color)], 1.0)
    between = [((mesh.vertices[:, 2] > 61) & (mesh.vertices[:, 2] < 65)).mean() for mesh in (bridged, cut)]
    assert between[0] > 0.01, "the test shows nothing: there was no bridge to cut"
    assert between[1] == 0
    assert len(cut.triangles) > 0.9 * len(bridged.triangles)


def test_slopes_are_kept_up_to_the_steepest():
    """A slope of six rows between two planes."""
    rows = np.arange(HEIGHT)[:, None] * np.ones((1, WIDTH))
    for degrees, kept in ((70, True), (85, False)):
        slope = np.tan(np.radians(degrees)) * 60 / K[1, 1]
        depth = (60 + slope * (np.clip(rows, 40, 46) - 40)).astype(np.float32)
        survives = without_edges(depth, K, 80)[40:47] > 0
        assert survives.all() if kept else not survives.any()


def scene_of_a_step():
    """A still sheet, the right half of which is 12 mm deeper."""
    scene = sheet(still=True, frames=2)
    base = scene.base.clone()
    base[:, 2] = torch.where(base[:, 0] > 4, 68.0, 56.0)
    base[:, 7:10], base[:, 10] = np.log(1.3), 6
    return replace(scene, base=base, deformation=StaticDeformation())


def test_readers_agree_on_every_format(tmp_path):
    trimesh = pytest.importorskip("trimesh")
    scene = scene_of_a_step()
    expected = surface(scene, 0.0, ExportMesh(tmp_path))
    files = {f: export_mesh(scene, ExportMesh(tmp_path), tmp_path / f"m.{f}")[0] for f in ("ply", "obj", "glb")}
    again = export_mesh(scene, ExportMesh(tmp_path), tmp_path / "again.ply")[0]
    assert again.read_bytes() == files["ply"].read_bytes()
    comments = PlyData.read(files["ply"]).comments
    assert "units millimetres" in comments
    open3d = import_open3d()
    for format in ("ply", "obj"):
        read = open3d.io.read_triangle_mesh(str(files[format]))
        assert len(read.triangles) == len(expected.triangles)
        # open3d's OBJ reader may order vertices by their use.
        theirs, ours = np.asarray(read.vertices)[np.asarray(read.triangles)], expected.vertices[expected.triangles]
        np.testing.assert_allclose(theirs, ours, atol=1e-4)
        colors = np.asarray(read.vertex_colors)[np.asarray(read.triangles)]
        np.testing.assert_allclose(colors, expected.colors[expected.triangles], atol=0.01)
    assert files["obj"].read_text().startswith("# endogs\n# units millimetres\n")
    loaded = trimesh.load(files["glb"], force="scene")
    (geometry,) = loaded.geometry.values()
    assert len(geometry.faces) == len(expected.triangles)
    bounds = np.array([expected.vertices.min(0), expected.vertices.max(0)]) * [1, -1, -1] * 0.001
    np.testing.assert_allclose(loaded.bounds, [bounds.min(0), bounds.max(0)], atol=1e-6)  # metres, +Y up
    corners = (expected.vertices * [1, -1, -1])[expected.triangles]
    np.testing.assert_allclose(np.asarray(geometry.vertices)[geometry.faces], corners, atol=1e-4)
    assert loaded.units == "meters"
    assert b"vertices in millimetres" in files["glb"].read_bytes()
    linear = np.asarray(geometry.visual.vertex_attributes["color"])[:, :3] / 65535
    linear, ours = linear[geometry.faces], expected.colors[expected.triangles]
    shown = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    assert np.abs(shown - ours).max() < 0.001


def test_the_mesh_of_a_scene_is_its_surface_and_has_two_parts(tmp_path):
    mesh = surface(scene_of_a_step(), 0.0, ExportMesh(tmp_path))
    seen = mesh.vertices @ pose(0)[:3, :3].T + pose(0)[:3, 3]
    assert 50 < seen[:, 2].min() < seen[:, 2].max() < 75
    near, far = np.abs(mesh.vertices[:, 2] - 56) < 2.5, np.abs(mesh.vertices[:, 2] - 68) < 2.5
    assert near.sum() > 500
    assert far.sum() > 500
    assert (near | far).mean() > 0.97


def test_meshes_leave_out_the_clips_exposure(tmp_path):
    scene = scene_of_a_step()
    even = surface(scene, 0.0, ExportMesh(tmp_path))
    exposure = Exposure(np.array([0.0]), torch.tensor([[[-0.7, -0.2, 0.1], [0.1, 0.0, 0.0]]]))
    exposed = surface(replace(scene, appearance=Appearance(None, exposure)), 0.0, ExportMesh(tmp_path))
    np.testing.assert_array_equal(exposed.colors, even.colors)


def test_a_moving_camera_fuses_several_views(tmp_path):
    scene = sheet(moving_camera=True)
    one, many = (surface(scene, 0.6, ExportMesh(tmp_path, views=views)) for views in (1, 12))
    assert np.ptp(many.vertices[:, 0]) > np.ptp(one.vertices[:, 0]) + 1
    assert len(export_mesh(scene, ExportMesh(tmp_path, time=(0.0, 0.6), views=3), tmp_path / "several")) == 2


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--voxel", "0"], "give a size above 0"),
        (["--voxel", "0.001"], "voxels across the tissue"),
        (["--steepest", "90"], "10 to 89"),
        (["--views", "0"], "is out of range"),
        (["--views", "3"], "--views is not used by a scene of a still camera"),
        (["--voxel", "1e9"], "--voxel 1e+09 is out of range"),
        (["--time", "-1"], "runs from 0"),
        (["--format", "obj", "--out", "a.ply"], "make them agree"),
    ],
)
def test_bad_requests_are_sentences(options, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    save_scene(scene_of_a_step(), tmp_path / "scene.safetensors")
    assert main(["export", "mesh", ".", *options]) == 2
    assert sentence in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["scene.safetensors"]


def test_a_scene_without_surface_is_told(tmp_path):
    scene = scene_of_a_step()
    scene.base[:, 10] = -9
    with pytest.raises(InputError, match="shows no surface at 0 s"):
        export_mesh(scene, ExportMesh(tmp_path), tmp_path / "m.ply")
    assert not list(tmp_path.iterdir())
