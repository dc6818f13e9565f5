"""No deformation: a rigid scene."""

from typing import Any, ClassVar

from torch import Tensor

from endogs.scene.deformation.deformation import Deformation
from endogs.scene.deformation.form import Start
from endogs.scene.deformation.settings import check_names


class StaticDeformation(Deformation):
    """The Gaussians never change."""

    kind: ClassVar[str] = "none"
    linear: ClassVar[bool] = True

    @classmethod
    def start(cls, base: Tensor, start: Start) -> "StaticDeformation":
        """The one that there is."""
        return cls()

    def packed_at(self, base: Tensor, time: float) -> Tensor:
        """A copy of `base` (N, 14) at every time."""
        return base.clone()

    def tensors(self) -> dict[str, Tensor]:
        """Nothing to store."""
        return {}

    def settings(self) -> dict[str, Any]:
        """Nothing to store."""
        return {}

    @classmethod
    def from_parts(cls, tensors: dict[str, Tensor], settings: dict[str, Any]) -> "StaticDeformation":
        """The one static deformation; raises ValueError for tensors, of which it has none."""
        check_names(cls.kind, tensors, set(), frozenset())
        return cls()

    def covering(self, first: float, last: float) -> tuple["StaticDeformation", int, int]:
        """Itself: it has no times."""
        return self, 0, 0

    def select(self, keep: Tensor) -> "StaticDeformation":
        """Itself: there is nothing per Gaussian."""
        return self
