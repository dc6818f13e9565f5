"""Options of `endogs reconstruct`, and the fit's numbers that a preset resolves them to. No torch here."""

from dataclasses import KW_ONLY, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import OmitArgPrefixes, Positional

from endogs.clip.config import ClipOptions
from endogs.errors import InputError
from endogs.fit.deformation_config import DeformationConfig
from endogs.fit.deformation_options import DeformationOptions, Deformations
from endogs.options import LARGEST_SEED, Options, Range
from endogs.priors.instruments.config import MaskChoice, Sam2Options

Preset = Literal["fast", "balanced", "best", "deform3dgs", "endogaussian"]
Initialization = Literal["tissue", "first-frame", "every-frame"]
Density = Literal["residual", "absgrad", "adaptive", "mcmc", "none"]
COPYING: tuple[Density, ...] = ("absgrad", "adaptive", "mcmc")
"""Methods that copy Gaussians with their motion, instead of making new ones."""
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

    colors: ColorChoice = "plain"
    """The colour model."""
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
            "exposure": self.exposure_rate,
        }


@dataclass(frozen=True)
class AdaptiveNumbers:
    """3DGS's clone and split; `endogs.fit.density.adaptive` says what is measured."""

    threshold: float = 2e-4
    """Mean length of the gradient by the projected centre, normalized device coordinates, from which on Gaussians are
    cloned or split."""
    split_pixels: float = 1.0
    """Standard deviation in pixel footprints above which a Gaussian is split instead of cloned."""
    rounds: tuple[float, ...] = tuple(percent / 100 for percent in range(20, 81, 5))
    """Fractions of the iterations; what is cloned later has no time to part from its twin."""


@dataclass(frozen=True)
class McmcNumbers:
    """Density control by relocation; `endogs.fit.density.mcmc` names the equations."""

    begin: float = 0.02
    """Fraction of the iterations at the first round."""
    end: float = 0.8
    """Fraction of the iterations at the last round; what is relocated later has no time to settle."""
    every: float = 0.025
    """Fraction of the iterations between rounds."""
    growth: float = 0.05
    """Share by which a round adds Gaussians, below the cap."""
    dead_opacity: float = 0.005
    """Gaussians whose opacity stays below this at all times are relocated."""
    noise: float = 0.4
    """Noise per step on an invisible Gaussian one pixel footprint wide, in pixel footprints; it grows with the square
    of the width and falls with the learning rate."""
    opacity_weight: float = 0.001
    """Weight of the mean opacity (the paper's .01, for ten times the steps, costs .1 dB here)."""
    scale_weight: float = 5e-5
    """Weight of the mean standard deviation in pixel footprints."""


@dataclass(frozen=True)
class FitConfig:
    """Every number of the fit. Values measured on two real clips; see docs/BENCHMARKS.md."""

    iterations: int = 1150
    """Optimization steps, each on one frame."""
    initial_gaussians: int = 80_000
    """Gaussians placed before the fit, about."""
    insertions: tuple[tuple[float, int], ...] = ((0.14, 20_000), (0.27, 20_000))
    """Density control: (fraction of the iterations, Gaussians to insert where the residual is high)."""
    density: Density = "residual"
    """How Gaussians come and go."""
    split_pixels: float = 1.0
    """Absgrad: standard deviation in pixel footprints above which a Gaussian is split instead of cloned."""
    adaptive: AdaptiveNumbers = AdaptiveNumbers()
    """The threshold's numbers."""
    mcmc: McmcNumbers = McmcNumbers()
    """MCMC's numbers."""
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
    specular_weight: float = 1.0
    """Colour weight of specular highlights, 0..1. They are part of the picture: .2 costs 0.9 dB."""
    specular_depth_weight: float = 0.0
    """Depth weight of specular highlights, 0..1: neither stereo nor brightness sees the surface there."""
    ssim_weight: float = 0.2
    """Share of D-SSIM in the colour loss, 0..1: +.1 to .4 dB held out, for a third more time per step."""
    depth_weight: float = 0.6
    """Weight of the depth loss when depth is metric (given or stereo)."""
    relative_depth_weight: float = 0.02
    """Weight of the depth loss when depth is known up to an affine map of its logarithm."""
    depth_anchor: float = 1e-3
    """Weight that holds mean and spread of log depth where a relative prior put them."""
    hidden_weight: float = 0.005
    """Weight that keeps the scene opaque behind instruments, so that no slit opens where nothing else is asked for.
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
    bending_weight: float = 0.0
    """Part of the way, 0..1, that a step's inner control points go to the line between their neighbours; 0 = off. At
    .01 a phantom gains .2 dB, d4d loses .1 to .3."""
    virtual_share: float = 0.5
    """Share of the steps spent on flow-interpolated frames between neighbouring training frames."""
    prune_opacity: float = 0.02
    """Gaussians whose opacity stays below this at all times are removed at insertions and splittings."""
    checkpoint_seconds: float = 30.0
    """Least time between checkpoints; where writing one is slow there is more, so that they cost less than 2 %."""
    motion_start: Literal["tracks", "rest"] = "tracks"
    """Whether motion starts from tracks of the optical flow."""
    initialization: Initialization = "tissue"
    """Where the first Gaussians go: over the best frame's tissue and what others uncover, as Deform3DGS places them, or
    as EndoGaussian does (`endogs.scene.peer_initialization`)."""
    tv_weight: float = 0.0
    """Weight of the total variation of the rendered image and inverse depth; EndoGaussian's."""
    deformations: DeformationConfig = field(default_factory=DeformationConfig)
    """How deformations other than the spline are shaped and stepped."""
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


