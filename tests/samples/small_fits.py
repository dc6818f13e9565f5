"""A fit of a few steps on a clip of a few pixels, as tests of the loop and of what takes part in it need it."""

from dataclasses import replace

import torch

from endogs.fit.config import FitConfig
from endogs.fit.loop import Fit
from endogs.fit.setup import new_optimizer
from endogs.fit.window import whole_clip
from endogs.priors.depth.choose import choose_depth_prior
from endogs.priors.depth.clip_depth import ClipDepth
from endogs.priors.motion.flow import ClipFlows

CONFIG = FitConfig(
    iterations=24,
    initial_gaussians=150,
    gaussians_cap=185,
    insertions=((0.3, 20), (0.5, 30)),
    mask_erosion=1,
    prune_opacity=0.05,
)


def new_fit(clip, config=CONFIG, seed=0, deformation=None, device="cpu", deterministic=False, checkpoint=None):
    config = config if deformation is None else replace(config, deformation=deformation)
    frames = [0, 2, 3, 4, 5]
    flows = ClipFlows(clip.image, finest_scale=0)
    place = torch.device(device)
    depth = ClipDepth(clip, choose_depth_prior("auto", clip), frames, clip.tissue_mask, flows)
    views = whole_clip(clip, frames, flows, depth, config, place)
    optimizer = new_optimizer(clip, views, config, place, checkpoint=checkpoint)
    return Fit(optimizer, views, config, seed, deterministic=deterministic)
