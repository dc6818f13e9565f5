"""Options of `endogs phantom`. No torch, no open3d here."""

import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from tyro.conf import Positional, UseAppendAction, arg

from endogs.errors import InputError
from endogs.options import Options, Range
from endogs.phantom.spans import Span, read_spans

Spans = Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="A:B")]

WIDEST_PINHOLE = 100.0
"""Degrees across the picture that a lens without distortion may see."""


@dataclass(frozen=True)
class Phantom(Options):
    """Make a synthetic endoscopic clip, with the exact truth written beside it."""

    positional: ClassVar[tuple[str, ...]] = ("out",)
    out: Positional[Path]
    """Folder to write; must not exist yet or be empty."""
    frames: Annotated[int, Range(1, 100_000)] = 60
    """Number of frames."""
    width: Annotated[int, Range(16, 4096)] = 640
    """Image width in pixels."""
    height: Annotated[int, Range(16, 4096)] = 512
    """Image height in pixels."""
    fps: Annotated[float, Range(0.1, 1000)] = 15.0
    """Frames per second; with --frames it decides how much of the motion is seen."""
    anatomy: Literal["abdomen", "colon"] = "abdomen"
    """Folded tissue in front of a laparoscope, or a colon with the endoscope inside it."""
    camera: Literal["still", "moving"] | None = None
    """A still endoscope (the default), or one that drifts by about a centimetre and turns by a few degrees. Leave it
    out with --trajectory."""
    trajectory: Path | None = None
    """A camera path to follow, in TUM's form: time tx ty tz qx qy qz qw in seconds and mm, camera to world. Frames are
    taken at its times, interpolated to --fps, and it is placed so that the camera sees the anatomy."""
    trajectory_scale: Annotated[float, Range(0, 1e6, above=True)] = 1.0
    """Factor on the positions of --trajectory: 1000 for a file in metres, 0.5 for half the motion."""
    view: Literal["mono", "stereo"] = "mono"
    """One view, or a rectified pair with the right camera --baseline to the right."""
    lens: Literal["pinhole", "fisheye"] = "pinhole"
    """Straight lines stay straight, or the round view of a wide-angle lens, whose calibration is written beside it."""
    instruments: Annotated[int | None, Range(0, 2)] = None
    """Metal instruments that hold and pull the tissue: 0, 1 or 2; by default 1 in the abdomen. The colon has none."""
    seed: Annotated[int, Range(0, 2**32 - 1)] = 0
    """The same seed and options give the same files."""
    distance: Annotated[float, Range(40, 150)] = 72.0
    """Working distance from the first camera to the middle of the tissue, mm; with --trajectory from the path's middle.
    Of the abdomen only."""
    radius: Annotated[float, Range(14, 40)] = 22.0
    """Radius of the colon between its folds, mm. It is made wider where the camera's path needs that."""
    field_of_view: Annotated[float | None, Range(20, 150)] = None
    """Horizontal field of view, degrees; by default 60 in the abdomen and 95 in the colon, with --lens fisheye 95 and
    130. At most 100 without it."""
    baseline: Annotated[float, Range(0.1, 20)] = 4.4
    """Distance between the two cameras of a stereo view, mm."""
    pull: Annotated[float, Range(0, 20)] = 12.0
    """How far an instrument pulls the tissue it holds, mm."""
    breathing: Annotated[float, Range(0, 10)] = 1.5
    """Amplitude of the respiratory motion of the whole tissue, mm, at 15 breaths a minute."""
    peristalsis: Annotated[float, Range(0, 5)] = 1.0
    """Amplitude of the slow wave that travels along the folds of the abdomen, mm; the colon has --wave."""
    wave: Annotated[float, Range(0, 5)] = 0.0
    """Amplitude of a peristaltic wave, mm, that travels along the colon, or along the folds of the abdomen."""
    wave_speed: Annotated[float, Range(1, 200)] = 20.0
    """Speed of --wave, mm per second."""
    folds: Annotated[float, Range(0, 8)] = 4.0
    """Height of the folds of the tissue, mm; the haustral folds of the colon stand twice as high."""
    wetness: Annotated[float, Range(0, 10)] = 1.0
    """Strength of the specular highlights of the tissue; 0 is dry."""
    vignetting: Annotated[float, Range(0, 0.99)] = 0.35
    """Fraction of the light lost in the corners of the image, in [0, 1)."""
    exposure: Annotated[float, Range(-8, 8)] = 0.0
    """Exposure in stops, relative to one that suits the first frame and, in the abdomen, is kept for the clip."""
    auto_exposure: bool | None = None
    """Whether the exposure follows what is seen, with a lag of a third of a second; by default in the colon only."""
    noise: Annotated[float, Range(0, 100)] = 1.0
    """Strength of the sensor noise (photon and read noise); 0 is none, 1 a usual endoscope."""
    tracks: Annotated[int, Range(1, 1_000_000)] = 2000
    """Surface points followed through the clip for truth/tracks.npz."""
    blackout: Spans = ()
    """Frames A to B, B excluded and counted from 0, are black, as where the lamp fails or the lens touches the wall."""
    smoke: Spans = ()
    """Smoke or steam rises over frames A to B, B excluded."""
    blur: Spans = ()
    """Frames A to B, B excluded, are out of focus."""
    jump: Annotated[int | None, Range(1, 100_000)] = None
    """From this frame on the camera is elsewhere: it skips ahead on its path until it is 10 mm or 15 degrees
    away, or as far as the path goes."""

    @property
    def instrument_count(self) -> int:
        """How many instruments there are."""
        if self.instruments is None:
            return 1 if self.anatomy == "abdomen" else 0
        return self.instruments

    @property
    def view_degrees(self) -> float:
        """Horizontal field of view."""
        if self.field_of_view is not None:
            return self.field_of_view
        narrow, wide = (60.0, 95.0) if self.anatomy == "abdomen" else (95.0, 130.0)
        return wide if self.lens == "fisheye" else narrow

    @property
    def camera_moves(self) -> bool:
        """Whether the camera leaves its first place."""
        return self.camera == "moving" or self.trajectory is not None

    @property
    def exposes_itself(self) -> bool:
        """Whether each frame has an exposure of its own."""
        return self.anatomy == "colon" if self.auto_exposure is None else self.auto_exposure

    @property
    def events(self) -> dict[str, list[Span]]:
        """Frames of each event that lasts; raises InputError for a span that is none or beyond the clip."""
        return {
            name: read_spans(f"--{name}", getattr(self, name), self.frames) for name in ("blackout", "smoke", "blur")
        }

    def written(self) -> dict[str, Any]:
        """The options in JSON's types, as truth/phantom.json keeps them: what this clip does not use is left out."""
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "out"}
        values |= {"camera": "moving" if self.camera_moves else "still", "instruments": self.instrument_count}
        values |= {"field_of_view": self.view_degrees}
        values["trajectory"] = None if self.trajectory is None else self.trajectory.name
        unused = {field.name for field in fields(self) if field.name in LATER and values[field.name] == field.default}
        return {name: value for name, value in values.items() if name not in unused}

    def check(self) -> None:
        """Raises InputError, naming the options, for values that do not go together."""
        if self.anatomy == "abdomen":
            self._check_reach()
        else:
            self._check_colon()
        self._check_lens()
        if self.trajectory is not None and self.camera is not None:
            raise InputError(
                f"--camera {self.camera} with --trajectory: the file moves the camera; leave --camera out."
            )
        if self.trajectory is None and self.trajectory_scale != 1.0:
            raise InputError(
                "--trajectory-scale without --trajectory: there is nothing to scale; give both or neither."
            )
        if self.jump is not None and not self.camera_moves:
            raise InputError("--jump with a still camera: there is no path to skip ahead on; give --camera moving too.")
        if self.jump is not None and self.frames == 1:
            raise InputError(f"--jump {self.jump}: the clip has one frame; raise --frames.")
        if self.jump is not None and self.jump >= self.frames:
            raise InputError(f"--jump {self.jump}: the clip has {self.frames} frames; give 1 to {self.frames - 1}.")
        _ = self.events

    def _check_reach(self) -> None:
        nearest = self.pull * (self.instrument_count > 0) + 1.4 * self.breathing + self.peristalsis + self.wave
        nearest += 2 * self.folds
        if nearest > 0.65 * self.distance:
            names = "--pull, --breathing, --peristalsis" + (", --wave" if self.wave else "")
            raise InputError(
                f"{names} and --folds bring the tissue {nearest:.0f} mm closer, too close "
                f"to a camera at {self.distance:g} mm; lower them or raise --distance."
            )

    def _check_colon(self) -> None:
        if self.instrument_count > 0:
            raise InputError(f"--instruments {self.instruments} in the colon: it has none; leave --instruments out.")
        for name, instead in (("peristalsis", "--wave"), ("distance", "--radius")):
            kept = next(field.default for field in fields(self) if field.name == name)
            if getattr(self, name) not in (kept, 0):
                raise InputError(f"--{name} is the abdomen's; use {instead} in the colon.")
        inside = 2.4 * self.folds + 1.3 * self.breathing + self.wave
        if inside > self.radius - 4:
            raise InputError(
                f"--folds, --breathing and --wave leave no room in a colon of {self.radius:g} mm: they take "
                f"{inside:.0f} mm of it; lower them or raise --radius."
            )

    def _check_lens(self) -> None:
        if self.lens == "fisheye":
            if self.view == "stereo":
                raise InputError("--lens fisheye with --view stereo: a rectified pair has none; use --view mono.")
            return
        if self.view_degrees > WIDEST_PINHOLE:
            raise InputError(f"--field-of-view {self.view_degrees:g}: over 100 degrees need --lens fisheye.")
        if self.height * math.tan(math.radians(self.view_degrees) / 2) > 1.6 * self.width:
            raise InputError(
                f"--height {self.height} with --width {self.width} and --field-of-view {self.view_degrees:g} sees "
                "more than 116 degrees vertically; lower the height or the field of view."
            )

    @property
    def focal(self) -> float:
        """Focal length in pixels, the same for x and y: of a fisheye, of its middle."""
        half = math.radians(self.view_degrees) / 2
        if self.lens == "fisheye":
            return 0.5 * self.width / (half + FISHEYE[0] * half**3 + FISHEYE[1] * half**5)
        return 0.5 * self.width / math.tan(half)


FISHEYE = (-0.022, 0.0013, 0.0, 0.0)
"""k1 to k4 of --lens fisheye, after Kannala and Brandt: a lens that is a little narrower at the rim than even."""
LATER = {
    "anatomy", "trajectory", "trajectory_scale", "lens", "radius", "wave", "wave_speed", "auto_exposure", "blackout",
    "smoke", "blur", "jump",
}  # fmt: skip
"""Options that a truth/phantom.json may lack; they are then at their defaults."""
