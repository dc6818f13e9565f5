"""The terms of the loss: colour, depth, what is never seen, normals, and no slits behind instruments."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from endogs.fit.objective.losses import depth_loss, photometric_loss, unseen_smoothness
from endogs.fit.objective.normal_loss import normal_loss
from endogs.fit.objective.normalizers import has_depth
from endogs.fit.objective.term import Term, TermSetup, Told
from endogs.fit.view import View
from endogs.priors.depth.prediction import DepthPrediction, to_depth
from endogs.render import Rendering

SLOW_STEPS = 4
"""Terms that take as long as the rest of a step are asked for at every so many steps."""


@dataclass(frozen=True)
class Color(Term):
    """Weighted L1 and D-SSIM of the picture."""

    name: ClassVar[str] = "color"
    main: ClassVar[bool] = True
    in_graph: ClassVar[bool] = True
    setup: TermSetup

    def weight(self, view: View, step: int) -> float:
        """Always 1: its share of D-SSIM is inside."""
        return 1.0

    def value(self, rendering: Rendering, view: View, told: Told) -> Tensor:
        """A mean over the colour weights."""
        loss, terms = photometric_loss(rendering, view.image, view.color_weight, self.setup.config)
        told |= terms
        return loss

    def kernels_do(self, view: View) -> bool:
        """On every view."""
        return True


@dataclass(frozen=True)
class Depth(Term):
    """Agreement with the depth prior, by its kind."""

    name: ClassVar[str] = "depth"
    in_graph: ClassVar[bool] = True
    setup: TermSetup

    def weight(self, view: View, step: int) -> float:
        """1 where the view has depth: the weight of its kind and the anchor's are inside."""
        return 1.0 if has_depth(view) else 0.0

    def value(self, rendering: Rendering, view: View, told: Told) -> Tensor:
        """Inverse depth for metric priors, correlation and the anchor for relative ones."""
        depth, trust = depth_of(view)
        setup = self.setup
        term = depth_loss(rendering, depth, trust, setup.depth_kind, setup.config, setup.anchor)
        told[self.name] = float(term.detach())
        return term

    def kernels_do(self, view: View) -> bool:
        """Where depth is metric."""
        return self.setup.depth_kind == "metric"


@dataclass(frozen=True)
class UnseenSmoothness(Term):
    """Smooth depth and colour where no training frame ever shows tissue."""

    name: ClassVar[str] = "unseen"
    every: ClassVar[int] = SLOW_STEPS
    in_graph: ClassVar[bool] = True
    setup: TermSetup

    @property
    def wanted(self) -> bool:
        """Where something is never seen."""
        return self.setup.unseen is not None and self.setup.config.unseen_weight > 0

    def weight(self, view: View, step: int) -> float:
        """The configured weight."""
        return self.pace(step) * self.setup.config.unseen_weight

    def value(self, rendering: Rendering, view: View, told: Told) -> Tensor:
        """Mean squared differences over the pairs."""
        assert self.setup.unseen is not None
        return unseen_smoothness(rendering, self.setup.unseen)


@dataclass(frozen=True)
class Normals(Term):
    """The angle between the normals of the rendered depth and of the prior's."""

    name: ClassVar[str] = "normals"
    every: ClassVar[int] = SLOW_STEPS
    setup: TermSetup

    @property
    def wanted(self) -> bool:
        """Off by default."""
        return self.setup.config.normal_weight > 0

    def weight(self, view: View, step: int) -> float:
        """The configured weight on views with depth."""
        return self.setup.config.normal_weight * self.pace(step) if has_depth(view) else 0.0

    def value(self, rendering: Rendering, view: View, told: Told) -> Tensor:
        """Mean of 1 - cos."""
        term = normal_loss(rendering, self._prior_depth(view), depth_of(view)[1], view.camera.K)
        told[self.name] = float(term.detach())
        return term

    def _prior_depth(self, view: View) -> Tensor:
        """The prior's z-depth (H, W), up to a scale unless it is metric."""
        depth, trust = depth_of(view)
        if self.setup.depth_kind in ("metric", "depth"):
            return depth
        if self.setup.depth_kind == "logdepth":
            return depth.exp()
        prediction = DepthPrediction(depth.cpu().numpy(), "disparity", np.asarray(trust.cpu().numpy(), np.float32))
        return torch.from_numpy(to_depth(prediction)).to(depth.device)


@dataclass(frozen=True)
class HiddenCover(Term):
    """The light that passes where an instrument hides the tissue, so that no slit opens, and before a moving camera
    through tissue: dark tissue looks the same where nothing is drawn."""

    name: ClassVar[str] = "hidden"
    in_graph: ClassVar[bool] = True
    setup: TermSetup

    @property
    def wanted(self) -> bool:
        """Unless its weight is 0."""
        return self.setup.config.hidden_weight > 0

    def weight(self, view: View, step: int) -> float:
        """The configured weight on views with such pixels."""
        return 0.0 if view.opaque is None else self.setup.config.hidden_weight

    def value(self, rendering: Rendering, view: View, told: Told) -> Tensor:
        """Its share of the image."""
        assert view.opaque is not None
        gap = ((1 - rendering.alpha) * view.opaque).sum() / view.opaque.numel()
        told[self.name] = float(gap.detach())
        return gap

    def kernels_do(self, view: View) -> bool:
        """Its gradient is a constant on alpha."""
        return True


REGISTRY: dict[str, Callable[[TermSetup], Term]] = {
    "color": Color,
    "depth": Depth,
    "unseen": UnseenSmoothness,
    "normals": Normals,
    "hidden": HiddenCover,
}
"""All terms, in the order in which they are added up. Those after them are in a fit whose configuration names them."""
STANDARD = tuple(REGISTRY)


def terms_of(setup: TermSetup) -> list[Term]:
    """The terms of a fit: the standard ones, and those that `FitConfig.extra_terms` names.

    Raises KeyError for a name that is not in the registry.
    """
    terms = [REGISTRY[name](setup) for name in (*STANDARD, *setup.config.extra_terms)]
    return [term for term in terms if term.wanted]


def depth_of(view: View) -> tuple[Tensor, Tensor]:
    """The prior's depth (H, W) in its own kind and its weight (H, W) in [0, 1]."""
    assert view.depth is not None
    assert view.depth_weight is not None
    return view.depth.float(), view.depth_weight.to(torch.float32) / 255