@dataclass(frozen=True)
class Reconstruct(Options):
    """Turn a clip into a deformable 3D Gaussian scene."""

    input: Positional[Path]
    """Video file, image folder or data set; with --data, a recipe: its name or its .toml file."""
    _: KW_ONLY
    data: Path | None = None
    """With a recipe in place of a clip: the folder of its data set. The recipe's options are then the defaults."""
    out: Path | None = None
    """Output folder; by default NAME_endogs in the current folder, after the clip's name, with a number where there is
    one already."""
    preset: Preset = "balanced"
    """Speed against quality: fast, balanced and best take about 25 s, a minute and four for 63 frames of 640x512 on two
    cores, and more steps in proportion for more frames. deform3dgs and endogaussian do as those systems do, to compare
    with: their deformation, start, losses and step sizes."""
    clip: Annotated[ClipOptions, OmitArgPrefixes] = field(default_factory=ClipOptions)
    """How the clip is read."""
    split: Literal["standard", "gap", "novel-view", "all"] = "standard"
    """Frames kept for testing: every eighth (standard), five in every twenty (gap), the right view
    (novel-view), or none (all)."""
    depth: Literal["auto", "given", "stereo", "photometric", "learned", "constant"] = "auto"
    """Where depth comes from: the data set (given), a right view (stereo), brightness, as the light sits beside the
    camera (photometric), a learned model, or nowhere: one depth everywhere, to compare with (constant). auto takes
    learned with --depth-model, else the first that there is of given, stereo and photometric."""
    depth_model: str | None = None
    """For learned depth: a model folder, an ONNX file or a Hugging Face id; by default Depth Anything V2 Small."""
    depth_model_output: Literal["disparity", "depth", "logdepth"] | None = None
    """What that model predicts, where its own configuration does not say: near is large (disparity), far is large
    (depth), or log depth."""
    masks: MaskChoice = "auto"
    """Instrument masks: the data set's (given), found by colour, followed by SAM 2, or none; auto is given where there
    are any, else color."""
    sam2: Annotated[Sam2Options, OmitArgPrefixes] = field(default_factory=Sam2Options)
    """What SAM 2 follows; F counts frames as they are read, X and Y are pixels of such a frame."""
    deformation: Deformations | None = None
    """How the scene moves: a B-spline per Gaussian (spline, the fastest, and the default but for the presets deform3dgs
    and endogaussian); bases over time per Gaussian (bases: Deform3DGS, ColorGS); planes of features (hexplane:
    EndoGaussian); a network (mlp: SurgicalGaussian; for GPUs); few trajectories that all share (lowrank); or not at all
    (none)."""
    motion: Annotated[DeformationOptions, OmitArgPrefixes] = field(default_factory=DeformationOptions)
    """The form of --deformation; what is left out is the preset's own."""
    colors: ColorChoice = "plain"
    """What colours depend on: time alone; the direction of view (sh, for moving cameras); or the endoscope's lamp
    (lit), which leaves an albedo and can be relit."""
    sh_degree: Annotated[Literal[1, 2, 3] | None, Range(1, 3)] = None
    """Degree of the spherical harmonics of --colors sh, by default 2."""
    exposure: bool = False
    """Give every frame a gain and a bias per channel, for videos with automatic exposure or white balance."""
    iterations: Annotated[int | None, Range(0, 10**7)] = None
    """Optimization steps instead of the preset's."""
    gaussians: Annotated[int | None, Range(1, 10**8)] = None
    """Never more Gaussians than this; the preset's own numbers still decide how many are placed below it."""
    density: Density | None = None
    """How Gaussians come and go, instead of the preset's own: inserted where frames are poorly explained (residual),
    split where the image pulls hardest (absgrad, after AbsGS) or harder than a threshold (adaptive, as 3DGS and the
    presets deform3dgs and endogaussian do), relocated from where they died (mcmc), or not at all (none)."""
    balance: Balance = "sum"
    """How depth, smoothness and closing behind instruments add to colour: as a weighted sum, or only in directions that
    colour does not mind (bloop; a step takes 1.6 times as long, and neither depth nor colour was better for it)."""
    normal_weight: Annotated[float | None, Range(0, 1e6)] = None
    """Weight of the angle between the normals of the rendered depth and of the depth prior's, by default 0. With
    learned or given depth 0.01 makes the surface smoother and costs next to nothing; 0.1 more so, and costs 0.1 to
    0.3 dB."""
    rigidity_weight: Annotated[float | None, Range(0, 1)] = None
    """Part of the way, 0 to 1, by default 0, that tissue behind an instrument goes to where it moves as rigidly as its
    neighbours let it, at every fourth step, if that shows a training frame. For the deformation spline; hidden tissue
    was hardly truer for it."""
    bending_weight: Annotated[float | None, Range(0, 1)] = None
    """Part of the way, 0 to 1, by default 0, that each step takes two control points to the line between their
    neighbours in time. For the deformation spline; at 0.01 a phantom gained 0.2 dB, and a clip of fast tissue lost
    as much."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the fit runs: an NVIDIA GPU when one can be used, or the processor."""
    deterministic: bool = False
    """On a GPU, add gradients up in a fixed order (slower), so that a run repeats exactly. On the processor every run
    does."""
    depth_weight: Annotated[float | None, Range(0, 1e6)] = None
    """Weight of depth that is given or measured with a right view, 0 or more, instead of the preset's own (0.6; 0.01 of
    deform3dgs and endogaussian): 2 makes the surface truer by a twentieth to a half, for up to 0.1 dB."""
    specular_weight: Annotated[float | None, Range(0, 1)] = None
    """Colour weight of specular highlights, 0 to 1, by default 1; below, the scene shows less of them and fits the
    images less."""
    seed: Annotated[int, Range(0, LARGEST_SEED)] = 0
    """Seed of everything random."""
    resume: bool = False
    """Continue the run that was interrupted or killed on its way to the output folder, with the options it had."""
    overwrite: bool = False
    """Replace the result that the output folder holds, once the new one is complete, or an interrupted run; other files
    in the folder stay."""
    live: bool = False
    """Watch the fit in the browser, at an address that is printed; afterwards the scene plays there until Ctrl-C."""
    host: str = "127.0.0.1"
    """With --live: address to serve at. Any but this machine's own asks for a token, which the URL holds."""
    port: Annotated[int, Range(0, 65_535)] = 8080
    """With --live: port to serve at; where it is taken, the next free one."""

    def deformation_kind(self) -> Deformations:
        """The deformation that is asked for, or the preset's own."""
        if self.deformation is not None:
            return self.deformation
        return {"deform3dgs": "bases", "endogaussian": "hexplane"}.get(self.preset, "spline")  # type: ignore[return-value]

    def _preset(self) -> FitConfig:
        from endogs.fit.recipes import RECIPES  # made of this module's FitConfig

        return PRESETS[self.preset] if self.preset in PRESETS else RECIPES[self.preset]

    def fit_config(self, frames: int = 0) -> FitConfig:
        """The preset's numbers for a clip of so many frames, with this run's overrides.

        Raises InputError for options that do not go together.
        """
        for option, part in (("--rigidity-weight", self.rigidity_weight), ("--bending-weight", self.bending_weight)):
            if part and self.deformation_kind() != "spline":
                raise InputError(f"{option} needs --deformation spline, not {self.deformation_kind()}; leave it out.")
        config = self._preset()
        if self.preset in PRESETS and frames > PRESET_FRAMES:
            config = config.with_iterations(round(config.iterations * frames / PRESET_FRAMES))
        config = replace(config, **self.motion.applied_to(self.deformation_kind(), config))
        if self.preset not in PRESETS and self.deformation_kind() in ("spline", "none"):
            raise InputError(
                f"--preset {self.preset} has its own optimizer; leave out --deformation, or give bases, "
                "hexplane, mlp or lowrank."
            )
        density = config.density if self.density is None else self.density
        if self.density in ("residual", "absgrad") and not config.insertions:
            raise InputError(f"--density {density} needs a preset that says how many to add: fast, balanced or best.")
        if self.sh_degree is not None and self.colors != "sh":
            raise InputError("--sh-degree needs --colors sh.")
        look = AppearanceConfig(self.colors, self.sh_degree or AppearanceConfig.sh_degree, self.exposure)
        if not look.plain and self.deformation_kind() not in ("spline", "none"):
            raise InputError("--colors and --exposure need --deformation spline or none.")
        if not look.plain and density in COPYING:
            raise InputError(f"--density {density} copies plain colours; leave out --colors and --exposure.")
        config = replace(config, density=density, balance=self.balance, appearance=look)
        if self.normal_weight is not None:
            config = replace(config, normal_weight=self.normal_weight)
        if self.depth_weight is not None:
            config = replace(config, depth_weight=self.depth_weight)
        if self.specular_weight is not None:
            config = replace(config, specular_weight=self.specular_weight)
        if self.rigidity_weight is not None:
            config = replace(config, rigidity_weight=self.rigidity_weight)
        if self.bending_weight is not None:
            config = replace(config, bending_weight=self.bending_weight)
        if self.iterations is not None:
            config = config.with_iterations(self.iterations)
        if self.gaussians is not None:
            config = replace(
                config,
                gaussians_cap=self.gaussians,
                initial_gaussians=min(config.initial_gaussians, self.gaussians),
            )
        return config
