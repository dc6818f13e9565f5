"""What a deformation is: how Gaussians of a canonical set move, turn, grow, fade and change colour over time."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from torch import Tensor


class Deformation(ABC):
    """Maps canonical Gaussians (N, 14) to the Gaussians at one instant.

    Training contract: the fit computes `packed = deformation.packed_at(base, time)` without a graph, renders
    it, and hands the gradient by `packed` to the optimizer (`endogs.fit.optimizer.SplineAdam`), which applies the chain
    rule.
    """

    kind: ClassVar[str]
    """Name in the scene file and on the command line."""

    @abstractmethod
    def packed_at(self, base: Tensor, time: float) -> Tensor:
        """The packed Gaussians (N, 14) at `time` (seconds) of the canonical ones (N, 14). Never aliases `base`."""

    @abstractmethod
    def tensors(self) -> dict[str, Tensor]:
        """The tensors that the scene file stores, by name."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """The JSON numbers that the scene file stores."""

    @classmethod
    @abstractmethod
    def from_parts(cls, tensors: dict[str, Tensor], settings: dict[str, Any]) -> "Deformation":
        """The inverse of `tensors` and `settings`."""

    @abstractmethod
    def kept(self, keep: Tensor) -> "Deformation":
        """The deformation of the Gaussians selected by `keep`: a (N,) mask, or row indices."""
