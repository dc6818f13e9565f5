"""A path found in pictures and noisy poses from elsewhere, such as a robot's joints, made one.

Pictures show how the camera moves beside the tissue, to a fraction of a pixel, but not what both do together: moving
all tissue and the camera alike changes no picture. So bundle adjustment with a prior on its poses could not tell
breathing from the camera's motion either; it would only trade one against the other. The path is therefore left
as the pictures show it, and the prior determines what they leave open: the similarity that carries each map into the
prior's world, and a smooth common motion of all tissue (`common_motion.py`),

    camera to world = common motion(t) . similarity . camera to map(t),

beside a constant offset of the prior's own camera, as of a hand-eye calibration. Rows of the prior count by Student's
weights, so that outliers do little. How large, how lasting and how strong all this is, and whether the prior errs more
than is said, is chosen by the evidence (D. MacKay, "Bayesian interpolation", 1992). Steps are Gauss and Newton's.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import splu
from scipy.spatial.transform import Rotation

from endogs.tracking.common_motion import MotionBasis, Smoothness
from endogs.tracking.prior_alignment import Similarity

Array = NDArray[np.float64]
FREEDOMS = (50.0, 15.0, 5.0)
"""Degrees of freedom of Student's distribution of a row's error, from round to round: in the end a row in a few hundred
may be far off, and at first, when the common motion is not known yet, few are given up."""
DOUBTED = 28.0
"""Squared distance of a row, in its variances over six numbers, from which it is doubted: one in ten thousand."""
MEMORIES = (0.5, 1.0, 2.0)
"""Seconds of memory of the common motion that are tried."""
SIZES = (0.02, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
"""Sizes of it that are tried, by the prior's own noise."""
TURNS = (0.005, 0.02, 0.1, 0.25, 0.5, 1.0, 2.0)
"""The same of its turn."""
EXCESS = (1.0, 1.4, 2.0, 3.0, 4.5, 7.0)
"""Factors on the noise that was said which are tried."""
NEAR = 3.0
"""Factor by which a size may differ from the one chosen before."""
STEPS = 5
"""Of the unknowns, after each choice of these numbers."""
FIXED = 1e-6
"""Standard deviation of the logarithm of a scale that is known."""
FREE = 3.0
"""The same of one that is not."""


@dataclass(frozen=True)
class Rows:
    """Frames with a pose in the pictures and a row of the prior."""

    maps: NDArray[np.intp]
    """(n,) which map the frame's pose is of, counted from 0."""
    seen: Array
    """(n, 4, 4) camera to map, from the pictures."""
    seen_covariance: Array
    """(n, 6, 6) of its place and turn in the camera's axes, units of the map and radians."""
    given: Array
    """(n, 4, 4) camera to world, from the prior."""


@dataclass(frozen=True)
class Noise:
    """How far a row of the prior is off: standard deviations of each coordinate."""

    place: float
    """World units."""
    turn: float
    """Radians."""


@dataclass(frozen=True)
class State:
    """All that is unknown."""

    similarities: tuple[Similarity, ...]
    motion: Array
    """(count, 6) coefficients of the common motion: shift and turn about the tissue's middle."""
    offset: Array
    """(6,) place and turn of the prior's camera in the axes of the true one."""


@dataclass(frozen=True)
class Chosen:
    """Numbers that the evidence chooses."""

    smoothness: Smoothness
    excess: float
    """Factor on the noise that was said."""


@dataclass(frozen=True)
class _RowSystem:
    """The rows' part of the normal equations."""

    slopes: sparse.csr_matrix
    """(6 n, unknowns)."""
    information: Array
    """(n, 6, 6) inverse covariances of the rows."""
    matrix: sparse.csc_matrix
    """(unknowns, unknowns)."""
    side: Array
    """(unknowns,)."""


