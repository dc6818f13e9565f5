"""Pages of a part of the time, of a long clip's segments, and of a size that was promised."""

import base64
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from samples.player_scenes import CHAINED, DIMMER, save_sheet_chain, sheet, sheet_chain

import endogs.export.html
from endogs.cli import main
from endogs.errors import InputError
from endogs.export.html import export_html
from endogs.export.html.chain_part import part_of_chain
from endogs.export.html.chain_spline import chain_as_spline
from endogs.export.html.part_of_time import frames_between, part_of_time
from endogs.export.html.payload import unpack_scene
from endogs.gaussians import OPACITY
from endogs.render.backends import rasterize_packed
from endogs.scene import Scene
from endogs.scene.chain import SceneChain
from endogs.scene.deformation.lowrank import LowrankDeformation
from endogs.scene.drawing import draw_scene
from endogs.scene.scene_file import save_scene


def shown_by(page):
    """The scene in a page, and its header."""
    text = page.path.read_text() if hasattr(page, "path") else page.read_text()
    return unpack_scene(base64.b64decode(re.search(r'id="scene">([^<]*)<', text)[1]))


def psnr_at(scene, coded, time):
    camera = scene.camera(scene.nearest_frame(time))
    return psnr(rasterize_packed(scene.shown_at(time, camera), camera).color, coded, time, camera)


def psnr(ours, coded, time, camera):
    return -10 * np.log10(float(((ours - rasterize_packed(coded.packed_at(time), camera).color) ** 2).mean()))


def test_a_part_of_the_time_is_the_scene_there_to_the_bit_and_holds_no_more():
    scene = sheet(frames=61, moving_camera=True)
    control = scene.deformation.control
    longer = replace(scene.deformation.knots, breakpoints=tuple(np.linspace(0, 1.2, 25)))
    spline = type(scene.deformation)(control.repeat(4, 1, 1)[: longer.count] + torch.randn(27, 1, 14) * 0.1, longer)
    scene.deformation = spline
    frames = frames_between(scene, 0.5, 0.7)
    part = part_of_time(scene, frames)
    assert (part.times[0], part.times[-1]) == pytest.approx((0.5, 0.7))
    for time in (*part.times, 0.613):
        assert torch.equal(part.packed_at(float(time)), scene.packed_at(float(time)))
    np.testing.assert_array_equal(part.world_to_camera, scene.world_to_camera[frames.start : frames.stop])
    assert part.deformation.knots.count < 0.5 * longer.count
    for first, last in ((0.0, 1.2), (0.0, 0.01), (1.19, 1.2)):
        part = part_of_time(scene, frames_between(scene, first, last))
        assert torch.equal(part.packed_at(float(part.times[-1])), scene.packed_at(float(part.times[-1])))


def test_a_page_of_a_part_keeps_the_clips_time(tmp_path):
    scene = sheet(frames=31)
    page = export_html(scene, tmp_path / "a.html", "x", 10_000, start=0.3, end=0.8)
    back, header = shown_by(page)
    np.testing.assert_array_equal(back.times, scene.times[(scene.times > 0.299) & (scene.times < 0.801)])
    assert page.seconds == pytest.approx(back.times[-1] - back.times[0])
    assert min(psnr_at(scene, back, float(time)) for time in back.times) > 45
    assert len(header["times"]) == len(back.times)
    whole = export_html(scene, tmp_path / "b.html", "x", 10_000)
    assert export_html(scene, tmp_path / "c.html", "x", 10_000, 0.0, 1.2).path.read_bytes() == whole.path.read_bytes()


