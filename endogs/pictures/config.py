"""Options of `endogs render`; importing this file imports neither torch nor numpy."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from tyro.conf import Positional

from endogs.options import Options, Range


@dataclass(frozen=True)
class LightOptions(Options):
    """Another light on a scene of --colors lit."""

    option_prefix: ClassVar[str] = "light."
    offset: Annotated[tuple[float, float, float] | None, Range(-1e6, 1e6)] = None
    """Move the lamp from the lens: x to the right, y down, z forward, in the scene's units."""
    intensity: Annotated[float | None, Range(0, 1e6)] = None
    """Multiple of the lamp's light, 0 or more."""
    ambient_only: bool = False
    """Even light from everywhere, which shows the albedo."""
    specular: bool = True
    """Show highlights."""

    @property
    def changes(self) -> bool:
        """Whether anything is asked for."""
        return self != LightOptions()


@dataclass(frozen=True)
class RenderScene(Options):
    """Render a scene to a video or to pictures; needs nothing but the scene."""

    scene: Positional[Path]
    """Scene file, or the folder that reconstruct wrote."""
    out: Path
    """NAME.mp4 for a video, anything else for a folder of PNG files."""
    time: Annotated[tuple[float, ...], Range(-1e9, 1e9)] = ()
    """Seconds since the clip's first frame, one or more; by default every frame of the clip."""
    what: Literal["color", "depth", "side-by-side"] = "color"
    """Colour; depth in colours, blue near and red far; or both side by side."""
    scale: Annotated[float, Range(0, 8, above=True, what="a factor")] = 1.0
    """Size of the pictures over the size of the clip, above 0 and up to 8."""
    light: LightOptions = field(default_factory=LightOptions)
    """Another light, for scenes fitted with --colors lit."""
    even_exposure: bool = False
    """Leave out the clip's changes of exposure; for scenes fitted with --exposure."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where pictures are drawn: an NVIDIA GPU when one can be used, or the processor."""
    backend: Literal["auto", "native", "gsplat", "reference"] = "auto"
    """Rasterizer; gsplat is the library of that name, on a GPU."""