class Fusion:
    """The problem, and its solution after `solve`."""

    def __init__(
        self, times: Array, rows: Rows, at: NDArray[np.intp], noise: Noise, start: State, middle: Array, metric: bool
    ) -> None:
        """`times` (F,) are of all frames, of which `rows` are those `at` (n,); `middle` (3,) is of the tissue, in the
        world. Scales stay as they are where maps are `metric`."""
        self.basis, self.rows, self.at, self.noise, self.middle = MotionBasis(times), rows, at, noise, middle
        self.state = replace(start, motion=np.zeros((self.basis.count, 6)))
        self.chosen = Chosen(Smoothness(SIZES[2] * noise.place, TURNS[1] * noise.turn, MEMORIES[1]), 1.0)
        self.weights = np.ones(len(at))
        """(n,) how much each row counts."""
        self._scale_deviation = FIXED if metric else FREE
        self._freedom = FREEDOMS[0]
        # Maps turn and grow about the middle of the path, so that this hardly shifts it.
        self._pivot = np.median(rows.given[:, :3, 3], axis=0)

    def solve(self) -> None:
        """Find everything."""
        for self._freedom in FREEDOMS:
            self._choose()
            for _ in range(STEPS):
                self._step()

    @property
    def squared(self) -> Array:
        """(n,) squared distance of each row from where it should be, in its variances."""
        return np.asarray(np.einsum("ni,nij,nj->n", self._residual(), self._information(self.chosen), self._residual()))

    def placed(self, maps: NDArray[np.intp], seen: Array, frames: NDArray[np.intp]) -> Array:
        """Camera to world (n, 4, 4) of poses `seen` (n, 4, 4) of `maps` (n,), taken at `frames` (n,) of all."""
        return self._placed(maps, seen, self.basis.at(self.state.motion)[frames])

    def common_motion(self) -> Array:
        """(F, 6) shift and turn of all tissue about its middle."""
        return self.basis.at(self.state.motion)

    def estimated(
        self, maps: NDArray[np.intp], seen: Array, seen_covariance: Array, frames: NDArray[np.intp], given: Array
    ) -> tuple[Array, Array]:
        """Camera to world (n, 4, 4) and covariances (n, 6, 6) of place and turn in the cameras' axes.

        As `placed`, but a pose that pictures hardly tell follows its own row `given` (n, 4, 4; NaN for none), as in a
        Kalman filter's correction.
        """
        poses = self.placed(maps, seen, frames)
        scales = np.array([one.scale for one in self.state.similarities])[maps]
        unit = np.repeat(np.stack([scales, np.ones_like(scales)], 1), 3, 1)
        own = seen_covariance * unit[:, :, None] * unit[:, None, :]
        noise = np.diag(np.square(self.chosen.excess * np.repeat([self.noise.place, self.noise.turn], 3)))
        known = np.isfinite(given[:, 0, 0])
        residual = np.zeros((len(poses), 6))
        residual[known] = self._residual(poses[known], given[known])
        squared = np.einsum("ni,nij,nj->n", residual, np.linalg.inv(own + noise), residual)
        weight = np.where(known, (self._freedom + 6) / (self._freedom + squared), 1e-12)
        gain = own @ np.linalg.inv(own + noise / weight[:, None, None])
        step = -np.einsum("nij,nj->ni", gain, residual)
        poses[:, :3, 3] += np.einsum("nij,nj->ni", poses[:, :3, :3], step[:, :3])
        left = np.eye(6) - gain
        covariance = left @ own + left @ self.covariance(maps, poses, frames) @ np.swapaxes(left, 1, 2)
        poses[:, :3, :3] = poses[:, :3, :3] @ Rotation.from_rotvec(step[:, 3:]).as_matrix()
        return poses, covariance

    def covariance(self, maps: NDArray[np.intp], poses: Array, frames: NDArray[np.intp]) -> Array:
        """(n, 6, 6) of place and turn, in the camera's axes, of poses `placed`: what the prior leaves open."""
        slopes = self._slopes(maps, poses, frames, with_offset=False)
        found = np.empty((len(poses), 6, 6))
        for k in range(0, len(poses), 50):
            part = slopes[6 * k : 6 * (k + 50)]
            whole = part @ self._factor.solve(part.T.toarray())
            for j in range(len(whole) // 6):
                found[k + j] = whole[6 * j : 6 * j + 6, 6 * j : 6 * j + 6]
        return found

    def scale_deviation(self, number: int) -> float:
        """Standard deviation of the logarithm of a map's scale."""
        unit = np.zeros(self._unknowns)
        unit[self._rest + 6 + 7 * number + 6] = 1
        return float(np.sqrt(max(0.0, unit @ self._factor.solve(unit))))

    @cached_property
    def _factor(self) -> Any:
        matrix, _ = self._system(self.chosen)
        return _factored(matrix)

    @property
    def _rest(self) -> int:
        """Where the unknowns begin that are not the common motion's: offset and similarities, at the end, so that the
        system is a band with a border."""
        return 6 * self.basis.count

    @property
    def _unknowns(self) -> int:
        return self._rest + 6 + 7 * len(self.state.similarities)

    def _placed(self, maps: NDArray[np.intp], seen: Array, motion: Array) -> Array:
        found = np.array(seen)
        for number, one in enumerate(self.state.similarities):
            mine = maps == number
            found[mine] = one.carried(seen[mine])
        turn = Rotation.from_rotvec(motion[:, 3:]).as_matrix()
        found[:, :3, :3] = turn @ found[:, :3, :3]
        found[:, :3, 3] = self.middle + motion[:, :3] + np.einsum("nij,nj->ni", turn, found[:, :3, 3] - self.middle)
        return found

    @cached_property
    def _predicted(self) -> Array:
        """(n, 4, 4) where the rows' cameras are."""
        return self._placed(self.rows.maps, self.rows.seen, self.basis.at(self.state.motion)[self.at])

    def _residual(self, pose: Array | None = None, given: Array | None = None) -> Array:
        """(n, 6) of rows `given` (n, 4, 4), in the axes of the cameras: where they should be, by the poses of the true
        cameras, less where they are; by default of all rows."""
        pose = self._predicted if pose is None else pose
        given = self.rows.given if given is None else given
        back = np.swapaxes(pose[:, :3, :3], 1, 2)
        place = np.einsum("nij,nj->ni", back, pose[:, :3, 3] - given[:, :3, 3]) + self.state.offset[:3]
        turned = Rotation.from_matrix(back @ given[:, :3, :3]).inv()
        turn = (turned * Rotation.from_rotvec(self.state.offset[3:])).as_rotvec()
        return np.concatenate([place, turn], 1)

    def _information(self, chosen: Chosen) -> Array:
        """(n, 6, 6) inverse covariances of the residuals."""
        scales = np.array([one.scale for one in self.state.similarities])[self.rows.maps]
        unit = np.ones((len(scales), 6))
        unit[:, :3] = scales[:, None]
        found = self.rows.seen_covariance * unit[:, :, None] * unit[:, None, :]
        own = chosen.excess * np.repeat([self.noise.place, self.noise.turn], 3)
        found[:, range(6), range(6)] += np.square(own)
        return np.asarray(np.linalg.inv(found))

    def _slopes(
        self, maps: NDArray[np.intp], poses: Array, frames: NDArray[np.intp], with_offset: bool = True
    ) -> sparse.csr_matrix:
        """(6 n, unknowns) derivatives of places and turns in the cameras' axes."""
        count, rest = len(poses), self._rest
        back = np.swapaxes(poses[:, :3, :3], 1, 2)
        by_map = _world_slopes(poses[:, :3, 3] - self._pivot, back)
        by_motion = _world_slopes(poses[:, :3, 3] - self.middle, back)[..., :6]
        offset = np.broadcast_to(np.eye(6) * with_offset, (count, 6, 6))
        four = self.basis.weights[frames][:, None, :, None] * by_motion[:, :, None]
        values = np.concatenate([four.reshape(count, 6, 24), offset, by_map], 2)
        columns = np.concatenate(
            [
                6 * self.basis.first[frames, None] + np.arange(24),
                np.broadcast_to(rest + np.arange(6), (count, 6)),
                rest + 6 + 7 * maps[:, None] + np.arange(7),
            ],
            1,
        )
        columns = np.broadcast_to(columns[:, None], values.shape)
        rows = np.broadcast_to(np.arange(6 * count).reshape(count, 6, 1), values.shape)
        shape = (6 * count, self._unknowns)
        return sparse.csr_matrix((values.ravel(), (rows.ravel(), columns.ravel())), shape)

    def _system(self, chosen: Chosen, rows: "_RowSystem | None" = None) -> tuple[sparse.csc_matrix, Array]:
        """The normal equations: matrix (unknowns, unknowns) and right side (unknowns,)."""
        rows = self._row_system(chosen) if rows is None else rows
        prior, _ = self._believed(chosen)
        return sparse.csc_matrix(rows.matrix + prior), rows.side + prior @ self._packed()

    def _row_system(self, chosen: Chosen) -> "_RowSystem":
        """What the rows say, which depends on their noise alone."""
        slopes = self._slopes(self.rows.maps, self._predicted, self.at)
        information = self._information(chosen)
        count = len(information)
        each = information * self.weights[:, None, None]
        blocks = sparse.bsr_matrix((each, np.arange(count), np.arange(count + 1)), shape=(6 * count, 6 * count))
        weighted = blocks @ slopes
        return _RowSystem(slopes, information, slopes.T @ weighted, np.asarray(weighted.T @ self._residual().ravel()))

    def _packed(self) -> Array:
        """(unknowns,) how far the state is from what is believed without rows."""
        similarities = np.zeros((len(self.state.similarities), 7))
        similarities[:, 6] = [one.strayed for one in self.state.similarities]
        return np.concatenate([self.state.motion.ravel(), self.state.offset, similarities.ravel()])

    def _believed(self, chosen: Chosen) -> tuple[sparse.csc_matrix, float]:
        """The inverse covariance of the unknowns without rows, and the logarithm of its determinant."""
        smooth = chosen.smoothness
        shift, shift_log = self.basis.precision(smooth.shift, smooth.memory)
        turn, turn_log = self.basis.precision(smooth.turn, smooth.memory)
        axes = np.zeros((2, 6, 6))
        axes[0, range(3), range(3)] = axes[1, range(3, 6), range(3, 6)] = 1
        motion = sparse.kron(shift, axes[0]) + sparse.kron(turn, axes[1])
        off = chosen.excess * np.repeat([self.noise.place, self.noise.turn], 3)
        similarity = np.tile([0.0] * 6 + [self._scale_deviation**-2], len(self.state.similarities))
        parts = [motion, sparse.diags(off**-2.0), sparse.diags(similarity)]
        logarithm = 3 * (shift_log + turn_log) - 2 * float(np.log(off).sum())
        return sparse.csc_matrix(sparse.block_diag(parts, format="csc")), logarithm

    def _evidence(self, chosen: Chosen, rows: "_RowSystem") -> float:
        """Logarithm of how likely the rows are, but for a constant; by Laplace's method."""
        matrix, gradient = self._system(chosen, rows)
        factor = _factored(matrix)
        step = -factor.solve(gradient)
        prior, logarithm = self._believed(chosen)
        residual = self._residual() + (rows.slopes @ step).reshape(-1, 6)
        squared = np.einsum("ni,nij,nj->n", residual, rows.information, residual)
        state = self._packed() + step
        # Rows count as in Student's distribution, of which the weights are a normal one's.
        cost = float(((self._freedom + 6) * np.log1p(squared / self._freedom)).sum()) + float(state @ (prior @ state))
        width = float(np.log(np.abs(factor.U.diagonal())).sum()) - logarithm
        return -0.5 * (cost + width - float(np.linalg.slogdet(rows.information)[1].sum()))

    def _choose(self) -> None:
        """The most likely numbers, one kind after the other."""
        noise, best = self.noise, self.chosen
        rows = {best.excess: self._row_system(best)}
        likely = self._evidence(best, rows[best.excess])
        shifts = [(size * noise.place, memory) for memory in MEMORIES for size in SIZES]
        if self._freedom == FREEDOMS[-1]:  # near what was chosen before
            shifts = [one for one in shifts if 1 / NEAR < one[0] / best.smoothness.shift < NEAR]
        kinds: list[list[Callable[[Chosen], Chosen]]] = [
            [partial(_with_motion, shift=shift, memory=memory) for shift, memory in shifts],
            [partial(_with_motion, turn=size * noise.turn) for size in TURNS],
            [partial(replace, excess=one) for one in EXCESS],
        ]
        for kind in kinds:
            for other in [change(best) for change in kind]:
                if other.excess not in rows:
                    rows[other.excess] = self._row_system(other)
                evidence = self._evidence(other, rows[other.excess])
                if evidence > likely:
                    best, likely = other, evidence
        self.chosen = best
        self.__dict__.pop("_factor", None)

    def _step(self) -> None:
        """One step of everything, after which rows count by how far off they are."""
        matrix, gradient = self._system(self.chosen)
        step = -_factored(matrix).solve(gradient)
        state, motion, offset = self.state, step[: self._rest].reshape(-1, 6), step[self._rest : self._rest + 6]
        by_map = step[self._rest + 6 :].reshape(-1, 7)
        moved = tuple(one.moved(own, self._pivot) for one, own in zip(state.similarities, by_map, strict=True))
        self.state = State(moved, state.motion + motion, state.offset + offset)
        for name in ("_predicted", "_factor"):
            self.__dict__.pop(name, None)
        self.weights = (self._freedom + 6) / (self._freedom + self.squared)


def _with_motion(chosen: Chosen, **changes: float) -> Chosen:
    return replace(chosen, smoothness=replace(chosen.smoothness, **changes))


def _factored(matrix: sparse.csc_matrix) -> Any:
    """Factors of a symmetric, positive matrix in the order that it has."""
    return splu(matrix, permc_spec="NATURAL", diag_pivot_thresh=0.0, options={"SymmetricMode": True})


def start_of(similarities: Sequence[Similarity]) -> State:
    """What is unknown, before anything but the similarities is guessed."""
    return State(tuple(similarities), np.zeros((0, 6)), np.zeros(6))


def _world_slopes(arm: Array, back: Array) -> Array:
    """(n, 6, 7) derivatives of place and turn, in the cameras' axes, by shift, turn and growth of the world about a
    point from which cameras are `arm` (n, 3) away; `back` (n, 3, 3) are world to camera."""
    found = np.zeros((len(arm), 6, 7))
    found[:, range(6), range(6)] = 1
    x, y, z = arm.T
    # The place moves by turn x arm.
    found[:, 0, 4], found[:, 0, 5] = z, -y
    found[:, 1, 3], found[:, 1, 5] = -z, x
    found[:, 2, 3], found[:, 2, 4] = y, -x
    found[:, :3, 6] = arm
    return np.concatenate([back @ found[:, :3], back @ found[:, 3:]], 1)
