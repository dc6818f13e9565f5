"""What a scene shows: one picture of a plain scene, the mixed pictures of two segments of a chain."""

from dataclasses import replace

import pytest
import torch
from samples.chain_parts import PARTS, SEGMENTS, part

from endogs.render import rasterize
from endogs.scene.chain import SceneChain
from endogs.scene.drawing import draw_scene


@pytest.fixture
def chain() -> SceneChain:
    def bright(number):
        base = PARTS[number].base.clone()
        base[:, 7:10] = -2.0
        base[:, 11:14] = 0.2 + 0.3 * number
        base[:, 2] += number
        return replace(PARTS[number], base=base)

    return SceneChain.of(part(0, 9, [1], 0.0), SEGMENTS, bright, 5)


def test_a_plain_scene_is_drawn_as_its_gaussians_are():
    scene = PARTS[0]
    drawn, expected = draw_scene(scene, 0.1), rasterize(scene.gaussians_at(0.1), scene.camera(1))
    assert expected.alpha.max() > 0.5
    torch.testing.assert_close(drawn.color, expected.color)
    torch.testing.assert_close(drawn.depth, expected.depth)


def test_between_segments_pictures_are_mixed_and_not_gaussians(chain):
    (one, share), (two, other) = chain.parts_at(0.25)
    assert (share, other) == (pytest.approx(0.5), pytest.approx(0.5))
    drawn, first, second = draw_scene(chain, 0.25), draw_scene(one, 0.25), draw_scene(two, 0.25)
    torch.testing.assert_close(drawn.color, (first.color + second.color) / 2)
    torch.testing.assert_close(drawn.alpha, (first.alpha + second.alpha) / 2)
    both = (first.alpha > 1e-3) & (second.alpha > 1e-3)
    assert both.any()
    expected = (first.alpha * first.depth + second.alpha * second.depth) / (first.alpha + second.alpha)
    torch.testing.assert_close(drawn.depth[both], expected[both])
    assert (drawn.depth[drawn.alpha == 0] == 0).all()


def test_pictures_go_over_without_a_step(chain):
    for time in (0.2, 0.3):
        before, after = draw_scene(chain, time - 1e-6), draw_scene(chain, time + 1e-6)
        torch.testing.assert_close(before.color, after.color, atol=1e-4, rtol=0)


def test_outside_of_overlaps_one_segment_is_drawn(chain):
    assert [share for _, share in chain.parts_at(0.0)] == [1.0]
    assert chain.parts_at(0.45)[0][0].identity.tolist() == [2, 3, 4]


def test_gaussians_of_a_chain_are_those_of_one_segment(chain):
    assert len(chain.gaussians_at(0.22)) == 3
    assert len(chain.packed_at(0.22)) == 4
