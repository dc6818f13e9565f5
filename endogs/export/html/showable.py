"""What a page can be made of: a scene, or a part of its time, as splines or at rest, reduced as far as is asked."""

from abc import ABC, abstractmethod
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from endogs.errors import InputError
from endogs.export.html.importance import contributions, decimated, ever_visible
from endogs.export.html.overview import overview
from endogs.render.backends import rasterize_packed
from endogs.scene import Scene
from endogs.scene.appearance.bake import baked
from endogs.scene.deformation.as_spline import scene_as_spline
from endogs.scene.drawing import draw_scene

LEAST_SHARE = 0.6
"""Of what the pictures show, that a page must keep: with less they have holes."""
GOOD, POOR = 0.95, 0.9
"""Shares of what the pictures show: the one is advised where a page keeps less than the other. They are soft there."""
CHECKED_FRAMES = 5
"""Frames on which the fidelity is measured."""

LIGHT = "light"
"""What a page has colours of its own in the place of, where colours depend on the camera."""


def fidelity(scene: Scene, coded: Scene, frames: NDArray[np.int64] | None = None) -> float:
    """PSNR in dB of the Gaussians of `coded` against those of `scene`, whose `frames` are drawn; default: a few."""
    if frames is None:
        frames = spread_frames(0, len(scene.times) - 1)
    errors = []
    for frame in frames:
        time, camera = float(scene.times[frame]), scene.camera(int(frame))
        ours = draw_scene(scene, time, camera).color
        theirs = rasterize_packed(coded.packed_at(time).to(ours.device), camera).color
        errors.append(float(((ours - theirs) ** 2).mean()))
    return float(-10 * np.log10(max(float(np.mean(errors)), 1e-10)))


def spread_frames(first: int, last: int) -> NDArray[np.int64]:
    """A few frames from `first` to `last`, both of them included."""
    return np.unique(np.linspace(first, last, CHECKED_FRAMES).round().astype(np.int64))


class Showable(ABC):
    """What a page can show. A new one is for scenes whose Gaussians are found in another way."""

    original: int
    """Gaussians that it was made of, seen or not."""
    weights: NDArray[np.float32]
    """(N,) what each of those that can be seen adds to the pictures, in pixels."""
    knots: int
    """Control points of each."""
    became: str | None = None
    """What a spline had to take the place of, for a sentence, or LIGHT; None where nothing had to."""

    @abstractmethod
    def reduced(self, most: int) -> tuple[Scene, NDArray[np.float32]]:
        """A scene of splines, or at rest, of up to `most` Gaussians, and what each adds (N,). Raises InputError."""

    @abstractmethod
    def overview(self, reduced: Scene) -> dict[str, object]:
        """What the player is to know of the scene as a whole."""

    @abstractmethod
    def conversion(self, reduced: Scene) -> float:
        """PSNR in dB of the page's scene against what it took the place of; infinite where that is itself."""

    def advice(self, most: int, room: int) -> str | None:
        """What to say where `most` Gaussians are too few for good pictures, as a page holds `room` control points.

        Raises InputError, with advice, where a page cannot hold enough for any.
        """
        share = self.share(most)
        if share >= POOR:
            return None
        enough = fewest(self.weights, GOOD)
        more = (
            f"--max-gaussians {enough} keeps {100 * GOOD:.0f} %"
            if enough <= room // self.knots
            else "a shorter part, by --start and --end, holds more of them"
        )
        return (
            f"{most:,} of {len(self.weights):,} Gaussians add {100 * share:.0f} % of what is seen, so that the page "
            f"may have holes; {more}"
        )

    def share(self, most: int) -> float:
        """Share of what the pictures show that the `most` Gaussians add that add most, 0 to 1."""
        return kept_share(self.weights, most)


def fewest(weights: NDArray[np.float32], share: float) -> int:
    """How many of the largest weights (N,) add up to a `share` of them all, at least 1."""
    added = np.cumsum(-np.sort(-weights.astype(np.float64)))
    return min(int(np.searchsorted(added, share * added[-1])) + 1, len(weights))


def kept_share(weights: NDArray[np.float32], most: int) -> float:
    """Share of the sum of weights (N,) that the `most` largest have, 0 to 1; 1 for a sum of nothing."""
    if most >= len(weights):
        return 1.0
    total = float(weights.sum(dtype=np.float64))
    largest = np.partition(weights, len(weights) - most)[len(weights) - most :]
    return float(largest.sum(dtype=np.float64)) / total if total > 0 else 1.0


class WholeScene(Showable):
    """A scene that is in memory."""

    def __init__(self, scene: Scene) -> None:
        """Raises InputError for a scene that holds nothing to see."""
        plain = baked(scene)
        visible = ever_visible(plain)
        if not bool(visible.any()):
            raise InputError(f"{scene.called}: holds no Gaussian that can be seen; fit it again.")
        self.original = len(scene)
        self._fitted = scene.steady().select(visible)
        colored = plain.select(visible)
        self._scene = scene_as_spline(colored)
        self.weights = contributions(self._scene)
        self.knots = 1 if self._scene.deformation.spline_knots is None else self._scene.deformation.spline_knots.count
        if self._scene is not colored:
            self.became = colored.deformation.kind
        elif not self._fitted.appearance.plain:
            self.became = LIGHT

    def reduced(self, most: int) -> tuple[Scene, NDArray[np.float32]]:
        """The same, decimated."""
        return decimated(self._scene, self.weights, most)

    def overview(self, reduced: Scene) -> dict[str, object]:
        """That of all Gaussians."""
        return overview(self._scene)

    def conversion(self, reduced: Scene) -> float:
        """Of all Gaussians, so without what a reduction costs."""
        return self._cost

    @cached_property
    def _cost(self) -> float:
        return float("inf") if self.became is None else fidelity(self._fitted, self._scene)
