"""Which depth prior serves a clip."""

from typing import TYPE_CHECKING

from endogs.errors import InputError
from endogs.priors.depth.filled_depth import FilledDepth
from endogs.priors.depth.given import GivenDepth
from endogs.priors.depth.given_inverse import GivenInverseDepth
from endogs.priors.depth.learned import LearnedDepth
from endogs.priors.depth.moving_tissue import MovingTissue
from endogs.priors.depth.pair_doubt import pair_doubt
from endogs.priors.depth.parallax import ParallaxDepth
from endogs.priors.depth.photometric import PhotometricDepth
from endogs.priors.depth.prediction import DepthKind, DepthPrior
from endogs.priors.depth.stereo import StereoDepth

if TYPE_CHECKING:
    from endogs.clip import Clip


def choose_depth_prior(
    name: str,
    clip: "Clip",
    model: str | None = None,
    model_output: DepthKind | None = None,
    device: str = "cpu",
    tissue: MovingTissue | None = None,
) -> DepthPrior:
    """The prior called `name`: given, stereo, parallax, photometric, learned, or `auto`.

    `auto` takes what is known best: depth that came with the clip, else the right view where it is a pair with the
    left one, else inverse depth that came with it, else parallax where the camera moves, does more than turn and its
    poses are known, else brightness; a `model` means learned, and fills what parallax leaves open. `model` is a folder,
    an ONNX file or a hub id, `model_output` what it predicts when its own configuration does not say, `device` where
    torch runs it, `tissue` what the tissue does as a whole in a clip of which this is a part. Raises InputError for an
    unknown name, a model without use, and a prior that lacks its input.
    """
    if name == "auto":
        if model is None and (clip.has_depth or (clip.has_inverse_depth and not clip.has_right)):
            name = "given"
        elif clip.has_right and model is None:
            name = "stereo"
        doubt = pair_doubt(clip) if name == "stereo" else None
        if doubt is not None and clip.has_inverse_depth:
            name = "given"
        elif doubt is not None:
            return PhotometricDepth(instead=f"stereo: {doubt}: depth is guessed from brightness instead.")
    if name not in ("auto", "learned", "parallax") and (model is not None or model_output is not None):
        raise InputError(
            f"--depth-model and --depth-model-output are for --depth learned or parallax, not for --depth {name}"
        )
    if name == "given":
        if clip.has_inverse_depth:
            return GivenInverseDepth()
        if not clip.has_depth:
            raise InputError(f"{clip.source}: the clip has no depth maps; use --depth photometric or --depth auto")
        return with_holes_filled(GivenDepth(), clip)
    if name == "stereo":
        return with_holes_filled(StereoDepth(), clip)
    if name not in ("auto", "parallax", "photometric", "learned"):
        raise InputError(
            f"--depth {name}: no such depth prior; use auto, given, stereo, parallax, photometric or learned"
        )
    by_model = name == "learned" or (name != "photometric" and model is not None)
    single = LearnedDepth(model, model_output, device) if by_model else PhotometricDepth()
    if name == "parallax" or (name == "auto" and not clip.static_camera and not clip.only_turns):
        return ParallaxDepth(single, name == "auto", tissue)
    return single


def with_holes_filled(measured: DepthPrior, clip: "Clip") -> DepthPrior:
    """Depth that was measured, before a camera that moves with a guess by brightness in its holes."""
    return measured if clip.static_camera else FilledDepth(measured, PhotometricDepth())
