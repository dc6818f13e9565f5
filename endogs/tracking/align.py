"""Render once, align many: the pose of a frame against one picture that was drawn of the map near it.

The picture's pixels are points with a brightness; a small motion of them, a gain and a bias are found by Gauss-Newton
so that the frame has that brightness where they fall. The picture's slopes stand for the frame's (inverse
compositional: S. Baker, I. Matthews, "Lucas-Kanade 20 years on: a unifying framework", 2004), so that they are computed
once; weights are robust, from coarse to fine.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from endogs.geometry import Array, invert_rigid, rotation_vector
from endogs.tracking.align_system import UNKNOWNS, Guess, Template, robust_deviation, stepped, system_of

WIDE = 10.0
"""A difference of luma that nothing reaches."""
LEAST_DEVIATION = 1e-3
"""Of luma; less is the rounding of 8 bits."""
Grey = NDArray[np.float32]


@dataclass(frozen=True)
class AlignConfig:
    """Numbers of the alignment."""

    shrink: tuple[int, ...] = (4, 2)
    """By how much pictures are made smaller, from coarse to fine."""
    rounds: tuple[int, ...] = (8, 5)
    """Iterations of each size, at most."""
    opaque: float = 0.95
    """Least alpha of a pixel that counts."""
    highlight: float = 0.96
    """Brightness from which a pixel is a highlight, which moves with the light; neighbours do not count either."""
    tukey: float = 10.0
    """Residuals of so many standard deviations count for nothing (A. Beaton, J. Tukey, 1974). With 4.7, which normal
    errors would ask for, too little counts where a map is sharper in one place than in another."""
    belief: float = 1.0
    """Pixels, as a standard deviation, by which a camera may be off where it is believed to be: what the picture hardly
    tells, as a turn from a shift before a flat wall, stays as it was."""
    alike: float = 100.0
    """Neighbouring pixels err alike: so many of them count as one."""
    most: int = 20_000
    """Pixels of a size that are looked at, about, evenly taken."""
    fewest: int = 100
    """Pixels without which nothing is aligned."""
    settled: float = 0.01
    """Pixels, at the full size, of the step that ends a size's iterations."""


@dataclass(frozen=True)
class Drawn:
    """A picture of the map."""

    luma: Grey
    """(H, W) brightness, 0 to 1."""
    depth: Grey
    """(H, W) z-depth, world units; 0 where nothing was drawn."""
    alpha: Grey
    """(H, W) the share of light that is stopped, 0 to 1."""


@dataclass(frozen=True)
class Aligned:
    """What was found."""

    motion: Array
    """(4, 4) from the axes of the camera that drew the picture to those of the frame's: world_to_camera of the frame is
    this times that of the picture."""
    gain: float
    bias: float
    error_before: float
    """Robust standard deviation of the luma's differences at the finest size, before anything moved."""
    error: float
    """The same of those that are left."""
    moved: float
    """Pixels, at the full size, by which the middle of the picture has moved and turned."""
    information: Array
    """(6, 6) of turn (radians) and shift (world units): the inverse of their covariance, without what was believed."""


def align(
    drawn: Drawn,
    luma: Grey,
    mask: NDArray[np.bool_],
    K: Array,
    believed: Array | None = None,
    config: AlignConfig | None = None,
) -> Aligned | None:
    """Align a frame of `luma` (H, W), 0 to 1, with a picture; both with the intrinsics K (3, 3), centres at +0.5.

    `mask` (H, W) is True where the frame may be looked at, at the picture's pixels. `believed` (4, 4) is the motion to
    where the frame's camera is thought to be, by default where the picture was drawn from. None where too few pixels
    count.
    """
    config = config or AlignConfig()
    bright = cv2.dilate((luma > config.highlight).view(np.uint8), np.ones((11, 11), np.uint8)) > 0
    usable = mask & ~bright & (drawn.alpha > config.opaque) & (drawn.depth > 0)
    if np.count_nonzero(usable) < config.fewest:
        return None
    depth = float(np.median(drawn.depth[usable]))
    belief = Belief.of(np.eye(4) if believed is None else believed, config, float(K[0, 0]), depth)
    guess, done = Guess(np.eye(4)), None
    for shrink, rounds in zip(config.shrink, config.rounds, strict=True):
        template, image, small = prepared(drawn, luma, usable, K, shrink, config.most)
        if len(template) < config.fewest:
            continue
        before = robust_deviation(system_of(template, image, small, Guess(np.eye(4)), WIDE).residuals)
        settled = config.settled / float(K[0, 0])
        found = _solve(template, image, small, guess, belief, rounds, settled, config)
        if found is None:
            return None
        guess, error, information = found
        done = Aligned(guess.motion, guess.gain, guess.bias, before, error, 0.0, information)
    return None if done is None else replace(done, moved=image_motion(done.motion, K, depth))


