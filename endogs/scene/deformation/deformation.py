"""What a deformation is: how Gaussians of a canonical set move, turn, grow, fade and change colour over time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from endogs.gaussians import MEANS, OPACITY
from endogs.scene.deformation.form import Form, Rate, Start
from endogs.scene.deformation.knots import Knots, Tracks


class Deformation(ABC):
    """Maps canonical Gaussians (N, 14) to the Gaussians at one instant.

    Training contract: the optimizer computes `packed = deformation.packed_at(base, time)`, the fit renders it and hands
    the gradient by `packed` back. `SplineAdam` applies the chain rule of those that are `linear` by hand;
    `AutogradAdam` keeps the graph of any other. A new one is a file with a class, and a line in `kinds.py`.
    """

    kind: ClassVar[str]
    """Name in the scene file and on the command line."""
    Config: ClassVar[type] = Form
    """Numbers of its form and of how it is trained, a frozen dataclass whose defaults are those of the command line."""
    linear: ClassVar[bool] = False
    """Whether it is the canonical Gaussians plus the weighted control points of `slices`."""
    tracked: ClassVar[bool] = False
    """Whether it can start from splines through tracks."""
    per_gaussian: ClassVar[Mapping[str, int]] = {}
    """Tensors with an entry per Gaussian: their dimension of length N. All others are shared."""
    fixed: ClassVar[frozenset[str]] = frozenset()
    """Tensors that are stored and never trained."""

    @classmethod
    @abstractmethod
    def start(cls, base: Tensor, start: Start) -> Deformation:
        """The deformation of canonical Gaussians (N, 14) before the first step; it follows `start.motion` if it can."""

    @classmethod
    def trained_numbers(cls, config: Any, gaussians: int, knots: float) -> float:
        """How many numbers so many Gaussians and knots train, about."""
        return 0

    @classmethod
    def graph_numbers(cls, config: Any, gaussians: int) -> float:
        """How many numbers a graph keeps from evaluation to step, about."""
        return 0

    def rates(self, config: Any) -> dict[str, Rate]:
        """Step sizes of the tensors that are trained through a graph, by name or by its part before the first dot."""
        return {}

    def penalty(self, config: Any) -> Tensor | None:
        """A loss of the deformation alone, (), weighted; None where there is none."""
        return None

    @abstractmethod
    def packed_at(self, base: Tensor, time: float) -> Tensor:
        """The packed Gaussians (N, 14) at `time` (seconds) of the canonical ones (N, 14). Never aliases `base`.

        Differentiable by `base` and `tensors()` where these require gradients.
        """

    @abstractmethod
    def tensors(self) -> dict[str, Tensor]:
        """The tensors that the scene file stores, by name."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """The JSON numbers that the scene file stores."""

    @classmethod
    @abstractmethod
    def from_parts(cls, tensors: dict[str, Tensor], settings: dict[str, Any]) -> Deformation:
        """The inverse of `tensors` and `settings`. Raises ValueError or KeyError when they do not fit each other."""

    def check(self, count: int) -> None:
        """Raises ValueError when its tensors are not those of `count` Gaussians."""
        tensors = self.tensors()
        for name, dim in self.per_gaussian.items():
            if name in tensors and tensors[name].shape[dim] != count:
                raise ValueError(f"'{name}' has {tensors[name].shape[dim]} rows for {count} Gaussians")

    def check_values(self) -> None:
        """Raises ValueError when the tensors, whose shapes fit, hold numbers that it cannot be evaluated with."""
        return

    def select(self, keep: Tensor) -> Deformation:
        """The deformation of the Gaussians selected by `keep`: a (N,) mask, or row indices."""
        rows = keep.nonzero()[:, 0] if keep.dtype == torch.bool else keep
        tensors = self.tensors()
        for name, dim in self.per_gaussian.items():
            if name in tensors:
                if keep.dtype == torch.bool and len(keep) != tensors[name].shape[dim]:
                    raise IndexError(f"a mask of {len(keep)} for {tensors[name].shape[dim]} Gaussians")
                tensors[name] = tensors[name].index_select(dim, rows.to(tensors[name].device))
        return self.from_parts(tensors, self.settings())

    def extend(self, count: int, motion: Tracks | None) -> Deformation:
        """The deformation with `count` more Gaussians, which follow `motion` as well as it can, or start at rest.

        What the shared tensors know stays as it is, and serves the new ones too.
        """
        return self

    def canonical(self, packed: Tensor, times: Tensor) -> Tensor:
        """Canonical Gaussians (N, 14) for new ones that should be `packed` (N, 14) at `times` (N,), seconds.

        They start at rest, so they are the same, unless the deformation moves them by where they are.
        """
        return packed

    def covering(self, first: float, last: float) -> tuple[Deformation, int, int]:
        """The deformation of [first, last], seconds, where frames come and go, and how many of the control points (Kn,
        N, 14), which then are trained, fell away at the start and were added at the end.

        Raises ValueError for a kind that lies over the time of a whole clip.
        """
        raise ValueError(f"a deformation {self.kind} needs all times at the start; use spline or none")

    def within(self, first: float, last: float) -> Deformation:
        """The same over [first, last], seconds, without what only other times need, where that can be told apart."""
        return self

    @property
    def spline_knots(self) -> Knots | None:
        """The knots of splines that Gaussians have of their own; None for other kinds."""
        return None

    def slices(self, time: float) -> list[tuple[int, Tensor, float]]:
        """Index, values (N, 14) and weight of the control points that are active at `time`, where it is linear."""
        return []

    def means_at(self, base: Tensor, rows: Tensor, time: float) -> Tensor:
        """Means (..., 3) at `time` of the Gaussians `rows` (...) of `base` (N, 14), where it is linear."""
        means = base[rows, MEANS]
        for _, control, weight in self.slices(time):
            means = means + weight * control[rows, MEANS]
        return means

    def highest_opacity(self, base: Tensor) -> Tensor:
        """(N,) opacity logits that the Gaussians (N, 14) never exceed."""
        return base[:, OPACITY]
