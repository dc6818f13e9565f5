"""What a deformation is: how Gaussians of a canonical set move, turn, grow, fade and change colour over time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from endogs.gaussians import OPACITY

if TYPE_CHECKING:
    from endogs.scene.deformation.spline import SplineDeformation

LARGEST_SETTING = 1e9
"""Largest number in a deformation's settings: seconds that last thirty years."""


class Deformation(ABC):
    """Maps canonical Gaussians (N, 14) to the Gaussians at one instant.

    Training contract: the optimizer computes `packed = deformation.packed_at(base, time)`, the fit renders it and hands
    the gradient by `packed` back. `endogs.fit.optimizer.SplineAdam` applies the spline's chain rule by hand;
    `endogs.fit.autograd_adam.AutogradAdam` keeps the graph of any other deformation.
    """

    kind: ClassVar[str]
    """Name in the scene file and on the command line."""
    per_gaussian: ClassVar[Mapping[str, int]] = {}
    """Tensors with an entry per Gaussian: their dimension of length N. All others are shared."""
    fixed: ClassVar[frozenset[str]] = frozenset()
    """Tensors that are stored and never trained."""

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

    def kept(self, keep: Tensor) -> Deformation:
        """The deformation of the Gaussians selected by `keep`: a (N,) mask, or row indices."""
        rows = keep.nonzero()[:, 0] if keep.dtype == torch.bool else keep
        tensors = self.tensors()
        for name, dim in self.per_gaussian.items():
            if name in tensors:
                if keep.dtype == torch.bool and len(keep) != tensors[name].shape[dim]:
                    raise IndexError(f"a mask of {len(keep)} for {tensors[name].shape[dim]} Gaussians")
                tensors[name] = tensors[name].index_select(dim, rows.to(tensors[name].device))
        return self.from_parts(tensors, self.settings())

    def grown(self, count: int, motion: SplineDeformation | None) -> Deformation:
        """The deformation with `count` more Gaussians, which follow `motion` as well as it can, or start at rest.

        What the shared tensors know stays as it is, and serves the new ones too.
        """
        return self

    def canonical(self, packed: Tensor, times: Tensor) -> Tensor:
        """Canonical Gaussians (N, 14) for new ones that should be `packed` (N, 14) at `times` (N,), seconds.

        They start at rest, so they are the same, unless the deformation moves them by where they are.
        """
        return packed

    def highest_opacity(self, base: Tensor) -> Tensor:
        """(N,) opacity logits that the Gaussians (N, 14) never exceed."""
        return base[:, OPACITY]


def number_of(settings: Mapping[str, Any], name: str) -> float:
    """A number in a scene file's settings. Raises KeyError or ValueError when it is missing, or none that is usable."""
    return usable_number(settings[name], name)


def usable_number(value: Any, name: str) -> float:
    """`value` as a float. Raises ValueError unless it is a number within +-1e9, seconds or the like."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) <= LARGEST_SETTING:
        raise ValueError(f"'{name}' is no number within {LARGEST_SETTING:g}")
    return float(value)


def check_names(kind: str, tensors: Mapping[str, Tensor], needed: set[str], optional: frozenset[str]) -> None:
    """Raises ValueError when a tensor that is needed is missing, or one is unknown."""
    missing, unknown = needed - set(tensors), set(tensors) - needed - optional
    if missing or unknown:
        what = f"lacks '{min(missing)}'" if missing else f"does not know '{min(unknown)}'"
        raise ValueError(f"'{kind}' {what}")
