"""A scene in segments: what it shows between them, what it keeps in memory, and which files it refuses."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from samples.chain_parts import OPAQUE, PARTS, SEGMENTS, gaussians, part
from samples.stored_scenes import rewrite

from endogs.errors import InputError
from endogs.gaussians import OPACITY
from endogs.scene.chain import SceneChain, faded, shared_rows
from endogs.scene.following import follow_points
from endogs.scene.scene_file import load_scene, save_chain, save_scene, segment_file


@pytest.fixture
def folder(tmp_path) -> Path:
    for number, one in enumerate(PARTS):
        save_scene(one, segment_file(tmp_path, number))
    about = part(0, 9, [1], 0.0)
    save_chain(SceneChain.of(about, SEGMENTS, lambda k: PARTS[k], 5), tmp_path / "scene.safetensors")
    return tmp_path


@pytest.fixture
def chain(folder) -> SceneChain:
    found = load_scene(folder)
    assert isinstance(found, SceneChain)
    return found


def test_a_chain_is_read_with_its_frames_and_without_its_segments(chain, folder):
    assert (len(chain), len(chain.times), chain.segments) == (5, 10, SEGMENTS)
    segment_file(folder, 1).unlink()
    assert len(chain.packed_at(0.0)) == 3, "the first segment needs no other"
    with pytest.raises(InputError, match=r"000001\.safetensors: this part of the scene is not there"):
        chain.packed_at(0.4)


def test_between_segments_the_shared_go_over_and_the_others_fade(chain):
    assert chain.at(0.1) == (0, 0.0)
    number, share = chain.at(0.25)
    assert number == 0
    assert share == pytest.approx(0.5)
    rows = chain.packed_at(0.25)
    assert len(rows) == 4, "1, 2, 3 of the first and 4 of the second"
    here, there = PARTS[0].base, PARTS[1].base
    torch.testing.assert_close(rows[1:3, :3], (here[1:3, :3] + there[:2, :3]) / 2)
    opacity = torch.sigmoid(rows[:, OPACITY])
    full = float(torch.sigmoid(torch.tensor(OPAQUE)))
    torch.testing.assert_close(opacity, torch.tensor([full / 2, full, full, full / 2]))


def test_blending_is_continuous_at_both_ends_of_an_overlap(chain):
    for time in (0.2, 0.3):
        before, after = chain.packed_at(time - 1e-6), chain.packed_at(time + 1e-6)
        solid_before = before[torch.sigmoid(before[:, OPACITY]) > 1e-3]
        solid_after = after[torch.sigmoid(after[:, OPACITY]) > 1e-3]
        torch.testing.assert_close(solid_before, solid_after, atol=1e-3, rtol=0)


def test_quaternions_of_opposite_sign_are_the_same_rotation():
    here, there = gaussians(1, 0.0), gaussians(1, 0.0)
    there[:, 3:7] *= -1
    one = torch.tensor([7])
    torch.testing.assert_close(faded(here, one, there, one, 0.5)[:, 3:7], here[:, 3:7])


def test_shared_rows_pairs_equal_numbers():
    at_here, at_there = shared_rows(torch.tensor([9, 4, 7]), torch.tensor([7, 1, 9]))
    assert sorted(zip(at_here.tolist(), at_there.tolist(), strict=True)) == [(0, 2), (2, 0)]


def test_no_more_than_two_segments_are_in_memory(chain):
    for time in (0.0, 0.25, 0.45, 0.55, 0.9, 0.0):
        chain.packed_at(time)
        assert len(chain._loaded) <= 2


def test_the_part_at_a_time_is_the_segment_that_shows_most(chain):
    assert chain.part_at(0.22).identity is not None
    assert chain.part_at(0.22).identity.tolist() == [1, 2, 3]
    assert chain.part_at(0.28).identity.tolist() == [2, 3, 4]


def test_points_are_followed_through_segments_without_a_jump(chain):
    times = np.arange(10) * 0.1
    moved = follow_points(chain, np.array([[0.1, 0.0, 5.0]]), np.array([0.1]), times)
    np.testing.assert_allclose(moved[:, 0], np.tile([0.1, 0.0, 5.0], (10, 1)), atol=1e-9)
    back = follow_points(chain, np.array([[0.1, 0.0, 5.0]]), np.array([0.9]), times)
    np.testing.assert_allclose(back[:, 0], np.tile([0.1, 0.0, 5.0], (10, 1)), atol=1e-9)


def test_a_segment_of_other_frames_is_refused(folder):
    save_scene(part(3, 6, [2, 3, 4], 0.2), segment_file(folder, 1))
    chain = load_scene(folder)
    with pytest.raises(InputError, match="not the segment of frames 2 to 6 that its scene names"):
        chain.packed_at(0.45)


def test_a_scene_without_numbers_is_no_segment(folder):
    save_scene(replace(part(2, 6, [2], 0.2), identity=None), segment_file(folder, 1))
    with pytest.raises(InputError, match="not the segment of frames 2 to 6"):
        load_scene(folder).packed_at(0.45)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t, m: m["segments"].pop(), "do not cover its 10 frames"),
        (lambda t, m: m["segments"][1].update(first=4), "do not follow and overlap"),
        (lambda t, m: m["segments"][1].update(first="2"), "does not say its first and last frame"),
        (lambda t, m: m.update(segments=[]), "names 0 segments"),
        (lambda t, m: m.update(gaussians=-1), "with -1 Gaussians"),
        (lambda t, m: t.update(base=torch.zeros(1, 14)), "holds the tensor 'base'"),
    ],
)
def test_an_index_that_names_no_chain_is_refused(folder, change, message):
    rewrite(folder / "scene.safetensors", change)
    with pytest.raises(InputError, match=message):
        load_scene(folder)


@pytest.mark.parametrize("wrong", [[1, 1, 2], [0, 1, 2]])
def test_numbers_that_are_not_different_and_positive_are_refused(folder, wrong):
    rewrite(segment_file(folder, 0), lambda t, m: t.update(identity=torch.tensor(wrong)))
    with pytest.raises(InputError, match="not different numbers from 1 up"):
        load_scene(folder).packed_at(0.0)


def test_cameras_go_where_the_segments_go(chain):
    assert chain.to("meta").camera(0).K.device.type == "meta"
    assert chain.camera(0).K.device.type == "cpu"
