"""Refines the training frames' camera poses during a fit, by the gradient that the Gaussians get anyway.

Turning and shifting a camera against the Gaussians equals moving all of them rigidly before it, so the gradient by its
pose is a sum over the gradient by their rows, and needs neither a graph nor another pass (as the analytic Jacobians of
H. Matsuki et al., "Gaussian splatting SLAM", 2024, do inside the rasterizer). What is trained is the correction of the
pose that was given: Adam with decoupled weight decay (I. Loshchilov, F. Hutter, 2019), under which no number leaves
the bound that is the inverse of the decay (S. Xie, Z. Li, "Implicit bias of AdamW", 2024): given poses are right but
for a few pixels, and what all poses share (place, direction and scale of the world) stays with them.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from endogs.camera import Camera
from endogs.fit.config import PoseConfig
from endogs.fit.window import Window
from endogs.gaussians import MEANS, QUATS
from endogs.geometry import Array, corrected, left_jacobian

BETAS, EPS = (0.8, 0.99), 1e-12
"""Adam's. A frame is seen some ten times in a fit."""
PREFIX = "cameras."
"""Where the names of its tensors begin in a checkpoint."""


class CameraAdam:
    """Owns the corrections of the poses of a window's frames, and moves its views.

    A correction turns the camera about its centre and then shifts it: with `turn` and `shift` the first and the last
    three of its numbers, world_to_camera = [rotation_about(turn) | shift] given. Both count in pixels: a turn of 1
    moves the middle of the image by a pixel, and so does a shift of 1 at the median depth.
    """

    def __init__(self, window: Window, config: PoseConfig, footprint: float) -> None:
        """`footprint` is the width of a pixel at the median depth, world units."""
        self._window, self._config = window, config
        self._given = [frame.world_to_camera for frame in window.frames]
        self._correction = np.zeros((len(self._given), 6))
        self._m, self._v = np.zeros_like(self._correction), np.zeros_like(self._correction)
        self._steps = np.zeros(len(self._given), np.int64)
        self._resting = set[int]()
        self._units = np.repeat([1 / float(window.observations.K[0, 0, 0]), footprint], 3)

    @staticmethod
    def of(window: Window, config: PoseConfig | None, footprint: float) -> "CameraAdam | None":
        """For a window whose poses can be refined: of a camera that moves, and in the units of the depth."""
        if config is None or window.static_camera or not window.metric:
            return None
        return CameraAdam(window, config, footprint)

    def enter(self) -> None:
        """A frame has entered the window, later than all others."""
        self._given.append(self._window.frames[-1].world_to_camera)
        self._correction, self._m, self._v = (np.vstack([a, np.zeros(6)]) for a in (self._correction, self._m, self._v))
        self._steps = np.append(self._steps, 0)

    def leave(self) -> None:
        """The earliest frame has left the window."""
        self._given.pop(0)
        self._correction, self._m, self._v = self._correction[1:], self._m[1:], self._v[1:]
        self._steps, self._resting = self._steps[1:], {k - 1 for k in self._resting if k > 0}

    def hold(self, until: float) -> None:
        """Leave the poses of frames up to the time `until`, seconds, as they are."""
        self._resting = {k for k, frame in enumerate(self._window.frames) if frame.time <= until}

    def step(self, packed: Tensor, grad: Tensor, index: int, progress: float) -> None:
        """Step the cameras around view `index` with the gradient (N, 14) of the rows (N, 14) that it showed.

        `progress` in [0, 1] is that of the fit; in its first part the poses rest until there is a map to align to.
        """
        if progress < self._config.start:
            return
        done = (progress - self._config.start) / (1 - self._config.start)
        rate = self._config.rate * self._config.final**done
        view = self._window[index]
        turn, shift = pose_gradient(packed, grad, view.camera)
        for k, share in self._window.neighbours(index):
            if k not in self._resting:
                self._step_frame(k, share * turn, share * shift, rate)

    def _step_frame(self, k: int, turn: Array, shift: Array, rate: float) -> None:
        angles, offset = np.split(self._correction[k] * self._units, 2)
        by_turn = left_jacobian(angles).T @ (turn - np.cross(offset, shift))
        grad = np.concatenate([by_turn, shift]) * self._units
        self._steps[k] += 1
        self._m[k] += (1 - BETAS[0]) * (grad - self._m[k])
        self._v[k] += (1 - BETAS[1]) * (grad * grad - self._v[k])
        m, v = self._m[k] / (1 - BETAS[0] ** self._steps[k]), self._v[k] / (1 - BETAS[1] ** self._steps[k])
        self._correction[k] *= 1 - rate / self._config.bound
        self._correction[k] -= rate * m / (np.sqrt(v) + EPS)
        self._move(k)

    def _move(self, k: int) -> None:
        self._window.move_camera(k, corrected(self._given[k], self._correction[k] * self._units))

    def state(self) -> dict[str, Tensor]:
        """Everything that a checkpoint needs, by name."""
        found = {"correction": self._correction, "m": self._m, "v": self._v, "steps": self._steps}
        return {PREFIX + name: torch.from_numpy(value.copy()) for name, value in found.items()}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Continue from `state()`, among the tensors of a whole checkpoint."""
        self._correction, self._m, self._v, self._steps = (
            state[PREFIX + name].cpu().numpy().copy() for name in ("correction", "m", "v", "steps")
        )
        for k in np.flatnonzero(self._steps):
            self._move(int(k))


def pose_gradient(packed: Tensor, grad: Tensor, camera: Camera) -> tuple[Array, Array]:
    """Gradient of a loss by the pose of `camera`, from its gradient (N, 14) by the rows (N, 14) that were drawn.

    Two vectors (3,) in the camera's axes: by a small turn w and a small shift v of what lies before it, x -> x + w x x
    + v with x in the camera's axes. A row's mean moves so and its quaternion q by half of (0, w) q, as a product of
    quaternions; colours are held.
    """
    columns = slice(MEANS.start, QUATS.stop)
    # All sums of products of a row and its gradient that are needed are in one product of matrices.
    rows, slopes = packed[:, columns].double(), grad[:, columns].double()
    product = (rows.T @ slopes).cpu().numpy()
    force = slopes[:, MEANS].sum(0).cpu().numpy()
    quats = product[QUATS, QUATS]
    torque = _curl(product[MEANS, MEANS]) + 0.5 * (quats[0, 1:] - quats[1:, 0] + _curl(quats[1:, 1:]))
    pose = camera.world_to_camera.double().cpu().numpy()
    rotation, offset = pose[:3, :3], pose[:3, 3]
    shift = rotation @ force
    return rotation @ torque + np.cross(offset, shift), shift


def _curl(product: NDArray[np.float64]) -> Array:
    """sum of a x b (3,) from the sum of their products a_i b_j (3, 3)."""
    return np.array([product[1, 2] - product[2, 1], product[2, 0] - product[0, 2], product[0, 1] - product[1, 0]])
