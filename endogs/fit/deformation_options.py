"""Options of `endogs reconstruct` that choose a deformation's form. No torch here."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from endogs.errors import InputError
from endogs.fit.deformation_config import HEXPLANE_SIZES, Channels, HexplaneSize, Kernel, MotionStart
from endogs.options import Options, Range

if TYPE_CHECKING:
    from endogs.fit.config import FitConfig

Deformations = Literal["spline", "none", "bases", "hexplane", "mlp", "lowrank"]
FORMS: dict[str, tuple[str, ...]] = {
    "motion_start": ("spline", "bases", "lowrank"),
    "motion_channels": ("bases", "hexplane", "mlp", "lowrank"),
    "bases_kernel": ("bases",),
    "bases_count": ("bases",),
    "bases_constant": ("bases",),
    "hexplane_size": ("hexplane",),
    "trajectories": ("lowrank",),
}
"""Deformations that each option says something about."""


@dataclass(frozen=True)
class DeformationOptions(Options):
    """Left out, each is the preset's."""

    motion_start: MotionStart | None = None
    """For spline, bases and lowrank: motion starts from tracks of the optical flow, or at rest."""
    motion_channels: Channels | None = None
    """For bases, hexplane, mlp and lowrank: position, orientation and size change over time (motion), or also opacity
    and colour (all)."""
    bases_kernel: Kernel | None = None
    """For bases: as Deform3DGS's code computes them (quartic), or as its paper writes them (gaussian)."""
    bases_count: Annotated[int | None, Range(2, 1000)] = None
    """For bases: how many per Gaussian and channel."""
    bases_constant: bool | None = None
    """For bases: ColorGS's learnable time-independent term beside them."""
    hexplane_size: HexplaneSize | None = None
    """For hexplane: 0.8, 2.7 or 76 million numbers; the last is for GPUs."""
    trajectories: Annotated[int | None, Range(2, 1000)] = None
    """For lowrank: how many trajectories are shared."""

    def applied_to(self, kind: str, config: "FitConfig") -> dict[str, Any]:
        """What these options change in a fit's numbers. Raises InputError for one that `kind` has no use for."""
        for name, kinds in FORMS.items():
            if getattr(self, name) is not None and kind not in kinds:
                option = "--" + name.replace("_", "-")
                raise InputError(f"{option} says nothing about --deformation {kind}; it is for {', '.join(kinds)}.")
        if self.motion_start == "tracks" and config.initialization != "tissue":
            raise InputError("--motion-start tracks: this preset's points have no tracks; take another --preset.")
        forms = config.deformations
        if self.motion_channels is not None:
            changed = {kind: replace(getattr(forms, kind), channels=self.motion_channels)}
            forms = replace(forms, **changed)
        bases: dict[str, Any] = {
            "kernel": self.bases_kernel,
            "count": self.bases_count,
            "constant": self.bases_constant,
        }
        forms = replace(forms, bases=replace(forms.bases, **{k: v for k, v in bases.items() if v is not None}))
        if self.hexplane_size is not None:
            size: dict[str, Any] = HEXPLANE_SIZES[self.hexplane_size]
            forms = replace(forms, hexplane=replace(forms.hexplane, **size))
        if self.trajectories is not None:
            forms = replace(forms, lowrank=replace(forms.lowrank, trajectories=self.trajectories))
        start = {} if self.motion_start is None else {"motion_start": self.motion_start}
        return {"deformations": forms, **start}
