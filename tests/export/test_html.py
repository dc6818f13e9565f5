"""The shareable page's contents: what coding costs, what is left out, and what bad input is told."""

import base64
import re
import zlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from samples.player_scenes import sheet

from endogs.cli import main
from endogs.errors import InputError
from endogs.export.html import export_html
from endogs.export.html.byte_planes import pack_rows, unpack_rows
from endogs.export.html.importance import contributions, decimated, ever_visible
from endogs.export.html.overview import overview
from endogs.export.html.page import assemble, sources
from endogs.export.html.payload import pack_scene, unpack_scene
from endogs.export.html.showable import WholeScene
from endogs.export.html.spline_coding import decode_control, encode_control
from endogs.gaussians import OPACITY
from endogs.render.backends import rasterize_packed
from endogs.scene import Knots, Scene
from endogs.scene.appearance import Appearance, HeadlightColors
from endogs.scene.deformation.lowrank import LowrankDeformation
from endogs.scene.scene_file import save_scene


def psnr(scene, other, frame=2):
    time = float(scene.times[frame])
    ours, theirs = (rasterize_packed(s.packed_at(time), scene.camera(frame)).color for s in (scene, other))
    return -10 * np.log10(float(((ours - theirs) ** 2).mean()))


@given(arrays.arrays(np.int32, st.tuples(st.integers(0, 4), st.just(5)), elements=st.integers(-(2**31) + 1, 2**31 - 1)))
@settings(max_examples=60, deadline=None)
def test_integers_survive_their_byte_planes(rows):
    data, widths = pack_rows(rows)
    np.testing.assert_array_equal(unpack_rows(data, widths, 5), rows.reshape(-1, 5))


def test_small_integers_take_few_bytes():
    data, widths = pack_rows(np.array([[0, 0, 0], [-1, 1, 127], [0, 128, 0], [0, 0, -(10**6)]]))
    assert widths == [0, 1, 2, 3]
    assert len(data) == 18
    with pytest.raises(ValueError, match="do not make"):
        unpack_rows(data[:-1], widths, 3)


def test_coded_curves_stay_within_their_step_everywhere():
    rng = np.random.default_rng(0)
    knots = Knots.over(1.0, 4.0, 0.21)
    control = np.cumsum(rng.normal(0, 3, (knots.count, 40, 3)), 0).astype(np.float32)
    scale = np.exp(rng.normal(0, 0.7, 40)).astype(np.float32)
    coded = encode_control(control, knots, 0.1, scale)
    basis = knots.basis(np.linspace(1.0, 4.0, 200)).astype(np.float32)
    error = np.einsum("tk,knc->tnc", basis, decode_control(coded, scale) - control) / scale[:, None] / 0.1
    assert np.sqrt((error**2).mean((0, 2))).max() < 0.4  # 0.29 is what rounding leaves
    assert np.abs(error).max() < 2  # the clip's first and last instants included


def test_what_does_not_move_costs_nothing():
    knots = Knots.over(0.0, 1.0, 0.1)
    assert (
        encode_control(np.zeros((knots.count, 9, 3), np.float32), knots, 0.1, np.ones(9, np.float32)).integers.size == 0
    )