def test_a_part_of_another_kind_of_deformation_becomes_a_spline_of_that_part(tmp_path):
    scene = sheet(frames=31)
    units = torch.ones(14)
    lowrank = LowrankDeformation.of(scene.deformation, 3, units, scene.deformation.knots)
    scene.deformation = lowrank.extend(len(scene), scene.deformation)
    page = export_html(scene, tmp_path / "a.html", "x", 10_000, start=0.3, end=0.8)
    assert (page.converted, len(shown_by(page)[0].times)) == ("lowrank", 13)
    assert page.conversion > 60


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--start", "0.5", "--end", "0.5"], "holds no time"),
        (["--start", "0.8", "--end", "0.2"], "holds no time"),
        (["--start", "7"], "--start 7 is outside the scene; its clip runs from 0 to 1.2 seconds"),
        (["--end", "-1"], "--end -1 is outside the scene"),
        (["--end", "nan"], "--end"),
        (["--start", "0.21", "--end", "0.22"], "no frame of the clip lies from 0.21 to 0.22 seconds"),
        (["--megabytes", "0"], "--megabytes"),
        (["--megabytes", "0.01"], "holds 0 of"),
    ],
)
def test_a_range_that_is_none_is_told_in_one_sentence(words, told, tmp_path, capsys):
    scene = tmp_path / "scene.safetensors"
    save_scene(sheet(), scene)
    assert main(["export", "html", str(scene), *words]) == 2
    said = capsys.readouterr().err
    assert told in said
    assert len(said.strip().splitlines()) == 1
    assert not (tmp_path / "player.html").exists()


def test_from_python_too():
    for wrong in (float("nan"), float("inf")):
        with pytest.raises(InputError, match="outside the scene"):
            frames_between(sheet(), wrong, None)


def test_the_rows_of_a_chain_know_who_they_are():
    chain = sheet_chain()
    for time in chain.times:
        known = chain.identity_at(float(time))
        assert len(known) == len(known.unique()) == len(chain.packed_at(float(time)))
    time = float(chain.times[10])
    rows, known = chain.packed_at(time), chain.identity_at(time)
    alone = chain.segment(1).packed_at(time)
    theirs = torch.searchsorted(chain.segment(1).identity, known[-5:])
    torch.testing.assert_close(rows[-5:, :3], alone[theirs, :3])


def test_a_chains_page_shows_what_the_chain_shows_seams_too(tmp_path):
    chain = sheet_chain()
    page = export_html(chain, tmp_path / "a.html", "x", 10_000)
    back, header = shown_by(page)
    assert (page.converted, page.gaussians, page.seconds) == ("3 segments", page.original_gaussians, 1.2)
    assert header["original_count"] == page.original_gaussians
    np.testing.assert_array_equal(back.times, chain.times)
    found = [psnr_at(chain, back, float(time)) for time in chain.times]
    assert min(found) > 36, found
    assert np.mean(found) > 43
    pictures = [psnr(draw_scene(chain, float(time)).color, back, float(time), chain.camera(0)) for time in chain.times]
    assert min(pictures) < page.conversion < np.mean(pictures), "it is told against pictures, with seams among them"
    other = Scene(**{**vars(back), "base": back.base + torch.tensor([0.3] + [0.0] * 13)})
    assert psnr_at(chain, other, 0.4) < 38  # a third of a millimetre would be seen


def test_what_no_segment_holds_is_not_drawn_then_and_turns_the_short_way():
    chain = sheet_chain()
    part = part_of_chain(chain, range(31))
    scene, _ = chain_as_spline(part, 10_000)
    for frame in (0, 5, 15, 30):
        time = float(chain.times[frame])
        there = torch.isin(torch.from_numpy(part.identity), chain.identity_at(time))
        packed = scene.packed_at(time)
        assert 0 < there.sum() < len(there)
        assert torch.sigmoid(packed[~there, OPACITY]).max() < 2 / 255
        assert (packed[there, 3:7].norm(dim=1) - 1).abs().max() < 0.1


def test_colours_of_segments_that_were_exposed_each_by_itself_fit_each_other(tmp_path):
    chain = sheet_chain(exposed=True)
    part = part_of_chain(chain, range(31))
    both = [part.chain.shown_at(float(chain.times[frame])) for frame in (5, 15)]
    known = [chain.identity_at(float(chain.times[frame])) for frame in (5, 15)]
    plain = [sheet_chain().shown_at(float(chain.times[frame])) for frame in (5, 15)]
    ratios = [float(one[:, 11:].mean() / two[:, 11:].mean()) for one, two in zip(both, plain, strict=True)]
    assert ratios[0] == pytest.approx(ratios[1], rel=0.01)
    assert ratios[0] == pytest.approx(DIMMER ** (1 / 3), rel=0.02)  # the middle of all
    assert len(known[0]) != len(known[1])
    back, _ = shown_by(export_html(chain, tmp_path / "a.html", "x", 10_000))
    assert min(psnr_at(part.chain, back, float(time)) for time in chain.times) > 36


