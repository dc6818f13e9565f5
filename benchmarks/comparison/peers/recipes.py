"""The peers' own recipes as fits, to compare with: what they do, on this rasterizer and with these views.

Read in their papers and public code, 2026-11: S. Yang et al., "Deform3DGS", MICCAI 2024 (its `endonerf` arguments),
and Y. Liu et al., "EndoGaussian", 2024 (its `pulling` arguments). Their world is EndoNeRF's, where tissue lies at a
depth of about 100, so one of their units is 5.69 pixel footprints (`SCENE_UNITS`) and their L1 of
inverse depth has the weight 1/100 of ours, which is in units of the median depth. Their scene extent is 10, which
multiplies the rates of positions, bases, networks and planes. Colours step in spherical harmonics there, by 0.0025
times 0.282.

Gaussians are cloned and split as in 3DGS every 100 steps after the first 500 of a stage, split from a standard
deviation of .01 extents on, and dropped below an opacity of .005 as often. (Their files' `prune_interval` of 3000 is
not the name that their code reads.) Opacity is reset every 3000 steps there, which is after the last one.

Left out, plainly: spherical harmonics above degree 0 (a still camera cannot tell them), and their frame times that stop
short of 1. They set no cap on Gaussians; the one here is for memory.
"""

from dataclasses import replace

from endogs.fit.config import AutogradSteps, FitConfig, LearningRates
from endogs.scene.deformation.bases import BasesConfig
from endogs.scene.deformation.form import Rate

from .adaptive import AdaptiveNumbers
from .forms import ENDOGAUSSIAN_PLANES, SCENE_UNITS

POSITION_RATE = 1.6e-4 * 10
"""Scene units per step."""
COLOR_RATE = 0.0025 * 0.28209
"""A step of the constant spherical harmonic, in colour."""
DEFORM3DGS_FINAL, ENDOGAUSSIAN_FINAL = 0.01 ** (3000 / 4000), 0.01 ** (3000 / 5000)
"""Rates reach 1 % after 4000 and 5000 steps, of which 3000 are taken."""
LARGE = 0.01 * 10
"""Standard deviation in scene units from which on Gaussians are split instead of cloned."""
MOST_GAUSSIANS = 100_000
"""Memory is estimated by it. On clips of 320 pixels EndoGaussian's recipe ended at 32 000 and 72 000."""


def _rates(final: float) -> LearningRates:
    return LearningRates(POSITION_RATE * SCENE_UNITS.position, 1e-3, 5e-3, 5e-2, COLOR_RATE, final)


def _rounds(*stages: int) -> tuple[float, ...]:
    """Fractions of all steps at which stages of so many steps each clone and split."""
    total, before, steps = sum(stages), 0, []
    for stage in stages:
        steps += [before + step for step in range(600, stage + 1, 100)]
        before += stage
    return tuple(step / total for step in steps if step < total)


def _recipe(final: float, stages: tuple[int, ...], **own: object) -> FitConfig:
    shared: dict[str, object] = {
        "iterations": sum(stages),
        "insertions": (),
        "density": "adaptive",
        "density_numbers": AdaptiveNumbers(split_pixels=LARGE * SCENE_UNITS.position, rounds=_rounds(*stages)),
        "prune_opacity": 0.005,
        "gaussians_cap": MOST_GAUSSIANS,
        "base_rates": _rates(final),
        "start_opacity": 0.1,
        "start_scale": 1.0,
        "mask_erosion": 0,
        "halo_weight": 1.0,
        "specular_depth_weight": 1.0,
        "ssim_weight": 0.0,
        "depth_weight": 0.01,
        "relative_depth_weight": 1e-3,
        "depth_anchor": 0.0,
        "hidden_weight": 0.0,
        "unseen_weight": 0.0,
        "virtual_share": 0.0,
        "motion_start": "rest",
    }
    return FitConfig(**(shared | own))  # type: ignore[arg-type]


def _steps(still_share: float) -> AutogradSteps:
    return AutogradSteps(epsilon=1e-15, only_positions_decay=True, still_share=still_share)


DEFORM3DGS_RATE = Rate(POSITION_RATE, DEFORM3DGS_FINAL)
ENDOGAUSSIAN_RATE = Rate(POSITION_RATE, ENDOGAUSSIAN_FINAL)
RECIPES: dict[str, FitConfig] = {
    "deform3dgs": _recipe(
        DEFORM3DGS_FINAL,
        (3000,),
        initial_gaussians=50_000,
        initialization="first-frame",
        deformation="bases",
        form=BasesConfig(
            channels="motion",
            units=SCENE_UNITS,
            width=0.16,
            weight_rate=DEFORM3DGS_RATE,
            shape_rate=DEFORM3DGS_RATE,
        ),
        autograd=_steps(0.0),
    ),
    "endogaussian": _recipe(
        ENDOGAUSSIAN_FINAL,
        (1000, 3000),
        initial_gaussians=30_000,
        initialization="every-frame",
        extra_terms=("tv",),
        deformation="hexplane",
        form=replace(
            ENDOGAUSSIAN_PLANES,
            plane_start=(0.1, 0.5),
            channels="motion",
            units=SCENE_UNITS,
            plane_rate=Rate(10 * ENDOGAUSSIAN_RATE.start, ENDOGAUSSIAN_RATE.final),
            network_rate=ENDOGAUSSIAN_RATE,
            plane_tv_weight=0.0,
            time_smoothness_weight=0.0,
        ),
        autograd=_steps(0.25),
    ),
}
"""Whole fits by the peers' names."""
