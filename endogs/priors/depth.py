"""Which depth prior serves a clip, and the names the rest of endogs imports."""

from typing import TYPE_CHECKING

from endogs.errors import InputError
from endogs.priors.given import GivenDepth
from endogs.priors.photometric import PhotometricDepth
from endogs.priors.prediction import DepthKind, DepthPrediction, DepthPrior, to_depth

if TYPE_CHECKING:
    from endogs.clip import Clip

__all__ = [
    "DepthKind",
    "DepthPrediction",
    "DepthPrior",
    "GivenDepth",
    "PhotometricDepth",
    "choose_depth_prior",
    "to_depth",
]


def choose_depth_prior(name: str, clip: "Clip") -> DepthPrior:
    """The prior called `name`: `given`, `photometric`, or `auto` (given where the clip has depth, else photometric).

    Raises InputError for an unknown name and for `given` on a clip without depth.
    """
    if name == "auto":
        name = "given" if clip.has_depth else "photometric"
    if name == "given":
        if not clip.has_depth:
            raise InputError(f"{clip.source}: the clip has no depth maps; use --depth photometric or --depth auto")
        return GivenDepth()
    if name == "photometric":
        return PhotometricDepth()
    raise InputError(f"--depth {name}: no such depth prior; use auto, given or photometric")
