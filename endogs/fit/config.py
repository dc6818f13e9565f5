"""Every number of a fit, and the presets that name them. No torch here."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from endogs.fit.density_methods import METHODS

Preset = Literal["fast", "balanced", "best"]
if TYPE_CHECKING:
    Density = str
else:
    Density = Literal[tuple(METHODS)]
Balance = Literal["sum", "bloop"]


@dataclass(frozen=True)
class LearningRates:
    """Adam's step sizes. Positions are in pixel footprints: the width z/f of a pixel at the scene's median depth."""

    position: float
    """Pixel footprints per step."""
    quat: float
    """Unitless."""
    log_scale: float
    """Natural logarithm per step."""
    opacity: float
    """Logit per step."""
    color: float
    """Of the range [0, 1], per step."""
    final: float
    """The rates decay exponentially to this fraction of themselves, in (0, 1]."""


ColorChoice = Literal["plain", "sh", "lit"]


@dataclass(frozen=True)
class AppearanceConfig:
    """Colours that depend on more than time, and their step sizes."""

    colors: ColorChoice | Literal["headlight"] = "plain"
    """The colour model. The headlight is the plan's choice, where a camera moves with known poses and nothing deforms;
    it is left out where depth is not in the poses' units."""
    sh_degree: int = 2
    """Of the spherical harmonics, 1 to 3."""
    exposure: bool = False
    """Whether every frame has its own gain and bias."""
    sh_rate: float = 6e-3
    """Of the range [0, 1], per step: as the colours."""
    gloss_rate: float = 1e-2
    """Of log reflectance and the roughness's logit, per step."""
    lamp_rate: float = 1e-2
    """Of the lamp's two numbers, per step."""
    beam_rate: float = 1e-3
    """Of the headlight's numbers, per step."""
    exposure_rate: float = 3e-3
    """Of log gain and bias, per step that sees their frame."""
    final: float = 0.1
    """The rates decay exponentially to this fraction of themselves, in (0, 1]."""

    @property
    def plain(self) -> bool:
        """Whether there is nothing to train."""
        return self.colors == "plain" and not self.exposure

    def rates(self) -> dict[str, float]:
        """Step sizes by the tensors' names in `endogs.scene.appearance.Appearance`."""
        return {
            "colors.rest": self.sh_rate,
            "colors.gloss": self.gloss_rate,
            "colors.lamp": self.lamp_rate,
            "colors.beam": self.beam_rate,
            "exposure": self.exposure_rate,
        }


@dataclass(frozen=True)
class AutogradSteps:
    """How Adam takes the steps that need a graph."""

    epsilon: float = 1e-8
    """Adam's, also for their canonical Gaussians."""
    only_positions_decay: bool = False
    """Of the canonical Gaussians' step sizes; 3DGS and its kin leave the others as they are."""
    still_share: float = 0.0
    """Share of the steps, at the beginning, in which nothing deforms; then every step size starts again."""


@dataclass(frozen=True)
class PoseConfig:
    """How the poses of a moving camera are refined. Turns and shifts count in the pixels that they move the image."""

    rate: float = 0.15
    """Pixels per step that sees their frame."""
    final: float = 0.1
    """The rate decays exponentially to this fraction of itself, in (0, 1]."""
    start: float = 0.1
    """Share of the steps, at the beginning, in which poses rest."""
    bound: float = 10.0
    """Pixels by which no correction is greater; smaller ones are pulled towards 0 as hard as they are large."""


