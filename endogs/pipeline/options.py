"""Options of `endogs reconstruct`, and those of them that `endogs batch` shares. No torch here."""

from dataclasses import KW_ONLY, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes, Positional

from endogs.clip.config import ClipOptions
from endogs.errors import InputError
from endogs.fit.config import PRESET_FRAMES, PRESETS, AppearanceConfig, Balance, ColorChoice, Density, FitConfig, Preset
from endogs.options import LARGEST_SEED, Options, Range
from endogs.pipeline.pose_prior_options import PosePriorOptions
from endogs.priors.instruments.config import MaskChoice, Sam2Options
from endogs.scene.deformation.kinds import KINDS

if TYPE_CHECKING:
    Deformations = str
else:
    Deformations = Literal[tuple(KINDS)]


CameraChoice = Literal["auto", "given", "still", "track", "colmap"]
"""Where the camera's poses come from."""


@dataclass(frozen=True)
class FitOptions(Options):
    """How a clip is read, fitted and judged, wherever its result goes."""

    _: KW_ONLY
    preset: Preset = "balanced"
    """Speed against quality: fast, balanced and best take about 25 s, a minute and four for 63 frames of 640x512 on two
    cores, and more steps in proportion for more frames."""
    clip: Annotated[ClipOptions, OmitArgPrefixes] = field(default_factory=ClipOptions)
    """How the clip is read."""
    split: Literal["standard", "gap", "novel-view", "all"] = "standard"
    """Frames kept for testing: every eighth (standard), five in every twenty (gap), the right view
    (novel-view), or none (all)."""
    depth: Literal["auto", "given", "stereo", "parallax", "photometric", "learned"] = "auto"
    """Where depth comes from: the data set (given), a right view (stereo), the motion of a camera whose poses are known
    (parallax), brightness, as the light sits beside the camera (photometric), or a learned model. auto takes the first
    that there is of given, stereo, parallax and photometric; with --depth-model, parallax or learned."""
    depth_model: str | None = None
    """For learned depth: a model folder, an ONNX file or a Hugging Face id; by default Depth Anything V2 Small."""
    depth_model_output: Literal["disparity", "depth", "logdepth"] | None = None
    """What that model predicts, where its own configuration does not say: near is large (disparity), far is large
    (depth), or log depth."""
    camera: CameraChoice = "auto"
    """Where the camera is: as the clip's files say (given), at rest (still), or searched for in the pictures, by endogs
    (track) or by pycolmap where that is installed (colmap). auto takes poses that are given; without any it looks
    whether the camera moves, and tracks it then."""
    prior: Annotated[PosePriorOptions, OmitArgPrefixes] = field(default_factory=PosePriorOptions)
    """Poses from elsewhere, and how far they are off."""
    masks: MaskChoice = "auto"
    """Instrument masks: the data set's (given); found by a small network, colour and motion together (found), or by
    colour alone (color); followed by SAM 2 (sam2); or none. auto is given where there are any, else found."""
    sam2: Annotated[Sam2Options, OmitArgPrefixes] = field(default_factory=Sam2Options)
    """What SAM 2 follows; F counts frames as they are read, X and Y are pixels of such a frame."""
    deformation: Deformations = "spline"
    """How the scene moves: a B-spline per Gaussian (spline, the fastest); bases over time per Gaussian (bases:
    Deform3DGS, ColorGS); planes of features (hexplane: EndoGaussian); a network (mlp: SurgicalGaussian; for GPUs); few
    trajectories that all share (lowrank); or not at all (none)."""
    colors: ColorChoice = "plain"
    """What colours depend on: time alone (plain); the direction of view (sh, for moving cameras); or the endoscope's
    lamp (lit), which leaves an albedo and can be relit. Where the camera moves, its poses are known and nothing
    deforms, plain colours dim with the distance from the camera and towards the rim of the picture, as its light
    does."""
    sh_degree: Annotated[Literal[1, 2, 3] | None, Range(1, 3)] = None
    """Degree of the spherical harmonics of --colors sh, by default 2."""
    exposure: Annotated[bool, FlagCreatePairsOff] = False
    """Give every frame a gain and a bias per channel, for videos with automatic exposure or white balance. Where the
    camera moves and its poses are known, so that its light moves too, every frame gets them anyway."""
    even_exposure: bool = False
    """Give no frame its own gain and bias, also where the camera moves, and take its light to be the same
    everywhere."""
    hold_poses: bool = False
    """Take the poses of a moving camera as they were given. Otherwise they are refined during the fit, by pixels, and
    each frame that is kept for testing is aligned to the finished scene before it is judged."""
    every_frame: bool = False
    """Fit and judge all frames. Otherwise those that look like no tissue (black, smoke or steam, out of the body)
    are left out, and named."""
    iterations: Annotated[int | None, Range(0, 10**7)] = None
    """Optimization steps instead of the preset's."""
    gaussians: Annotated[int | None, Range(1, 10**8)] = None
    """Never more Gaussians than this; the preset's own numbers still decide how many are placed below it."""
    density: Density = "residual"
    """How Gaussians come and go: inserted where frames are poorly explained (residual), or not at all (none)."""
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
    segment_frames: Annotated[int | None, Range(24, 10**6)] = None
    """Fit so many frames at a time, one segment of the clip after the other, with 8 frames in common; the scene is then
    a chain of files. By default clips of up to 240 frames are fitted whole where memory allows, and longer ones in
    segments that need about 2.4 GB."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the fit runs: an NVIDIA GPU when one can be used, or the processor."""
    deterministic: bool = False
    """On a GPU, add gradients up in a fixed order (slower), so that a run repeats exactly. On the processor every run
    does."""
    depth_weight: Annotated[float | None, Range(0, 1e6)] = None
    """Weight of depth that is given or measured with a right view, 0 or more, instead of the preset's 0.6: 2 makes the
    surface truer by a twentieth to a half, for up to 0.1 dB."""
    seed: Annotated[int, Range(0, LARGEST_SEED)] = 0
    """Seed of everything random."""

    def fit_config(self, frames: int = 0) -> FitConfig:
        """The preset's numbers for a clip of so many frames, with this run's overrides.

        Raises InputError for options that do not go together.
        """
        self.prior.check(self.camera)
        if self.rigidity_weight and self.deformation != "spline":
            raise InputError(f"--rigidity-weight needs --deformation spline, not {self.deformation}; leave it out.")
        if self.sh_degree is not None and self.colors != "sh":
            raise InputError("--sh-degree needs --colors sh.")
        appearance = AppearanceConfig(self.colors, self.sh_degree or AppearanceConfig.sh_degree, self.exposure)
        if self.exposure and self.even_exposure:
            raise InputError("--exposure and --even-exposure exclude each other; leave one of them out.")
        if not appearance.plain and self.deformation not in WITH_APPEARANCE:
            raise InputError("--colors and --exposure need --deformation spline or none.")
        config = replace(PRESETS[self.preset], appearance=appearance)
        if frames > PRESET_FRAMES:
            config = config.with_iterations(round(config.iterations * frames / PRESET_FRAMES))
        given = {field: getattr(self, option) for option, field in FIELDS.items()}
        config = replace(config, **{field: value for field, value in given.items() if value is not None})
        if self.gaussians is not None:
            config = replace(config, initial_gaussians=min(config.initial_gaussians, self.gaussians))
        return config


@dataclass(frozen=True)
class Reconstruct(FitOptions):
    """Turn a clip into a deformable 3D Gaussian scene."""

    input: Positional[Path]
    """Video file, image folder or data set; with --data, a recipe: its name or its .toml file."""
    _: KW_ONLY
    data: Path | None = None
    """With a recipe in place of a clip: the folder of its data set. The recipe's options are then the defaults."""
    out: Path | None = None
    """Output folder; by default NAME_endogs in the current folder, after the clip's name, with a number where there is
    one already."""
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


WITH_APPEARANCE = ("spline", "none")
"""Deformations under which colours may depend on more than time."""
FIELDS = {
    "deformation": "deformation",
    "density": "density",
    "balance": "balance",
    "normal_weight": "normal_weight",
    "depth_weight": "depth_weight",
    "rigidity_weight": "rigidity_weight",
    "iterations": "iterations",
    "gaussians": "gaussians_cap",
}
"""Options that are numbers of the fit, and the fields of `FitConfig` that they replace where they are given."""
