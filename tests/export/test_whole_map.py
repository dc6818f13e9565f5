"""A moving camera's export is the whole map: every place that was ever seen, at one time."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from plyfile import PlyData
from samples.player_scenes import sheet

from endogs.cli import main
from endogs.export.config import ExportMesh
from endogs.export.extent import carried_note
from endogs.export.map_cameras import colored_from_nearby, covering_frames, nearest_cameras
from endogs.export.mesh import surface
from endogs.export.moments import moment
from endogs.export.selection import Selection
from endogs.pictures.find_visibility import find_visibility
from endogs.scene import Knots, Scene, SplineDeformation, StaticDeformation
from endogs.scene.appearance import Appearance, LitColors
from endogs.scene.scene_file import save_scene

FRAMES, STEP, DISTANCE = 9, 12.0, 40.0
"""The camera goes along x past a wall at z = DISTANCE of which it sees about 44 mm at a time."""


def wall(hidden_from: float = 1e9) -> Scene:
    """A wall of 150 x 30 mm along which a camera goes; right of x = `hidden_from` no frame shows it."""
    one = sheet(still=True, frames=1)
    x, y = (grid.ravel() for grid in np.meshgrid(np.arange(-25, 125, 1.0), np.arange(-15, 16, 1.0)))
    base = torch.zeros(len(x), 14)
    base[:, 0], base[:, 1], base[:, 2] = torch.tensor(x), torch.tensor(y), DISTANCE
    base[:, 3], base[:, 7:9], base[:, 9], base[:, 10] = 1, float(np.log(0.7)), float(np.log(0.2)), 4
    base[:, 11:] = torch.tensor(np.stack([0.5 + 0.3 * np.sin(x / 4), 0.5 + 0.3 * np.cos(y / 3), 0.4 + 0 * x], 1))
    poses = np.tile(np.eye(4), (FRAMES, 1, 1))
    poses[:, 0, 3] = -STEP * np.arange(FRAMES)
    K = np.tile(one.K[:1], (FRAMES, 1, 1))
    times = np.arange(FRAMES) / 10
    scene = replace(one, base=base, deformation=StaticDeformation(), times=times, K=K, world_to_camera=poses)
    columns = np.arange(scene.width)

    def tissue(frame: int) -> np.ndarray:
        at = (columns + 0.5 - K[0, 0, 2]) / K[0, 0, 0] * DISTANCE + STEP * frame
        return np.broadcast_to(at < hidden_from, (scene.height, scene.width))

    scene.visibility = find_visibility(scene, tissue)
    return scene


def test_the_mesh_is_of_all_places_and_of_one_view_where_that_is_asked(tmp_path):
    scene = wall()
    whole, one = (surface(scene, 0.4, ExportMesh(tmp_path, view_only=only)) for only in (False, True))
    assert np.ptp(whole.vertices[:, 0]) > 130
    assert np.ptp(one.vertices[:, 0]) < 50
    assert np.abs(whole.vertices[:, 2] - DISTANCE).max() < 1.5
    inside = np.abs(whole.vertices[:, 1]) < 12
    filled = np.histogram(whole.vertices[inside, 0], np.arange(-15, 112, 4))[0]
    assert filled.min() > 0.5 * np.median(filled), "no gaps between what one camera saw and the next"


def test_what_one_camera_put_where_others_look_through_is_taken_away(tmp_path):
    scene = wall()
    floater = scene.base[(scene.base[:, :2] - torch.tensor([40.0, 0.0])).norm(dim=1) < 1.5].clone()
    floater[:, 2], floater[:, 10] = 20, 4
    base = torch.cat([scene.base, floater])
    crowded = replace(scene, base=base)
    crowded.visibility = find_visibility(crowded, lambda frame: np.ones((scene.height, scene.width), bool))
    mesh = surface(crowded, 0.0, ExportMesh(tmp_path))
    assert np.ptp(mesh.vertices[:, 0]) > 130
    assert (mesh.vertices[:, 2] < 30).sum() == 0, "a speck in mid-air is no tissue"


def test_places_that_no_frame_shows_are_not_in_the_map_unless_asked_for(tmp_path):
    scene = wall(hidden_from=60.0)
    seen, everything = (surface(scene, 0.0, ExportMesh(tmp_path, show=show)) for show in (None, "all"))
    assert 55 < seen.vertices[:, 0].max() < 66
    assert everything.vertices[:, 0].max() > 110
    rows = moment(scene, 0.0, Selection()).rows
    assert 55 < scene.base[rows, 0].max() < 66
    assert len(moment(scene, 0.0, Selection(show="all")).rows) == len(scene)
    view = moment(scene, 0.4, Selection(view_only=True))
    assert np.ptp(scene.base[view.rows, 0].numpy()) < 52
    assert view.comments[-1] == "view of frame 4"


def test_few_cameras_cover_what_all_saw_and_each_place_has_the_nearest_as_its_eye():
    scene = wall()
    frames = covering_frames(scene, 3, 4)
    assert 3 in frames
    assert len(frames) == 4
    shown = scene.visibility.frames_seen(FRAMES)
    assert shown[:, frames].any(1).sum() > 0.9 * shown.any(1).sum()
    assert covering_frames(scene, 3, 1) == [3]
    assert covering_frames(replace(scene, visibility=None), 3, 3) == [0, 3, 8]
    nearest = nearest_cameras(scene, scene.base[:, :3].numpy())
    expected = np.clip(np.round(scene.base[:, 0].numpy() / STEP), 0, FRAMES - 1)
    clear = np.abs(scene.base[:, 0].numpy() / STEP - expected) < 0.4
    assert (nearest[clear] == expected[clear]).mean() > 0.99
    at = moment(scene, 0.0, Selection())
    assert np.abs(at.eyes[:, 0] - STEP * nearest[at.rows]).max() < 1e-9


def test_a_lit_map_is_lit_from_where_each_place_was_seen():
    scene = wall()
    lit = replace(scene, appearance=Appearance(LitColors.start(scene.base, DISTANCE)))
    by_one = lit.shown_at(0.0)[:, 11:14]
    by_all = colored_from_nearby(lit, lit.packed_at(0.0), 0.0)[:, 11:14]
    far, near = scene.base[:, 0] > 85, scene.base[:, 0].abs() < 5
    far &= scene.base[:, 0] < 100
    assert by_one[far].mean() < 0.5 * by_one[near].mean()
    assert by_all[far].mean() == pytest.approx(float(by_all[near].mean()), rel=0.15)


def test_the_three_kinds_take_the_same_words(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    save_scene(wall(), tmp_path / "scene.safetensors")
    for kind in ("points", "splats", "mesh"):
        for name, options in {"whole": [], "view": ["--view-only"], "rest": ["--time", "canonical"]}.items():
            time = [] if name == "rest" else ["--time", "0.4"]
            assert main(["export", kind, ".", "--out", f"{kind}-{name}.ply", *options, *time]) == 0
            columns = PlyData.read(f"{kind}-{name}.ply")["vertex"].data
            assert (np.ptp(columns["x"]) > 120) == (name != "view")
            assert (columns["nz"] < 0).mean() > 0.99, "normals face the cameras"
    capsys.readouterr()
    for kind in ("points", "splats", "mesh"):
        assert main(["export", kind, ".", "--view-only", "--time", "canonical", "--out", "x.ply"]) == 2
        assert "give --time first" in capsys.readouterr().err
    assert main(["export", "mesh", ".", "--view-only", "--views", "3"]) == 2
    assert "leave one of them out" in capsys.readouterr().err
    save_scene(sheet(), tmp_path / "still.safetensors")
    for kind in ("points", "splats", "mesh"):
        assert main(["export", kind, "still.safetensors", "--view-only"]) == 2
        assert "leave it out" in capsys.readouterr().err


def test_a_map_that_travels_with_the_camera_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    scene = wall()
    assert carried_note(Selection(), scene, [0.0]) is None
    scene = scene.select(scene.base[:, 0] < 24)  # what the first camera sees, and then goes along with it
    knots = Knots.over(0.0, 0.8, 0.1)
    control = torch.zeros(knots.count, len(scene), 14)
    control[:, :, 0] = (torch.arange(knots.count)[:, None] - 1) * STEP
    carried = replace(scene, deformation=SplineDeformation(control, knots))
    save_scene(carried, tmp_path / "scene.safetensors")
    assert main(["export", "mesh", ".", "--out", "x.ply"]) == 0
    assert re.search(
        r"at 0 s the map fills only \d+ to 100 % of what the cameras of 8 frames saw", capsys.readouterr().err
    )
    assert main(["export", "mesh", ".", "--view-only", "--out", "y.ply"]) == 0
    assert capsys.readouterr().err == ""
