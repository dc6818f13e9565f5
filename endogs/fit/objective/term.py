"""What a term of the loss is. A new one is a file with a class like those in `terms.py`, and a line in its registry."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from endogs.fit.config import FitConfig
from endogs.fit.objective.losses import DepthAnchor, UnseenPairs
from endogs.fit.view import View
from endogs.render import Rendering

Told = dict[str, float]
"""Values of terms by name, as the log holds them."""


@dataclass(frozen=True)
class TermSetup:
    """What is known before the first step."""

    config: FitConfig
    depth_kind: str
    """Kind of the views' depth: "metric", "depth", "logdepth" or "disparity"."""
    anchor: DepthAnchor | None
    """Where a relative depth prior put the scene."""
    unseen: UnseenPairs | None
    """Pixels that no training frame shows as tissue."""


class Term(ABC):
    """One part of the loss of a view: a weight, and a value that is differentiable by the rendering."""

    name: ClassVar[str]
    every: ClassVar[int] = 1
    """It is asked for at every so many steps only, with so many times its weight, because it takes long."""
    main: ClassVar[bool] = False
    """Whether it is what the others must not disturb, where gradients are balanced. The kernels do it on every view."""
    in_graph: ClassVar[bool] = False
    """Whether a GPU's captured steps know it."""

    @property
    def wanted(self) -> bool:
        """Whether the fit is configured to have it at all."""
        return True

    def pace(self, step: int) -> float:
        """Factor on the weight at a step: every `every`-th step makes up for the others."""
        return float(self.every) if step % self.every == 0 else 0.0

    @abstractmethod
    def weight(self, view: View, step: int) -> float:
        """What its value is multiplied by on this view at this step; 0 leaves it out."""

    @abstractmethod
    def value(self, rendering: Rendering, view: View, told: Told) -> Tensor:
        """The unweighted term, (); writes what the log should hold into `told`."""

    def kernels_do(self, view: View) -> bool:
        """Whether the compiled loss kernels evaluate and differentiate it on this view; its weight is then the
        normalizers' (`endogs.fit.objective.normalizers`), and `weight` must agree."""
        return False
