"""As much of a fit's state as a GPU's captured steps look at, of views that are made without a clip."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from torch import Tensor

from endogs.fit.config import FitConfig
from endogs.fit.density.residual_maps import ResidualMaps
from endogs.fit.objective.losses import DepthAnchor, UnseenPairs
from endogs.fit.objective.objective import Objective
from endogs.fit.objective.term import TermSetup
from endogs.fit.objective.terms import terms_of
from endogs.fit.view import View


class GivenViews:
    """Views as `Window` gives them."""

    def __init__(self, views: Sequence[View], depth_kind: str, anchor: DepthAnchor | None = None) -> None:
        self.views, self.depth_kind, self.anchor = list(views), depth_kind, anchor
        self.prepared: list[int] = []

    def __getitem__(self, index: int) -> View:
        return self.views[index]

    def prepare(self, indices) -> None:
        self.prepared = list(indices)


def given_state(
    config: FitConfig, views: GivenViews, order: list[int], unseen: Tensor | None = None, step: int = 0,
    deterministic: bool = False,
) -> Any:  # fmt: skip
    """The state before `step`, of steps on views by `order`; `unseen` (H, W) bool is on the CPU."""
    image = views[0].image
    pairs = None if unseen is None else UnseenPairs.of(unseen)
    terms = terms_of(TermSetup(config, views.depth_kind, views.anchor, pairs))
    return SimpleNamespace(
        config=config,
        window=views,
        schedule=order,
        step=step,
        unseen=unseen,
        deterministic=deterministic,
        objective=Objective(terms, config, views.depth_kind),
        maps=ResidualMaps.empty(len(views.views), *image.shape[:2], image.device),
    )