@dataclass(frozen=True)
class Belief:
    """Where a camera is thought to be, and how sure that is."""

    motion: Array
    """(4, 4) from the axes of the camera that drew the picture."""
    precision: Array
    """(6,) inverse variances of turn and shift, times how many pixels count as one."""

    @staticmethod
    def of(motion: Array, config: AlignConfig, focal: float, depth: float) -> "Belief":
        """By pixels of things at `depth`, before a camera of this focal length in pixels."""
        units = np.repeat([1 / focal, depth / focal], 3)
        return Belief(motion, config.alike / np.square(config.belief * units))

    def pull(self, motion: Array) -> Array:
        """How far (6,) a motion (4, 4) is from what is believed: turn and shift."""
        off = motion @ invert_rigid(self.motion)
        return np.concatenate([rotation_vector(off[:3, :3]), off[:3, 3]])


def image_motion(motion: Array, K: Array, depth: float) -> float:
    """Pixels by which a rigid motion (4, 4) moves the middle of a picture of things at `depth`, and a radian's turn
    about the axis counted as one at the focal length."""
    turn = np.array([motion[2, 1] - motion[1, 2], motion[0, 2] - motion[2, 0], motion[1, 0] - motion[0, 1]]) / 2
    shift = motion[:3, 3] / depth
    across = np.array([turn[1] + shift[0], -turn[0] + shift[1], turn[2], shift[2]])
    return float(K[0, 0] * np.linalg.norm(across))


def prepared(
    drawn: Drawn, luma: Grey, usable: NDArray[np.bool_], K: Array, shrink: int, most: int
) -> tuple[Template, Tensor, Array]:
    """The template, the frame (h, w) and the intrinsics (3, 3) at a fraction of the size."""
    height, width = luma.shape
    size = max(1, width // shrink), max(1, height // shrink)

    def smaller(picture: NDArray[np.float32]) -> Grey:
        return picture if shrink == 1 else np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))

    scale = np.array([size[0] / width, size[1] / height, 1.0])
    small = K * scale[:, None]
    dark, deep, share = smaller(drawn.luma), smaller(drawn.depth), smaller(usable.astype(np.float32))
    counts = share > 0.99
    counts[:1], counts[-1:], counts[:, :1], counts[:, -1:] = False, False, False, False
    along = cv2.Scharr(dark, cv2.CV_32F, 1, 0, scale=1 / 32), cv2.Scharr(dark, cv2.CV_32F, 0, 1, scale=1 / 32)
    taken = np.flatnonzero(counts)
    taken = taken[:: max(1, len(taken) // most)]
    row, column = np.divmod(taken, size[0])
    z = deep.ravel()[taken].astype(np.float64)
    x, y = (column + 0.5 - small[0, 2]) / small[0, 0] * z, (row + 0.5 - small[1, 2]) / small[1, 1] * z
    slopes = along[0].ravel()[taken] * small[0, 0], along[1].ravel()[taken] * small[1, 1]
    points = np.stack([x, y, z, dark.ravel()[taken], *slopes])
    return Template(_floats(points)), _floats(smaller(luma)), small


def _floats(array: NDArray[np.floating]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, np.float32))


def _solve(
    template: Template,
    image: Tensor,
    K: Array,
    guess: Guess,
    belief: Belief,
    rounds: int,
    settled: float,
    config: AlignConfig,
) -> tuple[Guess, float, Array] | None:
    """The guess after Gauss-Newton steps at one size, the deviation that is left, and the information of the last."""
    scale = robust_deviation(system_of(template, image, K, guess, WIDE).residuals)
    depth = template.depth
    information = np.zeros((6, 6))
    for _ in range(rounds):
        scale = max(scale, LEAST_DEVIATION)
        found = system_of(template, image, K, guess, config.tukey * scale)
        if found.weight < config.fewest / 4:
            return None
        information = found.hessian[:6, :6] / (scale * scale * config.alike)
        hessian, gradient = found.hessian.copy(), found.gradient.copy()
        # A step enters the motion as its inverse, so it takes off what the motion is away from what is believed.
        pulled = belief.precision * scale * scale
        hessian[range(6), range(6)] += pulled
        gradient[:6] -= pulled * belief.pull(guess.motion)
        hessian += 1e-6 * np.diag(np.diag(hessian)) + 1e-12 * np.eye(UNKNOWNS)
        step = np.asarray(np.linalg.solve(hessian, -gradient), np.float64)
        guess = stepped(guess, step)
        scale = robust_deviation(found.residuals)
        if np.linalg.norm(step[:3]) + np.linalg.norm(step[3:6]) / depth < settled:
            break
    return guess, scale, information