@pytest.mark.parametrize("options", [{}, {"moving_camera": True}, {"still": True}, {"still": True, "frames": 1}])
def test_a_packed_scene_looks_like_the_scene(options):
    scene = sheet(**options)
    packed = pack_scene(scene, contributions(scene), {"title": "x"})
    back, header = unpack_scene(packed)
    assert psnr(scene, back, frame=len(scene.times) - 1) > 46.5
    np.testing.assert_array_equal(back.times, scene.times)
    np.testing.assert_allclose(back.world_to_camera, scene.world_to_camera)
    assert (header["title"], back.units, back.width) == ("x", "mm", scene.width)
    assert len(header["cameras"]["K"]) == (len(scene.times) if "moving_camera" in options else 1)
    finer = unpack_scene(pack_scene(scene, contributions(scene), {}, 0.25))[0]
    assert psnr(scene, finer, len(scene.times) - 1) > psnr(scene, back, len(scene.times) - 1) + 6
    with pytest.raises(ValueError, match="payload"):
        unpack_scene(packed[: len(packed) // 2])


def test_quaternions_of_any_length_are_coded():
    scene = sheet()
    lengths = torch.linspace(0.2, 5, len(scene))
    longer = Scene(**{**vars(scene), "base": scene.base.clone(), "deformation": scene.deformation.select(lengths > 0)})
    longer.base[:, 3:7] *= lengths[:, None]
    longer.deformation.control[..., 3:7] *= lengths[:, None]
    weights = contributions(scene)
    back, plain = (unpack_scene(pack_scene(one, weights, {}))[0] for one in (longer, scene))
    assert psnr(scene, back) == pytest.approx(psnr(scene, plain), abs=0.2)


def test_contribution_is_what_taking_a_gaussian_away_takes_from_the_image():
    scene = sheet(still=True, frames=1)
    weights = contributions(scene)
    whole = float(rasterize_packed(scene.base, scene.camera(0)).alpha.sum())
    assert weights.sum() == pytest.approx(whole, rel=1e-3)
    behind = scene.base.clone()
    behind[:, 2] += 30
    both = Scene(**{**vars(scene), "base": torch.cat([scene.base, behind])})
    assert contributions(both)[len(scene) :].mean() < 0.3 * contributions(both)[: len(scene)].mean()


def test_decimation_keeps_what_is_seen_and_covers_the_gaps():
    scene = sheet(still=True, frames=1)
    hidden = scene.base.clone()
    hidden[:, 2] += 30
    both = Scene(**{**vars(scene), "base": torch.cat([scene.base, hidden])})
    weights = contributions(both)
    third, its_weights = decimated(both, weights, len(scene) // 3)
    assert len(third) == len(its_weights) == len(scene) // 3
    assert third.base[:, 2].median() < 70
    alpha, thin = (rasterize_packed(base, scene.camera(0)).alpha for base in (third.base, shrunk(third, both)))
    middle = (slice(15, -15), slice(15, -15))
    assert alpha[middle].mean() > 0.8
    assert alpha[middle].mean() > thin[middle].mean() + 0.1
    assert decimated(both, weights, len(both))[0] is both


def shrunk(third, both):
    """The kept Gaussians at the size they had."""
    found = torch.cdist(third.base[:, :3], both.base[:, :3]).argmin(1)
    base = third.base.clone()
    base[:, 7:10] = both.base[found, 7:10]
    return base


def test_what_is_never_drawn_is_left_out():
    scene = sheet()
    scene.base[:5, OPACITY] = -20
    scene.base[5:9, OPACITY] = -20
    scene.deformation.control[3, 5:9, OPACITY] = 25
    visible = ever_visible(scene)
    assert not visible[:5].any()
    assert visible[5:].all()


def test_pivot_lies_on_the_tissue():
    scene = sheet(moving_camera=True)
    found = overview(scene)
    assert 50 < found["pivot_depth"] < 66
    seen = scene.world_to_camera[0] @ [*found["pivot"], 1]
    assert seen[2] == pytest.approx(found["pivot_depth"])
    pixel = scene.K[0] @ seen[:3] / seen[2]
    np.testing.assert_allclose(pixel[:2], [scene.width / 2, scene.height / 2], atol=1e-6)
    assert found["depth"]["range"][0] < found["pivot_depth"] < found["depth"]["range"][1]
    assert len(found["depth"]["colors"]) == 256 * 6


def test_page_is_whole_and_names_nothing_outside(tmp_path):
    page = export_html(sheet(), tmp_path / "p.html", "A <b> & c </title>", 200_000)
    text = page.path.read_text()
    assert page.fidelity > 52
    assert page.size == page.path.stat().st_size
    assert not re.search(r'\bsrc="|href="(?!data:)|{{', text)
    assert "http:" not in text
    assert "https:" not in text
    assert text.count("<title>A &lt;b&gt; &amp; c &lt;/title&gt;</title>") == 1
    ids = re.findall(r'<script[^>]* id="([\w.]+)"', text)
    assert set(ids) == {path.name for path in sources().iterdir() if path.suffix in (".js", ".vert", ".frag")} | {
        "scene"
    }
    payload = re.search(r'id="scene">([^<]*)<', text)[1]
    assert len(unpack_scene(base64.b64decode(payload))[0]) == len(sheet())


def test_a_title_cannot_become_a_place(tmp_path):
    text = assemble("{{scene}} \\1", b"payload")
    assert "<title>{{scene}} \\1</title>" in text
    assert text.count(base64.b64encode(b"payload").decode()) == 1


def test_too_many_gaussians_are_reduced_with_a_note(tmp_path, capsys):
    scene = sheet()
    save_scene(scene, tmp_path / "scene.safetensors")
    assert main(["export", "html", str(tmp_path), "--max-gaussians", "200"]) == 0
    told, noted = capsys.readouterr()
    assert f"200 Gaussians of {len(scene)}" in told
    words = re.search(
        r"200 of \d+ Gaussians add (\d+) % of what is seen, .* holes; --max-gaussians (\d+) keeps 95 %", noted
    )
    assert int(words[1]) < 90
    made = WholeScene(scene)
    assert made.share(int(words[2])) >= 0.95 > made.share(int(words[2]) - 1)
    payload = re.search(r'id="scene">([^<]*)<', (tmp_path / "player.html").read_text())[1]
    back, header = unpack_scene(base64.b64decode(payload))
    assert (len(back), header["original_count"], header["title"]) == (200, len(scene), "sheet")
    assert "contribute most" in header["note"]


def test_bad_input_is_told_in_one_sentence_and_leaves_nothing(tmp_path, capsys):
    good = tmp_path / "scene.safetensors"
    save_scene(sheet(still=True), good)
    cut, foreign = tmp_path / "cut.safetensors", tmp_path / "foreign.safetensors"
    cut.write_bytes(good.read_bytes()[:-100])
    foreign.write_bytes(zlib.compress(b"something else"))
    (tmp_path / "file").write_text("")
    out = tmp_path / "made"
    for arguments in (
        [str(cut), "--out", str(out / "a.html")],
        [str(foreign), "--out", str(out / "a.html")],
        [str(tmp_path / "missing"), "--out", str(out / "a.html")],
        [str(good), "--out", str(out / "a.txt")],
        [str(good), "--out", str(tmp_path / "file" / "a.html")],
        [str(good), "--out", str(out / "a.html"), "--max-gaussians", "0"],
    ):
        assert main(["export", "html", *arguments]) == 2
        told = capsys.readouterr().err
        assert told.startswith("endogs: ")
        assert len(told.strip().splitlines()) == 1
    assert not out.exists()


def test_a_scene_of_nothing_is_refused(tmp_path):
    scene = sheet(still=True)
    scene.base[:, OPACITY] = -30
    with pytest.raises(InputError, match="no Gaussian that can be seen"):
        export_html(scene, tmp_path / "a.html", "x", 100)


def test_channels_that_never_change_are_coded_as_rest():
    scene = sheet()
    scene.deformation.control[..., OPACITY:] = 0
    coded = unpack_scene(pack_scene(scene, np.ones(len(scene), np.float32), {}))[0]
    assert coded.deformation.control[..., OPACITY:].abs().max() == 0
    assert coded.deformation.control[..., :3].abs().max() > 1
    scene.deformation.control[:] = 0
    assert unpack_scene(pack_scene(scene, np.ones(len(scene), np.float32), {}))[0].deformation.control.abs().max() == 0


def test_a_deformation_of_another_kind_becomes_a_spline(tmp_path, capsys):
    """The player evaluates splines; what it cost is said."""
    scene = sheet()
    motion = scene.deformation
    units = torch.tensor([1.0] * 3 + [0.1] * 4 + [0.1] * 3 + [1.0] + [0.1] * 3)
    scene.deformation = LowrankDeformation.of(motion, 3, units, motion.knots).extend(len(scene), motion)
    save_scene(scene, tmp_path / "scene.safetensors")
    assert main(["export", "html", str(tmp_path), "--out", str(tmp_path / "a.html")]) == 0
    told = capsys.readouterr().out
    assert "its 'lowrank' deformation became a spline, at " in told
    page = export_html(scene, tmp_path / "b.html", "x", 10_000)
    assert page.converted == "lowrank"
    assert page.conversion > 60
    assert page.fidelity > 50
    assert export_html(sheet(), tmp_path / "c.html", "x", 10_000).converted is None


def test_light_that_moves_with_the_camera_is_in_the_page(tmp_path, capsys):
    """A scene at rest before a camera that comes nearer with its lamp: one colour for each Gaussian is far off."""
    beam = torch.tensor([0.0, 1.0, 0, 0, -0.3, -0.3, 0])
    light = Appearance(HeadlightColors(beam, 60.0, (0.5, 0.4)))
    scene = replace(sheet(still=True, moving_camera=True), appearance=light)
    scene.world_to_camera[:, 2, 3] -= np.linspace(0, 25, len(scene.times))
    save_scene(scene, tmp_path / "scene.safetensors")
    assert main(["export", "html", str(tmp_path), "--out", str(tmp_path / "a.html")]) == 0
    assert "its colours that depend on the camera became plain ones, at " in capsys.readouterr().out
    page = export_html(scene, tmp_path / "b.html", "x", 10_000)
    assert page.converted == "light"
    assert page.conversion > 45
