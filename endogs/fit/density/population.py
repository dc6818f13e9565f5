"""The Gaussians under density control: the optimizer, and every number per Gaussian that must follow its rows."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from endogs.fit.optimize.scene_optimizer import SceneOptimizer
from endogs.scene.deformation.deformation import Deformation


@dataclass
class Population:
    """Adds and drops Gaussians in the optimizer and in the rows that others keep about them."""

    optimizer: SceneOptimizer
    rows: dict[str, Tensor] = field(default_factory=dict)
    """(N, ...) by name; new Gaussians start at zero."""
    version: int = 0
    """Counts the times that Gaussians came or went: what is known about rows holds for one version."""

    def __len__(self) -> int:
        return self.optimizer.base.shape[0]

    @property
    def base(self) -> Tensor:
        """(N, 14) canonical Gaussians."""
        return self.optimizer.base

    @property
    def deformation(self) -> Deformation:
        """How they move."""
        return self.optimizer.deformation

    def append(self, base: Tensor, control: Tensor | None) -> None:
        """Add Gaussians (M, 14) with control points (Kn, M, 14), None where nothing deforms per Gaussian."""
        self.optimizer.append(base, control)
        self.version += 1
        for name, rows in self.rows.items():
            self.rows[name] = torch.cat([rows, rows.new_zeros(len(base), *rows.shape[1:])])

    def keep(self, keep: Tensor) -> None:
        """Drop the Gaussians outside the mask (N,)."""
        self.optimizer.keep(keep)
        self.version += 1
        for name, rows in self.rows.items():
            self.rows[name] = rows[keep]

    def copies(self, index: Tensor) -> tuple[Tensor, Deformation]:
        """Copies of the canonical Gaussians (M, 14) at `index` (M,), which may repeat, and how they move."""
        return self.base[index], self.deformation.select(index)

    def append_copies(self, base: Tensor, motion: Deformation) -> None:
        """Add Gaussians (M, 14) that move by `motion`, a deformation of the same kind for them alone."""
        first = len(self)
        self.append(base, None)
        index = torch.arange(first, len(self), device=base.device)
        self.base[index] = base
        mine, theirs = self.deformation.tensors(), motion.tensors()
        for name, dim in self.deformation.per_gaussian.items():
            if name in mine:
                mine[name].index_copy_(dim, index, theirs[name])

    def state(self) -> dict[str, Tensor]:
        """The rows for a checkpoint; the optimizer saves itself."""
        return {f"rows_{name}": rows for name, rows in self.rows.items()}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Continue from `state()`."""
        self.rows = {name: state[f"rows_{name}"] for name in self.rows}
        self.version += 1
