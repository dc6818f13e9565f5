"""What the fit needs of an optimizer: it owns the trained scene, renders none of it, and takes steps."""

from typing import ClassVar, Protocol

from torch import Tensor

from endogs.camera import Camera
from endogs.scene.appearance import Appearance
from endogs.scene.deformation.deformation import Deformation
from endogs.scene.deformation.knots import Knots


class NotFinite(ValueError):
    """A gradient that an optimizer came to is not finite; nothing of it was taken over."""


class SceneOptimizer(Protocol):
    """Owns the canonical Gaussians, their deformation, and the moments of both."""

    base: Tensor
    """(N, 14) canonical Gaussians."""
    deformation: Deformation
    """How they change over time."""

    in_graph: ClassVar[bool]
    """Whether a GPU's captured steps know it."""

    @property
    def track_knots(self) -> Knots | None:
        """Knots of the splines through tracks that new Gaussians start from; None when they start at rest."""

    @property
    def shown_appearance(self) -> Appearance:
        """What stands between the Gaussians and the picture, as it is trained so far."""

    def packed_at(self, time: float) -> Tensor:
        """The Gaussians at `time` (N, 14), without a graph and their appearance."""

    def shown_at(self, time: float, camera: Camera) -> Tensor:
        """The Gaussians (N, 14) that `camera` shows at `time`, without a graph; what `step` needs of them is kept."""

    def step(self, grad: Tensor, time: float, progress: float) -> None:
        """Step with the gradient (N, 14) of what was last shown, at `time`; `progress` in [0, 1] sets the decay.

        Raises NotFinite, and takes nothing over, where an appearance makes a gradient that is not finite of it.
        """

    def append(self, base: Tensor, control: Tensor | None) -> None:
        """Add Gaussians (M, 14) that follow splines of `track_knots` (Kn, M, 14), or start at rest; moments are
        zero."""

    def cover(self, first: float, last: float) -> None:
        """Reach on to `last` and forget what lies before `first`, seconds, as frames come and go.

        Raises ValueError for a deformation that lies over the time of a whole clip.
        """

    def keep(self, keep: Tensor) -> None:
        """Drop the Gaussians outside the mask (N,)."""

    def state(self) -> dict[str, Tensor]:
        """Everything that a checkpoint needs, by name."""

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Continue from `state()` of an optimizer of the same settings, whose knots are taken over.

        Raises KeyError or ValueError when the settings are others.
        """
