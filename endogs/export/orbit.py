"""A path on which a camera leaves the clip's place a little, and comes back to it."""

from dataclasses import replace

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from endogs.camera import Camera


def orbiting(camera: Camera, distance: float, phase: float, degrees: float) -> Camera:
    """The camera turned about the point at z-depth `distance` on its optical axis.

    Seen from that point it runs through a lying eight, yaw A sin(2 pi phase) and pitch A/2 sin(4 pi phase), which
    begins and ends at the clip's own place and is never more than A = `degrees` away from it.
    """
    yaw, pitch = degrees * np.sin(2 * np.pi * phase), degrees / 2 * np.sin(4 * np.pi * phase)
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("yx", [yaw, pitch], degrees=True).as_matrix()
    there, back = np.eye(4), np.eye(4)
    there[2, 3], back[2, 3] = distance, -distance
    moved = there @ turn @ back @ camera.world_to_camera.double().cpu().numpy()
    return replace(camera, world_to_camera=torch.as_tensor(moved).to(camera.world_to_camera))
