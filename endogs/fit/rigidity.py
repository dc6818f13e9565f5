"""Tissue that an instrument hides keeps its shape while it moves: as rigid as possible.

No image says where hidden Gaussians are, so what the optimizer does to them there is left over from other times. Now
and then they are relaxed: a gradient step, outside Adam (which would take full steps however small this gradient is),
on the as-rigid-as-possible energy of O. Sorkine, M. Alexa, "As-rigid-as-possible surface modeling", 2007, between a
frame and its neighbour in time, as J. Luiten et al. ask of all Gaussians in "Dynamic 3D Gaussians", 2024.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from endogs.errors import InputError
from endogs.fit.density.population import Population
from endogs.fit.view import View
from endogs.gaussians import MEANS

NEIGHBOUR_ROWS = "rigid_neighbours"
NEIGHBOURS = 8
"""Nearest Gaussians that each is tied to."""
SAMPLE = 2048
"""Hidden Gaussians that one relaxation looks at, at most."""
RIGID_STEPS = 4
"""Steps from one relaxation to the next."""
ROTATION_ROUNDS = 3
"""Newton rounds for the rotations: between two frames tissue turns by degrees."""


def best_rotations(rest: Tensor, now: Tensor, rounds: int = ROTATION_ROUNDS) -> Tensor:
    """Rotations R (P, 3, 3) that minimize sum_k |now_k - R rest_k|^2 over edges (P, K, 3), for turns up to 45 degrees.

    Newton's method from the identity on the turn w that maximizes tr(exp(w)^T A), A = sum now rest^T: with S the
    symmetric part of A R^T and g = sum of the columns' cross products R x A, (tr(S) I - S) w = g. No singular values:
    in batches of small matrices they are slow. Edges that lie on one line leave the turn about it at 0.
    """
    covariance = now.transpose(1, 2) @ rest  # (P, 3, 3)
    identity = torch.eye(3, dtype=rest.dtype, device=rest.device)
    rotation = identity.expand(len(rest), 3, 3)
    size = covariance.square().sum((1, 2)).sqrt()[:, None, None] + torch.finfo(rest.dtype).tiny
    covariance = covariance / size
    for _ in range(rounds):
        turned = covariance @ rotation.transpose(1, 2)
        stretch = (turned + turned.transpose(1, 2)) / 2
        trace = stretch.diagonal(dim1=1, dim2=2).sum(1)[:, None, None]
        pull = torch.linalg.cross(rotation, covariance, dim=1).sum(2)
        turn = torch.linalg.solve((trace + 1e-6) * identity - stretch, pull)
        length = turn.norm(dim=1, keepdim=True)
        rotation = rotation_of(turn * (1 / length.clamp_min(1.0))) @ rotation
    return rotation


def rotation_of(vector: Tensor) -> Tensor:
    """Rotation matrices (P, 3, 3) about vectors (P, 3) by their length in radians (Rodrigues)."""
    angle = vector.norm(dim=1, keepdim=True).clamp_min(1e-12)
    x, y, z = (vector / angle).unbind(1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], 1).view(-1, 3, 3)
    sine, cosine = angle.sin()[..., None], angle.cos()[..., None]
    return torch.eye(3, dtype=vector.dtype, device=vector.device) + sine * cross + (1 - cosine) * (cross @ cross)


def rigidity_energy(rest: Tensor, now: Tensor) -> tuple[Tensor, Tensor]:
    """As-rigid-as-possible energy (P,) of stars, and its gradient by the edges now (P, K, 3).

    rest, now (P, K, 3): the vectors from a point to its K neighbours before and after. E = mean_k |now_k - R rest_k|^2
    with the best rotation R, so that R needs no derivative (it is a minimum): dE/dnow_k = 2 (now_k - R rest_k) / K.
    """
    off = now - rest @ best_rotations(rest, now).transpose(1, 2)
    return off.square().sum(2).mean(1), 2 * off / rest.shape[1]


@dataclass
class HiddenRigidity:
    """Relaxes the Gaussians that an instrument hides, towards what their neighbours do."""

    population: Population
    weight: float
    """Part of the way to the rigid place per relaxation, in (0, 1]."""
    times: list[float]
    """Seconds of the training frames, ascending."""
    seed: int
    _neighbours: Tensor | None = field(default=None, init=False)
    _version: int = field(default=-1, init=False)

    def __post_init__(self) -> None:
        """Raises InputError for Gaussians that no spline moves: only of those is it known how to move one instant."""
        deformation = self.population.deformation
        if not deformation.linear or deformation.spline_knots is None:
            raise InputError(f"rigidity_weight needs the deformation spline, not {deformation.kind}; leave it at 0")

    @torch.no_grad()
    def relax(self, view: View, step: int) -> int:
        """Relax some of the Gaussians that `view` hides, at its time, in place; returns how many were looked at."""
        if view.frame is None or view.occluded is None:
            return 0
        packed = self.population.optimizer.packed_at(view.time)
        hidden = occluded_gaussians(packed, view)
        if len(hidden) > SAMPLE:
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
            hidden = hidden[torch.randperm(len(hidden), generator=generator)[:SAMPLE].to(hidden.device)]
        if len(hidden) == 0 or len(packed) <= NEIGHBOURS:
            return 0
        neighbours = self._nearest(packed)[hidden]  # (P, K)
        other = self._neighbour_time(view.frame)
        stars = torch.cat([hidden[:, None], neighbours], 1)
        rest = self.population.deformation.means_at(self.population.base, stars, other)
        now = packed[stars][..., MEANS]
        _, gradient = rigidity_energy(rest[:, 1:] - rest[:, :1], now[:, 1:] - now[:, :1])
        # dE/dcentre = -sum_k dE/dedge_k; E's curvature by the centre is 2, so half the gradient is the whole way.
        move = self.weight * 0.5 * gradient.sum(1)
        # Spread over the control points so that the spline moves by that much at this time.
        slices = self.population.deformation.slices(view.time)
        total = sum(weight * weight for _, _, weight in slices)
        for _, control, weight in slices:
            control[hidden, MEANS] += (weight / total) * move
        return len(hidden)

    def _neighbour_time(self, frame: int) -> float:
        return self.times[frame - 1] if frame > 0 else self.times[min(1, len(self.times) - 1)]

    def _nearest(self, packed: Tensor) -> Tensor:
        """Nearest other Gaussians (N, K), kept until Gaussians come or go."""
        if self._neighbours is None or self._version != self.population.version:
            from scipy.spatial import cKDTree

            means = packed[:, MEANS].cpu().numpy()
            found = cKDTree(means).query(means, NEIGHBOURS + 1)[1][:, 1:]
            self._neighbours, self._version = torch.from_numpy(found).to(packed.device), self.population.version
        return self._neighbours

    def state(self) -> dict[str, Tensor]:
        """The neighbours for a checkpoint: found again at another step, they would be others."""
        known = self._neighbours is not None and self._version == self.population.version
        return {NEIGHBOUR_ROWS: self._neighbours} if known and self._neighbours is not None else {}

    def layout(self) -> dict[str, tuple[torch.dtype, tuple[int, ...]]]:
        """Types and shapes of what `state` may hold, with zeros for the number of Gaussians."""
        return {NEIGHBOUR_ROWS: (torch.int64, (0, NEIGHBOURS))}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Continue from `state()`, after the population did."""
        self._neighbours, self._version = state.get(NEIGHBOUR_ROWS), self.population.version


def occluded_gaussians(packed: Tensor, view: View) -> Tensor:
    """Rows of the packed Gaussians (N, 14) whose centre an instrument hides from the view."""
    assert view.occluded is not None
    camera = view.camera
    in_camera = packed[:, MEANS] @ camera.world_to_camera[:3, :3].T + camera.world_to_camera[:3, 3]
    z = in_camera[:, 2].clamp_min(camera.near)
    x = in_camera[:, 0] / z * camera.K[0, 0] + camera.K[0, 2]
    y = in_camera[:, 1] / z * camera.K[1, 1] + camera.K[1, 2]
    inside = (x >= 0) & (x < camera.width) & (y >= 0) & (y < camera.height) & (in_camera[:, 2] > camera.near)
    column, row = x.clamp(0, camera.width - 1).long(), y.clamp(0, camera.height - 1).long()
    return torch.nonzero(inside & (view.occluded[row, column] > 0))[:, 0]
