"""A colour model and an exposure, either of which may be absent."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from endogs.camera import Camera
from endogs.gaussians import COLORS
from endogs.scene.appearance.color_model import ColorModel
from endogs.scene.appearance.exposure import Exposure
from endogs.scene.appearance.headlight import HeadlightColors
from endogs.scene.appearance.lit import LitColors
from endogs.scene.appearance.spherical_harmonics import HarmonicColors

COLOR_MODELS: dict[str, type[ColorModel]] = {
    model.kind: model for model in (HarmonicColors, LitColors, HeadlightColors)
}
"""Colour models by the name that the scene file and the command line use; `plain` stands for none."""
COLORS_OF, EXPOSURE = "colors.", "exposure"
"""Where the names of the tensors begin, in scene files and checkpoints."""


@dataclass(frozen=True)
class Appearance:
    """Maps packed Gaussians (N, 14) at an instant to those that a camera shows then, which have other colours."""

    colors: ColorModel | None = None
    """None: colours do not depend on the camera."""
    exposure: Exposure | None = None
    """None: the same exposure in all frames."""

    @property
    def plain(self) -> bool:
        """Whether Gaussians show the colours that they have."""
        return self.colors is None and self.exposure is None

    @property
    def lit(self) -> LitColors | None:
        """The colours, where they know a lamp and can be relit."""
        return self.colors if isinstance(self.colors, LitColors) else None

    @property
    def harmonics(self) -> HarmonicColors | None:
        """The colours, where they are harmonics of the direction of view."""
        return self.colors if isinstance(self.colors, HarmonicColors) else None

    @property
    def headlight(self) -> HeadlightColors | None:
        """The colours, where they are seen in a light that the camera carries."""
        return self.colors if isinstance(self.colors, HeadlightColors) else None

    def shown(self, packed: Tensor, camera: Camera, time: float) -> Tensor:
        """The packed Gaussians (N, 14) that `camera` shows at `time`, seconds; `packed` itself when plain."""
        if self.plain:
            return packed
        colors = packed[:, COLORS] if self.colors is None else self.colors.colors(packed, camera)
        if self.exposure is not None:
            colors = self.exposure.shown(colors, time)
        return torch.cat([packed[:, : COLORS.start], colors], 1)

    @torch.no_grad()
    def unshown(self, packed: Tensor, camera: Camera, time: float) -> Tensor:
        """The Gaussians (N, 14) that `camera` shows at `time` in the colours that `packed` (N, 14) has: as `shown`,
        backwards, but for highlights and the like, which `ColorModel.encode` leaves out."""
        if self.exposure is not None:
            packed = packed.clone()
            gain, bias = self.exposure.at(time)
            packed[:, COLORS] = (packed[:, COLORS] - bias.to(packed)) / gain.to(packed)
        return packed if self.colors is None else self.colors.encode(packed, camera)

    @property
    def steady(self) -> "Appearance":
        """Without the changes of exposure."""
        return replace(self, exposure=None)

    def select(self, keep: Tensor) -> "Appearance":
        """The appearance of the Gaussians selected by `keep`: a (N,) mask, or row indices."""
        return self if self.colors is None else replace(self, colors=self.colors.select(keep))

    def extend(self, base: Tensor) -> "Appearance":
        """The appearance after Gaussians were added at the end of the canonical ones, now `base` (N, 14)."""
        return self if self.colors is None else replace(self, colors=self.colors.extend(base))

    def check(self, count: int) -> None:
        """Raises ValueError when it is not the appearance of `count` Gaussians."""
        if self.colors is not None:
            self.colors.check(count)

    def check_values(self) -> None:
        """Raises ValueError when tensors whose shapes fit hold numbers that cannot be used."""
        if self.colors is not None:
            self.colors.check_values()

    def tensors(self) -> dict[str, Tensor]:
        """All tensors by name."""
        found: dict[str, Tensor] = {}
        if self.colors is not None:
            found |= {COLORS_OF + name: tensor for name, tensor in self.colors.tensors().items()}
        if self.exposure is not None:
            found[EXPOSURE] = self.exposure.values
        return found

    def with_tensors(self, tensors: dict[str, Tensor]) -> "Appearance":
        """The same kind of appearance with other tensors, named as in `tensors`."""
        fresh = Appearance.from_parts(tensors, self.description())
        if isinstance(fresh.colors, LitColors) and isinstance(self.colors, LitColors):
            fresh = replace(fresh, colors=fresh.colors.relit(self.colors.light))
        return fresh

    def description(self) -> dict[str, Any]:
        """JSON: `colors` and `exposure`, each null or its kind and numbers."""
        colors = self.colors and {"kind": self.colors.kind, "settings": self.colors.settings()}
        return {"colors": colors, "exposure": self.exposure and self.exposure.settings()}

    @staticmethod
    def from_parts(tensors: dict[str, Tensor], description: dict[str, Any]) -> "Appearance":
        """The inverse of `tensors` and `description`. Raises ValueError, KeyError or TypeError for misfits."""
        colors, exposure = None, None
        names = set(tensors)
        if description["colors"] is not None:
            kind = description["colors"]["kind"]
            if not isinstance(kind, str) or kind not in COLOR_MODELS:
                raise ValueError(f"its colours '{kind}' are none of {', '.join(COLOR_MODELS)}")
            own = {n.removeprefix(COLORS_OF): t for n, t in tensors.items() if n.startswith(COLORS_OF)}
            colors = COLOR_MODELS[kind].from_parts(own, description["colors"]["settings"])
            names -= {COLORS_OF + name for name in colors.tensors()}
        if description["exposure"] is not None:
            exposure = Exposure.from_parts(tensors[EXPOSURE], description["exposure"])
            names.discard(EXPOSURE)
        if names:
            raise ValueError(f"it holds the unknown tensor '{min(names)}'")
        return Appearance(colors, exposure)

    def to(self, device: torch.device | str) -> "Appearance":
        """The same appearance on another device."""
        if self.plain:
            return self
        return self.with_tensors({name: tensor.to(device) for name, tensor in self.tensors().items()})


PLAIN = Appearance()
"""Colours that depend on nothing but time."""
