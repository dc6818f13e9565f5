"""Normals of depth maps, and the loss between them."""

import numpy as np
import pytest
import torch

from endogs.fit.objective.normal_loss import depth_normals, normal_loss
from endogs.live.layers import surface_normals
from endogs.render import Rendering

K = torch.tensor([[60.0, 0, 13.0], [0, 50.0, 9.0], [0, 0, 1]], dtype=torch.float64)


def plane(normal, height=18, width=26, distance=80.0):
    """Z-depth (H, W) of the plane n . p = -distance through K."""
    v, u = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    rays = torch.stack([(u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1], torch.ones_like(u)], -1)
    return -distance / (rays * torch.tensor(normal, dtype=torch.float64)).sum(-1)


def rendering(depth):
    return Rendering(torch.zeros(*depth.shape, 3), depth, torch.ones_like(depth))


@pytest.mark.parametrize("reach", [1, 3])
def test_a_plane_has_its_own_normal_everywhere(reach):
    normal = np.array([0.3, -0.2, -0.9])
    normal /= np.linalg.norm(normal)
    found = depth_normals(plane(normal), K, reach)
    assert found.shape == (18 - 2 * reach, 26 - 2 * reach, 3)
    # Differences of 1/linear depth over two pixels are not quite its slope.
    assert torch.allclose(found, torch.from_numpy(normal).expand_as(found), atol=2e-3)


def test_they_are_those_the_viewer_shows():
    """Which smooths first; on a plane that changes nothing away from the border."""
    depth = plane([0.1, 0.2, -0.95])
    ours, viewers = depth_normals(depth, K), surface_normals(depth.float().numpy(), K.numpy())
    assert np.abs(ours.numpy()[4:-4, 4:-4] - viewers[5:-5, 5:-5]).max() < 5e-3


def test_the_loss_is_the_angle_and_ignores_scale():
    depth, other = plane([0, 0, -1.0]), plane([0.6, 0, -0.8])
    weight = torch.ones_like(depth)
    assert float(normal_loss(rendering(depth), 7 * depth, weight, K)) == pytest.approx(0, abs=1e-12)
    assert float(normal_loss(rendering(depth), other, weight, K)) == pytest.approx(0.2, abs=2e-3)


def test_gradients_equal_finite_differences_and_keep_to_what_is_known():
    generator = torch.Generator().manual_seed(0)
    depth = plane([0.1, 0.2, -0.9], 11, 13) + torch.rand(11, 13, generator=generator, dtype=torch.float64)
    target = plane([0, 0.1, -1.0], 11, 13) + torch.rand(11, 13, generator=generator, dtype=torch.float64)
    weight = torch.rand(11, 13, generator=generator, dtype=torch.float64)
    weight[2, 4] = 0
    target[8, 6:8] = 0
    alpha = torch.ones_like(depth)
    alpha[:, 0] = 0.2
    depth[:, 0] = 0
    leaf = depth.clone().requires_grad_()

    def loss(z):
        return normal_loss(Rendering(torch.zeros(11, 13, 3), z, alpha), target, weight, K)

    assert torch.autograd.gradcheck(loss, (leaf,), eps=1e-6, atol=1e-7)
    loss(leaf).backward()
    assert float(leaf.grad.abs().max()) > 0
    assert (leaf.grad[:, 0] == 0).all()
    assert leaf.grad[2, 4] == 0
