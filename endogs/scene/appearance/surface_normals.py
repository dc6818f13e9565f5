"""Normals of the tissue at each Gaussian, from its neighbours: they follow the deformation.

A Gaussian's own shortest axis says little where it is nearly round. Here the tangent plane is that of its neighbours
on the canonical surface, and the two tangents are fixed linear combinations of the offsets to them (the least-squares
derivatives by the two coordinates of the plane), so they move with the neighbours like any tangent of a deforming
surface.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

NEIGHBOURS = 16
"""Neighbours that carry a normal."""
REACH = 4
"""They are every so-many-th of the nearest: nearer ones have steeper noise, and one spacing is not yet a slope."""


@dataclass(frozen=True)
class TangentFrames:
    """Which neighbours carry each Gaussian's tangents, and how."""

    neighbours: Tensor
    """(N, k) int32 rows; a neighbour that is no longer there is the Gaussian itself, whose offset is zero."""
    weights: Tensor
    """(N, k, 2) float32, 1 / world units: tangent_a = sum_j weights[j, a] (x_j - x)."""

    @staticmethod
    def of(means: Tensor, neighbours: int = NEIGHBOURS, reach: int = REACH) -> "TangentFrames":
        """Frames of points on a surface (N, 3), with fewer neighbours where there are few points."""
        points = means.detach().double().cpu().numpy()
        count = min(neighbours, max(len(points) - 1, 1) // reach) or min(neighbours, len(points) - 1)
        stride = reach if (len(points) - 1) // reach >= count > 0 else 1
        if count < 3:  # no plane: every normal faces the camera
            own = torch.arange(len(points), dtype=torch.int32)[:, None]
            return TangentFrames(own.to(means.device), torch.zeros(len(points), 1, 2, device=means.device))
        nearest = cKDTree(points).query(points, count * stride + 1, workers=-1)[1][:, stride::stride]
        offsets = points[nearest] - points[:, None]
        # Centred: the plane need not pass through the point itself, whose height is noise and curvature.
        centred = offsets - offsets.mean(1, keepdims=True)
        axes = np.linalg.eigh(np.einsum("nki,nkj->nij", centred, centred))[1]
        plane = centred @ axes[:, :, 1:]
        moments = np.einsum("nka,nkb->nab", plane, plane)
        moments += 1e-6 * (np.trace(moments, axis1=1, axis2=2)[:, None, None] + 1e-20) * np.eye(2)
        weights = plane @ np.linalg.inv(moments)
        return TangentFrames(
            torch.from_numpy(nearest.astype(np.int32)).to(means.device),
            torch.from_numpy(weights.astype(np.float32)).to(means.device),
        )

    @torch.no_grad()
    def normals(self, means: Tensor, towards: Tensor) -> Tensor:
        """Unit normals (N, 3) at positions (N, 3), on the side of the point `towards` (3,), without a graph.

        Where no plane is known, the direction to that point.
        """
        offsets = means[self.neighbours.long()] - means[:, None]
        tangents = self.weights.to(means).transpose(1, 2) @ offsets
        normal = torch.linalg.cross(tangents[:, 0], tangents[:, 1])
        sight = torch.nn.functional.normalize(towards - means, dim=1)
        length = normal.norm(dim=1, keepdim=True)
        normal = torch.where(length > 1e-3, normal / length.clamp_min(1e-12), sight)
        return torch.where((normal * sight).sum(1, keepdim=True) < 0, -normal, normal)

    def select(self, keep: Tensor) -> "TangentFrames":
        """The frames of the selected rows; neighbours that go are replaced by the Gaussian itself."""
        count = len(self.neighbours)
        rows = torch.arange(count, device=keep.device)[keep]
        place = torch.full((count,), -1, dtype=torch.long, device=keep.device)
        place[rows] = torch.arange(len(rows), device=keep.device)
        neighbours = place[self.neighbours[keep].long()]
        own = torch.arange(len(rows), device=keep.device)[:, None]
        return TangentFrames(torch.where(neighbours < 0, own, neighbours).int(), self.weights[keep])
