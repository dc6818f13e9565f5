"""Camera paths made by hand, as arrays and as TUM files."""

import numpy as np
from scipy.spatial.transform import Rotation


def winding_path(count=60, seed=0):
    """T_world_camera (n, 4, 4) of a camera that winds and turns."""
    generator = np.random.default_rng(seed)
    true = np.tile(np.eye(4), (count, 1, 1))
    true[:, :3, :3] = Rotation.from_rotvec(np.cumsum(generator.normal(0, 0.05, (count, 3)), 0)).as_matrix()
    true[:, :3, 3] = np.cumsum(generator.normal(0.3, 2, (count, 3)), 0)
    return true


def moved(poses, turn=(0.3, -0.8, 0.5), shift=(40, -7, 12), scale=1.0):
    """The same path in another world."""
    world = np.eye(4)
    world[:3, :3] = Rotation.from_rotvec(turn).as_matrix()
    found = world @ poses
    found[:, :3, 3] = scale * found[:, :3, 3] + shift
    return found


def noisy(poses, seed=0, length=0.3, turn=0.01):
    """The poses with an error in each."""
    generator = np.random.default_rng(seed)
    found = poses.copy()
    found[:, :3, 3] += generator.normal(0, length, (len(poses), 3))
    found[:, :3, :3] = poses[:, :3, :3] @ Rotation.from_rotvec(generator.normal(0, turn, (len(poses), 3))).as_matrix()
    return found


def tum_rows(times, poses):
    """Rows (n, 8): time, position, quaternion with w last."""
    quaternions = Rotation.from_matrix(poses[:, :3, :3]).as_quat()
    return np.column_stack([times, poses[:, :3, 3], quaternions])


def write_tum(path, times, poses):
    """A TUM file of full precision."""
    np.savetxt(path, tum_rows(times, poses), fmt="%.12g")
    return path