@dataclass(frozen=True)
class FitConfig:
    """Every number of the fit. Values measured on two real clips; see docs/EXPERIMENTS.md."""

    iterations: int = 1150
    """Optimization steps, each on one frame."""
    initial_gaussians: int = 80_000
    """Gaussians placed before the fit, about."""
    insertions: tuple[tuple[float, int], ...] = ((0.14, 20_000), (0.27, 20_000))
    """Density control: (fraction of the iterations, Gaussians to insert where the residual is high)."""
    density: str = "residual"
    """How Gaussians come and go: a name in `endogs.fit.density_methods.METHODS`."""
    density_numbers: Any = None
    """The method's own numbers, a frozen dataclass, where it has some."""
    gaussians_cap: int = 120_000
    """Never more Gaussians than this."""
    knot_frames: float = 1.5
    """Frames of the clip per knot interval of the spline, while the tissue moves; fewer knots while it rests."""
    base_rates: LearningRates = LearningRates(0.05, 3e-3, 2e-2, 6e-2, 6e-3, 0.1)
    """Step sizes of the canonical Gaussians."""
    control_rates: LearningRates = LearningRates(0.1, 5e-3, 1e-2, 0.12, 2e-2, 0.03)
    """Step sizes of the spline's control points."""
    start_opacity: float = 0.8
    """Opacity of new Gaussians, in (0, 1)."""
    start_scale: float = 0.6
    """Standard deviation of new Gaussians, in spacings of the points."""
    insertion_opacity: float = 0.6
    """Opacity of inserted Gaussians, in (0, 1)."""
    insertion_spacing: float = 0.7
    """Size of inserted Gaussians, in the mean spacing of those that are already there."""
    mask_erosion: int = 2
    """Pixels by which the tissue masks shrink for training, so that tool edges do not bleed."""
    rim_weight: float = 0.2
    """Colour weight of the rim that the erosion takes off, 0..1: enough where nothing else shows that tissue."""
    halo_weight: float = 0.2
    """Colour weight around instruments that were found, where it may be either, 0..1: 0 costs 2 dB there."""
    hidden_color_weight: float = 0.05
    """Colour weight of pixels that no frame of a still camera shows, 0..1, for colours continued from the tissue around
    (`endogs.fit.beside_instruments.tinted`)."""
    specular_depth_weight: float = 0.0
    """Depth weight of specular highlights, 0..1: neither stereo nor brightness sees the surface there. Their colours
    count as any others: they are part of the picture."""
    ssim_weight: float = 0.2
    """Share of D-SSIM in the colour loss, 0..1: +.1 to .4 dB held out, for a third more time per step."""
    depth_weight: float = 0.6
    """Weight of the depth loss when depth is metric (given or stereo)."""
    relative_depth_weight: float = 0.02
    """Weight of the depth loss when depth is known up to an affine map of its logarithm."""
    depth_anchor: float = 1e-3
    """Weight that holds mean and spread of log depth where a relative prior put them."""
    hidden_weight: float = 0.005
    """Weight that keeps the scene opaque behind instruments, so that no slit opens where nothing else is asked for, and
    where a moving camera sees tissue, whose dark parts would fade in time.
    At .02 it drags what is there towards the slits (half again the depth error); at .001 specks stay open."""
    unseen_weight: float = 0.02
    """Weight of smooth depth and colour at pixels that no training frame ever shows as tissue."""
    normal_weight: float = 0.0
    """Weight of the angle between the normals of the rendered depth and of the depth prior's, on frames with depth."""
    balance: Balance = "sum"
    """How the gradients of colour and of everything else come together."""
    bloop_rate: float = 0.03
    """Bloop: the newest colour gradient's share in the moving average, in (0, 1]."""
    rigidity_weight: float = 0.0
    """Part of the way, 0..1, that hidden Gaussians go per relaxation to where they keep their shape; 0 = off."""
    virtual_share: float = 0.5
    """Share of the steps spent on flow-interpolated frames between neighbouring training frames."""
    prune_opacity: float = 0.02
    """Gaussians whose opacity stays below this at all times are removed at insertions."""
    checkpoint_seconds: float = 30.0
    """Least time between checkpoints; where writing one is slow there is more, so that they cost less than 2 %."""
    motion_start: Literal["tracks", "rest"] = "tracks"
    """Whether motion starts from tracks of the optical flow."""
    initialization: str = "tissue"
    """Where the first Gaussians go: a name in `endogs.fit.setup.STARTS`; "tissue" is over the best frame's tissue and
    what others uncover."""
    extra_terms: tuple[str, ...] = ()
    """Names of further terms of the loss in `endogs.fit.objective.terms.REGISTRY`."""
    deformation: str = "spline"
    """How the scene moves: a name in `endogs.scene.deformation.registry.DEFORMATIONS`."""
    form: Any = None
    """The deformation's own numbers, of its `Config`; None for its defaults."""
    rest_pull: float = 0.0
    """What deformation pays: the part of Adam's step by which the positions of a spline's control points go back to
    rest with every step. Cameras that move with known poses have `endogs.pipeline.plan.REST_PULL`."""
    autograd: AutogradSteps = AutogradSteps()
    """How deformations other than the spline are stepped."""
    poses: PoseConfig | None = None
    """How a moving camera's poses are refined; None where they are held as they were given."""
    appearance: AppearanceConfig = AppearanceConfig()
    """Colours that depend on the camera, the light or the exposure."""

    def with_iterations(self, iterations: int) -> "FitConfig":
        """The same schedule stretched or squeezed to another number of steps (insertions are fractions)."""
        return replace(self, iterations=iterations)


PRESET_FRAMES = 63
"""Frames that the presets' steps are for; longer clips take more in proportion, or every frame would be seen less."""
PRESETS: dict[str, FitConfig] = {
    "fast": FitConfig(
        iterations=450,
        initial_gaussians=45_000,
        insertions=((0.4, 10_000),),
        gaussians_cap=55_000,
        knot_frames=3.0,
        ssim_weight=0.0,
        virtual_share=0.25,
    ),
    "balanced": FitConfig(),
    "best": FitConfig(
        iterations=4000,
        initial_gaussians=150_000,
        insertions=((0.14, 50_000), (0.27, 50_000), (0.4, 50_000)),
        gaussians_cap=300_000,
        knot_frames=2.0,
    ),
}
"""What `--preset` selects."""
