"""Rigid motions."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation, Slerp

from endogs.geometry import interpolate_rigid, invert_rigid


def pose(rotation, centre):
    camera_to_world = np.eye(4)
    camera_to_world[:3, :3], camera_to_world[:3, 3] = rotation, centre
    return invert_rigid(camera_to_world)


@pytest.mark.parametrize("turn", [[0.0, 0, 0], [1e-6, 0, 0], [0.3, -0.2, 0.5], [0, np.pi, 0], [2.0, 1.5, -0.7]])
@pytest.mark.parametrize("fraction", [0.0, 0.3, 1.0])
def test_interpolation_between_poses_is_slerp_and_a_line(turn, fraction):
    start = Rotation.from_rotvec([0.4, 0.1, -0.2])
    end = start * Rotation.from_rotvec(turn)
    ends = pose(start.as_matrix(), [1, 2, 3]), pose(end.as_matrix(), [5, 1, 4])
    found = invert_rigid(interpolate_rigid(*ends, fraction))
    expected = Slerp([0, 1], Rotation.concatenate([start, end]))(fraction).as_matrix()
    if np.linalg.norm(turn) == np.pi:  # half a turn goes either way round
        other = (start * Rotation.from_rotvec(-fraction * np.array(turn))).as_matrix()
        expected = min(expected, other, key=lambda r: np.abs(r - found[:3, :3]).max())
    np.testing.assert_allclose(found[:3, :3], expected, atol=1e-7)
    np.testing.assert_allclose(found[:3, 3], (1 - fraction) * np.array([1, 2, 3]) + fraction * np.array([5, 1, 4]))
