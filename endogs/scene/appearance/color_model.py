"""What a colour model is: how a Gaussian's colour depends on where it is seen from, and on the light."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from torch import Tensor

from endogs.camera import Camera


class ColorModel(ABC):
    """Colours of the Gaussians that a camera sees. Immutable: training replaces it by one with other tensors."""

    kind: ClassVar[str]
    """Name in the scene file and on the command line."""
    trained: ClassVar[tuple[str, ...]]
    """Names of the tensors that are trained."""
    per_gaussian: ClassVar[tuple[str, ...]]
    """Names of the trained tensors whose first dimension is the Gaussians."""
    seeds_unlit: ClassVar[bool] = False
    """Whether the images that new Gaussians are coloured by lose this model's light before they are placed."""

    @abstractmethod
    def colors(self, packed: Tensor, camera: Camera) -> Tensor:
        """(N, 3) sRGB of packed Gaussians (N, 14) as `camera` sees them, differentiable."""

    @abstractmethod
    def encode(self, base: Tensor, camera: Camera) -> Tensor:
        """Canonical Gaussians (N, 14) of this model that `camera` sees in the colours that `base` (N, 14) has."""

    @abstractmethod
    def extend(self, base: Tensor) -> "ColorModel":
        """The model after Gaussians were added at the end of the canonical ones, which are now `base` (N, 14)."""

    @abstractmethod
    def select(self, keep: Tensor) -> "ColorModel":
        """The model of the Gaussians selected by `keep`: a (N,) mask, or row indices."""

    @abstractmethod
    def tensors(self) -> dict[str, Tensor]:
        """The tensors that the scene file stores, by name, each with the Gaussians first or not per Gaussian."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """The JSON numbers that the scene file stores."""

    @classmethod
    @abstractmethod
    def from_parts(cls, tensors: dict[str, Tensor], settings: dict[str, Any]) -> "ColorModel":
        """The inverse of `tensors` and `settings`; raises ValueError where they do not fit each other."""

    @abstractmethod
    def check(self, count: int) -> None:
        """Raises ValueError when the tensors are not those of `count` Gaussians."""

    def check_values(self) -> None:
        """Raises ValueError when tensors whose shapes fit hold numbers that cannot be used."""
        return