def test_a_part_within_a_segment_is_that_segment_cut(tmp_path):
    chain = sheet_chain()
    segment = chain.segment(1)
    page = export_html(chain, tmp_path / "a.html", "x", 10_000, 0.54, 0.65)
    assert (page.converted, page.original_gaussians) == (None, len(segment))
    assert psnr_at(segment, shown_by(page)[0], 0.6) > 45
    two = export_html(chain, tmp_path / "b.html", "x", 10_000, 0.2, 0.62)
    assert two.converted == "2 segments"
    assert two.gaussians < len(chain)
    assert psnr_at(chain, shown_by(two)[0], 0.44) > 36


def test_segments_are_read_one_after_the_other(tmp_path):
    chain, reads = sheet_chain(), []
    counted = replace(chain, read=lambda number: reads.append(number) or chain.read(number))
    export_html(counted, tmp_path / "a.html", "x", 10_000)
    assert isinstance(counted, SceneChain)
    assert len(reads) <= 6 * len(CHAINED)  # not once for each frame or chunk


def test_a_reduced_chain_covers_the_gaps():
    part = part_of_chain(sheet_chain(), range(31))
    scene, weights = chain_as_spline(part, 500)
    assert len(scene) == len(weights) == 500
    assert weights.min() >= np.sort(part.weights)[-500]
    camera, time = scene.camera(15), float(scene.times[15])
    alpha = rasterize_packed(scene.packed_at(time), camera).alpha
    full = rasterize_packed(part.chain.packed_at(time), camera).alpha
    assert alpha.mean() > 0.9 * full.mean()


@pytest.mark.parametrize("long", [False, True])
def test_a_page_keeps_the_promised_size(long, tmp_path, capsys):
    folder = tmp_path / "scene"
    if long:
        save_sheet_chain(folder)
    else:
        folder.mkdir()
        save_scene(sheet(), folder / "scene.safetensors")
    out = tmp_path / "a.html"
    assert main(["export", "html", str(folder), "--out", str(out)]) == 0
    whole, all_of_them = out.stat().st_size, len(shown_by(out)[0])
    small = round(0.9 * whole / 1e6, 3)
    assert main(["export", "html", str(folder), "--out", str(out), "--megabytes", str(small)]) == 0
    assert 0.8 * small * 1e6 < out.stat().st_size <= small * 1e6
    assert len(shown_by(out)[0]) < all_of_them
    assert f"of {all_of_them:,}, those that contribute most" in capsys.readouterr().out
    assert main(["export", "html", str(folder), "--out", str(out), "--megabytes", "0.1"]) == 2
    said = capsys.readouterr().err
    works = re.search(r"--megabytes ([\d.]+)", said)[1]
    assert main(["export", "html", str(folder), "--out", str(out), "--megabytes", works]) == 0
    assert out.stat().st_size <= float(works) * 1e6


@pytest.mark.parametrize(("room", "code"), [(7_000, 0), (3_000, 2)])
def test_a_clip_too_long_for_a_page_is_told_what_is_not(room, code, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(endogs.export.html, "MOST_NUMBERS", room)
    folder = save_sheet_chain(tmp_path / "scene")
    assert main(["export", "html", str(folder)]) == code
    said = capsys.readouterr().err
    assert re.search(
        r"[\d,]+ of [\d,]+ Gaussians from 0 to 1.2 seconds fit a page, and add \d+ % of what is seen", said
    )
    assert (folder / "player.html").exists() == (code == 0)
    found = re.search(r"--start ([\d.]+) --end ([\d.]+)", said)
    assert found, said
    assert main(["export", "html", str(folder), "--start", found[1], "--end", found[2]]) == 0
    assert capsys.readouterr().err == ""


def test_a_part_that_shows_nothing_is_refused():
    chain = sheet_chain()

    def faint(number):
        segment = chain.read(number)
        segment.base[:, OPACITY] = -30
        return segment

    with pytest.raises(InputError, match="no Gaussian that can be seen"):
        export_html(replace(chain, read=faint), "a.html", "x", 100)
